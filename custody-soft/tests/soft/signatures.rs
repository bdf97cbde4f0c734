//! Signatures against published vectors. Every case of a file counts.

use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::seam::{KeyBackend, KeyRecord};
use custody_testkit::vectors;

use crate::support::{Bench, GivenEntropy, run};

fn hex_of(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn sign(bench: &Bench, record: &KeyRecord, input: SignInput<'_>) -> Signature {
    let signature = run(run(bench.backend.signer(record)).unwrap().sign(input)).unwrap();
    signature.checked(&record.public_key, input).unwrap()
}

#[test]
fn bip_340_signatures_equal_those_of_the_standard() {
    let text = vectors::text("bip340/test-vectors.csv");
    let (mut signed, mut verified, mut refused) = (0, 0, 0);
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.splitn(8, ',').collect();
        let [index, secret, public, auxiliary, message, signature, result, _] = fields[..] else {
            panic!("{line}");
        };
        let (message, expected) = (hex_of(message), hex_of(signature));
        let input = SignInput::Message(&message);
        if secret.is_empty() {
            let valid =
                PublicKey::from_bytes(Algorithm::Bip340, &hex_of(public)).is_ok_and(|key| {
                    Signature::from_bytes(Algorithm::Bip340, &expected)
                        .is_ok_and(|signature| signature.verify(&key, input).is_ok())
                });
            assert_eq!(valid, result == "TRUE", "case {index}");
            if valid {
                verified += 1
            } else {
                refused += 1
            }
            continue;
        }
        // An import draws a data key and a nonce, a signature its auxiliary randomness.
        let draws: [&[u8]; 3] = [&[1; 32], &[2; 12], &hex_of(auxiliary)];
        let bench = Bench::drawing(GivenEntropy::new(&draws));
        let record = bench.import(Algorithm::Bip340, &hex_of(secret)).unwrap();
        assert_eq!(record.public_key.as_bytes(), hex_of(public), "case {index}");
        let signature = sign(&bench, &record, input);
        assert_eq!(signature.as_bytes().as_slice(), expected, "case {index}");
        signed += 1;
    }
    assert_eq!((signed, verified, refused), (8, 1, 10));
}

#[test]
fn bip_340_draws_fresh_randomness_for_each_signature() {
    let bench = Bench::new();
    let record = bench.generate(Algorithm::Bip340);
    let input = SignInput::Message(b"the same message");
    let signatures: Vec<_> = (0..8).map(|_| sign(&bench, &record, input)).collect();
    for (position, one) in signatures.iter().enumerate() {
        assert!(signatures[..position].iter().all(|other| other != one));
    }
}

#[test]
fn ed25519_signatures_equal_those_of_supercop() {
    let text = vectors::text("ed25519/sign.input");
    let bench = Bench::new();
    let mut cases = 0;
    for line in text.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [secret, public, message, signed] = fields[..4] else { panic!("{line}") };
        let record = bench.import(Algorithm::Ed25519, &hex_of(&secret[..64])).unwrap();
        assert_eq!(hex::encode(record.public_key.as_bytes()), public, "line {cases}");
        let message = hex_of(message);
        let signature = sign(&bench, &record, SignInput::Message(&message));
        assert_eq!(hex::encode(signature.as_bytes()), signed[..128], "line {cases}");
        cases += 1;
    }
    assert_eq!(cases, 128);
}

#[test]
fn ed25519_signatures_equal_those_of_rfc_8032() {
    let cases = vectors::json("ed25519/rfc8032.json");
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 4);
    let bench = Bench::new();
    for case in cases {
        let field = |name: &str| hex_of(case[name].as_str().unwrap());
        let record = bench.import(Algorithm::Ed25519, &field("seed")).unwrap();
        assert_eq!(record.public_key.as_bytes(), field("public_key"));
        let signature = sign(&bench, &record, SignInput::Message(&field("message")));
        assert_eq!(signature.as_bytes().as_slice(), field("signature"));
    }
}

#[test]
fn p_256_signatures_equal_those_of_rfc_6979_in_low_s_form() {
    // A digest of 32 bytes stands for SHA-256 both as the hash and inside RFC 6979: of the P-256
    // section, these are the two cases `DigestSign = SHA256`. All other curves and hashes of the
    // file sign inputs that this backend does not take.
    let text = vectors::text("rfc6979/evppkey_ecdsa_rfc6979.txt");
    let bench = Bench::new();
    let secret = hex_of("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    let record = bench.import(Algorithm::EcdsaP256, &secret).unwrap();
    let mut cases = 0;
    for block in text.split("\n\n") {
        let field = |name: &str| {
            block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))
        };
        if (field("DigestSign"), field("Key")) != (Some("SHA256"), Some("P-256_PRIV")) {
            continue;
        }
        let message = field("Input").unwrap().trim_matches('"');
        let expected =
            Signature::from_der(Algorithm::EcdsaP256, &hex_of(field("Output").unwrap())).unwrap();
        let digest = Digest::of(message.as_bytes());
        let signature = sign(&bench, &record, SignInput::Prehash(digest.as_bytes()));
        assert_eq!(signature.as_bytes(), expected.as_bytes(), "{message}");
        cases += 1;
    }
    assert_eq!(cases, 2);
}

#[test]
fn secp256k1_signatures_equal_those_of_rfc_6979_as_bitcoin_libraries_have_them() {
    let cases = bitcoin_cases("valid", "ecdsa", 7);
    let bench = Bench::new();
    for case in &cases {
        let (_, signature) = sign_case(&bench, case);
        let scalars = ["r", "s"].map(|name| case["signature"][name].as_str().unwrap());
        assert_eq!(hex::encode(signature.as_bytes()), scalars.concat(), "{}", case["message"]);
        let nonce = scalar(case["k"].as_str().unwrap()).unwrap();
        assert_eq!(nonce_point(&bench, &nonce), signature.as_bytes()[..32], "{}", case["message"]);
    }
}

#[test]
fn secp256k1_nonces_equal_those_of_rfc_6979_as_bitcoin_libraries_have_them() {
    // The file also has the second and the sixteenth number of each stream, which a signer draws
    // only if those before are no scalar.
    let cases = bitcoin_cases("valid", "rfc6979", 10);
    let bench = Bench::new();
    for case in &cases {
        let (_, signature) = sign_case(&bench, case);
        let nonces = ["k0", "k1", "k15"].map(|name| scalar(case[name].as_str().unwrap()).unwrap());
        let points = nonces.map(|nonce| nonce_point(&bench, &nonce));
        let used = points.map(|point| point == signature.as_bytes()[..32]);
        assert_eq!(used, [true, false, false], "{}", case["message"]);
    }
}

#[test]
fn secp256k1_signatures_that_bitcoin_libraries_refuse_are_refused() {
    let cases = bitcoin_cases("invalid", "verify", 8);
    let bench = Bench::new();
    let (mut refused, mut negative) = (0, 0);
    for case in &cases {
        let (record, _) = sign_case(&bench, case);
        let digest = Digest::of(case["message"].as_str().unwrap().as_bytes());
        let input = SignInput::Prehash(digest.as_bytes());
        let scalars = ["r", "s"].map(|name| scalar(case["signature"][name].as_str().unwrap()));
        // A negative number has no form in which it could be given.
        let [Some(r), Some(s)] = scalars else {
            negative += 1;
            continue;
        };
        let read = Signature::from_bytes(Algorithm::EcdsaSecp256k1, &[r, s].concat());
        let verifies = read.is_ok_and(|one| one.verify(&record.public_key, input).is_ok());
        assert!(!verifies, "{}", case["description"]);
        refused += 1;
    }
    assert_eq!((refused, negative), (5, 3));
}

#[test]
fn the_recovery_hint_of_a_signature_is_the_derived_one() {
    let bench = Bench::new();
    let record = bench.generate(Algorithm::EcdsaSecp256k1);
    let signer = run(bench.backend.signer(&record)).unwrap();
    let mut seen = [0_u32; 4];
    for number in 0_u64..64 {
        let digest = Digest::of(&number.to_be_bytes());
        let input = SignInput::Prehash(digest.as_bytes());
        let raw = run(signer.sign(input)).unwrap();
        let hint = raw.recovery_id().expect("a hint");
        let checked = raw.checked(&record.public_key, input).unwrap();
        assert_eq!(checked.recovery_id(), Some(hint), "{number}");
        seen[usize::from(hint.value())] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 0);
}

#[test]
fn only_secp256k1_ecdsa_comes_with_a_recovery_hint() {
    let bench = Bench::new();
    for algorithm in [Algorithm::Bip340, Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let record = bench.generate(algorithm);
        let signer = run(bench.backend.signer(&record)).unwrap();
        let signature = run(signer.sign(crate::support::input(algorithm))).unwrap();
        assert_eq!(signature.recovery_id(), None, "{algorithm}");
    }
}

/// The cases of one list of the fixtures of bitcoinjs-lib.
fn bitcoin_cases(kind: &str, list: &str, count: usize) -> Vec<serde_json::Value> {
    let file = vectors::json("rfc6979/bitcoinjs_ecdsa.json");
    let cases = file[kind][list].as_array().unwrap();
    assert_eq!(cases.len(), count, "{kind}, {list}");
    cases.clone()
}

/// The key of a case, and its signature of the message of the case.
fn sign_case(bench: &Bench, case: &serde_json::Value) -> (KeyRecord, Signature) {
    let secret = scalar(case["d"].as_str().unwrap()).unwrap();
    let record = bench.import(Algorithm::EcdsaSecp256k1, &secret).unwrap();
    let digest = Digest::of(case["message"].as_str().unwrap().as_bytes());
    let signature = sign(bench, &record, SignInput::Prehash(digest.as_bytes()));
    (record, signature)
}

/// The 32 bytes of a number that may be written shorter; none for a negative one.
fn scalar(text: &str) -> Option<Vec<u8>> {
    (!text.starts_with('-')).then(|| hex_of(&format!("{text:0>64}")))
}

/// The `r` of a signature with this nonce: the x-coordinate of its point, as a public key has it.
fn nonce_point(bench: &Bench, nonce: &[u8]) -> Vec<u8> {
    let record = bench.import(Algorithm::EcdsaSecp256k1, nonce).unwrap();
    record.public_key.as_bytes()[1..].to_vec()
}
