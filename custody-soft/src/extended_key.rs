//! Extended private keys of BIP-32 as text. This file opens secrets.
//!
//! Invariant: reads exactly what BIP-32, "Serialization format" allows and its invalid test vectors
//! do not; public extended keys are refused. Nothing here writes one.

use zeroize::Zeroizing;

use custody_core::crypto::Algorithm;
use custody_core::secret::Secret;

use crate::private_key::PrivateKey;
use crate::seed::Seed;

/// Reads `xprv…` or `tprv…`.
pub(crate) fn read(text: &Secret) -> Result<Seed, ExtendedKeyError> {
    if text.len() > TEXT_MAX {
        return Err(ExtendedKeyError::Encoding);
    }
    let mut bytes = Zeroizing::new([0; LENGTH + CHECKSUM]);
    let length = bs58::decode(text.expose())
        .with_check(None)
        .onto(bytes.as_mut_slice())
        .map_err(|_| ExtendedKeyError::Encoding)?;
    let body = bytes.first_chunk::<LENGTH>().filter(|_| length == LENGTH);
    fields(body.ok_or(ExtendedKeyError::Encoding)?)
}

/// version (4) ‖ depth (1) ‖ parent's fingerprint (4) ‖ child number (4) ‖ chain code (32) ‖ 0 ‖ key.
fn fields(bytes: &[u8; LENGTH]) -> Result<Seed, ExtendedKeyError> {
    let (version, rest) = bytes.split_first_chunk::<4>().ok_or(ExtendedKeyError::Encoding)?;
    let (depth, rest) = rest.split_first().ok_or(ExtendedKeyError::Encoding)?;
    let (origin, rest) = rest.split_first_chunk::<8>().ok_or(ExtendedKeyError::Encoding)?;
    let (chain_code, rest) = rest.split_first_chunk::<32>().ok_or(ExtendedKeyError::Encoding)?;
    let (prefix, key) = rest.split_first().ok_or(ExtendedKeyError::Encoding)?;
    if ![XPRV, TPRV].contains(version) {
        return Err(ExtendedKeyError::Version);
    }
    if *depth == 0 && *origin != [0; 8] {
        return Err(ExtendedKeyError::Origin);
    }
    if *prefix != 0 {
        return Err(ExtendedKeyError::Key);
    }
    PrivateKey::read(Algorithm::EcdsaSecp256k1, &Secret::new(key.to_vec()))
        .map_err(|_| ExtendedKeyError::Key)?;
    let node = Zeroizing::new([chain_code.as_slice(), key].concat());
    Seed::of_extended(Secret::new(node.to_vec())).map_err(|_| ExtendedKeyError::Encoding)
}

/// Why a text is not an extended private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExtendedKeyError {
    /// The text is not base58 with a checksum of 78 bytes.
    #[error("the text is not an extended key")]
    Encoding,
    /// The key is no scalar of the curve, or not a private key.
    #[error("the extended key holds no private key")]
    Key,
    /// A key without a parent names one.
    #[error("an extended key of depth 0 names a parent or an index")]
    Origin,
    /// The version is neither that of private keys on mainnet nor on testnet.
    #[error("the extended key has an unknown version or is a public one")]
    Version,
}

const LENGTH: usize = 78;
const CHECKSUM: usize = 4;
/// Longest text that can hold 82 bytes in base58.
const TEXT_MAX: usize = 112;
const XPRV: [u8; 4] = [0x04, 0x88, 0xad, 0xe4];
const TPRV: [u8; 4] = [0x04, 0x35, 0x83, 0x94];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_extended_keys_of_bip_32_are_refused_each_for_its_own_reason() {
        let vectors = custody_testkit::vectors::json("bip32/bip32.json");
        let invalid = vectors["invalid_extended_keys"].as_array().unwrap();
        assert_eq!(invalid.len(), 16);
        for case in invalid {
            let (text, why) = (case["key"].as_str().unwrap(), case["why"].as_str().unwrap());
            let refused = read(&Secret::new(text.into())).err();
            let expected = match why {
                "invalid checksum" => ExtendedKeyError::Encoding,
                "unknown extended key version" => ExtendedKeyError::Version,
                _ if text.starts_with("xpub") => ExtendedKeyError::Version,
                _ if why.starts_with("zero depth") => ExtendedKeyError::Origin,
                _ => ExtendedKeyError::Key,
            };
            assert_eq!(refused, Some(expected), "{why}");
        }
    }

    #[test]
    fn texts_of_another_length_or_alphabet_are_refused() {
        for text in ["", "xprv", "0OIl", &"1".repeat(112), &"z".repeat(113), "xprv\u{e9}"] {
            assert!(read(&Secret::new(text.into())).is_err(), "{text:?}");
        }
    }
}
