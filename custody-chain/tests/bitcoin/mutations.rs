//! Changed payloads: what still decodes is read as rust-bitcoin reads it, signed, and found valid
//! by Bitcoin Core.

use bitcoin::{Psbt, ScriptBuf};
use custody_chain::BitcoinDecoder;
use custody_core::seam::Decoder;
use proptest::prelude::*;

use crate::draft::{Draft, simple};
use crate::support::{Named, bip340, context, ecdsa, is_valid, payload, sign};

fn keys() -> [Named; 3] {
    [ecdsa(1), bip340(1), ecdsa(2)]
}

fn seeds() -> Vec<Psbt> {
    let [own, tap, other] = keys();
    let to = ecdsa(9).p2wpkh();
    let pushes = |named: &Named| format!("21{}", hex::encode(named.key.public_key().as_bytes()));
    let script = format!("51{}{}52ae", pushes(&own), pushes(&other));
    let script = ScriptBuf::from_hex(&script).unwrap();
    vec![
        simple(&own, &to, &ecdsa(8).p2pkh()).0,
        Draft::new().spend_told(&tap.p2tr(), 90_000).pay(&to, 80_000).0,
        Draft::new().spend(&own.p2pkh(), 90_000).spend(&tap.p2tr(), 10_000).pay(&to, 80_000).0,
        Draft::new()
            .spend_with(&script.to_p2wsh(), 9_000, |input| {
                input.witness_script = Some(script.clone())
            })
            .pay(&to, 8_000)
            .0,
    ]
}

/// Whether the payload was read.
fn check(bytes: &[u8], keys: &[Named]) -> bool {
    let (decoder, context) = (BitcoinDecoder::new(), context(keys));
    let Ok(intent) = decoder.decode(&payload(bytes.to_vec()), &context) else { return false };
    let psbt = Psbt::deserialize(bytes).unwrap();
    assert_eq!(psbt.serialize(), bytes, "every byte is accounted for");
    let inputs: u64 = psbt.iter_funding_utxos().map(|spent| spent.unwrap().value.to_sat()).sum();
    let outputs: u64 = psbt.unsigned_tx.output.iter().map(|output| output.value.to_sat()).sum();
    let told: u64 = intent
        .effects
        .iter()
        .filter_map(|effect| effect.amount())
        .map(|amount| amount.units().to_string().parse::<u64>().unwrap())
        .sum();
    assert_eq!(told, inputs, "what is not change is an effect, so is the fee");
    assert!(outputs <= inputs);
    let signatures = sign(&intent, keys);
    let whole = decoder.assemble(&payload(bytes.to_vec()), &context, &signatures).unwrap();
    let finished = Psbt::deserialize(&whole).unwrap();
    assert_eq!(finished.unsigned_tx, psbt.unsigned_tx);
    if intent.facts.iter().all(|fact| fact.as_str() != "foreign_input") {
        let locked = intent.facts.iter().any(|fact| fact.as_str().contains("locktime"));
        assert!(locked || is_valid(&finished));
    }
    true
}

#[test]
fn the_seeds_are_read() {
    for seed in seeds() {
        assert!(check(&seed.serialize(), &keys()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_are_refused_or_read_whole(
        seed in 0..4_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = seeds()[seed].serialize();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        check(&bytes, &keys());
    }

    #[test]
    fn changed_transactions_are_signed_as_they_are(
        seed in 0..4_usize,
        values in proptest::collection::vec(0..90_000_u64, 2),
        sequence in any::<u32>(),
        lock_time in any::<u32>(),
        version in 1..3_i32,
    ) {
        let mut psbt = seeds()[seed].clone();
        let transaction = &mut psbt.unsigned_tx;
        for (output, value) in transaction.output.iter_mut().zip(values) {
            output.value = bitcoin::Amount::from_sat(value);
        }
        transaction.version = bitcoin::transaction::Version(version);
        transaction.lock_time = bitcoin::absolute::LockTime::from_consensus(lock_time);
        for input in &mut transaction.input {
            input.sequence = bitcoin::Sequence(sequence);
        }
        check(&psbt.serialize(), &keys());
    }
}
