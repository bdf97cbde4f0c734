//! What is believed of a module that lies.

use custody_core::crypto::Algorithm;
use custody_core::seam::{ErrorKind, Exportability, KeyBackend as _, KeyEncryption as _};
use custody_core::secret::Secret;
use custody_hsm::HsmBackend;
use pollster::block_on;

use crate::answers::*;
use crate::pkcs11_faults::{Calls, Deed};
use crate::softhsm;
use crate::token::{FaultyToken, request, sign};

#[test]
#[ignore = "needs SoftHSM"]
fn no_signature_that_a_module_garbled_verifies() {
    let token = FaultyToken::new();
    let (_backend, _record, signer) = token.signing();
    for seed in 0..300 {
        token.module.order(&[(Calls::one("Sign", 2), Deed::Flip(seed))]);
        assert_eq!(sign(&signer), Err(ErrorKind::Corrupt), "seed {seed}");
    }
    for deed in [Deed::Zero, Deed::Cut(1), Deed::Cut(32), Deed::Cut(64)] {
        token.module.order(&[(Calls::one("Sign", 2), deed)]);
        assert_eq!(sign(&signer), Err(ErrorKind::Corrupt), "{deed:?}");
    }
    token.module.order(&[]);
    assert_eq!(sign(&signer), Ok(()));
}

#[test]
#[ignore = "needs SoftHSM"]
fn no_key_is_recorded_that_a_module_garbled() {
    let token = FaultyToken::new();
    let backend = token.open();
    for algorithm in [Algorithm::EcdsaSecp256k1, Algorithm::Ed25519] {
        no_key_of_an_algorithm(&token, &backend, algorithm);
    }
}

fn no_key_of_an_algorithm(token: &FaultyToken, backend: &HsmBackend, algorithm: Algorithm) {
    let request = || softhsm::keys::request(algorithm.as_str(), algorithm, Exportability::Never);
    let honest = block_on(softhsm::keys::record(backend, request()));
    let garbled = |deed| {
        for call in 1..=4 {
            token.module.order(&[(Calls::one("GetAttributeValue", call), deed)]);
            match block_on(backend.generate(&request())) {
                // A bit that means nothing.
                Ok(made) => assert_eq!(made.public_key, honest.public_key, "{deed:?}, {call}"),
                Err(error) => {
                    let refused = [ErrorKind::Corrupt, ErrorKind::Refused];
                    assert!(refused.contains(&error.kind()), "{deed:?}, {call}: {error:?}");
                }
            }
        }
    };
    (0..300).map(Deed::Flip).for_each(garbled);
    garbled(Deed::Zero);
    for seed in 0..300 {
        token.module.order(&[(Calls::all("GetAttributeValue"), Deed::Flip(seed))]);
        let opened = block_on(backend.signer(&honest));
        assert_eq!(opened.map(drop).unwrap_err().kind(), ErrorKind::Corrupt, "seed {seed}");
    }
    token.module.order(&[]);
    assert!(block_on(backend.signer(&honest)).is_ok());
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_key_that_a_module_confuses_with_another_does_not_sign_for_it() {
    let token = FaultyToken::new();
    let (backend, _record, signer) = token.signing();
    let other = softhsm::keys::request("other", Algorithm::EcdsaSecp256k1, Exportability::Never);
    let _other = block_on(softhsm::keys::record(&backend, other));
    let mut signed = 0;
    for seed in 0..64 {
        token.module.order(&[
            (Calls::one("SignInit", 1), Deed::Answer(KEY_HANDLE_INVALID)),
            (Calls::all("FindObjects"), Deed::Flip(seed)),
        ]);
        let told = sign(&signer);
        let allowed =
            [ErrorKind::Corrupt, ErrorKind::NotFound, ErrorKind::Refused, ErrorKind::Unavailable];
        match told {
            Ok(()) => signed += 1,
            Err(kind) => assert!(allowed.contains(&kind), "seed {seed}: {kind:?}"),
        }
    }
    assert!(signed < 64, "no search was garbled");
    token.module.order(&[]);
    assert_eq!(sign(&signer), Ok(()));
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_token_whose_keys_do_not_sign_offers_none() {
    let token = FaultyToken::new();
    token.module.order(&[(Calls::all("Sign"), Deed::Zero)]);
    let backend = token.open();
    assert_eq!(backend.algorithms(), []);
    let refused = block_on(backend.generate(&request())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    let behind = block_on(token.tokens.open("one"));
    assert_eq!(behind.algorithms().len(), 3, "the module behind it does");
}

#[test]
#[ignore = "needs SoftHSM"]
fn no_data_key_comes_back_that_was_garbled_on_its_way_in() {
    let token = FaultyToken::new();
    let backend = token.open();
    let kek = block_on(backend.key_encryption("store")).unwrap();
    let data_key = Secret::new((40..72).collect());
    for seed in 0..64 {
        // The key shows twice that it is the one that was opened, and seals in between.
        for (call, number) in [("Encrypt", 2), ("Encrypt", 4), ("Encrypt", 6), ("Decrypt", 2)] {
            token.module.order(&[(Calls::one(call, number), Deed::Flip(seed))]);
            match block_on(kek.wrap(&data_key, &[b"context"])) {
                // It was tried again.
                Ok(wrapped) => {
                    let opened = block_on(kek.unwrap(&wrapped, &[b"context"])).unwrap();
                    assert_eq!(opened.expose(), data_key.expose(), "{call} {number}, {seed}");
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{call} {number}, {seed}");
                }
            }
        }
    }
    token.module.order(&[]);
    let wrapped = block_on(kek.wrap(&data_key, &[b"context"])).unwrap();
    token.module.order(&[(Calls::one("Decrypt", 1), Deed::Answer(GENERAL_ERROR))]);
    let opened = block_on(kek.unwrap(&wrapped, &[b"context"])).unwrap();
    assert_eq!(opened.expose(), data_key.expose(), "it was not the bytes");
    for deed in [Deed::Answer(DEVICE_ERROR), Deed::Answer(SESSION_HANDLE_INVALID)] {
        token.module.order(&[(Calls::one("FindObjectsInit", 1), deed)]);
        assert!(block_on(kek.unwrap(&wrapped, &[b"context"])).is_ok(), "{deed:?}");
    }
    token.module.order(&[(Calls::all("Decrypt"), Deed::Cut(1))]);
    let opened = block_on(kek.unwrap(&wrapped, &[b"context"]));
    assert_eq!(opened.map(drop).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_token_whose_random_numbers_repeat_wraps_nothing() {
    let token = FaultyToken::new();
    let backend = token.open();
    let kek = block_on(backend.key_encryption("store")).unwrap();
    let data_key = Secret::new((50..82).collect());
    token.module.order(&[(Calls::all("GenerateRandom"), Deed::Zero)]);
    for _ in 0..3 {
        let refused = block_on(kek.wrap(&data_key, &[b"context"])).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt);
    }
    token.module.order(&[]);
    assert!(block_on(kek.wrap(&data_key, &[b"context"])).is_ok());
}
