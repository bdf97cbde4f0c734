//! PSBTs of tests.

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::psbt::{Input, Output};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, OutPoint, Psbt, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness,
};

use crate::support::Named;

/// A PSBT in the making.
#[derive(Clone, Debug)]
pub(crate) struct Draft(pub(crate) Psbt);

impl Draft {
    pub(crate) fn new() -> Self {
        Self(Psbt::from_unsigned_tx(transaction(Vec::new(), Vec::new())).unwrap())
    }

    /// Adds an input with the whole transaction that it spends from.
    pub(crate) fn spend(self, script: &ScriptBuf, value: u64) -> Self {
        self.spend_with(script, value, |_| {})
    }

    pub(crate) fn spend_with(
        mut self,
        script: &ScriptBuf,
        value: u64,
        fill: impl FnOnce(&mut Input),
    ) -> Self {
        let number = u32::try_from(self.0.inputs.len()).unwrap();
        let point = OutPoint { txid: Txid::from_byte_array([7; 32]), vout: number };
        let output = TxOut { value: Amount::from_sat(value), script_pubkey: script.clone() };
        let previous = transaction(vec![point], vec![output]);
        let spent = OutPoint { txid: previous.compute_txid(), vout: 0 };
        self.0.unsigned_tx.input.push(input(spent));
        let mut map = Input { non_witness_utxo: Some(previous), ..Input::default() };
        fill(&mut map);
        self.0.inputs.push(map);
        self
    }

    /// Adds an input that tells what it spends by itself.
    pub(crate) fn spend_told(self, script: &ScriptBuf, value: u64) -> Self {
        self.spend_with(script, value, |input| {
            let previous = input.non_witness_utxo.take().unwrap();
            input.witness_utxo = Some(previous.output[0].clone());
        })
    }

    pub(crate) fn pay(self, script: &ScriptBuf, value: u64) -> Self {
        self.pay_with(script, value, |_| {})
    }

    pub(crate) fn pay_with(
        mut self,
        script: &ScriptBuf,
        value: u64,
        fill: impl FnOnce(&mut Output),
    ) -> Self {
        let output = TxOut { value: Amount::from_sat(value), script_pubkey: script.clone() };
        self.0.unsigned_tx.output.push(output);
        let mut map = Output::default();
        fill(&mut map);
        self.0.outputs.push(map);
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Psbt)) -> Self {
        change(&mut self.0);
        self
    }
}

/// 100,000 satoshi of this key's P2WPKH, 60,000 to `to`, 1,000 to the miner and the rest to `rest`.
pub(crate) fn simple(own: &Named, to: &ScriptBuf, rest: &ScriptBuf) -> Draft {
    Draft::new().spend(&own.p2wpkh(), 100_000).pay(to, 60_000).pay(rest, 39_000)
}

pub(crate) fn input(previous_output: OutPoint) -> TxIn {
    TxIn {
        previous_output,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::new(),
    }
}

fn transaction(points: Vec<OutPoint>, output: Vec<TxOut>) -> Transaction {
    let input = points.into_iter().map(input).collect();
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input, output }
}
