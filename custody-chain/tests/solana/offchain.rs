//! Messages off the chain.

use custody_chain::SolanaError;
use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_testkit::key::TestKey;

use crate::support::{
    CHAIN, MESSAGE, OFFCHAIN, assemble, context, context_with, decode_as, sign, told,
};

fn offchain(format: u8, text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap().to_le_bytes();
    [b"\xffsolana offchain", &[0, format][..], &length, text].concat()
}

fn decode(bytes: &[u8]) -> Result<custody_core::seam::Intent, SolanaError> {
    decode_as(OFFCHAIN, bytes, &context())
}

#[test]
fn the_example_of_the_library_is_read() {
    // "Test Message", as the tests of solana-offchain-message (Apache-2.0) have it.
    let bytes =
        hex::decode("ff736f6c616e61206f6666636861696e00000c0054657374204d657373616765").unwrap();
    let intent = decode(&bytes).unwrap();
    assert_eq!(told(&intent), ["message solana/offchain message=Test Message"]);
    assert_eq!(intent.tasks[0].input.as_input().as_bytes(), bytes);
    assert_eq!(intent.summary, ["sign the message Test Message"]);
}

#[test]
fn a_message_is_told_or_its_digest_is() {
    let (long, unseen) = ("m".repeat(257), "no\u{200b}thing".as_bytes());
    for (name, format, text, expected) in [
        ("letters", 0, "log in".as_bytes(), "log in".to_owned()),
        ("other letters", 1, "Prüfung".as_bytes(), "Prüfung".to_owned()),
        ("256 bytes", 0, &long.as_bytes()[1..], "m".repeat(256)),
        ("257 bytes", 0, long.as_bytes(), format!("sha256:{}", Digest::of(long.as_bytes()))),
        ("no width", 1, unseen, format!("sha256:{}", Digest::of(unseen))),
        ("two lines", 1, b"a\nb", format!("sha256:{}", Digest::of(b"a\nb"))),
        ("a digest", 0, b"sha256:0", format!("sha256:{}", Digest::of(b"sha256:0"))),
    ] {
        let intent = decode(&offchain(format, text)).unwrap();
        let line = format!("message solana/offchain message={expected}");
        assert_eq!(told(&intent), [line], "{name}");
    }
}

#[test]
fn what_is_not_an_offchain_message_is_refused() {
    let good = offchain(0, b"text");
    let changed = |position: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[position] = byte;
        bytes
    };
    for (name, bytes) in [
        ("nothing", Vec::new()),
        ("another domain", changed(0, 0xfe)),
        ("another letter", changed(5, b'x')),
        ("another version", changed(16, 1)),
        ("another format", changed(17, 3)),
        ("a longer length", changed(18, 5)),
        ("a shorter length", changed(18, 3)),
        ("a byte more", [&good[..], b"x"].concat()),
        ("a byte less", good[..good.len() - 1].to_vec()),
        ("no text", offchain(0, b"")),
        ("a line in the first format", offchain(0, b"a\nb")),
        ("other letters in the first format", offchain(0, "ü".as_bytes())),
        ("no UTF-8", offchain(1, &[0xff])),
        ("no UTF-8 in the third format", offchain(2, &[0xff])),
    ] {
        assert_eq!(decode(&bytes).unwrap_err(), SolanaError::Offchain, "{name}");
    }
}

#[test]
fn the_longest_message_is_read_and_one_byte_more_is_not() {
    assert!(decode(&offchain(2, &vec![b'a'; 65_515])).is_ok());
    let longer = [offchain(2, &vec![b'a'; 65_515]), vec![b'a']].concat();
    let refused = SolanaError::TooLong { length: 65_536, limit: 65_535 };
    assert_eq!(decode(&longer).unwrap_err(), refused);
    assert_eq!(decode(&offchain(2, &vec![b'a'; 65_516])).unwrap_err(), refused);
    assert!(decode(&offchain(1, &[b'a'; 1_212])).is_ok());
    assert_eq!(decode(&offchain(1, &[b'a'; 1_213])).unwrap_err(), SolanaError::Offchain);
}

/// The first byte keeps the two apart: no signature serves as the other.
#[test]
fn an_offchain_message_is_no_transaction() {
    let bytes = offchain(0, b"text");
    assert!(decode_as(MESSAGE, &bytes, &context()).is_err());
}

#[test]
fn only_ed25519_signs_it_and_the_signature_is_the_signed_form() {
    let bytes = offchain(0, b"text");
    let intent = decode(&bytes).unwrap();
    let signatures = sign(&intent);
    let raw = assemble(OFFCHAIN, &bytes, &signatures).unwrap();
    assert_eq!(raw, signatures[0].signature.as_bytes());
    for algorithm in [Algorithm::Bip340, Algorithm::EcdsaP256, Algorithm::EcdsaSecp256k1] {
        let context = context_with(CHAIN, &[TestKey::seeded(algorithm, 1)]);
        let refused = decode_as(OFFCHAIN, &bytes, &context).unwrap_err();
        assert!(matches!(refused, SolanaError::Signer(_)), "{algorithm}");
    }
}
