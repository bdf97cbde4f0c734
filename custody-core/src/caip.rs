//! Standard names: chains (CAIP-2), accounts (CAIP-10) and assets (CAIP-19).
//!
//! Invariant: a name that parsed is written back as the same text. EVM account addresses (namespace
//! `eip155`) are kept in lower case, so that one account has one name.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not a CAIP name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaipError {
    /// The text has not the parts that the name needs.
    #[error("{name} has not the form {form}")]
    Form {
        /// Which name was parsed.
        name: &'static str,
        /// The form it needs.
        form: &'static str,
    },
    /// A part is too short, too long or has a character outside its alphabet.
    #[error("{name} has a malformed {part}")]
    Part {
        /// Which name was parsed.
        name: &'static str,
        /// Which part is malformed.
        part: &'static str,
    },
}

macro_rules! caip_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = CaipError;
            fn from_str(text: &str) -> Result<Self, CaipError> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

caip_name! {
    /// A chain (CAIP-2), such as `eip155:1`.
    ChainId
}
caip_name! {
    /// An account on a chain (CAIP-10), such as `eip155:1:0xab16…`.
    AccountId
}
caip_name! {
    /// An asset on a chain (CAIP-19), such as `eip155:1/slip44:60`.
    AssetId
}

impl ChainId {
    /// Parses `namespace:reference`.
    ///
    /// # Errors
    /// Fails on any other text.
    pub fn parse(text: &str) -> Result<Self, CaipError> {
        Self::split(text)?;
        Ok(Self(text.into()))
    }

    /// Namespace and reference of a chain's name.
    fn split(text: &str) -> Result<(&str, &str), CaipError> {
        const NAME: &str = "chain id";
        let (namespace, reference) = text
            .split_once(':')
            .ok_or(CaipError::Form { name: NAME, form: "namespace:reference" })?;
        Part { name: NAME, part: "namespace", least: 3, most: 8 }.check(namespace, is_lower)?;
        Part { name: NAME, part: "reference", least: 1, most: 32 }.check(reference, is_mixed)?;
        Ok((namespace, reference))
    }

    /// The part before the colon.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0.split_once(':').map_or("", |(namespace, _)| namespace)
    }

    /// The part after the colon.
    #[must_use]
    pub fn reference(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, reference)| reference)
    }
}

impl AccountId {
    /// Parses `namespace:reference:address`.
    ///
    /// # Errors
    /// Fails on any other text.
    pub fn parse(text: &str) -> Result<Self, CaipError> {
        let (chain, address) = text
            .rsplit_once(':')
            .ok_or(CaipError::Form { name: "account id", form: "namespace:reference:address" })?;
        Self::new(&ChainId::parse(chain)?, address)
    }

    /// The account with this address on `chain`.
    ///
    /// # Errors
    /// Fails on an address that CAIP-10 does not allow.
    pub fn new(chain: &ChainId, address: &str) -> Result<Self, CaipError> {
        Part { name: "account id", part: "address", least: 1, most: 128 }
            .check(address, is_address)?;
        let mut text = [chain.as_str(), ":", address].concat();
        if chain.namespace() == "eip155"
            && let Some(own) = text.get_mut(chain.as_str().len()..)
        {
            own.make_ascii_lowercase();
        }
        Ok(Self(text.into()))
    }

    /// The part after the last colon.
    #[must_use]
    pub fn address(&self) -> &str {
        self.0.rsplit_once(':').map_or("", |(_, address)| address)
    }

    /// The part before the last colon: the text of its [`ChainId`].
    #[must_use]
    pub fn chain(&self) -> &str {
        self.0.rsplit_once(':').map_or("", |(chain, _)| chain)
    }

    /// Whether the account is on `chain`.
    #[must_use]
    pub fn is_on(&self, chain: &ChainId) -> bool {
        self.0.rsplit_once(':').is_some_and(|(own, _)| own == chain.as_str())
    }
}

impl AssetId {
    /// Parses `chain/namespace:reference`, without a token id. Contract addresses on `eip155`
    /// chains are kept in lower case.
    ///
    /// # Errors
    /// Fails on any other text.
    pub fn parse(text: &str) -> Result<Self, CaipError> {
        const NAME: &str = "asset id";
        const FORM: CaipError = CaipError::Form { name: NAME, form: "chain/namespace:reference" };
        let (chain, asset) = text.split_once('/').ok_or(FORM)?;
        let (network, _) = ChainId::split(chain)?;
        let (namespace, reference) = asset.split_once(':').ok_or(FORM)?;
        Part { name: NAME, part: "asset namespace", least: 3, most: 8 }
            .check(namespace, is_lower)?;
        Part { name: NAME, part: "asset reference", least: 1, most: 128 }
            .check(reference, is_address)?;
        if network == "eip155" && reference.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let reference = reference.to_ascii_lowercase();
            return Ok(Self(format!("{chain}/{namespace}:{reference}").into()));
        }
        Ok(Self(text.into()))
    }

    /// Whether the asset is on `chain`.
    #[must_use]
    pub fn is_on(&self, chain: &ChainId) -> bool {
        self.0.split_once('/').is_some_and(|(own, _)| own == chain.as_str())
    }
}

/// One part of a name: its bounds in bytes.
struct Part {
    name: &'static str,
    part: &'static str,
    least: usize,
    most: usize,
}

impl Part {
    fn check(&self, text: &str, alphabet: impl Fn(u8) -> bool) -> Result<(), CaipError> {
        if text.len() < self.least || text.len() > self.most || !text.bytes().all(alphabet) {
            return Err(CaipError::Part { name: self.name, part: self.part });
        }
        Ok(())
    }
}

const fn is_lower(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')
}

const fn is_mixed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

const fn is_address(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_names_are_refused() {
        for text in ["", "eip155", "ei:1", "EIP155:1", "eip155:", "eip155:1:2", "eip155:a b"] {
            assert!(ChainId::parse(text).is_err(), "{text:?}");
        }
        for text in ["eip155:1", "eip155:1:", "eip155:1:0x 1", "x:1:0x1"] {
            assert!(AccountId::parse(text).is_err(), "{text:?}");
        }
        for text in ["eip155:1", "eip155:1/", "eip155:1/slip44", "eip155:1/erc721:0x1/2"] {
            assert!(AssetId::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn one_evm_account_has_one_name() {
        let chain = ChainId::parse("eip155:1").unwrap();
        let mixed = AccountId::new(&chain, "0xABcd").unwrap();
        assert_eq!(mixed, AccountId::parse("eip155:1:0xabcd").unwrap());
        assert!(mixed.is_on(&chain));
        assert!(!mixed.is_on(&ChainId::parse("eip155:10").unwrap()));
        assert_eq!(mixed.address(), "0xabcd");
    }
}
