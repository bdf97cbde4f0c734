//! Sealing a wallet's keys anew, page by page.
//!
//! Invariant: nothing but handles changes, and a handle that was replaced is never accepted again.

use std::collections::BTreeSet;

use super::index::Mark;
use super::{CommandRefusal, Ledger, LedgerError, Wallet};
use crate::command::{Command, CommandResult, ResealedKey};
use crate::digest::Digest;
use crate::id::{KeyId, WalletId};
use crate::key::KeyState;
use crate::order::OrderState;

/// How many handles of one key are remembered after they were replaced. A key that has had so many
/// is not sealed anew any more.
const FORMER_MAX: usize = 128;

impl Ledger {
    /// The seed and keys of a wallet from behind `after` on, without those that are destroyed.
    pub(crate) fn sealed_after<'a>(
        &'a self,
        wallet: &WalletId,
        after: Option<&'a KeyId>,
    ) -> impl Iterator<Item = &'a KeyId> {
        let wallet = self.wallets.get(wallet);
        let keys = wallet.map(Wallet::keys).unwrap_or_default();
        let all = wallet.and_then(Wallet::seed).into_iter().chain(keys);
        let rest = all.skip_while(move |id| after.is_some_and(|after| **id != *after));
        rest.skip(usize::from(after.is_some()))
            .filter(|id| self.keys.get(id).is_none_or(|key| key.state != KeyState::Destroyed))
    }

    /// SHA-256 of the handle that a wallet's seed or key has now.
    pub(crate) fn handle_of(&self, wallet: &WalletId, id: &KeyId) -> Option<Digest> {
        self.handles_of(wallet, id).map(|(handle, _)| *handle)
    }

    /// Whether a handle is, or once was, that of any seed or key.
    pub(crate) fn knows_handle(&self, handle: &Digest) -> bool {
        self.index.knows(Mark::of_handle(handle))
    }

    /// Whether an allowed order seals keys of the wallet anew right now.
    pub(crate) fn is_resealing(&self, wallet: &WalletId) -> bool {
        let seals = |command: &Command| matches!(command, Command::ResealKeys { wallet: its, .. } if its == wallet);
        self.orders.values().any(|order| {
            order.state == OrderState::Reserved && order.command.as_deref().is_some_and(seals)
        })
    }

    /// A job's result, with what only the state at its end tells: where to go on with the wallet.
    pub(crate) fn completed(&self, command: &Command, result: CommandResult) -> CommandResult {
        match (command, result) {
            (Command::ResealKeys { wallet, .. }, CommandResult::Resealed { handles, .. }) => {
                let next = self.next_page(wallet, &handles).cloned();
                CommandResult::Resealed { handles, next }
            }
            (_, result) => result,
        }
    }

    pub(super) fn check_reseal(
        &self,
        id: &WalletId,
        after: Option<&KeyId>,
        limit: u16,
    ) -> Result<(), CommandRefusal> {
        let wallet = self.wallets.get(id).ok_or(CommandRefusal::NotFound { what: "wallet" })?;
        if !(1..=Command::RESEAL_MAX).contains(&limit) {
            return Err(CommandRefusal::Malformed { what: "limit" });
        }
        let is_its = |after: &KeyId| {
            wallet.seed() == Some(after) || self.keys.get(after).is_some_and(|k| k.wallet == *id)
        };
        if after.is_some_and(|after| !is_its(after)) {
            return Err(CommandRefusal::NotFound { what: "key of the wallet" });
        }
        let is_worn = |key: &KeyId| {
            self.handles_of(id, key).is_some_and(|(_, former)| former.len() >= FORMER_MAX)
        };
        if self.sealed_after(id, after).take(usize::from(limit)).any(is_worn) {
            return Err(CommandRefusal::State { what: "number of a key's former handles" });
        }
        Ok(())
    }

    /// Whether a result is the one of this page: its keys from the first on, each under a handle that
    /// nothing has ever had. It may be shorter than the page, for keys that were recorded since.
    pub(super) fn fits_reseal(
        &self,
        command: &Command,
        handles: &[ResealedKey],
        next: Option<&KeyId>,
    ) -> bool {
        let Command::ResealKeys { wallet, after, limit } = command else { return false };
        let mut page = self.sealed_after(wallet, after.as_ref()).take(usize::from(*limit));
        let in_order = handles.iter().all(|resealed| page.next() == Some(&resealed.key));
        let begins = !handles.is_empty() || page.next().is_none();
        let distinct: BTreeSet<_> = handles.iter().map(|resealed| resealed.handle).collect();
        in_order
            && begins
            && distinct.len() == handles.len()
            && !distinct.iter().any(|handle| self.knows_handle(handle))
            && next == self.next_page(wallet, handles)
    }

    pub(super) fn reseal(
        &mut self,
        command: &Command,
        result: &CommandResult,
    ) -> Result<(), LedgerError> {
        let (Command::ResealKeys { wallet, .. }, CommandResult::Resealed { handles, .. }) =
            (command, result)
        else {
            return Err(LedgerError::Result);
        };
        if !self.fits(command, result) {
            return Err(LedgerError::Result);
        }
        for ResealedKey { key, handle } in handles {
            let (now, former) = match self.keys.get_mut(key) {
                Some(key) => (&mut key.handle, &mut key.former),
                None => {
                    let wallet = self.wallets.get_mut(wallet);
                    let seed = wallet.and_then(|wallet| wallet.seed.as_mut());
                    let seed = seed.ok_or(LedgerError::Unknown { what: "seed" })?;
                    (&mut seed.handle, &mut seed.former)
                }
            };
            former.push(std::mem::replace(now, *handle));
            self.index.add_handle(handle);
        }
        Ok(())
    }

    /// The last key of a page, if others follow.
    fn next_page<'a>(&'a self, wallet: &WalletId, handles: &'a [ResealedKey]) -> Option<&'a KeyId> {
        let last = handles.last().map(|resealed| &resealed.key)?;
        self.sealed_after(wallet, Some(last)).next().map(|_| last)
    }

    /// SHA-256 of the handle that a wallet's seed or key has now, and of those it had before.
    fn handles_of(&self, wallet: &WalletId, id: &KeyId) -> Option<(&Digest, &[Digest])> {
        if let Some(key) = self.keys.get(id) {
            return (key.wallet == *wallet).then_some((&key.handle, key.former.as_slice()));
        }
        let seed = self.wallets.get(wallet)?.seed.as_ref().filter(|seed| seed.id == *id)?;
        Some((&seed.handle, seed.former.as_slice()))
    }
}
