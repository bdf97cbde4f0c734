//! The decoders pass the conformance suite of decoders.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

use std::sync::Arc;

use custody_chain::{EvmDecoder, OpaqueDecoder};
use custody_core::caip::ChainId;
use custody_core::crypto::Algorithm;
use custody_core::id::{KeyId, PayloadFormat, WalletId};
use custody_core::seam::{DecodeContext, Payload};
use custody_testkit::key::TestKey;
use custody_testkit::suite::decoder::{DecoderFixture, DecoderSample};

/// Changes only together with the name of the decoder.
const EVM: &str = "evm/2 800cea0ed37d04e8d064faf9b6e69da236bccfab75f57b569181f27d72329401";
/// Changes only together with the name of the decoder.
const OPAQUE: &str = "opaque/2 a3633a8438b56ffe6a6ee296178eee7c44cfa8e68a1660865471c5ba75ce96e8";

/// 0.5 ETH, EIP-1559.
const TRANSFER: &str = "02f00180843b9aca008506fc23ac008252089470997970c51812dc3a010c7d01b50e0d\
    17dc79c88806f05b59d3b2000080c0";
/// 0.25 ETH, EIP-155.
const LEGACY: &str = "ec018506fc23ac00825208943c44cdddb6a900fa2b585dd299e03d12fa4293bc880378\
    2dace9d9000080018080";

/// Chain 1, nonce 7.
const CONSENT: &str = "05d70194c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c007";
/// An allowance of 7 units (EIP-2612).
const PERMIT: &str = r#"{"types":{"EIP712Domain":[{"name":"chainId","type":"uint256"},
    {"name":"verifyingContract","type":"address"}],"Permit":[{"name":"owner","type":"address"},
    {"name":"spender","type":"address"},{"name":"value","type":"uint256"},
    {"name":"nonce","type":"uint256"},{"name":"deadline","type":"uint256"}]},
    "primaryType":"Permit","domain":{"chainId":1,
    "verifyingContract":"0xcccccccccccccccccccccccccccccccccccccccc"},"message":{
    "owner":"0x0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
    "spender":"0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","value":"7","nonce":0,"deadline":9}}"#;

mod evm {
    custody_testkit::decoder_suite!(super::evm());
}

mod opaque {
    custody_testkit::decoder_suite!(super::opaque());
}

fn evm() -> DecoderFixture {
    let keys = vec![(key("first"), TestKey::seeded(Algorithm::EcdsaSecp256k1, 1))];
    let sample = |name, text: &str| {
        let payload = payload("evm/transaction", hex::decode(text).unwrap());
        DecoderSample::new(name, payload, context(), keys.clone())
    };
    let other = |name, format: &str, bytes: Vec<u8>| {
        DecoderSample::new(name, payload(format, bytes), context(), keys.clone())
    };
    let samples = vec![
        sample("EIP-1559", TRANSFER),
        sample("EIP-155", LEGACY),
        other("EIP-7702", "evm/authorization", hex::decode(CONSENT).unwrap()),
        other("EIP-712", "evm/typed-data", PERMIT.as_bytes().to_vec()),
        other("EIP-191", "evm/message", b"hello".to_vec()),
    ];
    let oversize = payload("evm/transaction", vec![0; 256 * 1024 + 1]);
    DecoderFixture::new(Arc::new(EvmDecoder::new()), samples, vec![oversize]).with_pin(EVM)
}

fn opaque() -> DecoderFixture {
    let sample = |name, algorithm| {
        let keys = vec![(key("first"), TestKey::seeded(algorithm, 2))];
        DecoderSample::new(name, payload("opaque", b"anything".to_vec()), context(), keys)
    };
    let samples = vec![
        sample("message", Algorithm::Ed25519),
        sample("keccak", Algorithm::EcdsaSecp256k1),
        sample("sha256", Algorithm::EcdsaP256),
        DecoderSample::new(
            "prehash",
            payload("opaque/prehash", vec![7; 32]),
            context(),
            vec![(key("first"), TestKey::seeded(Algorithm::EcdsaSecp256k1, 2))],
        ),
    ];
    let oversize = payload("opaque", vec![7; 256 * 1024 + 1]);
    DecoderFixture::new(Arc::new(OpaqueDecoder::new()), samples, vec![oversize]).with_pin(OPAQUE)
}

fn context() -> DecodeContext {
    DecodeContext {
        v: 1,
        wallet: WalletId::parse("hot").unwrap(),
        chain: ChainId::parse("eip155:1").unwrap(),
        accounts: Vec::new(),
        descriptors: Vec::new(),
    }
}

fn payload(format: &str, bytes: Vec<u8>) -> Payload {
    Payload { format: PayloadFormat::parse(format).unwrap(), bytes }
}

fn key(name: &str) -> KeyId {
    KeyId::parse(name).unwrap()
}
