//! What is found in a payload, as effects and in words.
//!
//! Invariant: each effect has its line, and there are never more than an intent may have.

use alloy_primitives::{Address, U256};
use custody_core::amount::{Amount, Units};
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::effect::{Arguments, Effect, MessageKind, Selector};

use super::EvmError;
use super::abi::AbiRegistry;

/// Effects as they are found, each with its line.
pub(super) struct Story<'a> {
    pub(super) chain: &'a ChainId,
    /// The account that signs.
    pub(super) sender: Address,
    pub(super) abis: &'a AbiRegistry,
    effects: Vec<Effect>,
    summary: Vec<String>,
}

/// The function of a contract that is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function<'a> {
    pub(super) contract: Address,
    pub(super) data: &'a [u8],
}

impl<'a> Story<'a> {
    pub(super) const fn new(chain: &'a ChainId, sender: Address, abis: &'a AbiRegistry) -> Self {
        Self { chain, sender, abis, effects: Vec::new(), summary: Vec::new() }
    }

    /// Everything that was found.
    pub(super) fn end(self) -> (Vec<Effect>, Vec<String>) {
        (self.effects, self.summary)
    }

    pub(super) fn native(&self) -> Result<AssetId, EvmError> {
        Ok(AssetId::parse(&[self.chain.as_str(), "/slip44:60"].concat())?)
    }

    /// A token that is known by its contract; `kind` is the namespace of CAIP-19.
    pub(super) fn token(&self, kind: &str, contract: Address) -> Result<AssetId, EvmError> {
        let mut text = [self.chain.as_str(), "/", kind, ":"].concat();
        push_hex(&mut text, contract);
        Ok(AssetId::parse(&text)?)
    }

    pub(super) fn account(&self, address: Address) -> Result<AccountId, EvmError> {
        account(self.chain, address)
    }

    pub(super) fn transfer(
        &mut self,
        from: Address,
        to: Address,
        amount: Amount,
    ) -> Result<(), EvmError> {
        let mut line = format!("transfer {} {}", amount.units(), amount.asset());
        if from != self.sender {
            line.push_str(" from ");
            line.push_str(&checksummed(from));
        }
        line.push_str(" to ");
        line.push_str(&checksummed(to));
        let (from, to) = (self.account(from)?, self.account(to)?);
        self.push(Effect::Transfer { amount, from, to }, line)
    }

    pub(super) fn approve(&mut self, spender: Address, amount: Amount) -> Result<(), EvmError> {
        let (units, asset) = (amount.units(), amount.asset());
        let line = format!("allow {} to take {units} {asset}", checksummed(spender));
        let spender = self.account(spender)?;
        self.push(Effect::Approve { amount, spender }, line)
    }

    /// A call whose meaning nobody knows, with its arguments if their names are known.
    pub(super) fn call(
        &mut self,
        function: Function<'_>,
        arguments: Arguments,
    ) -> Result<(), EvmError> {
        let line = self.line("call", function, &arguments)?;
        let (contract, selector) = (self.account(function.contract)?, function.selector()?);
        self.push(Effect::Call { contract, selector, arguments }, line)
    }

    /// Foreign code runs with the rights of the account that calls it.
    pub(super) fn delegate_call(&mut self, function: Function<'_>) -> Result<(), EvmError> {
        let line = self.line("run the code of", function, &Arguments::new())?;
        let (contract, selector) = (self.account(function.contract)?, function.selector()?);
        self.push(Effect::DelegateCall { contract, selector, arguments: Arguments::new() }, line)
    }

    pub(super) fn administer(
        &mut self,
        function: Function<'_>,
        arguments: Arguments,
    ) -> Result<(), EvmError> {
        let line = self.line("administer", function, &arguments)?;
        let (contract, selector) = (self.account(function.contract)?, function.selector()?);
        self.push(Effect::Administer { contract, selector, arguments }, line)
    }

    /// The signer hands itself over to the code at an address (EIP-7702).
    pub(super) fn hand_over(&mut self, code: Address, rest: Arguments) -> Result<(), EvmError> {
        let line = format!("let the code at {} act for the account", checksummed(code));
        let (contract, selector) = (self.account(code)?, Selector::parse("eip7702")?);
        self.push(Effect::Administer { contract, selector, arguments: rest }, line)
    }

    pub(super) fn deploy(&mut self, contract: Address, length: usize) -> Result<(), EvmError> {
        let at = checksummed(contract);
        self.push(Effect::Deploy, format!("create a contract at {at} from {length} bytes"))
    }

    pub(super) fn pay_fee(&mut self, amount: Amount) -> Result<(), EvmError> {
        let line = format!("pay a fee of at most {} {}", amount.units(), amount.asset());
        self.push(Effect::PayFee { amount, rate: None }, line)
    }

    pub(super) fn sign_message(
        &mut self,
        kind: &str,
        arguments: Arguments,
        line: String,
    ) -> Result<(), EvmError> {
        self.push(Effect::SignMessage { kind: MessageKind::parse(kind)?, arguments }, line)
    }

    pub(super) fn sign_opaque(&mut self, kind: &str, line: String) -> Result<(), EvmError> {
        self.push(Effect::SignOpaque { kind: MessageKind::parse(kind)? }, line)
    }

    fn line(
        &self,
        verb: &str,
        function: Function<'_>,
        arguments: &Arguments,
    ) -> Result<String, EvmError> {
        let (selector, length) = (function.selector()?, function.data.len());
        let to = checksummed(function.contract);
        let mut line = format!("{verb} {} of {to} with {length} bytes", selector.as_str());
        push_arguments(&mut line, arguments);
        Ok(line)
    }

    fn push(&mut self, effect: Effect, line: String) -> Result<(), EvmError> {
        if self.effects.len() >= EFFECTS_MAX {
            return Err(EvmError::Effects { limit: EFFECTS_MAX });
        }
        self.effects.push(effect);
        self.summary.push(line);
        Ok(())
    }
}

impl Function<'_> {
    fn selector(&self) -> Result<Selector, EvmError> {
        let function = self.data.get(..4).unwrap_or(self.data);
        Ok(Selector::parse(&alloy_primitives::hex::encode_prefixed(function))?)
    }
}

/// The account of an address.
pub(super) fn account(chain: &ChainId, address: Address) -> Result<AccountId, EvmError> {
    let mut text = String::with_capacity(42);
    push_hex(&mut text, address);
    Ok(AccountId::new(chain, &text)?)
}

pub(super) fn amount(asset: AssetId, units: U256) -> Amount {
    Amount::new(asset, Units::from_be_bytes(units.to_be_bytes()))
}

/// Names and values. The values are quoted, so that none looks like a further argument.
pub(super) fn push_arguments(line: &mut String, arguments: &Arguments) {
    for (name, value) in arguments.iter() {
        line.push_str(&format!(", {name}={value:?}"));
    }
}

fn push_hex(text: &mut String, address: Address) {
    text.push_str(&alloy_primitives::hex::encode_prefixed(address));
}

/// The form that people compare (EIP-55).
fn checksummed(address: Address) -> String {
    address.to_checksum(None)
}

/// An intent has at most so many effects; the fee is one of them.
const EFFECTS_MAX: usize = 1_024;
