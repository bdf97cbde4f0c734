//! Ids as parsed newtypes: once one exists, its text is known to be well-formed.
//!
//! Invariant: no id carries free text; each has a closed alphabet and a bounded length, so that an
//! id can stand in a log line, a record key or a file name. A clone shares the text.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Digest;

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The text has another length than the id allows.
    #[error("{id} has {length} bytes, allowed are 1 to {limit}")]
    Length {
        /// Which id was parsed.
        id: &'static str,
        /// Length found, in bytes.
        length: usize,
        /// Largest length allowed, in bytes.
        limit: usize,
    },
    /// A character is not in the id's alphabet.
    #[error("{id} has a character outside its alphabet at byte {position}")]
    Character {
        /// Which id was parsed.
        id: &'static str,
        /// Byte position of the first such character.
        position: usize,
    },
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $limit:literal, $alphabet:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses the text of an id.
            ///
            /// # Errors
            /// Fails on an empty or too long text and on a character outside the alphabet.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                parse(stringify!($name), text, $limit, $alphabet).map(Self)
            }

            /// The id as text.
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
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
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

text_id! {
    /// A person or service that may ask, approve or administer. 1 to 64 of `a-z 0-9 - . _ @`.
    PrincipalId, 64, is_name
}
text_id! {
    /// One credential of a principal. 1 to 64 of `a-z 0-9 - . _ @`.
    CredentialId, 64, is_name
}
text_id! {
    /// A role of the house, such as `treasurer`. 1 to 32 of `a-z 0-9 _`.
    RoleId, 32, is_word
}
text_id! {
    /// A tier of wallets, such as `hot`. 1 to 32 of `a-z 0-9 _`.
    TierId, 32, is_word
}
text_id! {
    /// An organisation that people belong to. 1 to 64 of `a-z 0-9 - . _ @`.
    OrganisationId, 64, is_name
}
text_id! {
    /// A wallet. 1 to 64 of `a-z 0-9 - . _ @`.
    WalletId, 64, is_name
}
text_id! {
    /// A key or seed. 1 to 64 of `a-z 0-9 - . _ @`.
    KeyId, 64, is_name
}
text_id! {
    /// A backend of keys, as the host names it. 1 to 64 of `a-z 0-9 - . _ @`.
    BackendId, 64, is_name
}
text_id! {
    /// What a backend is, as told by the backend itself (KEK fingerprint, token serial, KMS
    /// account and region). 1 to 200 of `A-Z a-z 0-9 - . _ : / @ +`.
    BackendIdentity, 200, is_request
}
text_id! {
    /// A key that encrypts keys. 1 to 200 of `A-Z a-z 0-9 - . _ : / @ +`.
    KekId, 200, is_request
}
text_id! {
    /// An address book. 1 to 64 of `a-z 0-9 - . _ @`.
    BookId, 64, is_name
}
text_id! {
    /// An order: a UUIDv7 in hyphenated lower-case form, so that ids sort by time.
    OrderId, 36, is_name
}
text_id! {
    /// The requester's own id of a request; should begin with time (UUIDv7).
    /// 1 to 128 of `A-Z a-z 0-9 - . _ : / @ +`.
    RequestId, 128, is_request
}
text_id! {
    /// A rule, as verdicts name it. 1 to 64 of `a-z 0-9 - . _ @`.
    RuleId, 64, is_name
}
text_id! {
    /// Name and version of a policy engine, such as `cedar/4.14.1+custody-policy/0.1.0`.
    EngineId, 96, is_request
}
text_id! {
    /// Name and version of a decoder, such as `evm/1`.
    DecoderId, 64, is_request
}
text_id! {
    /// A payload format that a decoder reads, such as `evm/transaction`.
    PayloadFormat, 64, is_request
}
text_id! {
    /// The namespaced name of an extension command, such as `recovery/split`.
    ExtensionName, 64, is_request
}

macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Digest);

        impl $name {
            /// The id with this digest.
            #[must_use]
            pub const fn new(digest: Digest) -> Self {
                Self(digest)
            }

            /// The digest that is the id.
            #[must_use]
            pub const fn digest(&self) -> &Digest {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

digest_id! {
    /// A custodian: SHA-256 of its genesis event.
    CustodianId
}
digest_id! {
    /// A rule set: SHA-256 of its whole document.
    PolicyId
}

fn parse(
    id: &'static str,
    text: &str,
    limit: usize,
    alphabet: fn(u8) -> bool,
) -> Result<Arc<str>, IdError> {
    if text.is_empty() || text.len() > limit {
        return Err(IdError::Length { id, length: text.len(), limit });
    }
    match text.bytes().position(|byte| !alphabet(byte)) {
        Some(position) => Err(IdError::Character { id, position }),
        None => Ok(text.into()),
    }
}

const fn is_word(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')
}

const fn is_name(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'-' | b'.' | b'@')
}

const fn is_request(byte: u8) -> bool {
    is_name(byte) || byte.is_ascii_uppercase() || matches!(byte, b':' | b'/' | b'+')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_outside_its_alphabet_or_length_is_refused() {
        for (text, error) in [
            ("", IdError::Length { id: "WalletId", length: 0, limit: 64 }),
            ("Hot", IdError::Character { id: "WalletId", position: 0 }),
            ("hot wallet", IdError::Character { id: "WalletId", position: 3 }),
            ("hot/../x", IdError::Character { id: "WalletId", position: 3 }),
        ] {
            assert_eq!(WalletId::parse(text), Err(error), "{text:?}");
        }
        assert!(WalletId::parse(&"a".repeat(65)).is_err());
        assert!(WalletId::parse(&"a".repeat(64)).is_ok());
        assert!(RoleId::parse("trea-surer").is_err());
    }
}
