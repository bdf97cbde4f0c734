//! The stored bytes, written by an independent implementation of the format (Python, AES-GCM and
//! Argon2id of the package `cryptography`). A change here is a change of the format.

use std::sync::Arc;

use custody_core::crypto::Algorithm;
use custody_core::seam::{
    KeyBackend, KeyDerivation, KeyEncryption, KeyHandle, KeyRecord, SeedRecord,
};
use custody_core::secret::Secret;
use custody_soft::{KdfParameters, KekDocument, PassphraseKek};
use custody_testkit::runtime::TestEntropy;

use crate::support::{Bench, CountingKek, GivenEntropy, input, run, seed_record, seed_request};

const NONCE: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/// A backend that draws `secret`, if any, and then what the stored bytes were made with. This file
/// opens secrets.
fn bench(secret: &[u8]) -> Bench {
    let kek = CountingKek::new().drawing(GivenEntropy::new(&[&NONCE]));
    let mut draws: Vec<&[u8]> = vec![&[0x33; 32], &NONCE];
    if !secret.is_empty() {
        draws.insert(0, secret);
    }
    Bench::under(kek, GivenEntropy::new(&draws))
}

fn handle(text: &str) -> KeyHandle {
    KeyHandle::new(hex::decode(text).unwrap())
}

fn stored_seed(text: &str) -> SeedRecord {
    SeedRecord {
        custodian: seed_request().custodian,
        wallet: seed_request().wallet,
        key: seed_request().key,
        handle: handle(text),
    }
}

#[test]
fn a_key_is_written_as_version_1_says() {
    assert_eq!(bench(&[0x42; 32]).generate(Algorithm::Ed25519).handle, handle(KEY));
    assert_eq!(bench(&[]).import(Algorithm::Ed25519, &[0x42; 32]).unwrap().handle, handle(KEY));
}

#[test]
fn seeds_are_written_as_version_1_says() {
    let root: Vec<u8> = (0..16).collect();
    assert_eq!(bench(&[]).import_seed(&root).unwrap().handle, handle(ROOT));
    assert_eq!(bench(&[]).import_mnemonic(ZERO_WORDS, "").unwrap().handle, handle(ENTROPY));
    assert_eq!(bench(&[]).import_extended_key(XPRV).unwrap().handle, handle(EXTENDED));
}

#[test]
fn a_generated_seed_is_stored_as_the_entropy_of_24_words() {
    let bench = bench(&[0; 32]);
    let new = run(bench.backend.generate_seed(&seed_request())).unwrap();
    let generated = seed_record(&seed_request(), new);
    let words = format!("{}art", "abandon ".repeat(23));
    let imported = bench.import_mnemonic(&words, "").unwrap();
    for path in ["m", "m/44'/60'/0'/0/0"] {
        let algorithm = Algorithm::EcdsaSecp256k1;
        assert_eq!(
            bench.derived(&generated, path, algorithm),
            bench.derived(&imported, path, algorithm)
        );
    }
}

#[test]
fn a_stored_key_of_version_1_opens_and_signs() {
    let bench = Bench::new();
    let imported = bench.import(Algorithm::Ed25519, &[0x42; 32]).unwrap();
    let stored = KeyRecord { handle: handle(KEY), ..imported };
    let signer = run(bench.backend.signer(&stored)).unwrap();
    let signature = run(signer.sign(input(Algorithm::Ed25519))).unwrap();
    signature.checked(&stored.public_key, input(Algorithm::Ed25519)).unwrap();
}

#[test]
fn stored_seeds_of_version_1_open() {
    let bench = Bench::new();
    let root: Vec<u8> = (0..16).collect();
    for (stored, imported) in [
        (ENTROPY, bench.import_mnemonic(ZERO_WORDS, "").unwrap()),
        (ROOT, bench.import_seed(&root).unwrap()),
        (EXTENDED, bench.import_extended_key(XPRV).unwrap()),
        (EXTENDED, bench.import_seed(&root).unwrap()),
    ] {
        let path = "m/0'/1/2'";
        assert_eq!(
            bench.derived(&stored_seed(stored), path, Algorithm::EcdsaSecp256k1),
            bench.derived(&imported, path, Algorithm::EcdsaSecp256k1),
        );
    }
}

#[test]
fn a_passphrase_is_stored_and_used_as_version_1_says() {
    for (parameters, json, id, wrapped) in PASSPHRASES {
        let (memory_kib, passes, lanes) = parameters;
        let parameters = KdfParameters::new(memory_kib, passes, lanes).unwrap();
        let passphrase = || Secret::new(b"correct horse battery staple".to_vec());
        let entropy = GivenEntropy::new(&[&[0x5a; 32]]);
        let (kek, document) =
            PassphraseKek::create(passphrase(), parameters, Arc::new(entropy)).unwrap();
        assert_eq!((document.to_json().as_str(), kek.id().as_str()), (json, id));

        let document = KekDocument::parse(json.as_bytes()).unwrap();
        let entropy = Arc::new(TestEntropy::seeded(1));
        let kek = PassphraseKek::open(passphrase(), &document, entropy).unwrap();
        let wrapped = hex::decode(wrapped).unwrap();
        let data_key = run(kek.unwrap(&wrapped, &[b"context"])).unwrap();
        assert!(data_key.expose() == [0x11; 32]);
    }
}

const ZERO_WORDS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                          abandon abandon about";
const XPRV: &str = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUt\
                    g6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";

/// An Ed25519 key of 32 bytes 0x42.
const KEY: &str = concat!(
    "010008746573743a6b656b5189cff5be54357ab5984a13e89c4b0efac8a4d7b58e86dbbaaa57ca60",
    "719644003d01000102030405060708090a0b2bb2da432e3aea7a4481d6afd16b5fc9d20f85bd2b51",
    "440225fd5089bde45e369d4412d7b308a3aa13e6a7edc2b7ff9b003d01000102030405060708090a",
    "0b5ae54c78a9224cb9594cbc260629f0de95098806c76d9d61704fbf0abaec02ada40dc67fb6c109",
    "15019d0d5f4b72b745",
);

/// A seed of kind 1: 16 bytes of zero entropy.
const ENTROPY: &str = concat!(
    "010008746573743a6b656b22a9d72a59cc92abc6a7462c7b41dda5eed65d56cb3c7d05da050210bb",
    "68e4d5003d01000102030405060708090a0b2bb2da432e3aea7a4481d6afd16b5fc9d20f85bd2b51",
    "440225fd5089bde45e365b55ade1387f434eb63561b4f36f66b8002e01000102030405060708090a",
    "0b19a70e3aeb600efb1b0efe64446bb29cd7172fdb1a6c1b9454336d8c95013fe64d",
);

/// A seed of kind 2: the bytes 0 to 15.
const ROOT: &str = concat!(
    "010008746573743a6b656b22a9d72a59cc92abc6a7462c7b41dda5eed65d56cb3c7d05da050210bb",
    "68e4d5003d01000102030405060708090a0b2bb2da432e3aea7a4481d6afd16b5fc9d20f85bd2b51",
    "440225fd5089bde45e365b55ade1387f434eb63561b4f36f66b8002e01000102030405060708090a",
    "0b1aa70f38e8640bfd1c06f76e4f67bf92d8f840ae254e7664f4aae5522676b21681",
);

/// A seed of kind 3: the master key of BIP-32, test vector 1.
const EXTENDED: &str = concat!(
    "010008746573743a6b656b22a9d72a59cc92abc6a7462c7b41dda5eed65d56cb3c7d05da050210bb",
    "68e4d5003d01000102030405060708090a0b2bb2da432e3aea7a4481d6afd16b5fc9d20f85bd2b51",
    "440225fd5089bde45e365b55ade1387f434eb63561b4f36f66b8005e01000102030405060708090a",
    "0b1b2033c56aa021a94d2d037ba17dcc30ed1e6a0d5b12ee6886231f6f0743773aea5c3506762245",
    "f7c43106cbf5a18341c793be7baab97eb2b29572c55f2b06e0e22a8a2100ce0b1dc7a21aad0624ea",
    "084d",
);

/// Memory, passes and lanes; the document; the id; a data key of 32 bytes 0x11 wrapped with the
/// context `context`.
type PassphraseCase = ((u32, u32, u32), &'static str, &'static str, &'static str);

const PASSPHRASES: [PassphraseCase; 2] = [
    (
        (19_456, 2, 1),
        concat!(
            r#"{"v":1,"kdf":"argon2id-v19","memory_kib":19456,"passes":2,"lanes":1,"#,
            r#""salt":"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a","#,
            r#""check":"deb339a9977ce5981a9f8ecef04c246856ad912fcf94f24159e7af9ed4576844"}"#,
        ),
        "passphrase:7652cd39540b3a8d1d92ff3365acd12fafb54ffb60e20fbbd445de5fbcf8c439",
        concat!(
            "01000102030405060708090a0b13f485d8a3ad967d2ed09271b455647cee101014eba332de897af6b8",
            "46cc88c8fe74ae8d930ab81c13bfdfb8870b9502",
        ),
    ),
    (
        (19_456, 3, 4),
        concat!(
            r#"{"v":1,"kdf":"argon2id-v19","memory_kib":19456,"passes":3,"lanes":4,"#,
            r#""salt":"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a","#,
            r#""check":"4eb07c727bf0b53ab224b72cdc69509b773a93ec310851085c15651a239b3d57"}"#,
        ),
        "passphrase:5bb685c0831d705263b148305124a05cb74ed16e711c839bd8fc4b1400da70b0",
        concat!(
            "01000102030405060708090a0b20d19d5bf13f868fb7642e24b3a7a689ab6916f1d7e4321a59fede8c",
            "c35b41f2cad378edb02b0b2c46e03229df2f328d",
        ),
    ),
];
