//! Keys whose making nobody saw, or somebody else too.

use custody_core::crypto::Algorithm;
use custody_core::seam::{ErrorKind, Exportability, KeyBackend as _};
use custody_hsm::{HsmBackend, Observer};
use pollster::block_on;

use crate::answers::*;
use crate::pkcs11_faults::{Calls, Deed};
use crate::softhsm;
use crate::token::{FaultyToken, record, request, sign};

#[test]
#[ignore = "needs SoftHSM"]
fn a_key_whose_making_was_not_answered_is_found() {
    let token = FaultyToken::new();
    let backend = token.open();
    for (deed, made_again) in [(Deed::After(DEVICE_ERROR), 0), (Deed::Answer(DEVICE_ERROR), 1)] {
        let request = softhsm::keys::request(
            &format!("key-{made_again}"),
            Algorithm::EcdsaP256,
            Exportability::Never,
        );
        token.module.order(&[(Calls::all("GenerateKeyPair"), deed)]);
        let lost = block_on(backend.generate(&request)).unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Indeterminate, "{deed:?}");
        assert_eq!(token.module.answers("GenerateKeyPair"), [DEVICE_ERROR], "{deed:?}");
        token.module.order(&[]);
        let record = block_on(softhsm::keys::record(&backend, request));
        assert_eq!(token.module.answers("GenerateKeyPair").len(), made_again, "{deed:?}");
        assert_eq!(sign(&block_on(backend.signer(&record)).unwrap()), Ok(()), "{deed:?}");
    }
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_key_that_can_be_neither_looked_at_nor_destroyed_may_be_there() {
    let token = FaultyToken::new();
    let backend = token.open();
    token.module.order(&[
        (Calls::all("GetAttributeValue"), Deed::Answer(DEVICE_ERROR)),
        (Calls::all("DestroyObject"), Deed::Answer(FUNCTION_FAILED)),
    ]);
    let lost = block_on(backend.generate(&request())).unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Indeterminate);
    token.module.order(&[]);
    let record = block_on(record(&backend));
    assert!(token.module.answers("GenerateKeyPair").is_empty(), "it was there");
    assert_eq!(sign(&block_on(backend.signer(&record)).unwrap()), Ok(()));
}

/// A search that finds nothing is followed by the making of a key, and only then there are two.
#[test]
#[ignore = "needs SoftHSM"]
fn of_two_keys_the_one_made_here_is_taken_back() {
    let token = FaultyToken::new();
    let mut config = token.config();
    config.destroyable = true;
    let backend = block_on(HsmBackend::open(config, Observer::default())).unwrap();
    let honest = block_on(record(&backend));
    token.module.order(&[(Calls::one("FindObjects", 1), Deed::Cut(1))]);
    let again = block_on(backend.generate(&request())).unwrap();
    assert_eq!(token.module.answers("GenerateKeyPair"), [0], "another one was made");
    assert_eq!(again.public_key, honest.public_key);
    token.module.order(&[]);
    assert_eq!(sign(&block_on(backend.signer(&honest)).unwrap()), Ok(()));
}

#[test]
#[ignore = "needs SoftHSM"]
fn of_two_keys_that_may_not_be_destroyed_none_is_taken() {
    let token = FaultyToken::new();
    let backend = token.open();
    let honest = block_on(record(&backend));
    token.module.order(&[(Calls::one("FindObjects", 1), Deed::Cut(1))]);
    let refused = block_on(backend.generate(&request())).unwrap_err();
    assert_eq!(token.module.answers("GenerateKeyPair"), [0], "another one was made");
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    token.module.order(&[]);
    assert_eq!(block_on(backend.generate(&request())).unwrap_err().kind(), ErrorKind::Corrupt);
    let opened = block_on(backend.signer(&honest));
    assert_eq!(opened.map(drop).unwrap_err().kind(), ErrorKind::Corrupt);
}
