//! Messages of BIP-322: the published vectors, and what people see.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bitcoin::key::TapTweak;
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{Network, PrivateKey, Transaction, TxOut, consensus};
use custody_chain::{BitcoinDecoder, BitcoinError, SignerError};
use custody_core::crypto::{Algorithm, Signature};
use custody_core::effect::Effect;
use custody_core::id::PayloadFormat;
use custody_core::seam::{DecodeContext, Decoder, DerivationPath, Intent, Payload};
use custody_testkit::key::TestKey;
use custody_testkit::vectors;
use serde_json::Value;

use crate::support::{Named, bip340, context, ecdsa, named, reason, sign, verifies};

fn message(bytes: &[u8]) -> Payload {
    Payload { format: PayloadFormat::parse("bitcoin/message").unwrap(), bytes: bytes.to_vec() }
}

fn decode(bytes: &[u8], context: &DecodeContext) -> Result<Intent, BitcoinError> {
    BitcoinDecoder::new().decode(&message(bytes), context).map_err(|error| reason(&error))
}

fn signed(bytes: &[u8], key: &Named) -> String {
    let keys = std::slice::from_ref(key);
    let context = context(keys);
    let signatures = sign(&decode(bytes, &context).unwrap(), keys);
    let text = BitcoinDecoder::new().assemble(&message(bytes), &context, &signatures).unwrap();
    String::from_utf8(text).unwrap()
}

fn shown(bytes: &[u8], key: &Named) -> (String, String) {
    let intent = decode(bytes, &context(std::slice::from_ref(key))).unwrap();
    let [Effect::SignMessage { kind, arguments }] = intent.effects.as_slice() else { panic!() };
    assert_eq!(kind.as_str(), "bip322");
    let argument = |name| arguments.get(name).unwrap().to_owned();
    (argument("message"), argument("address"))
}

fn at(key: Named, path: &str) -> Named {
    Named { path: Some(DerivationPath::parse(path).unwrap()), ..key }
}

/// The key of a case: of taproot the output key of BIP-86.
fn key_of(case: &Value) -> Named {
    let secp = Secp256k1::new();
    let secret = PrivateKey::from_wif(case["private_keys"][0].as_str().unwrap()).unwrap().inner;
    if case["type"] != "p2tr" {
        let key = TestKey::from_bytes(Algorithm::EcdsaSecp256k1, &secret.secret_bytes());
        return named("ecdsa", key.unwrap());
    }
    let pair = secret.keypair(&secp).tap_tweak(&secp, None).to_keypair();
    let key = TestKey::from_bytes(Algorithm::Bip340, &pair.secret_key().secret_bytes());
    named("bip340", key.unwrap())
}

/// The published signature of a case is one over the digest that our signer gets.
fn assert_verifies(text: &str, intent: &Intent, key: &Named) {
    let bytes = STANDARD.decode(text.strip_prefix("smp").unwrap_or(text)).unwrap();
    let witness: bitcoin::Witness = consensus::deserialize(&bytes).unwrap();
    let raw = witness.iter().next().unwrap();
    let algorithm = key.key.algorithm();
    let signature = match algorithm == Algorithm::Bip340 {
        true => Signature::from_bytes(algorithm, &raw[..64]).unwrap(),
        false => Signature::from_der(algorithm, &raw[..raw.len() - 1]).unwrap(),
    };
    let input = intent.tasks[0].input.as_input();
    signature.verify(key.key.public_key(), input).unwrap();
}

#[test]
fn published_signatures_of_one_key_are_signatures_over_our_digests() {
    let mut counts = [0, 0, 0];
    for file in ["bip322/basic-test-vectors.json", "bip322/generated-test-vectors.json"] {
        for case in vectors::json(file)["simple"].as_array().unwrap() {
            if case["type"].as_str().unwrap().starts_with("p2wsh") {
                counts[2] += 1;
                continue;
            }
            let key = key_of(case);
            let text = case["message"].as_str().unwrap();
            let intent = decode(text.as_bytes(), &context(std::slice::from_ref(&key))).unwrap();
            let (message, address) = shown(text.as_bytes(), &key);
            let told = (message.as_str(), address.as_str());
            assert_eq!(told, (text, case["address"].as_str().unwrap()));
            for published in case["bip322_signatures"].as_array().unwrap() {
                assert_verifies(published.as_str().unwrap(), &intent, &key);
                counts[1] += 1;
            }
            counts[0] += 1;
        }
    }
    // Three more cases are of several keys, which no account has.
    assert_eq!(counts, [5, 7, 3]);
}

#[test]
fn signing_gives_a_published_signature_again() {
    let vectors = vectors::json("bip322/basic-test-vectors.json");
    for case in &vectors["simple"].as_array().unwrap()[..2] {
        let text = signed(case["message"].as_str().unwrap().as_bytes(), &key_of(case));
        let published = case["bip322_signatures"].as_array().unwrap();
        assert!(published.contains(&Value::String(text)));
    }
}

#[test]
fn a_nested_account_signs_in_full_and_the_script_is_satisfied() {
    let key = at(ecdsa(1), "m/49'/0'/0'/0/0");
    let text = signed(b"Hello World", &key);
    let bytes = STANDARD.decode(text.strip_prefix("ful").unwrap()).unwrap();
    let transaction: Transaction = consensus::deserialize(&bytes).unwrap();
    let spent = TxOut { value: bitcoin::Amount::ZERO, script_pubkey: key.nested() };
    assert!(verifies(&consensus::serialize(&transaction), &[spent]));
    let (_, address) = shown(b"Hello World", &key);
    let expected = bitcoin::Address::from_script(&key.nested(), Network::Bitcoin).unwrap();
    assert_eq!(address, expected.to_string());
}

#[test]
fn invalid_utf_8_and_hidden_characters_are_told_by_their_digest() {
    let key = ecdsa(1);
    let long = "m".repeat(256);
    for text in ["", "Hello World", "Grüße, 世界 😄", long.as_str()] {
        assert_eq!(shown(text.as_bytes(), &key).0, text);
    }
    let longer = "m".repeat(257);
    for bytes in [
        &b"\xff\xfe"[..],
        b"line\nline",
        b"nul\0",
        "turned \u{202e}round".as_bytes(),
        "no\u{200b}thing".as_bytes(),
        b"sha256:00",
        longer.as_bytes(),
    ] {
        let expected = format!("sha256:{}", custody_core::digest::Digest::of(bytes));
        assert_eq!(shown(bytes, &key).0, expected);
    }
}

#[test]
fn messages_that_nobody_can_sign_are_refused() {
    let p256 = named("p256", TestKey::seeded(Algorithm::EcdsaP256, 1));
    let ed25519 = named("ed25519", TestKey::seeded(Algorithm::Ed25519, 1));
    let legacy = at(ecdsa(1), "m/44'/0'/0'/0/0");
    for key in [p256, ed25519, legacy] {
        let refused = decode(b"", &context(&[key])).unwrap_err();
        assert_eq!(refused, BitcoinError::MessageAccount);
    }
    let limit = 256 * 1024;
    assert!(decode(&vec![0; limit], &context(&[ecdsa(1)])).is_ok());
    let refused = decode(&vec![0; limit + 1], &context(&[ecdsa(1)])).unwrap_err();
    assert_eq!(refused, BitcoinError::TooLong { length: limit + 1, limit });
    let refused = decode(b"", &context(&[])).unwrap_err();
    assert_eq!(refused, BitcoinError::Signer(SignerError::NoAccount));
}

#[test]
fn the_first_account_signs_and_no_other_signature_stands_for_its() {
    let keys = [ecdsa(1), bip340(1)];
    let context = context(&keys);
    let good = sign(&decode(b"", &context).unwrap(), &keys);
    assert_eq!(good[0].key, keys[0].id);
    let both = [good[0].clone(), good[0].clone()];
    for signatures in [&both[..], &[]] {
        let answer = BitcoinDecoder::new().assemble(&message(b""), &context, signatures);
        let found = signatures.len();
        assert_eq!(
            reason(&answer.unwrap_err()),
            BitcoinError::Signer(SignerError::Count { found })
        );
    }
}
