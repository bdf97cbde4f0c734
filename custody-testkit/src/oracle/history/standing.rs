use std::collections::BTreeMap;

use custody_core::caip::AccountId;
use custody_core::command::{Command, CommandResult, FreezeScope, KeyStart};
use custody_core::document::{OrderDocument, Work};
use custody_core::effect::Effect;
use custody_core::id::{KeyId, OrderId, WalletId};
use custody_core::key::KeyState;

use crate::oracle::{Breach, Invariant};

/// What is frozen and how each key stands, counted from what was done.
///
/// What changes it are commands that were executed, an outcome that suspends a key, the end of a
/// scheduled destruction, and a recovery that lacks what a known head is over. Keys are made by
/// `create_key` and `derive_account` only: sealing them anew changes their handles, a seed signs
/// nothing, and an import or a restored archive is no event of its own.
#[derive(Debug, Default)]
pub(super) struct Standing {
    house: bool,
    /// Whether each wallet is frozen.
    wallets: BTreeMap<WalletId, bool>,
    keys: BTreeMap<KeyId, KnownKey>,
}

/// What is known about one key.
#[derive(Debug)]
struct KnownKey {
    wallet: WalletId,
    account: Option<AccountId>,
    state: KeyState,
}

/// What a payload asks of the keys of its wallet.
#[derive(Debug)]
pub(super) struct Signing {
    wallet: Option<WalletId>,
    /// One for each task, in the order of the tasks.
    keys: Vec<KeyId>,
    /// Where it moves things; none if it does anything else but pay a fee.
    moves_to: Option<Vec<AccountId>>,
}

impl Signing {
    /// None for a command. A freeze stops payloads only, and no key of a wallet signs a command.
    pub(super) fn of(order: &OrderDocument) -> Option<Self> {
        match order.work {
            Work::Command(_) => None,
            Work::Payload(_) => Some(Self {
                wallet: order.wallet.clone(),
                keys: order.tasks.iter().map(|task| task.key.clone()).collect(),
                moves_to: moves_to(&order.effects),
            }),
        }
    }

    /// The keys that sign, in the order of the tasks.
    pub(super) fn keys(&self) -> &[KeyId] {
        &self.keys
    }
}

fn moves_to(effects: &[Effect]) -> Option<Vec<AccountId>> {
    let mut accounts = Vec::new();
    for effect in effects {
        if let Effect::Transfer { to, .. } = effect {
            accounts.push(to.clone());
        } else if !matches!(effect, Effect::PayFee { .. }) {
            return None;
        }
    }
    Some(accounts)
}

impl Standing {
    /// Takes that a command was done, and what it left behind.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others neither stop nor make anything")]
    pub(super) fn execute(&mut self, command: &Command, result: &CommandResult) {
        match command {
            Command::ActivateKey { key } | Command::ResumeKey { key } => {
                self.move_key(key, KeyState::Active);
            }
            Command::SuspendKey { key } => self.move_key(key, KeyState::Suspended),
            Command::DeactivateKey { key } => self.move_key(key, KeyState::Deactivated),
            Command::CompromiseKey { key } => self.move_key(key, KeyState::Compromised),
            Command::CreateKey { wallet, key, start, .. }
            | Command::DeriveAccount { wallet, key, start, .. } => {
                let state = match start {
                    KeyStart::Active => KeyState::Active,
                    KeyStart::PreActivation => KeyState::PreActivation,
                };
                let account = match result {
                    CommandResult::Key { account, .. } => account.clone(),
                    _ => None,
                };
                let known = KnownKey { wallet: wallet.clone(), account, state };
                self.keys.insert(key.clone(), known);
            }
            Command::CreateWallet { wallet, .. } => {
                self.wallets.insert(wallet.clone(), false);
            }
            Command::Freeze { scope } => self.set_frozen(scope, true),
            Command::Thaw { scope } => self.set_frozen(scope, false),
            _ => {}
        }
    }

    /// Takes that a key was suspended for what it may have signed; one that is out of use already
    /// stays as it is.
    pub(super) fn suspend(&mut self, key: &KeyId) {
        if let Some(known) = self.keys.get_mut(key)
            && known.state == KeyState::Active
        {
            known.state = KeyState::Suspended;
        }
    }

    pub(super) fn destroy(&mut self, key: &KeyId) {
        self.move_key(key, KeyState::Destroyed);
    }

    pub(super) fn freeze_house(&mut self) {
        self.house = true;
    }

    /// Whether a payload may be allowed, or released, as things stand: what a custodian promises
    /// of both, whatever its rules say.
    ///
    /// Its wallet and the house are not frozen, and each key is an active one of that wallet. A
    /// deactivated key may sweep: move things to accounts of active keys of its wallet, pay the
    /// fee, and do nothing else. When the key was used does not matter, be it before the
    /// reservation was durable: what was signed and is stopped before its outcome is written is
    /// unknown, not released.
    pub(super) fn check(&self, order: &OrderId, signing: &Signing) -> Result<(), Breach> {
        let wallet = signing.wallet.as_ref();
        let is_thawed = wallet.and_then(|id| self.wallets.get(id)) == Some(&false);
        if self.house || !is_thawed {
            let what = format!("{order} went on while {wallet:?} or the house was frozen");
            return Err(Invariant::Freezes.broken(what));
        }
        for id in &signing.keys {
            let key = self.keys.get(id).filter(|key| Some(&key.wallet) == wallet);
            let state = key.map(|key| key.state);
            let signs = state == Some(KeyState::Active);
            let sweeps = state == Some(KeyState::Deactivated) && self.is_sweep(signing);
            if !signs && !sweeps {
                let what = format!("{order} went on with {id} of {wallet:?}, which is {state:?}");
                return Err(Invariant::Keys.broken(what));
            }
        }
        Ok(())
    }

    fn is_sweep(&self, signing: &Signing) -> bool {
        let is_successor = |to: &AccountId| {
            self.keys.values().any(|key| {
                key.account.as_ref() == Some(to)
                    && Some(&key.wallet) == signing.wallet.as_ref()
                    && key.state == KeyState::Active
            })
        };
        signing.moves_to.as_ref().is_some_and(|moves_to| moves_to.iter().all(is_successor))
    }

    fn move_key(&mut self, key: &KeyId, state: KeyState) {
        if let Some(known) = self.keys.get_mut(key) {
            known.state = state;
        }
    }

    fn set_frozen(&mut self, scope: &FreezeScope, frozen: bool) {
        match scope {
            FreezeScope::House => self.house = frozen,
            FreezeScope::Wallet(id) => {
                self.wallets.insert(id.clone(), frozen);
            }
        }
    }
}
