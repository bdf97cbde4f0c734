//! What a transaction does, as effects and in words.
//!
//! Invariant: every transaction has a `pay_fee` effect and at least one other; native value that
//! moves is a `transfer` whatever else the transaction does.

use alloy_primitives::{Address, U256};
use custody_core::amount::{Amount, Units};
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::effect::{Arguments, Effect, Selector};

use super::EvmError;
use super::erc20::TokenCall;
use super::transaction::Transaction;

/// The effects of a transaction sent by `sender`, and a line of words for each.
pub(super) fn describe(
    transaction: &Transaction<'_>,
    sender: Address,
    chain: &ChainId,
) -> Result<(Vec<Effect>, Vec<String>), EvmError> {
    let native = AssetId::parse(&format!("{chain}/slip44:60"))?;
    let mut story = Story { chain, sender, effects: Vec::new(), summary: Vec::new() };
    let Transaction { to, value, data, .. } = transaction;
    let receiver = to.unwrap_or_else(|| sender.create(transaction.nonce));
    if !value.is_zero() || (to.is_some() && data.is_empty()) {
        story.transfer(sender, receiver, amount(&native, *value))?;
    }
    match to {
        None => story.deploy(receiver, data.len()),
        Some(_) if data.is_empty() => {}
        Some(contract) => match TokenCall::parse(data) {
            None => story.call(*contract, data)?,
            Some(call) => story.token(*contract, call)?,
        },
    }
    story.pay_fee(amount(&native, transaction.fee));
    Ok((story.effects, story.summary))
}

/// The account of an address.
pub(super) fn account(chain: &ChainId, address: Address) -> Result<AccountId, EvmError> {
    Ok(AccountId::new(chain, &format!("{address:#x}"))?)
}

/// Effects as they are found, each with its line.
struct Story<'a> {
    chain: &'a ChainId,
    sender: Address,
    effects: Vec<Effect>,
    summary: Vec<String>,
}

impl Story<'_> {
    fn token(&mut self, contract: Address, call: TokenCall) -> Result<(), EvmError> {
        let token = AssetId::parse(&format!("{}/erc20:{contract:#x}", self.chain))?;
        match call {
            TokenCall::Approve { spender, amount: units } => {
                self.approve(spender, amount(&token, units))
            }
            TokenCall::Transfer { to, amount: units } => {
                self.transfer(self.sender, to, amount(&token, units))
            }
            TokenCall::TransferFrom { from, to, amount: units } => {
                self.transfer(from, to, amount(&token, units))
            }
        }
    }

    fn transfer(&mut self, from: Address, to: Address, amount: Amount) -> Result<(), EvmError> {
        let mut line = format!("transfer {} {}", amount.units(), amount.asset());
        if from != self.sender {
            line.push_str(" from ");
            line.push_str(&from.to_checksum(None));
        }
        line.push_str(" to ");
        line.push_str(&to.to_checksum(None));
        let (from, to) = (account(self.chain, from)?, account(self.chain, to)?);
        self.push(Effect::Transfer { amount, from, to }, line);
        Ok(())
    }

    fn approve(&mut self, spender: Address, amount: Amount) -> Result<(), EvmError> {
        let (units, asset) = (amount.units(), amount.asset());
        let line = format!("allow {} to take {units} {asset}", spender.to_checksum(None));
        self.push(Effect::Approve { amount, spender: account(self.chain, spender)? }, line);
        Ok(())
    }

    fn call(&mut self, contract: Address, data: &[u8]) -> Result<(), EvmError> {
        let function = data.get(..4).unwrap_or(data);
        let selector = Selector::parse(&alloy_primitives::hex::encode_prefixed(function))?;
        let length = data.len();
        let to = contract.to_checksum(None);
        let line = format!("call {} of {to} with {length} bytes", selector.as_str());
        self.push(
            Effect::Call {
                contract: account(self.chain, contract)?,
                selector,
                arguments: Arguments::new(),
            },
            line,
        );
        Ok(())
    }

    fn deploy(&mut self, contract: Address, length: usize) {
        let at = contract.to_checksum(None);
        self.push(Effect::Deploy, format!("create a contract at {at} from {length} bytes"));
    }

    fn pay_fee(&mut self, amount: Amount) {
        let line = format!("pay a fee of at most {} {}", amount.units(), amount.asset());
        self.push(Effect::PayFee { amount, rate: None }, line);
    }

    fn push(&mut self, effect: Effect, line: String) {
        self.effects.push(effect);
        self.summary.push(line);
    }
}

fn amount(asset: &AssetId, units: U256) -> Amount {
    Amount::new(asset.clone(), Units::from_be_bytes(units.to_be_bytes()))
}
