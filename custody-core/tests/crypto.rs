//! Keys and signatures: forms, normalisation, recovery ids, and what is refused.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a case that cannot be made fails its test"
)]

use custody_core::crypto::{
    Algorithm, PublicKey, RecoveryId, SignInput, Signature, SignatureError,
};
use custody_core::digest::Digest;
use custody_core::seam::TaskInput;
use custody_testkit::key::TestKey;
use custody_testkit::strategy::{
    arb_digest, arb_public_key, arb_recovery_id, arb_signature, arb_signing_task, arb_test_key,
};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

/// An input of the kind that the algorithm signs.
fn input_of(algorithm: Algorithm, digest: &Digest) -> TaskInput {
    if algorithm.signs_prehash() {
        return TaskInput::Prehash(*digest.as_bytes());
    }
    TaskInput::Message(digest.as_bytes().to_vec())
}

/// An input of the other kind.
fn wrong_input_of(algorithm: Algorithm, digest: &Digest) -> TaskInput {
    if algorithm.signs_prehash() {
        return TaskInput::Message(digest.as_bytes().to_vec());
    }
    TaskInput::Prehash(*digest.as_bytes())
}

/// The order of the curve less s: the other half of an ECDSA signature.
fn with_other_s(signature: &Signature) -> Vec<u8> {
    let bytes = signature.as_bytes();
    match signature.algorithm() {
        Algorithm::EcdsaP256 => {
            let (r, s) = p256::ecdsa::Signature::from_slice(bytes).unwrap().split_scalars();
            p256::ecdsa::Signature::from_scalars(r, -s).unwrap().to_bytes().to_vec()
        }
        Algorithm::EcdsaSecp256k1 => {
            let (r, s) = k256::ecdsa::Signature::from_slice(bytes).unwrap().split_scalars();
            k256::ecdsa::Signature::from_scalars(r, -s).unwrap().to_bytes().to_vec()
        }
        Algorithm::Bip340 | Algorithm::Ed25519 => bytes.to_vec(),
        other => panic!("no case for {other}"),
    }
}

proptest! {
    #[test]
    fn a_public_key_is_read_back_from_each_of_its_forms(key in arb_public_key()) {
        let algorithm = key.algorithm();
        prop_assert_eq!(&PublicKey::from_bytes(algorithm, key.as_bytes()).unwrap(), &key);
        let json = serde_json::to_string(&key).unwrap();
        prop_assert_eq!(&serde_json::from_str::<PublicKey>(&json).unwrap(), &key);
        if let Some(spki) = key.to_spki() {
            prop_assert_eq!(&PublicKey::from_spki(algorithm, &spki).unwrap(), &key);
        }
        if let Some(whole) = key.to_uncompressed() {
            prop_assert_eq!(&PublicKey::from_bytes(algorithm, &whole).unwrap(), &key);
        }
        prop_assert_eq!(key.to_uncompressed().is_some(), algorithm.signs_prehash());
        prop_assert_eq!(key.to_spki().is_some(), algorithm != Algorithm::Bip340);
    }

    #[test]
    fn a_signature_is_read_back_from_each_of_its_forms(signature in arb_signature()) {
        let algorithm = signature.algorithm();
        let read = Signature::from_bytes(algorithm, signature.as_bytes()).unwrap();
        prop_assert_eq!(read.as_bytes(), signature.as_bytes());
        let json = serde_json::to_string(&signature).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Signature>(&json).unwrap(), &signature);
        prop_assert_eq!(signature.to_der().is_some(), algorithm.signs_prehash());
        if let Some(der) = signature.to_der() {
            let read = Signature::from_der(algorithm, &der).unwrap();
            prop_assert_eq!(read.as_bytes(), signature.as_bytes());
        }
    }

    #[test]
    fn a_signature_verifies_for_its_key_input_and_kind_only(
        key in arb_test_key(),
        other in arb_test_key(),
        digest in arb_digest(),
    ) {
        let input = input_of(key.algorithm(), &digest);
        let signature = key.sign(input.as_input()).unwrap();
        prop_assert!(signature.verify(key.public_key(), input.as_input()).is_ok());
        let another = input_of(key.algorithm(), &Digest::of(digest.as_bytes()));
        let answer = signature.verify(key.public_key(), another.as_input());
        prop_assert_eq!(answer, Err(SignatureError::Invalid));
        let wrong = wrong_input_of(key.algorithm(), &digest);
        let answer = signature.verify(key.public_key(), wrong.as_input());
        prop_assert_eq!(answer, Err(SignatureError::Input));
        if other.public_key() != key.public_key() {
            prop_assert!(signature.verify(other.public_key(), input.as_input()).is_err());
        }
    }

    #[test]
    fn high_s_is_normalised_and_is_then_the_same_signature(
        key in arb_test_key(),
        digest in arb_digest(),
    ) {
        let input = input_of(key.algorithm(), &digest);
        let low = key.sign(input.as_input()).unwrap();
        let high = Signature::from_bytes(key.algorithm(), &with_other_s(&low)).unwrap();
        prop_assert_eq!(high.as_bytes(), low.as_bytes());
        prop_assert!(high.checked(key.public_key(), input.as_input()).is_ok());
    }

    #[test]
    fn a_recovery_id_is_derived_whatever_the_hint(
        task in arb_signing_task(),
        hint in arb_recovery_id(),
        seed in proptest::prelude::any::<u64>(),
    ) {
        let key = TestKey::seeded(task.algorithm, seed);
        let signature = key.sign(task.input.as_input()).unwrap();
        let (public, input) = (key.public_key(), task.input.as_input());
        let plain = signature.clone().checked(public, input).unwrap();
        let hinted = signature.with_recovery_hint(hint).checked(public, input).unwrap();
        prop_assert_eq!(&plain, &hinted);
        let derived = plain.recovery_id().is_some();
        prop_assert_eq!(derived, task.algorithm == Algorithm::EcdsaSecp256k1);
    }

    #[test]
    fn the_recovered_point_is_the_key(seed in proptest::prelude::any::<u64>(), digest in arb_digest()) {
        let key = TestKey::seeded(Algorithm::EcdsaSecp256k1, seed);
        let input = SignInput::Prehash(digest.as_bytes());
        let signature = key.sign(input).unwrap().checked(key.public_key(), input).unwrap();
        let id = signature.recovery_id().and_then(|id| k256::ecdsa::RecoveryId::from_byte(id.value()));
        let raw = k256::ecdsa::Signature::from_slice(signature.as_bytes()).unwrap();
        let found = k256::ecdsa::VerifyingKey::recover_from_prehash(
            digest.as_bytes(), &raw, id.unwrap(),
        );
        let found = found.unwrap().to_sec1_point(true);
        prop_assert_eq!(found.as_bytes(), key.public_key().as_bytes());
    }
}

#[test]
fn a_signature_of_another_length_is_refused_by_its_length() {
    for algorithm in Algorithm::ALL {
        for length in [0, 1, 63, 65, 128] {
            let answer = Signature::from_bytes(algorithm, &vec![1; length]);
            assert_eq!(answer, Err(SignatureError::Length { length }), "{algorithm}");
        }
    }
}

#[test]
fn scalars_out_of_range_are_no_ecdsa_signature() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::EcdsaSecp256k1] {
        for bytes in [[0; 64], [0xff; 64]] {
            let answer = Signature::from_bytes(algorithm, &bytes);
            assert_eq!(answer, Err(SignatureError::Malformed), "{algorithm}");
        }
    }
}

#[test]
fn algorithms_without_a_der_form_refuse_der() {
    let key = TestKey::seeded(Algorithm::EcdsaP256, 1);
    let der = key.sign(SignInput::Prehash(&[7; 32])).unwrap().to_der().unwrap();
    for algorithm in [Algorithm::Bip340, Algorithm::Ed25519] {
        assert_eq!(Signature::from_der(algorithm, &der), Err(SignatureError::Malformed));
    }
    for cut in 0..der.len() {
        let cut = der.get(..cut).unwrap_or_default();
        assert!(Signature::from_der(Algorithm::EcdsaP256, cut).is_err());
    }
    let longer = [der.as_slice(), &[0]].concat();
    assert!(Signature::from_der(Algorithm::EcdsaP256, &longer).is_err());
}

#[test]
fn a_signature_of_another_algorithm_is_told_apart() {
    let key = TestKey::seeded(Algorithm::Ed25519, 1);
    let signature = key.sign(SignInput::Message(b"m")).unwrap();
    for algorithm in [Algorithm::Bip340, Algorithm::EcdsaP256, Algorithm::EcdsaSecp256k1] {
        let other = TestKey::seeded(algorithm, 1);
        let digest = Digest::of(b"m");
        let input = input_of(algorithm, &digest);
        let verified = signature.verify(other.public_key(), input.as_input());
        assert_eq!(verified, Err(SignatureError::Algorithm), "{algorithm}");
        let checked = signature.clone().checked(other.public_key(), input.as_input());
        assert_eq!(checked, Err(SignatureError::Algorithm), "{algorithm}");
    }
}

#[test]
fn points_of_small_order_are_no_ed25519_keys() {
    // The eight points of small order in their canonical encodings (RFC 8032, section 5.1.2).
    for point in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    ] {
        let bytes = hex::decode(point).unwrap();
        assert!(PublicKey::from_bytes(Algorithm::Ed25519, &bytes).is_err(), "{point}");
    }
}

#[test]
fn malformed_public_keys_are_refused() {
    for algorithm in Algorithm::ALL {
        let key = TestKey::seeded(algorithm, 1).public_key().clone();
        let bytes = key.as_bytes();
        let cut = bytes.get(1..).unwrap_or_default().to_vec();
        let longer = [bytes, &[0]].concat();
        for (case, bytes) in [("nothing", Vec::new()), ("cut", cut), ("longer", longer)] {
            assert!(PublicKey::from_bytes(algorithm, &bytes).is_err(), "{algorithm}: {case}");
        }
        if let Some(spki) = key.to_spki() {
            for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
                assert!(PublicKey::from_spki(other, &spki).is_err(), "{algorithm} as {other}");
            }
            let longer = [spki.as_slice(), &[0]].concat();
            assert!(PublicKey::from_spki(algorithm, &longer).is_err(), "{algorithm}: longer");
        }
    }
}

#[test]
fn documents_hold_keys_and_signatures_in_one_form_only() {
    let key = TestKey::seeded(Algorithm::EcdsaSecp256k1, 1);
    let whole = hex::encode(key.public_key().to_uncompressed().unwrap());
    let document = format!("{{\"algorithm\":\"ecdsa-secp256k1\",\"bytes\":\"{whole}\"}}");
    assert!(serde_json::from_str::<PublicKey>(&document).is_err(), "an uncompressed key");
    let signature = key.sign(SignInput::Prehash(&[7; 32])).unwrap();
    let high = hex::encode(with_other_s(&signature));
    let document = format!("{{\"algorithm\":\"ecdsa-secp256k1\",\"bytes\":\"{high}\"}}");
    assert!(serde_json::from_str::<Signature>(&document).is_err(), "a signature with high s");
    let low = hex::encode(signature.as_bytes());
    let document =
        format!("{{\"algorithm\":\"ecdsa-secp256k1\",\"bytes\":\"{low}\",\"recovery\":4}}");
    assert!(serde_json::from_str::<Signature>(&document).is_err(), "a recovery id of 4");
    assert!(RecoveryId::new(4).is_none());
}
