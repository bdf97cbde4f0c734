//! How long the decoding of an EIP-1559 transfer of ERC-20 takes, digest included, beside alloy's own
//! decoding and digest, in one run.
//!
//! `cargo bench --bench decode` fails if the ratio of the medians is above the limit for a house that
//! pays some receivers again and again. For ever new receivers it is only told.
#![expect(clippy::print_stdout, clippy::float_arithmetic, reason = "a bench that reports")]

use std::hint::black_box;

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_primitives::{Address, Bytes, U256};
use alloy_rlp::Decodable as _;
use benches::Failure;
use benches::judging::context;
use benches::percentile::{Times, micros};
use custody_chain::EvmDecoder;
use custody_core::crypto::Algorithm;
use custody_core::id::PayloadFormat;
use custody_core::seam::{Decoder, Payload, TaskInput};
use custody_testkit::key::TestKey;

const CALLS: usize = 200_000;
const LIMIT: f64 = 2.0;
/// A house pays some receivers again and again.
const FEW: u16 = 50;
/// More than a decoder keeps the names of.
const MANY: u16 = 20_000;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Failure> {
    let few = compare("few receivers", FEW)?;
    println!("ratio {few:.2} (at most {LIMIT})");
    let many = compare("ever new receivers", MANY)?;
    println!("ratio {many:.2} (one more hash: the checksum of the receiver)");
    if few > LIMIT { Err("above the limit".into()) } else { Ok(()) }
}

/// Pays so many receivers in turn; the ratio.
fn compare(name: &str, receivers: u16) -> Result<f64, Failure> {
    let key = TestKey::seeded(Algorithm::EcdsaSecp256k1, 1);
    let (decoder, context) = (EvmDecoder::new(), context(key.public_key())?);
    let format = PayloadFormat::parse("evm/transaction")?;
    let payload = |receiver| {
        let bytes = transfer(receiver).encoded_for_signing();
        Payload { format: format.clone(), bytes }
    };
    let payloads: Vec<_> = (0..receivers).map(payload).collect();
    let (mut ours, mut theirs) = (Times::default(), Times::default());
    for payload in payloads.iter().cycle().take(CALLS) {
        let intent = ours.measure(|| decoder.decode(black_box(payload), &context))?;
        let digest = theirs.measure(|| digest(black_box(&payload.bytes)))?;
        if intent.tasks.first().map(|task| &task.input) != Some(&TaskInput::Prehash(digest)) {
            return Err("another digest".into());
        }
    }
    let ours = micros(ours.percentile(50).ok_or("nothing was measured")?);
    let theirs = micros(theirs.percentile(50).ok_or("nothing was measured")?);
    println!("decode, ERC-20 in EIP-1559, {name}: p50 = {ours:.2} us, alloy p50 = {theirs:.2} us");
    Ok(ours / theirs)
}

/// What alloy needs for the same: one decoding and the digest.
fn digest(bytes: &[u8]) -> Result<[u8; 32], Failure> {
    let mut list = bytes.get(1..).ok_or("an empty transaction")?;
    let transaction = TxEip1559::decode(&mut list)?;
    Ok(transaction.signature_hash().0)
}

fn transfer(receiver: u16) -> TxEip1559 {
    let receiver = Address::left_padding_from(&receiver.to_be_bytes());
    let call = [&[0xa9, 0x05, 0x9c, 0xbb][..], &[0; 12], receiver.as_slice(), &[0; 24], &[1; 8]];
    TxEip1559 {
        chain_id: 1,
        nonce: 7,
        gas_limit: 60_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: Address::repeat_byte(0x35).into(),
        value: U256::ZERO,
        input: Bytes::from(call.concat()),
        ..TxEip1559::default()
    }
}
