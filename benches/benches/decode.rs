//! How long the decoding of an EIP-1559 transfer of ERC-20 takes, digest included, beside alloy's own
//! decoding and digest, in one run.
//!
//! `cargo bench --bench decode` fails if the ratio of the medians is above the limit.
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

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Failure> {
    let key = TestKey::seeded(Algorithm::EcdsaSecp256k1, 1);
    let (decoder, context) = (EvmDecoder::new(), context(key.public_key())?);
    let bytes = transfer().encoded_for_signing();
    let payload = Payload { format: PayloadFormat::parse("evm/transaction")?, bytes };
    let (mut ours, mut theirs) = (Times::default(), Times::default());
    for _ in 0..CALLS {
        let intent = ours.measure(|| decoder.decode(black_box(&payload), &context))?;
        let digest = theirs.measure(|| digest(black_box(&payload.bytes)))?;
        if intent.tasks.first().map(|task| &task.input) != Some(&TaskInput::Prehash(digest)) {
            return Err("another digest".into());
        }
    }
    let ours = micros(ours.percentile(50).ok_or("nothing was measured")?);
    let theirs = micros(theirs.percentile(50).ok_or("nothing was measured")?);
    let ratio = ours / theirs;
    println!("decode, ERC-20 in EIP-1559: p50 = {ours:.2} us, alloy p50 = {theirs:.2} us");
    println!("ratio {ratio:.2} (at most {LIMIT})");
    if ratio > LIMIT { Err("above the limit".into()) } else { Ok(()) }
}

/// What alloy needs for the same: one decoding and the digest.
fn digest(bytes: &[u8]) -> Result<[u8; 32], Failure> {
    let mut list = bytes.get(1..).ok_or("an empty transaction")?;
    let transaction = TxEip1559::decode(&mut list)?;
    Ok(transaction.signature_hash().0)
}

fn transfer() -> TxEip1559 {
    let call = [&[0xa9, 0x05, 0x9c, 0xbb][..], &[0; 12], &[0xb0; 20], &[0; 24], &[1; 8]].concat();
    TxEip1559 {
        chain_id: 1,
        nonce: 7,
        gas_limit: 60_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: Address::repeat_byte(0x35).into(),
        value: U256::ZERO,
        input: Bytes::from(call),
        ..TxEip1559::default()
    }
}
