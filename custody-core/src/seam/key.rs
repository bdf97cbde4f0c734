use std::fmt::{self, Debug};

use crate::crypto::{Algorithm, PublicKey};
use crate::id::{CustodianId, KeyId, WalletId};

/// Whether a key may ever leave its backend wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a key may leave its backend or it may not")]
pub enum Exportability {
    /// Never.
    Never,
    /// Wrapped under another key.
    Wrapped,
}

/// What is asked of [`KeyBackend::generate`](super::KeyBackend::generate) and
/// [`KeyDerivation::derive`](super::KeyDerivation::derive).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends and their tests build it")]
pub struct KeyRequest {
    /// The custodian the key is for.
    pub custodian: CustodianId,
    /// The wallet the key is for.
    pub wallet: WalletId,
    /// The key's id, chosen by the custodian.
    pub key: KeyId,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Whether the key may leave wrapped.
    pub exportability: Exportability,
}

/// What is asked of [`KeyDerivation::generate_seed`](super::KeyDerivation::generate_seed).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends and their tests build it")]
pub struct SeedRequest {
    /// The custodian the seed is for.
    pub custodian: CustodianId,
    /// The wallet the seed is for.
    pub wallet: WalletId,
    /// The seed's id, chosen by the custodian.
    pub key: KeyId,
}

/// A new key, as a backend made it.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct NewKey {
    /// Its public key, recorded for good.
    pub public_key: PublicKey,
    /// How to find it again.
    pub handle: KeyHandle,
}

/// A new seed, as a backend made it.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct NewSeed {
    /// How to find it again.
    pub handle: KeyHandle,
}

/// A key as the custodian records it, with its handle.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the custodian and tests build it")]
pub struct KeyRecord {
    /// The custodian.
    pub custodian: CustodianId,
    /// The wallet.
    pub wallet: WalletId,
    /// The key's id.
    pub key: KeyId,
    /// The recorded public key, which decides identity.
    pub public_key: PublicKey,
    /// The backend's handle.
    pub handle: KeyHandle,
}

/// A seed as the custodian records it, with its handle.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the custodian and tests build it")]
pub struct SeedRecord {
    /// The custodian.
    pub custodian: CustodianId,
    /// The wallet.
    pub wallet: WalletId,
    /// The seed's id.
    pub key: KeyId,
    /// The backend's handle.
    pub handle: KeyHandle,
}

/// A public key with the chain code under which its children are found without the private key
/// (BIP-32, "Extended keys"), and where it is.
///
/// # Security
/// Whoever has it sees every account below it; with it and one private key of an unhardened child,
/// they have its own private key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct ExtendedPublicKey {
    /// Of ECDSA over secp256k1, at [`Self::path`].
    pub public_key: PublicKey,
    /// The chain code.
    pub chain_code: [u8; 32],
    /// Where the key is below its seed.
    pub path: DerivationPath,
    /// The fingerprint of the key above this one; zeros for that of the seed itself.
    pub parent_fingerprint: [u8; 4],
    /// The fingerprint of the seed's own key (BIP-32, "Key identifiers").
    pub root_fingerprint: [u8; 4],
}

/// What a backend needs to find a key again: a sealed blob, a key ARN, a token serial and object
/// id. Not secret, but not printed either.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyHandle(Vec<u8>);

impl KeyHandle {
    /// Largest handle, in bytes.
    pub const MAX: usize = 16 * 1024;

    /// Wraps the backend's bytes.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The backend's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Debug for KeyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHandle({} bytes)", self.0.len())
    }
}

/// A BIP-32 path below a seed, such as `m/44'/60'/0'/0/0`; at most ten levels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DerivationPath(Vec<u32>);

impl DerivationPath {
    /// The bit that marks a hardened index (BIP-32, "Extended keys").
    pub const HARDENED: u32 = 1 << 31;

    /// Parses `m/…` with `'` for hardened indexes.
    ///
    /// # Errors
    /// Fails on any other text and on more than ten levels.
    pub fn parse(text: &str) -> Result<Self, DerivationPathError> {
        let rest = text.strip_prefix('m').ok_or(DerivationPathError)?;
        let mut indexes = Vec::new();
        for level in rest.split('/').skip(1) {
            let (digits, bit) =
                level.strip_suffix('\'').map_or((level, 0), |digits| (digits, Self::HARDENED));
            if digits.is_empty() || digits.bytes().any(|byte| !byte.is_ascii_digit()) {
                return Err(DerivationPathError);
            }
            let index: u32 = digits.parse().map_err(|_| DerivationPathError)?;
            if index >= Self::HARDENED || digits != index.to_string() || indexes.len() == 10 {
                return Err(DerivationPathError);
            }
            indexes.push(index | bit);
        }
        if !rest.is_empty() && !rest.starts_with('/') {
            return Err(DerivationPathError);
        }
        Ok(Self(indexes))
    }

    /// The indexes from the seed down, hardened ones with [`Self::HARDENED`] set.
    #[must_use]
    pub fn indexes(&self) -> &[u32] {
        &self.0
    }
}

impl fmt::Display for DerivationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("m")?;
        for index in &self.0 {
            let mark = if index & Self::HARDENED == 0 { "" } else { "'" };
            write!(f, "/{}{mark}", index & !Self::HARDENED)?;
        }
        Ok(())
    }
}

impl serde::Serialize for DerivationPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for DerivationPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The text is not a derivation path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a derivation path has the form m/44'/60'/0'/0/0 and at most ten levels")]
#[non_exhaustive]
pub struct DerivationPathError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_paths_are_refused() {
        for text in [
            "",
            "44'/0",
            "m/",
            "m//0",
            "m/x",
            "m/01",
            "m/-1",
            "m/2147483648",
            "m0/1",
            "m/0''",
            "m/0/1/2/3/4/5/6/7/8/9/10",
        ] {
            assert_eq!(DerivationPath::parse(text), Err(DerivationPathError), "{text:?}");
        }
        for text in ["m", "m/44'/60'/0'/0/0", "m/2147483647'"] {
            assert_eq!(DerivationPath::parse(text).unwrap().to_string(), text);
        }
    }
}
