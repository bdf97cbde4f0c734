//! What is refused, and the limits.

use custody_chain::{SignerError, SolanaDecoder, SolanaError};
use custody_core::caip::ChainId;
use custody_core::crypto::Algorithm;
use custody_core::id::PayloadFormat;
use custody_core::seam::{DecodeContext, Decoder as _};
use custody_testkit::key::TestKey;

use crate::support::{
    CHAIN, MESSAGE, Parts, address_of, compact, context, context_with, decode, decode_as, ix, keys,
    me, message, other, parts, pay,
};

fn good() -> Parts {
    parts(&[me()], &[], &[pay(me(), other(1), 5)])
}

#[test]
fn a_message_that_is_not_its_one_encoding_is_refused() {
    let bytes = good().bytes();
    assert!(decode(&bytes).is_ok());
    // The number of keys, of instructions, of accounts and of bytes each in a longer form.
    let (keys_at, list_at) = (3, 4 + 3 * 32 + 32);
    for (name, position) in [
        ("keys", keys_at),
        ("instructions", list_at),
        ("accounts", list_at + 2),
        ("data", list_at + 5),
    ] {
        for longer in [vec![bytes[position] | 0x80, 0], vec![bytes[position] | 0x80, 0x80, 0]] {
            let wrong = [&bytes[..position], &longer, &bytes[position + 1..]].concat();
            assert_eq!(decode(&wrong).unwrap_err(), SolanaError::Encoding, "{name}");
        }
    }
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "cut to {length} bytes");
    }
    for more in [vec![0], vec![1, 2, 3], bytes.clone()] {
        let wrong = [&bytes[..], &more].concat();
        assert_eq!(decode(&wrong).unwrap_err(), SolanaError::Encoding);
    }
}

#[test]
fn a_message_that_the_network_refuses_is_refused() {
    let with = |change: fn(&mut Parts)| {
        let mut parts = good();
        change(&mut parts);
        parts
    };
    let twice = SolanaError::DuplicateAccount { position: 1 };
    for (name, parts, expected) in [
        ("nobody signs", with(|it| it.header = [0, 0, 0]), SolanaError::Sanitize),
        ("the fee payer cannot pay", with(|it| it.header = [1, 1, 0]), SolanaError::Sanitize),
        ("more signers than keys", with(|it| it.header = [4, 0, 0]), SolanaError::Sanitize),
        ("more read-only keys than keys", with(|it| it.header = [1, 0, 3]), SolanaError::Sanitize),
        ("a program out of range", with(|it| it.instructions[0].0 = 3), SolanaError::Sanitize),
        ("the fee payer as program", with(|it| it.instructions[0].0 = 0), SolanaError::Sanitize),
        (
            "an account out of range",
            with(|it| it.instructions[0].1 = vec![0, 3]),
            SolanaError::Sanitize,
        ),
        ("an account twice", with(|it| it.keys[1] = it.keys[0]), twice),
        ("no keys", with(|it| it.keys.clear()), SolanaError::Sanitize),
        ("version 1", with(|it| it.version = Some(1)), SolanaError::Encoding),
        ("version 2", with(|it| it.version = Some(2)), SolanaError::Encoding),
        ("version 127", with(|it| it.version = Some(127)), SolanaError::Encoding),
        ("no instructions", with(|it| it.instructions.clear()), SolanaError::NoInstruction),
    ] {
        assert_eq!(decode(&parts.bytes()).unwrap_err(), expected, "{name}");
    }
}

/// A message of version 1 (SIMD-0385) has no decoder yet, however well-formed it is.
#[test]
fn a_well_formed_message_of_version_1_is_refused() {
    let bytes = [
        &[0x81, 1, 0, 1][..],
        &[0; 4],
        &[7; 32],
        &[1, 2],
        &me().to_bytes(),
        &other(9).to_bytes(),
        &[1, 0, 0, 0],
    ]
    .concat();
    assert_eq!(decode(&bytes).unwrap_err(), SolanaError::Version);
}

#[test]
fn a_message_that_nobody_of_the_wallet_must_sign_is_refused() {
    let mut named = parts(&[other(5)], &[], &[pay(me(), other(1), 5)]);
    assert_eq!(decode(&named.bytes()).unwrap_err(), SolanaError::NotSigner);
    named.header[0] = 2;
    assert!(decode(&named.bytes()).is_ok());
}

#[test]
fn a_message_without_effects_is_refused() {
    let budget = ix(crate::support::BUDGET, &[], &[2, 1, 0, 0, 0]);
    let foreign = parts(&[other(5), me()], &[], std::slice::from_ref(&budget));
    assert_eq!(decode(&foreign.bytes()).unwrap_err(), SolanaError::NoEffect);
    assert!(decode(&message(&[budget])).is_ok());
}

#[test]
fn a_transaction_of_1_232_bytes_is_read_and_one_byte_more_is_not() {
    // Data of two-byte lengths: every byte more is a byte more of the message.
    let sized = |signers: &[solana_address::Address], length: usize| {
        let list = [ix(&other(9).to_string(), &[], &vec![1; 500])];
        let short = parts(signers, &[], &list).bytes().len();
        let list = [ix(&other(9).to_string(), &[], &vec![1; 500 + length - short])];
        parts(signers, &[], &list).bytes()
    };
    let second = address_of(&keys()[1]);
    for (signers, limit) in [(vec![me()], 1_167), (vec![me(), second], 1_103)] {
        assert!(decode(&sized(&signers, limit)).is_ok());
        let refused = decode(&sized(&signers, limit + 1)).unwrap_err();
        assert_eq!(refused, SolanaError::TooLong { length: limit + 1, limit });
    }
    let refused = decode(&vec![0; 1_233]).unwrap_err();
    assert_eq!(refused, SolanaError::TooLong { length: 1_233, limit: 1_232 });
}

#[test]
fn a_message_full_of_instructions_stays_below_the_limit_of_effects() {
    let list = vec![ix(&other(9).to_string(), &[], &[]); 355];
    let intent = decode(&message(&list)).unwrap();
    assert_eq!(intent.effects.len(), 356);
    let refused = decode(&message(&vec![ix(&other(9).to_string(), &[], &[]); 356])).unwrap_err();
    assert!(matches!(refused, SolanaError::TooLong { .. }));
    assert_eq!(compact(355).len(), 2);
}

#[test]
fn a_document_above_its_limit_is_refused_before_it_is_read() {
    for (length, expected) in [
        (16_384, SolanaError::Document),
        (16_385, SolanaError::TooLong { length: 16_385, limit: 16_384 }),
    ] {
        let refused = decode_as("solana/resolved", &vec![b' '; length], &context()).unwrap_err();
        assert_eq!(refused, expected);
    }
}

#[test]
fn contexts_that_are_not_understood_are_refused() {
    let bytes = good().bytes();
    let version = DecodeContext { v: 2, ..context() };
    let nobody = context_with(CHAIN, &[]);
    let others = context_with(CHAIN, &[TestKey::seeded(Algorithm::EcdsaSecp256k1, 1)]);
    for (name, context, expected) in [
        ("version 2", version, SolanaError::Signer(SignerError::ContextVersion { found: 2 })),
        ("no accounts", nobody, SolanaError::Signer(SignerError::NoAccount)),
        ("no account of Ed25519", others, SolanaError::NotSigner),
        ("another chain", context_with("eip155:1", &keys()), SolanaError::ContextChain),
        ("a chain by name", context_with("solana:mainnet", &keys()), SolanaError::ContextChain),
    ] {
        assert_eq!(decode_as(MESSAGE, &bytes, &context).unwrap_err(), expected, "{name}");
    }
    assert_eq!(decode_as("evm/transaction", &bytes, &context()).unwrap_err(), SolanaError::Format);
}

#[test]
fn chains_and_formats_are_those_of_solana() {
    let decoder = SolanaDecoder::new();
    let chains = [
        ("mainnet", CHAIN, true),
        ("devnet", "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1", true),
        ("testnet", "solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z", true),
        ("too short", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvd", false),
        ("not base58", "solana:0eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", false),
        ("another namespace", "solano:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", false),
    ];
    let formats =
        ["solana/message", "solana/resolved", "solana/offchain", "solana/other", "opaque"];
    for (name, chain, reads) in chains {
        let chain = ChainId::parse(chain).unwrap();
        for (position, format) in formats.iter().enumerate() {
            let format = PayloadFormat::parse(format).unwrap();
            assert_eq!(decoder.reads(&format, &chain), reads && position < 3, "{name} {format}");
        }
        let account = decoder.account(&chain, keys()[0].public_key());
        let expected = reads.then(|| format!("{chain}:{}", me()));
        assert_eq!(account.map(|it| it.to_string()), expected, "{name}");
        let other = TestKey::seeded(Algorithm::EcdsaP256, 1);
        assert_eq!(decoder.account(&chain, other.public_key()), None);
    }
}

#[test]
fn paths_are_hardened_to_the_last_level() {
    let path = SolanaDecoder::path(3).unwrap();
    assert_eq!(path.to_string(), "m/44'/501'/3'/0'");
    assert!(SolanaDecoder::path((1 << 31) - 1).is_some());
    assert!(SolanaDecoder::path(1 << 31).is_none());
}
