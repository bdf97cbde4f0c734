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
    let bench = Bench::new();
    for (secret, message, expected) in SECP256K1 {
        let record = bench.import(Algorithm::EcdsaSecp256k1, &hex_of(secret)).unwrap();
        let digest = Digest::of(message.as_bytes());
        let signature = sign(&bench, &record, SignInput::Prehash(digest.as_bytes()));
        assert_eq!(hex::encode(signature.as_bytes()), expected, "{message}");
    }
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

/// From the fixtures of bitcoinjs-lib (`test/fixtures/ecdsa.json`, MIT): key, message, `r ‖ s`.
const SECP256K1: [(&str, &str, &str); 7] = [
    (
        "0000000000000000000000000000000000000000000000000000000000000001",
        "Everything should be made as simple as possible, but not simpler.",
        concat!(
            "33a69cd2065432a30f3d1ce4eb0d59b8ab58c74f27c41a7fdb5696ad4e6108c9",
            "6f807982866f785d3f6418d24163ddae117b7db4d5fdf0071de069fa54342262",
        ),
    ),
    (
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140",
        concat!(
            "Equations are more important to me, because politics is for the present, but",
            " an equation is something for eternity.",
        ),
        concat!(
            "54c4a33c6423d689378f160a7ff8b61330444abb58fb470f96ea16d99d4a2fed",
            "07082304410efa6b2943111b6a4e0aaa7b7db55a07e9861d1fb3cb1f421044a5",
        ),
    ),
    (
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140",
        concat!(
            "Not only is the Universe stranger than we think, it is stranger than we can ",
            "think.",
        ),
        concat!(
            "ff466a9f1b7b273e2f4c3ffe032eb2e814121ed18ef84665d0f515360dab3dd0",
            "6fc95f5132e5ecfdc8e5e6e616cc77151455d46ed48f5589b7db7771a332b283",
        ),
    ),
    (
        "0000000000000000000000000000000000000000000000000000000000000001",
        concat!(
            "How wonderful that we have met with a paradox. Now we have some hope of maki",
            "ng progress.",
        ),
        concat!(
            "c0dafec8251f1d5010289d210232220b03202cba34ec11fec58b3e93a85b91d3",
            "75afdc06b7d6322a590955bf264e7aaa155847f614d80078a90292fe205064d3",
        ),
    ),
    (
        "69ec59eaa1f4f2e36b639716b7c30ca86d9a5375c7b38d8918bd9c0ebc80ba64",
        concat!(
            "Computer science is no more about computers than astronomy is about telescop",
            "es.",
        ),
        concat!(
            "7186363571d65e084e7f02b0b77c3ec44fb1b257dee26274c38c928986fea45d",
            "0de0b38e06807e46bda1f1e293f4f6323e854c86d58abdd00c46c16441085df6",
        ),
    ),
    (
        "00000000000000000000000000007246174ab1e92e9149c6e446fe194d072637",
        concat!(
            "...if you aren't, at any given time, scandalized by code you wrote five or e",
            "ven three years ago, you're not learning anywhere near enough",
        ),
        concat!(
            "fbfe5076a15860ba8ed00e75e9bd22e05d230f02a936b653eb55b61c99dda487",
            "0e68880ebb0050fe4312b1b1eb0899e1b82da89baa5b895f612619edf34cbd37",
        ),
    ),
    (
        "000000000000000000000000000000000000000000056916d0f9b31dc9b637f3",
        concat!(
            "The question of whether computers can think is like the question of whether ",
            "submarines can swim.",
        ),
        concat!(
            "cde1302d83f8dd835d89aef803c74a119f561fbaef3eb9129e45f30de86abbf9",
            "06ce643f5049ee1f27890467b77a6a8e11ec4661cc38cd8badf90115fbd03cef",
        ),
    ),
];
