//! Public keys and signatures: one value has one form, and a signature speaks for its key, its
//! message and nothing else.

use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_testkit::key::TestKey;

use crate::Seed;
use crate::input::{Input, flip, patched};

const PARTS: [&str; 5] = ["public key", "public key der", "signature", "signature der", "verified"];
const ALGORITHMS: [Algorithm; 4] = Algorithm::ALL;
const DIGEST: [u8; 32] = [7; 32];
const OTHER: [u8; 32] = [8; 32];

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    let (part, algorithm) = (*input.pick(&PARTS), *input.pick(&ALGORITHMS));
    let bytes = input.rest();
    let taken = match part {
        "public key" => public_key(PublicKey::from_bytes(algorithm, bytes).ok(), algorithm),
        "public key der" => public_key(PublicKey::from_spki(algorithm, bytes).ok(), algorithm),
        "signature" => signature(Signature::from_bytes(algorithm, bytes).ok(), algorithm),
        "signature der" => signature(Signature::from_der(algorithm, bytes).ok(), algorithm),
        _ => verified(algorithm, bytes),
    };
    taken.then_some(part)
}

fn public_key(key: Option<PublicKey>, algorithm: Algorithm) -> bool {
    let Some(key) = key else { return false };
    assert_eq!(key.algorithm(), algorithm);
    let again = PublicKey::from_bytes(algorithm, key.as_bytes()).unwrap();
    assert_eq!((&again, again.as_bytes()), (&key, key.as_bytes()));
    assert_eq!(key.to_spki().is_some(), algorithm != Algorithm::Bip340);
    if let Some(der) = key.to_spki() {
        assert_eq!(PublicKey::from_spki(algorithm, &der).as_ref(), Ok(&key));
        for other in ALGORITHMS.into_iter().filter(|other| *other != algorithm) {
            assert!(PublicKey::from_spki(other, &der).is_err(), "a key of {algorithm} for {other}");
        }
    }
    if let Some(point) = key.to_uncompressed() {
        assert_eq!(PublicKey::from_bytes(algorithm, &point).as_ref(), Ok(&key));
    }
    let document = serde_json::to_string(&key).unwrap();
    assert_eq!(serde_json::from_str::<PublicKey>(&document).unwrap(), key);
    true
}

fn signature(signature: Option<Signature>, algorithm: Algorithm) -> bool {
    let Some(signature) = signature else { return false };
    assert_eq!((signature.algorithm(), signature.recovery_id()), (algorithm, None));
    let again = Signature::from_bytes(algorithm, signature.as_bytes()).unwrap();
    assert_eq!(again.as_bytes(), signature.as_bytes(), "the low s stays");
    if let Some(der) = signature.to_der() {
        let read = Signature::from_der(algorithm, &der).unwrap();
        assert_eq!((read.to_der().as_ref(), &read), (Some(&der), &signature));
    }
    let document = serde_json::to_string(&signature).unwrap();
    assert_eq!(serde_json::from_str::<Signature>(&document).unwrap(), signature);
    true
}

/// Nobody but the key makes a signature: there is one that verifies, the key's own.
fn verified(algorithm: Algorithm, bytes: &[u8]) -> bool {
    let Ok(signature) = Signature::from_bytes(algorithm, bytes) else { return false };
    let (key, stranger) = (TestKey::seeded(algorithm, 1), TestKey::seeded(algorithm, 2));
    let input = input(algorithm, &DIGEST);
    if signature.verify(key.public_key(), input).is_err() {
        assert!(signature.checked(key.public_key(), input).is_err());
        return false;
    }
    assert_eq!(key.sign(input).unwrap().as_bytes(), signature.as_bytes());
    assert!(signature.verify(stranger.public_key(), input).is_err());
    assert!(signature.verify(key.public_key(), self::input(algorithm, &OTHER)).is_err());
    let checked = signature.clone().checked(key.public_key(), input).unwrap();
    assert_eq!(checked.recovery_id().is_some(), algorithm == Algorithm::EcdsaSecp256k1);
    assert!(signature.checked(stranger.public_key(), input).is_err());
    true
}

const fn input(algorithm: Algorithm, digest: &[u8; 32]) -> SignInput<'_> {
    if algorithm.signs_prehash() { SignInput::Prehash(digest) } else { SignInput::Message(digest) }
}

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (number, algorithm) in (0_u8..).zip(ALGORITHMS) {
        let key = TestKey::seeded(algorithm, 1);
        let public = key.public_key();
        let signature = key.sign(input(algorithm, &DIGEST)).unwrap();
        let uncompressed = public.to_uncompressed().unwrap_or_else(|| public.as_bytes().to_vec());
        let der = public.to_spki().unwrap_or_else(|| public.as_bytes().to_vec());
        let signature_der = signature.to_der().unwrap_or_else(|| signature.as_bytes().to_vec());
        for (part, name, bytes) in [
            (0, "public", public.as_bytes().to_vec()),
            (0, "public-long", uncompressed),
            (0, "public-cut", public.as_bytes()[1..].to_vec()),
            (0, "public-zeros", vec![0; 32]),
            (1, "spki", der.clone()),
            (1, "spki-damaged", patched(&der, &flip(5, 1))),
            (2, "signature", signature.as_bytes().to_vec()),
            (2, "signature-zeros", vec![0; 64]),
            (3, "der", signature_der.clone()),
            (3, "der-long", [&signature_der[..], &[0]].concat()),
            (4, "verified", signature.as_bytes().to_vec()),
            (4, "verified-not", patched(signature.as_bytes(), &flip(40, 1))),
        ] {
            seeds.push((format!("{algorithm}-{name}"), [&[part, number], &bytes[..]].concat()));
        }
    }
    seeds
}
