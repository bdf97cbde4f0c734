//! The decoders pass the conformance suite of decoders.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

use std::sync::Arc;

#[cfg(feature = "bitcoin")]
use custody_chain::BitcoinDecoder;
use custody_chain::{EvmDecoder, OpaqueDecoder};
use custody_core::caip::ChainId;
use custody_core::crypto::Algorithm;
use custody_core::id::{KeyId, PayloadFormat, WalletId};
use custody_core::seam::{DecodeContext, Payload};
use custody_testkit::key::TestKey;
use custody_testkit::suite::decoder::{DecoderFixture, DecoderSample};

/// Changes only together with the name of the decoder.
const EVM: &str = "evm/5 baabd63dd6395b52a806150c2e9c426b1df5a9458775a5e91ffac1924a5d40ce";
/// Changes only together with the name of the decoder.
const OPAQUE: &str = "opaque/2 4ef94cc1aa01d231d9a788c46399d2fc35afede27fcd8c359f02463693ce0662";
#[cfg(feature = "bitcoin")]
const BITCOIN: &str = "bitcoin/2 cedaff66e4703a93c3b599645242893559a14c5271c5159695ba511de94963eb";

/// 0.5 ETH, EIP-1559.
const TRANSFER: &str = "02f00180843b9aca008506fc23ac008252089470997970c51812dc3a010c7d01b50e0d\
    17dc79c88806f05b59d3b2000080c0";
/// 0.25 ETH, EIP-155.
const LEGACY: &str = "ec018506fc23ac00825208943c44cdddb6a900fa2b585dd299e03d12fa4293bc880378\
    2dace9d9000080018080";

/// A transfer of tokens (ERC-20) whose address has a byte that no address has.
const SLOPPY: &str = "02f86d0180843b9aca008506fc23ac0082ea6094cccccccccccccccccccccccccccccccccccc\
    cccc80b844a9059cbb010000000000000000000000eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee000000000000\
    0000000000000000000000000000000000000000000000000007c0";

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
/// 100,000 satoshi of P2WPKH.
#[cfg(feature = "bitcoin")]
const P2WPKH: &str = "\
    70736274ff0100740200000001d8288258f16539c04a614e16af3c853bd0bd7eb571aa8a983bcad0f5e4c2e83b0000\
    000000ffffffff0260ea00000000000016001459e5f4daf5f5b0b58a1068edc24f34a8512b26d75898000000000000\
    1976a914f4651f6c514599e59c22e1e00ede8677e4c38ec188ac000000000001005202000000010707070707070707\
    0707070707070707070707070707070707070707070707070000000000ffffffff01a0860100000000001600149c30\
    e02b67a1d70f7cb7113518f1f17da414e44c00000000000000";
/// 100,000 satoshi of P2TR.
#[cfg(feature = "bitcoin")]
const P2TR: &str = "\
    70736274ff010052020000000103e9ea631283d4d9b30deb52842fcd943c6f114830b113903d021d2b445ea8b60000\
    000000ffffffff01b88201000000000016001459e5f4daf5f5b0b58a1068edc24f34a8512b26d7000000000001012b\
    a086010000000000225120e835385aff671f3d6899f47a710c3449ba47b8028e026a88d148b93e533184df0000";
/// One input of each.
#[cfg(feature = "bitcoin")]
const MIXED: &str = "\
    70736274ff01007b0200000002407db7f9b152af02b3c70e1378549959510fa7aa90679acdb6424a1f6e2bf47e0000\
    000000ffffffffec3ba006d08180ee6f921940f6a1463756b22945b7f66144b2dcec0e0e21bc180000000000ffffff\
    ff01b88201000000000016001459e5f4daf5f5b0b58a1068edc24f34a8512b26d70000000000010052020000000107\
    070707070707070707070707070707070707070707070707070707070707070000000000ffffffff01701101000000\
    00001600149c30e02b67a1d70f7cb7113518f1f17da414e44c000000000001005e0200000001070707070707070707\
    07070707070707070707070707070707070707070707070100000000ffffffff013075000000000000225120e83538\
    5aff671f3d6899f47a710c3449ba47b8028e026a88d148b93e533184df000000000000";

mod evm {
    custody_testkit::decoder_suite!(super::evm());
}

#[cfg(feature = "bitcoin")]
mod bitcoin {
    custody_testkit::decoder_suite!(super::bitcoin());
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
        sample("a token call with a word outside of its type", SLOPPY),
        other("EIP-7702", "evm/authorization", hex::decode(CONSENT).unwrap()),
        other("EIP-712", "evm/typed-data", PERMIT.as_bytes().to_vec()),
        other("EIP-191", "evm/message", b"hello".to_vec()),
    ];
    let oversize = payload("evm/transaction", vec![0; 256 * 1024 + 1]);
    DecoderFixture::new(Arc::new(EvmDecoder::new()), samples, vec![oversize]).with_pin(EVM)
}

#[cfg(feature = "bitcoin")]
fn bitcoin() -> DecoderFixture {
    let ecdsa = || (key("first"), TestKey::seeded(Algorithm::EcdsaSecp256k1, 1));
    let bip340 = || (key("second"), TestKey::seeded(Algorithm::Bip340, 1));
    let mut context = context();
    context.chain = ChainId::parse("bip122:000000000019d6689c085ae165831e93").unwrap();
    let sample = |name, text: &str, keys| {
        let payload = payload("bitcoin/psbt", hex::decode(text).unwrap());
        DecoderSample::new(name, payload, context.clone(), keys)
    };
    let samples = vec![
        sample("P2WPKH", P2WPKH, vec![ecdsa()]),
        sample("P2TR", P2TR, vec![bip340()]),
        sample("both", MIXED, vec![ecdsa(), bip340()]),
    ];
    let message = |name, keys| {
        let payload = payload("bitcoin/message", b"Hello World".to_vec());
        DecoderSample::new(name, payload, context.clone(), keys)
    };
    let messages =
        [message("said as P2WPKH", vec![ecdsa()]), message("said as P2TR", vec![bip340()])];
    let samples = samples.into_iter().chain(messages).collect();
    let oversize = vec![
        payload("bitcoin/psbt", vec![0; 8 * 1024 * 1024 + 1]),
        payload("bitcoin/message", vec![7; 256 * 1024 + 1]),
    ];
    DecoderFixture::new(Arc::new(BitcoinDecoder::new()), samples, oversize).with_pin(BITCOIN)
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
