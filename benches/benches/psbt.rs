//! How long the decoding of a PSBT of 100 inputs takes, beside rust-bitcoin's own parsing and the
//! same 100 digests, in one run.
//!
//! `cargo bench --bench psbt` fails if the ratio of the medians is above the limit.
#![expect(clippy::print_stdout, clippy::float_arithmetic, reason = "a bench that reports")]

use std::hint::black_box;

use benches::Failure;
use benches::percentile::{Times, micros};
use bitcoin::absolute::LockTime;
use bitcoin::bip32::{DerivationPath, Fingerprint};
use bitcoin::hashes::{Hash, hash160};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, OutPoint, Psbt, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, WPubkeyHash,
    Witness,
};
use custody_chain::BitcoinDecoder;
use custody_core::caip::ChainId;
use custody_core::crypto::Algorithm;
use custody_core::id::{KeyId, PayloadFormat, WalletId};
use custody_core::seam::{ContextAccount, DecodeContext, Decoder, Payload};
use custody_testkit::key::TestKey;

const INPUTS: u32 = 100;
const CALLS: usize = 2_000;
const LIMIT: f64 = 1.5;

fn main() -> Result<(), Failure> {
    let keys: Vec<_> =
        (0..INPUTS).map(|n| TestKey::seeded(Algorithm::EcdsaSecp256k1, n.into())).collect();
    let psbt = psbt(&keys)?;
    let payload =
        Payload { format: PayloadFormat::parse("bitcoin/psbt")?, bytes: psbt.serialize() };
    let (decoder, context) = (BitcoinDecoder::new(), context(&keys)?);
    let (mut ours, mut theirs) = (Times::default(), Times::default());
    for _ in 0..CALLS {
        let intent = ours.measure(|| decoder.decode(black_box(&payload), &context))?;
        let digests = theirs.measure(|| digests(black_box(&payload.bytes)))?;
        if intent.tasks.len() != digests.len() {
            return Err("another number of digests".into());
        }
    }
    let ours = micros(ours.percentile(50).ok_or("nothing was measured")?);
    let theirs = micros(theirs.percentile(50).ok_or("nothing was measured")?);
    let ratio = ours / theirs;
    println!(
        "psbt, {INPUTS} inputs: decoding p50 = {ours:.0} us, rust-bitcoin p50 = {theirs:.0} us"
    );
    println!("ratio {ratio:.2} (at most {LIMIT})");
    if ratio > LIMIT { Err("above the limit".into()) } else { Ok(()) }
}

/// What rust-bitcoin needs for the same: one parse and a digest for each input.
fn digests(bytes: &[u8]) -> Result<Vec<[u8; 32]>, Failure> {
    let psbt = Psbt::deserialize(bytes)?;
    let mut cache = SighashCache::new(&psbt.unsigned_tx);
    let spent = psbt.iter_funding_utxos().collect::<Result<Vec<_>, _>>()?;
    let mut digests = Vec::new();
    for (index, spent) in spent.iter().enumerate() {
        let all = EcdsaSighashType::All;
        let hash = cache.p2wpkh_signature_hash(index, &spent.script_pubkey, spent.value, all)?;
        digests.push(hash.to_byte_array());
    }
    Ok(digests)
}

/// A PSBT as wallets write it: whole previous transactions of two outputs, and labels.
fn psbt(keys: &[TestKey]) -> Result<Psbt, Failure> {
    let scripts: Vec<_> = keys.iter().map(script).collect();
    let other = scripts.first().ok_or("no keys")?;
    let mut previous = Vec::new();
    for (number, script) in (0..INPUTS).zip(&scripts) {
        let point = OutPoint { txid: Txid::from_byte_array([9; 32]), vout: number };
        previous.push(transaction(vec![point], &[script, other]));
    }
    let points = previous.iter().map(|one| OutPoint { txid: one.compute_txid(), vout: 0 });
    let mut psbt = Psbt::from_unsigned_tx(transaction(points.collect(), &[other, other]))?;
    let path = "m/84'/0'/0'/0/7".parse::<DerivationPath>()?;
    for ((input, previous), key) in psbt.inputs.iter_mut().zip(previous).zip(keys) {
        input.witness_utxo = previous.output.first().cloned();
        input.non_witness_utxo = Some(previous);
        let key = bitcoin::PublicKey::from_slice(key.public_key().as_bytes())?;
        input.bip32_derivation.insert(key.inner, (Fingerprint::default(), path.clone()));
    }
    Ok(psbt)
}

fn script(key: &TestKey) -> ScriptBuf {
    let hash = hash160::Hash::hash(key.public_key().as_bytes());
    ScriptBuf::new_p2wpkh(&WPubkeyHash::from_raw_hash(hash))
}

fn transaction(points: Vec<OutPoint>, scripts: &[&ScriptBuf]) -> Transaction {
    let input = |previous_output| TxIn {
        previous_output,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::new(),
    };
    let output = |script: &&ScriptBuf| TxOut {
        value: Amount::from_sat(50_000),
        script_pubkey: (*script).clone(),
    };
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: points.into_iter().map(input).collect(),
        output: scripts.iter().map(output).collect(),
    }
}

fn context(keys: &[TestKey]) -> Result<DecodeContext, Failure> {
    let mut accounts = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        let public_key = key.public_key().clone();
        accounts.push(ContextAccount {
            key: KeyId::parse(&format!("key-{number}"))?,
            public_key,
            path: None,
        });
    }
    Ok(DecodeContext {
        v: 1,
        wallet: WalletId::parse("hot")?,
        chain: ChainId::parse("bip122:000000000019d6689c085ae165831e93")?,
        accounts,
        descriptors: Vec::new(),
    })
}
