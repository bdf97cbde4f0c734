//! What a credential signs: one verb never verifies as another, nor for any other custodian, order,
//! principal, credential, role or time.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "fixtures of tests, which fail by panicking"
)]

use custody_core::crypto::{Algorithm, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::id::{CredentialId, CustodianId, OrderId, PrincipalId, RoleId};
use custody_core::principal::{
    Credential, CredentialError, Statement, Verb, rotation_signing_digest,
    submission_signing_digest,
};
use custody_core::time::Timestamp;
use custody_testkit::key::TestKey;

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Ed25519, Algorithm::EcdsaP256];
const VERBS: [Verb; 3] = [Verb::Approve, Verb::Cancel, Verb::Reject];

fn custodian(byte: u8) -> CustodianId {
    CustodianId::new(Digest::new([byte; 32]))
}

fn statement(verb: Verb) -> Statement {
    Statement {
        verb,
        order: OrderId::parse("order-1").unwrap(),
        digest: Digest::new([0xdd; 32]),
        principal: PrincipalId::parse("theo").unwrap(),
        credential: CredentialId::parse("key").unwrap(),
        role: RoleId::parse("treasurer").unwrap(),
        valid_until: Timestamp::from_millis(1_700_000_000_000),
    }
}

fn sign(key: &TestKey, digest: &Digest) -> Signature {
    let input = match key.algorithm().signs_prehash() {
        true => SignInput::Prehash(digest.as_bytes()),
        false => SignInput::Message(digest.as_bytes()),
    };
    key.sign(input).unwrap()
}

fn credential(key: &TestKey) -> Credential {
    Credential::new(key.public_key().clone()).unwrap()
}

/// The statement with one field changed, under the field's name.
fn flipped(from: &Statement) -> Vec<(&'static str, Statement)> {
    let mut flips = Vec::new();
    for verb in VERBS.into_iter().filter(|verb| *verb != from.verb) {
        flips.push(("verb", Statement { verb, ..from.clone() }));
    }
    let principal = PrincipalId::parse("tara").unwrap();
    let credential = CredentialId::parse("kez").unwrap();
    let role = RoleId::parse("operator").unwrap();
    let millis = from.valid_until.as_millis();
    flips.extend([
        ("digest", Statement { digest: Digest::new([0xde; 32]), ..from.clone() }),
        ("principal", Statement { principal, ..from.clone() }),
        ("credential", Statement { credential, ..from.clone() }),
        ("role", Statement { role, ..from.clone() }),
        (
            "valid until, later",
            Statement { valid_until: Timestamp::from_millis(millis + 1), ..from.clone() },
        ),
        (
            "valid until, earlier",
            Statement { valid_until: Timestamp::from_millis(millis - 1), ..from.clone() },
        ),
    ]);
    // What moves from one field to the next is not the same statement either.
    let principal = PrincipalId::parse("theok").unwrap();
    let credential = CredentialId::parse("ey").unwrap();
    flips.push(("a moved letter", Statement { principal, credential, ..from.clone() }));
    flips
}

#[test]
fn a_statement_verifies_as_it_was_signed() {
    for algorithm in ALGORITHMS {
        let key = TestKey::seeded(algorithm, 1);
        for verb in VERBS {
            let digest = statement(verb).signing_digest(&custodian(1));
            assert_eq!(
                credential(&key).verify(&digest, &sign(&key, &digest)),
                Ok(()),
                "{algorithm}"
            );
        }
    }
}

#[test]
fn a_statement_verifies_with_no_field_changed() {
    for algorithm in ALGORITHMS {
        let key = TestKey::seeded(algorithm, 1);
        for verb in VERBS {
            let signature = sign(&key, &statement(verb).signing_digest(&custodian(1)));
            for (field, other) in flipped(&statement(verb)) {
                let digest = other.signing_digest(&custodian(1));
                let answer = credential(&key).verify(&digest, &signature);
                assert_eq!(
                    answer,
                    Err(CredentialError::Signature),
                    "{algorithm} {verb:?}: {field}"
                );
            }
        }
    }
}

#[test]
fn a_statement_does_not_verify_for_another_custodian() {
    for algorithm in ALGORITHMS {
        let key = TestKey::seeded(algorithm, 1);
        let signature = sign(&key, &statement(Verb::Approve).signing_digest(&custodian(1)));
        let digest = statement(Verb::Approve).signing_digest(&custodian(2));
        assert!(credential(&key).verify(&digest, &signature).is_err(), "{algorithm}");
    }
}

#[test]
fn a_submission_or_a_rotation_is_no_statement() {
    let key = TestKey::seeded(Algorithm::Ed25519, 1);
    let next = TestKey::seeded(Algorithm::Ed25519, 2);
    let document = statement(Verb::Approve).digest;
    let others = [
        submission_signing_digest(&custodian(1), &document),
        rotation_signing_digest(&custodian(1), key.public_key(), next.public_key()),
        document,
    ];
    for verb in VERBS {
        let digest = statement(verb).signing_digest(&custodian(1));
        for other in &others {
            assert!(credential(&key).verify(&digest, &sign(&key, other)).is_err(), "{verb:?}");
            assert!(credential(&key).verify(other, &sign(&key, &digest)).is_err(), "{verb:?}");
        }
    }
}

#[test]
fn a_submission_verifies_for_its_custodian_and_document_only() {
    let base = submission_signing_digest(&custodian(1), &Digest::new([7; 32]));
    let key = TestKey::seeded(Algorithm::EcdsaP256, 1);
    let signature = sign(&key, &base);
    for other in [
        submission_signing_digest(&custodian(2), &Digest::new([7; 32])),
        submission_signing_digest(&custodian(1), &Digest::new([8; 32])),
    ] {
        assert!(credential(&key).verify(&other, &signature).is_err());
    }
    assert_eq!(credential(&key).verify(&base, &signature), Ok(()));
}

#[test]
fn a_rotation_is_for_one_custodian_and_one_pair_of_keys_in_this_order() {
    let (old, new) =
        (TestKey::seeded(Algorithm::Ed25519, 1), TestKey::seeded(Algorithm::Ed25519, 2));
    let base = rotation_signing_digest(&custodian(1), old.public_key(), new.public_key());
    for other in [
        rotation_signing_digest(&custodian(2), old.public_key(), new.public_key()),
        rotation_signing_digest(&custodian(1), new.public_key(), old.public_key()),
        rotation_signing_digest(&custodian(1), old.public_key(), old.public_key()),
    ] {
        assert_ne!(base, other);
    }
}

#[test]
fn every_flipped_bit_of_a_signature_or_digest_is_refused() {
    for algorithm in ALGORITHMS {
        let key = TestKey::seeded(algorithm, 1);
        let digest = statement(Verb::Approve).signing_digest(&custodian(1));
        let signature = sign(&key, &digest);
        for bit in (0..512).step_by(7) {
            let mut bytes = *signature.as_bytes();
            let byte = bytes.get_mut(bit / 8).unwrap();
            *byte ^= 1 << (bit % 8);
            let other = Signature::from_bytes(algorithm, &bytes);
            let verified =
                other.is_ok_and(|other| credential(&key).verify(&digest, &other).is_ok());
            assert!(!verified, "{algorithm}: bit {bit} of the signature");
        }
        for bit in (0..256).step_by(5) {
            let mut bytes = *digest.as_bytes();
            let byte = bytes.get_mut(bit / 8).unwrap();
            *byte ^= 1 << (bit % 8);
            let verified = credential(&key).verify(&Digest::new(bytes), &signature);
            assert!(verified.is_err(), "{algorithm}: bit {bit} of the digest");
        }
    }
}

#[test]
fn another_key_and_another_algorithm_are_refused() {
    let digest = statement(Verb::Approve).signing_digest(&custodian(1));
    for algorithm in ALGORITHMS {
        let signature = sign(&TestKey::seeded(algorithm, 1), &digest);
        for other in ALGORITHMS {
            let stranger = credential(&TestKey::seeded(other, 2));
            assert!(stranger.verify(&digest, &signature).is_err(), "{algorithm} under {other}");
        }
    }
}

#[test]
fn a_credential_is_ed25519_or_p256() {
    for algorithm in Algorithm::ALL {
        let key = TestKey::seeded(algorithm, 1).public_key().clone();
        assert_eq!(Credential::new(key).is_ok(), ALGORITHMS.contains(&algorithm), "{algorithm}");
    }
}
