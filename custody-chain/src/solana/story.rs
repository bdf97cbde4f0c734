//! Effects as they are found, each with its line.
//!
//! Invariant: each instruction that is not of the compute budget leaves at least one effect, and
//! the line of an effect with arguments tells them all.

use std::collections::{BTreeMap, BTreeSet};

use custody_core::amount::{Amount, Units};
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::effect::{Arguments, DecodeFact, Effect, MessageKind, Selector};
use solana_address::Address;

use super::SolanaError;
use crate::text::push_arguments;

/// What is known about a message so far.
pub(super) struct Story<'a> {
    chain: &'a ChainId,
    native: AssetId,
    ours: Vec<Address>,
    /// The owner of each associated token account that is proved.
    owners: BTreeMap<Address, Address>,
    pub(super) effects: Vec<Effect>,
    pub(super) facts: BTreeSet<DecodeFact>,
    pub(super) summary: Vec<String>,
}

impl<'a> Story<'a> {
    pub(super) fn new(chain: &'a ChainId, ours: Vec<Address>) -> Result<Self, SolanaError> {
        Ok(Self {
            chain,
            native: AssetId::parse(&format!("{chain}/slip44:501"))?,
            ours,
            owners: BTreeMap::new(),
            effects: Vec::new(),
            facts: BTreeSet::new(),
            summary: Vec::new(),
        })
    }

    /// Notes something that rules may speak about.
    pub(super) fn fact(&mut self, fact: &str) -> Result<(), SolanaError> {
        self.facts.insert(DecodeFact::parse(fact)?);
        Ok(())
    }

    /// Notes whose a token account is, as the associated token account program has checked it.
    pub(super) fn proved(&mut self, token_account: Address, owner: Address) {
        self.owners.insert(token_account, owner);
    }

    /// The accounts of the wallet that sign: a few, so that deriving from each stays cheap.
    pub(super) fn ours(&self) -> &[Address] {
        &self.ours
    }

    /// The owner of a token account, if it is proved.
    pub(super) fn owner(&self, token_account: Address) -> Option<Address> {
        self.owners.get(&token_account).copied()
    }

    /// Lamports move.
    pub(super) fn lamports(
        &mut self,
        from: Address,
        to: Address,
        lamports: u64,
    ) -> Result<(), SolanaError> {
        if !to.is_on_curve() {
            self.fact("off_curve_destination")?;
        }
        let amount = Amount::new(self.native.clone(), Units::from(lamports));
        self.transfer(from, to, amount)
    }

    /// An asset moves.
    pub(super) fn transfer(
        &mut self,
        from: Address,
        to: Address,
        amount: Amount,
    ) -> Result<(), SolanaError> {
        let line = format!("transfer {} {} to {to}", amount.units(), amount.asset());
        let (from, to) = (self.account(from)?, self.account(to)?);
        self.push(Effect::Transfer { amount, from, to }, line);
        Ok(())
    }

    /// A delegate may take tokens.
    pub(super) fn approve(&mut self, spender: Address, amount: Amount) -> Result<(), SolanaError> {
        let (units, asset) = (amount.units(), amount.asset());
        let line = format!("allow {spender} to take {units} {asset}");
        let spender = self.account(spender)?;
        self.push(Effect::Approve { amount, spender }, line);
        Ok(())
    }

    /// An owner or an authority of `target` changes.
    pub(super) fn administer(
        &mut self,
        target: Address,
        data: &[u8],
        named: &[(&str, String)],
    ) -> Result<(), SolanaError> {
        let selector = selector(data)?;
        let mut line = format!("change who controls {target} by {}", selector.as_str());
        let contract = self.account(target)?;
        let arguments = arguments(named)?;
        push_arguments(&mut line, &arguments);
        self.push(Effect::Administer { contract, selector, arguments }, line);
        Ok(())
    }

    /// A program is called.
    pub(super) fn call(
        &mut self,
        program: Address,
        selector: Selector,
        named: &[(&str, String)],
    ) -> Result<(), SolanaError> {
        let mut line = format!("call {} of {program}", selector.as_str());
        let contract = self.account(program)?;
        let arguments = arguments(named)?;
        push_arguments(&mut line, &arguments);
        self.push(Effect::Call { contract, selector, arguments }, line);
        Ok(())
    }

    /// An instruction whose accounts nobody knows is signed.
    pub(super) fn unresolved(&mut self) -> Result<(), SolanaError> {
        self.fact("unresolved")?;
        let kind = MessageKind::parse("solana/unresolved")?;
        let line = "sign an instruction whose accounts are not known".to_owned();
        self.push(Effect::SignOpaque { kind }, line);
        Ok(())
    }

    /// The worst-case fee is paid.
    pub(super) fn pay_fee(&mut self, lamports: u128) {
        let amount = Amount::new(self.native.clone(), Units::from(lamports));
        let line = format!("pay a fee of at most {} {}", amount.units(), amount.asset());
        self.push(Effect::PayFee { amount, rate: None }, line);
    }

    /// An amount of a token.
    pub(super) fn tokens(&self, mint: Address, units: u64) -> Result<Amount, SolanaError> {
        let asset = AssetId::parse(&format!("{}/token:{mint}", self.chain))?;
        Ok(Amount::new(asset, Units::from(units)))
    }

    fn account(&self, address: Address) -> Result<AccountId, SolanaError> {
        Ok(AccountId::new(self.chain, &address.to_string())?)
    }

    fn push(&mut self, effect: Effect, line: String) {
        self.effects.push(effect);
        self.summary.push(line);
    }
}

/// The selector of these first bytes.
pub(super) fn selector(bytes: &[u8]) -> Result<Selector, SolanaError> {
    if bytes.is_empty() {
        return Ok(Selector::parse("")?);
    }
    Ok(Selector::parse(&format!("0x{}", hex(bytes)))?)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn arguments(named: &[(&str, String)]) -> Result<Arguments, SolanaError> {
    let mut arguments = Arguments::new();
    for (name, value) in named {
        arguments.insert(name, value)?;
    }
    Ok(arguments)
}
