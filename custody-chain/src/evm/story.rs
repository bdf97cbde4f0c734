//! What is found in a payload, as effects and in words.
//!
//! Invariant: each effect has its line, and there are never more than an intent may have.

use alloy_primitives::{Address, U256};
use custody_core::amount::{Amount, Units};
use custody_core::caip::{AssetId, ChainId};
use custody_core::effect::{Arguments, Effect, MessageKind, Selector};

use super::EvmError;
use super::abi::AbiRegistry;
use super::names::{Name, Names, Signer};
use crate::text::push_arguments;

/// Effects as they are found, each with its line.
pub(super) struct Story<'a> {
    pub(super) chain: &'a ChainId,
    signer: Signer,
    names: &'a Names,
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
    pub(super) fn new(
        chain: &'a ChainId,
        signer: Signer,
        names: &'a Names,
        abis: &'a AbiRegistry,
    ) -> Self {
        let (effects, summary) = (Vec::with_capacity(USUAL), Vec::with_capacity(USUAL));
        Self { chain, signer, names, abis, effects, summary }
    }

    /// The account that signs.
    pub(super) const fn sender(&self) -> Address {
        self.signer.address
    }

    /// Everything that was found.
    pub(super) fn end(self) -> (Vec<Effect>, Vec<String>) {
        (self.effects, self.summary)
    }

    /// The coin of the chain.
    pub(super) fn native(&self) -> AssetId {
        self.signer.native.clone()
    }

    /// A token that is known by its contract; `kind` is the namespace of CAIP-19.
    pub(super) fn token(&self, kind: &'static str, contract: Address) -> Result<AssetId, EvmError> {
        self.names.token(self.chain, kind, contract)
    }

    fn name(&self, address: Address) -> Result<Name, EvmError> {
        self.names.name(self.chain, address)
    }

    pub(super) fn transfer(
        &mut self,
        from: Address,
        to: Address,
        amount: Amount,
    ) -> Result<(), EvmError> {
        let (payer, receiver) = (self.name(from)?, self.name(to)?);
        let mut line = String::with_capacity(LINE);
        line.push_str("transfer ");
        push_amount(&mut line, &amount);
        if from != self.sender() {
            line.push_str(" from ");
            line.push_str(&payer.checksummed);
        }
        line.push_str(" to ");
        line.push_str(&receiver.checksummed);
        let (from, to) = (payer.account, receiver.account);
        self.push(Effect::Transfer { amount, from, to }, line)
    }

    pub(super) fn approve(&mut self, spender: Address, amount: Amount) -> Result<(), EvmError> {
        let (units, asset) = (amount.units(), amount.asset());
        let Name { account, checksummed } = self.name(spender)?;
        let line = format!("allow {checksummed} to take {units} {asset}");
        self.push(Effect::Approve { amount, spender: account }, line)
    }

    /// A call whose meaning nobody knows, with its arguments if their names are known.
    pub(super) fn call(
        &mut self,
        function: Function<'_>,
        arguments: Arguments,
    ) -> Result<(), EvmError> {
        let line = self.line("call", function, &arguments)?;
        let (contract, selector) = (self.name(function.contract)?.account, function.selector()?);
        self.push(Effect::Call { contract, selector, arguments }, line)
    }

    /// Foreign code runs with the rights of the account that calls it.
    pub(super) fn delegate_call(&mut self, function: Function<'_>) -> Result<(), EvmError> {
        let line = self.line("run the code of", function, &Arguments::new())?;
        let (contract, selector) = (self.name(function.contract)?.account, function.selector()?);
        self.push(Effect::DelegateCall { contract, selector, arguments: Arguments::new() }, line)
    }

    pub(super) fn administer(
        &mut self,
        function: Function<'_>,
        arguments: Arguments,
    ) -> Result<(), EvmError> {
        let line = self.line("administer", function, &arguments)?;
        let (contract, selector) = (self.name(function.contract)?.account, function.selector()?);
        self.push(Effect::Administer { contract, selector, arguments }, line)
    }

    /// The signer hands itself over to the code at an address (EIP-7702).
    pub(super) fn hand_over(&mut self, code: Address, rest: Arguments) -> Result<(), EvmError> {
        let Name { account: contract, checksummed } = self.name(code)?;
        let line = format!("let the code at {checksummed} act for the account");
        let selector = Selector::parse("eip7702")?;
        self.push(Effect::Administer { contract, selector, arguments: rest }, line)
    }

    pub(super) fn deploy(&mut self, contract: Address, length: usize) -> Result<(), EvmError> {
        let at = self.name(contract)?.checksummed;
        self.push(Effect::Deploy, format!("create a contract at {at} from {length} bytes"))
    }

    pub(super) fn pay_fee(&mut self, amount: Amount) -> Result<(), EvmError> {
        let mut line = String::with_capacity(LINE);
        line.push_str("pay a fee of at most ");
        push_amount(&mut line, &amount);
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
        let to = self.name(function.contract)?.checksummed;
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

pub(super) fn amount(asset: AssetId, units: U256) -> Amount {
    Amount::new(asset, Units::from_be_bytes(units.to_be_bytes()))
}

fn push_amount(line: &mut String, amount: &Amount) {
    line.push_str(&amount.units().to_string());
    line.push(' ');
    line.push_str(amount.asset().as_str());
}

/// What most payloads do: one thing, and a fee.
const USUAL: usize = 2;
/// More bytes than the line of a transfer of tokens takes.
const LINE: usize = 192;
/// An intent has at most so many effects; the fee is one of them.
const EFFECTS_MAX: usize = 1_024;
