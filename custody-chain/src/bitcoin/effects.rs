//! What a transaction does, as effects and in words.
//!
//! Invariant: every output that does not provably come back is an effect, and so is the fee.

use std::collections::BTreeSet;

use bitcoin::{Script, TxOut};
use custody_core::amount::{Amount, Units};
use custody_core::caip::{AccountId, AssetId};
use custody_core::digest::Digest;
use custody_core::effect::{Arguments, DecodeFact, Effect, MessageKind};
use custody_core::seam::DecodeContext;

use super::change::Change;
use super::psbt::Reading;
use super::{BitcoinError, network, size};

/// The effects of a transaction, and a line of words for each.
pub(super) fn describe(
    reading: &Reading<'_>,
    context: &DecodeContext,
) -> Result<(Vec<Effect>, Vec<String>), BitcoinError> {
    let mut story = Story::of(reading, context)?;
    let kinds: Vec<_> = reading.own.iter().map(|own| own.kind).collect();
    let change = Change::of(context, reading.network, &kinds)?;
    let outputs = reading.psbt.outputs.iter().zip(&reading.psbt.unsigned_tx.output);
    for (position, (labels, output)) in outputs.enumerate() {
        if !change.is(labels, &output.script_pubkey) {
            story.output(position, output)?;
        }
    }
    story.partial_signatures(reading)?;
    story.pay_fee(reading.fee, size::rate(reading)?);
    if story.effects.len() > EFFECTS_MAX {
        return Err(BitcoinError::Limit { what: "effects", limit: EFFECTS_MAX });
    }
    Ok((story.effects, story.summary))
}

/// What rules may speak about besides effects.
pub(super) fn facts(reading: &Reading<'_>) -> Result<BTreeSet<DecodeFact>, BitcoinError> {
    let transaction = &reading.psbt.unsigned_tx;
    let mut names: BTreeSet<&str> =
        reading.own.iter().flat_map(|own| own.sighash.facts()).collect();
    let is_relative = |input: &bitcoin::TxIn| input.sequence.is_relative_lock_time();
    for (name, holds) in [
        ("foreign_input", reading.own.len() < reading.spent.len()),
        (
            "locktime",
            transaction.is_lock_time_enabled() && transaction.lock_time.to_consensus_u32() > 0,
        ),
        ("rbf", transaction.is_explicitly_rbf()),
        (
            "relative_locktime",
            transaction.version.0 >= 2 && transaction.input.iter().any(is_relative),
        ),
    ] {
        if holds {
            names.insert(name);
        }
    }
    Ok(names.into_iter().map(DecodeFact::parse).collect::<Result<_, _>>()?)
}

/// Effects as they are found, each with its line.
struct Story<'a> {
    reading: &'a Reading<'a>,
    context: &'a DecodeContext,
    native: AssetId,
    from: AccountId,
    effects: Vec<Effect>,
    summary: Vec<String>,
}

impl<'a> Story<'a> {
    fn of(reading: &'a Reading<'a>, context: &'a DecodeContext) -> Result<Self, BitcoinError> {
        let native = network::asset(&context.chain, reading.network)?;
        let first = reading.own.first().and_then(|own| reading.spent.get(own.index));
        let script = first.map(|spent| &spent.script_pubkey).ok_or(BitcoinError::NothingOfOurs)?;
        let from = network::account(&context.chain, reading.network, script)?;
        let from = from.ok_or(BitcoinError::NothingOfOurs)?;
        Ok(Self { reading, context, native, from, effects: Vec::new(), summary: Vec::new() })
    }

    fn output(&mut self, position: usize, output: &TxOut) -> Result<(), BitcoinError> {
        let script = &output.script_pubkey;
        if let Some(to) = network::account(&self.context.chain, self.reading.network, script)? {
            let amount = self.amount(output.value.to_sat());
            let line =
                format!("transfer {} {} to {}", amount.units(), amount.asset(), to.address());
            self.push(Effect::Transfer { amount, from: self.from.clone(), to }, line);
            return Ok(());
        }
        if script.is_op_return() && output.value.to_sat() == 0 {
            return self.publish(script);
        }
        Err(BitcoinError::Output { output: position })
    }

    /// Bytes that everybody can read from then on: a message, in the name of the wallet.
    fn publish(&mut self, script: &Script) -> Result<(), BitcoinError> {
        let data = script.as_bytes().get(1..).unwrap_or_default();
        let text = hex(data);
        let shown = match text.len() <= Arguments::VALUE_MAX {
            true => text,
            false => format!("sha256:{}", Digest::of(data)),
        };
        let mut arguments = Arguments::new();
        arguments.insert("data", &shown)?;
        let line = format!("publish {} bytes", data.len());
        self.push(Effect::SignMessage { kind: MessageKind::parse(PUBLISH)?, arguments }, line);
        Ok(())
    }

    /// A signature that does not cover the whole transaction may end up in another one.
    fn partial_signatures(&mut self, reading: &Reading<'_>) -> Result<(), BitcoinError> {
        for own in reading.own.iter().filter(|own| !own.sighash.is_whole()) {
            let names: Vec<_> = own.sighash.facts().collect();
            let kind = MessageKind::parse(&format!("bitcoin/{}", names.join(".")))?;
            let line = format!("sign input {} without the whole transaction", own.index);
            self.push(Effect::SignOpaque { kind }, line);
        }
        Ok(())
    }

    fn pay_fee(&mut self, fee: u64, rate: u64) {
        let amount = self.amount(fee);
        let line = format!(
            "pay a fee of {} {}, {rate} for 1000 virtual bytes",
            amount.units(),
            amount.asset()
        );
        self.push(Effect::PayFee { amount, rate: Some(rate) }, line);
    }

    fn amount(&self, satoshi: u64) -> Amount {
        Amount::new(self.native.clone(), Units::from(satoshi))
    }

    fn push(&mut self, effect: Effect, line: String) {
        self.effects.push(effect);
        self.summary.push(line);
    }
}

fn hex(bytes: &[u8]) -> String {
    use bitcoin::hex::DisplayHex;
    bytes.to_lower_hex_string()
}

const PUBLISH: &str = "bitcoin/op_return";
/// Most effects of one payload.
const EFFECTS_MAX: usize = 1_024;
