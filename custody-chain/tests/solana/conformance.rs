//! The decoder passes the conformance suite of decoders.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_chain::SolanaDecoder;
use custody_core::crypto::Algorithm;
use custody_core::id::KeyId;
use custody_testkit::key::TestKey;
use custody_testkit::suite::decoder::{DecoderFixture, DecoderSample};

use crate::support::{CHAIN, MESSAGE, OFFCHAIN, RESOLVED, context_with, payload};

custody_testkit::decoder_suite!(solana());

/// Changes only together with the name of the decoder.
const PIN: &str = "solana/2 4aeef4316d25d0df89eea689a0aa16dec5c73120f50a810d47ff4c0115f6acd5";

fn solana() -> DecoderFixture {
    let signers = [4, 5].map(|seed| TestKey::seeded(Algorithm::Ed25519, seed));
    let keys: Vec<_> =
        ["first", "second"].map(|it| KeyId::parse(it).unwrap()).into_iter().zip(signers).collect();
    let context = context_with(CHAIN, &[]);
    let payers =
        keys.iter().map(|(_, key)| key.public_key().as_bytes()).collect::<Vec<_>>().concat();
    // Both sign, and the second pays 5 lamports to an account of the message or of a table.
    let pay = |version: &[u8], to: &[u8], index, tables: &[u8]| {
        let keys = [&payers, &[0; 32][..], to].concat();
        let count = u8::try_from(keys.len() / 32).unwrap();
        let start = [version, &[2, 0, 1, count], &keys, &[7; 32]].concat();
        [&start[..], &[1, 2, 2, 1, index, 12, 2, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0], tables].concat()
    };
    let table = [&[1][..], &[8; 32], &[1, 0, 0]].concat();
    let loads = pay(&[0x80], &[], 3, &table);
    let address = |byte| bs58::encode([byte; 32]).into_string();
    let document = format!(
        r#"{{"v":1,"message":"{}","tables":[{{"address":"{}","accounts":["{}"]}}]}}"#,
        STANDARD.encode(&loads),
        address(8),
        address(9),
    );
    let offchain = b"\xffsolana offchain\x00\x00\x06\x00log in".to_vec();
    let sample = |name, format, bytes: &[u8]| {
        DecoderSample::new(name, payload(format, bytes), context.clone(), keys.clone())
    };
    let samples = vec![
        sample("legacy", MESSAGE, &pay(&[], &[6; 32], 3, &[])),
        sample("version 0", MESSAGE, &pay(&[0x80], &[6; 32], 3, &[0])),
        sample("unresolved", MESSAGE, &loads),
        sample("resolved", RESOLVED, document.as_bytes()),
        sample("offchain", OFFCHAIN, &offchain),
    ];
    let oversize = vec![
        payload(MESSAGE, &vec![0; 1_233]),
        payload(RESOLVED, &vec![b' '; 16 * 1024 + 1]),
        payload(OFFCHAIN, &vec![0xff; 65_536]),
    ];
    DecoderFixture::new(Arc::new(SolanaDecoder::new()), samples, oversize).with_pin(PIN)
}
