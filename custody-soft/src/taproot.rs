//! The output key of a taproot output without scripts (BIP-341, BIP-86). This file opens secrets.
//!
//! Invariant: pure arithmetic of k256 on one private key; the key on the way is wiped.

use k256::elliptic_curve::PrimeField;
use k256::schnorr::SigningKey;
use k256::{FieldBytes, Scalar};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use custody_core::seam::DerivationPath;
use custody_core::secret::Secret;

/// Whether keys at this path are output keys: its first step is 86' (BIP-86).
pub(crate) fn is_output_path(path: &DerivationPath) -> bool {
    path.indexes().first() == Some(&(PURPOSE | DerivationPath::HARDENED))
}

/// The private key of the output key without a script tree (BIP-86). None where the standard gives
/// no key; chances are below 2^-127.
pub(crate) fn output_key(internal: &Secret) -> Option<Secret> {
    tweak(internal, &[])
}

/// `taproot_tweak_seckey` of BIP-341, "Constructing and spending Taproot outputs".
fn tweak(internal: &Secret, scripts: &[u8]) -> Option<Secret> {
    // The key of BIP-340 is the one of the two whose point has an even y.
    let key = SigningKey::from_slice(internal.expose()).ok()?;
    let message = [key.verifying_key().to_bytes().as_slice(), scripts].concat();
    let tweak = Option::<Scalar>::from(Scalar::from_repr(tagged_hash(TAG, &message)))?;
    let scalar = Zeroizing::new(**key.as_nonzero_scalar());
    let tweaked = Zeroizing::new(scalar.add(&tweak));
    let bytes = Zeroizing::new(tweaked.to_bytes());
    SigningKey::from_slice(bytes.as_slice()).ok()?;
    Some(Secret::new(bytes.to_vec()))
}

/// BIP-340, "Design": the tagged hash.
fn tagged_hash(tag: &[u8], message: &[u8]) -> FieldBytes {
    let tag = Sha256::digest(tag);
    Sha256::new().chain_update(tag).chain_update(tag).chain_update(message).finalize()
}

const PURPOSE: u32 = 86;
const TAG: &[u8] = b"TapTweak";

#[cfg(test)]
mod tests {
    use custody_testkit::vectors;

    use super::*;

    #[test]
    fn keys_are_tweaked_as_in_the_wallet_vectors_of_bip_341() {
        let vectors = vectors::json("bip341/wallet-test-vectors.json");
        let cases = vectors["keyPathSpending"][0]["inputSpending"].as_array().unwrap().clone();
        let hex_of = |value: &serde_json::Value| hex::decode(value.as_str().unwrap_or("")).unwrap();
        let mut without_scripts = 0;
        for case in &cases {
            let internal = Secret::new(hex_of(&case["given"]["internalPrivkey"]));
            let scripts = hex_of(&case["given"]["merkleRoot"]);
            let expected = hex_of(&case["intermediary"]["tweakedPrivkey"]);
            assert_eq!(tweak(&internal, &scripts).unwrap().expose(), expected);
            if scripts.is_empty() {
                assert_eq!(output_key(&internal).unwrap().expose(), expected);
                without_scripts += 1;
            }
        }
        assert_eq!((cases.len(), without_scripts), (7, 1));
    }

    #[test]
    fn only_paths_that_begin_with_86_are_output_paths() {
        for (path, expected) in [
            ("m/86'/0'/0'/0/0", true),
            ("m/86'", true),
            ("m", false),
            ("m/86", false),
            ("m/84'/0'/0'/0/0", false),
            ("m/0'/86'", false),
        ] {
            let path = DerivationPath::parse(path).unwrap();
            assert_eq!(is_output_path(&path), expected, "{path}");
        }
    }

    #[test]
    fn bytes_that_are_no_key_have_no_output_key() {
        for bytes in [vec![0; 32], vec![0xff; 32], vec![1; 31], vec![]] {
            assert!(output_key(&Secret::new(bytes)).is_none());
        }
    }
}
