//! Keys that sign as BIP-340 says, at the paths of BIP-86 and elsewhere.

use custody_core::crypto::{Algorithm, SignInput};
use custody_core::seam::KeyBackend;

use crate::derivation::{ZERO_WORDS, seed_of};
use crate::support::{Bench, run};

#[test]
fn a_bip_340_key_is_the_x_coordinate_of_the_ecdsa_key_at_its_path() {
    let bench = Bench::new();
    let seed = seed_of(&bench, &"01".repeat(32));
    for index in 0..16 {
        let path = format!("m/84'/0'/0'/0/{index}");
        let ecdsa = bench.derived(&seed, &path, Algorithm::EcdsaSecp256k1);
        assert_eq!(bench.derived(&seed, &path, Algorithm::Bip340), ecdsa[2..]);
        let path = format!("m/86'/0'/0'/0/{index}");
        let ecdsa = bench.derived(&seed, &path, Algorithm::EcdsaSecp256k1);
        assert_ne!(bench.derived(&seed, &path, Algorithm::Bip340), ecdsa[2..]);
    }
}

/// BIP-86, "Test vectors": internal key and output key of each address.
#[test]
fn a_bip_340_key_at_a_path_of_bip_86_is_the_output_key() {
    let bench = Bench::new();
    let seed = bench.import_mnemonic(ZERO_WORDS, "").unwrap();
    for (path, internal, output) in [
        (
            "m/86'/0'/0'/0/0",
            "cc8a4bc64d897bddc5fbc2f670f7a8ba0b386779106cf1223c6fc5d7cd6fc115",
            "a60869f0dbcf1dc659c9cecbaf8050135ea9e8cdc487053f1dc6880949dc684c",
        ),
        (
            "m/86'/0'/0'/0/1",
            "83dfe85a3151d2517290da461fe2815591ef69f2b18a2ce63f01697a8b313145",
            "a82f29944d65b86ae6b5e5cc75e294ead6c59391a1edc5e016e3498c67fc7bbb",
        ),
        (
            "m/86'/0'/0'/1/0",
            "399f1b2f4393f29a18c937859c5dd8a77350103157eb880f02e8c08214277cef",
            "882d74e5d0572d5a816cef0041a96b6c1de832f6f9676d9605c44d5e9a97d3dc",
        ),
    ] {
        assert_eq!(bench.derived(&seed, path, Algorithm::EcdsaSecp256k1)[2..], *internal, "{path}");
        assert_eq!(bench.derived(&seed, path, Algorithm::Bip340), output, "{path}");
    }
}

#[test]
fn a_key_at_a_path_of_bip_86_signs_under_its_output_key() {
    let bench = Bench::new();
    let seed = bench.import_mnemonic(ZERO_WORDS, "").unwrap();
    let record = bench.derive(&seed, "m/86'/0'/0'/0/0", Algorithm::Bip340).unwrap();
    let input = SignInput::Message(&[7; 32]);
    let signer = run(bench.backend.signer(&record)).unwrap();
    let signature = run(signer.sign(input)).unwrap();
    signature.verify(&record.public_key, input).unwrap();
}
