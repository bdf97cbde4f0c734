//! Opens secrets, of tests only.

use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::seam::ErrorKind;
use custody_core::secret::Secret;

use super::derivation::elsewhere;
use super::handles::assert_corrupt;
use super::{Ability, KeyBackendFixture, record_of, request, seed_request};
use crate::key::TestKey;
use crate::suite::assert_hidden;

/// The order of P-256 (SEC 2, section 2.4.2).
const ORDER_P256: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
/// The order of secp256k1 (SEC 2, section 2.4.1).
const ORDER_SECP256K1: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

/// An imported key has the public key of its bytes and signs.
pub async fn an_imported_key_is_that_key(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Import) {
        return;
    }
    for algorithm in fixture.backend.algorithms() {
        let bytes = private(*algorithm);
        let expected = TestKey::from_bytes(*algorithm, &bytes).unwrap();
        let request = request("imported", *algorithm);
        let import = fixture.backend.import().unwrap();
        let key = import.import_key(&request, Secret::new(bytes)).await.unwrap();
        assert_eq!(key.public_key, *expected.public_key(), "{algorithm}");
        fixture.assert_signs(&record_of(&request, key)).await;
    }
}

/// An imported key opens for its own custodian, wallet and key id only.
pub async fn imported_keys_are_bound_like_generated_ones(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Import) {
        return;
    }
    for algorithm in fixture.backend.algorithms() {
        let request = request("imported-bound", *algorithm);
        let import = fixture.backend.import().unwrap();
        let secret = Secret::new(private(*algorithm));
        let record = record_of(&request, import.import_key(&request, secret).await.unwrap());
        for (case, changed) in elsewhere(&record) {
            assert_corrupt(&fixture, &changed, &format!("{algorithm}: {case}")).await;
        }
    }
}

/// Bytes of another length, zero, and scalars from the order on are refused.
pub async fn an_unexpected_import_is_refused(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Import) {
        return;
    }
    for algorithm in fixture.backend.algorithms() {
        let lengths = [0, 1, 16, 31, 33, 64, 65];
        let mut cases: Vec<Vec<u8>> = lengths.map(|length| vec![1; length]).to_vec();
        if *algorithm != Algorithm::Ed25519 {
            let p256 = *algorithm == Algorithm::EcdsaP256;
            let order = if p256 { ORDER_P256 } else { ORDER_SECP256K1 };
            cases.extend([vec![0; 32], hex::decode(order).unwrap(), vec![0xff; 32]]);
        }
        for bytes in cases {
            let case = format!("{algorithm}: {} bytes", bytes.len());
            let request = request("refused", *algorithm);
            let import = fixture.backend.import().unwrap();
            let answer = import.import_key(&request, Secret::new(bytes)).await;
            let kind = answer.expect_err("what is no private key was imported").kind();
            assert_eq!(kind, ErrorKind::Refused, "{case}");
        }
    }
}

/// A refused import does not show the bytes that it was given.
pub async fn a_refused_import_does_not_show_its_bytes(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Import) {
        return;
    }
    let import = fixture.backend.import().unwrap();
    for algorithm in fixture.backend.algorithms() {
        for length in [15, 31, 33, 65] {
            let bytes: Vec<u8> =
                (0..length).map(|n: u8| n.wrapping_mul(37).wrapping_add(201)).collect();
            let case = format!("{algorithm}: {length} bytes");
            let secret = Secret::new(bytes.clone());
            let answer = import.import_key(&request("shown", *algorithm), secret).await;
            assert_hidden(&answer.expect_err("no private key"), &bytes, &case);
            if length == 15 || length == 65 {
                let secret = Secret::new(bytes.clone());
                let answer = import.import_seed(&seed_request("shown"), secret).await;
                assert_hidden(&answer.expect_err("no seed"), &bytes, &case);
            }
        }
    }
}

/// Seeds of 16 to 64 bytes are taken over, shorter and longer ones refused.
pub async fn imported_seeds_have_16_to_64_bytes(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Import) || !fixture.has(Ability::Derivation) {
        return;
    }
    for length in [0, 1, 15, 16, 17, 24, 32, 63, 64, 65, 128] {
        let request = seed_request(&format!("seed-{length}"));
        let import = fixture.backend.import().unwrap();
        let answer = import.import_seed(&request, Secret::new(vec![7; length])).await;
        let found = answer.map(drop).map_err(|error| error.kind());
        let fits = (16..=64).contains(&length);
        let expected = if fits { Ok(()) } else { Err(ErrorKind::Refused) };
        assert_eq!(found, expected, "{length} bytes");
    }
}

/// A private key of the algorithm.
fn private(algorithm: Algorithm) -> Vec<u8> {
    Digest::tagged("custody-testkit/import", &[algorithm.as_str().as_bytes()]).as_bytes().to_vec()
}
