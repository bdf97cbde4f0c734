use std::sync::Arc;

use super::index::Mark;
use super::{
    CommandRefusal, Key, Ledger, LedgerError, Member, OpenOrder, PolicyInForce, SeedEntry, Wallet,
};
use crate::command::{Command, CommandResult, DRILL, FreezeScope, KeyStart};
use crate::crypto::PublicKey;
use crate::document::parse;
use crate::id::{KeyId, OrderId, PrincipalId};
use crate::key::KeyState;
use crate::order::OrderState;
use crate::principal::{Principal, Statement};
use crate::seam::{Exportability, PolicyDocument};
use crate::time::Timestamp;

impl Ledger {
    /// Does what an executed command says. Settling another order is the caller's.
    pub(super) fn execute(
        &mut self,
        command: &Command,
        result: &CommandResult,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        self.check(command)?;
        match command {
            Command::ActivateKey { key } | Command::ResumeKey { key } => {
                self.move_key(key, KeyState::Active)
            }
            Command::SuspendKey { key } => {
                self.call_off(key);
                let is_suspended = self.find_key(key)?.state == KeyState::Suspended;
                if is_suspended { Ok(()) } else { self.move_key(key, KeyState::Suspended) }
            }
            Command::DeactivateKey { key } => self.move_key(key, KeyState::Deactivated),
            Command::CompromiseKey { key } => self.move_key(key, KeyState::Compromised),
            Command::DestroyKey { key, wait_ms } => {
                let due = at.after(std::time::Duration::from_millis(*wait_ms));
                self.schedule(key, Some(due))
            }
            Command::CancelDestroy { key } => self.schedule(key, None),
            Command::CreateWallet { .. }
            | Command::CreateKey { .. }
            | Command::DeriveAccount { .. } => self.create(command, result),
            Command::ResealKeys { .. } => self.reseal(command, result),
            Command::EnrollPrincipal { principal } => {
                self.enroll(principal.clone());
                Ok(())
            }
            Command::RemovePrincipal { principal } => {
                self.dismiss(principal);
                Ok(())
            }
            Command::EnrollCredential { .. } | Command::RemoveCredential { .. } => {
                self.change_credential(command)
            }
            Command::RotateLogKey { next, .. } => {
                self.log_key = next.clone();
                Ok(())
            }
            Command::UpdatePolicy { policy } => self.set_policy(policy),
            Command::Freeze { scope } => self.set_frozen(scope, true),
            Command::Thaw { scope } => self.set_frozen(scope, false),
            Command::RegisterAsset { .. }
            | Command::RegisterBackend { .. }
            | Command::RegisterDescriptor { .. }
            | Command::AddAddress { .. }
            | Command::RemoveAddress { .. } => {
                self.register(command, at);
                Ok(())
            }
            Command::Extension { name, .. } => {
                if name.as_str() == DRILL {
                    self.drilled = Some(at);
                }
                Ok(())
            }
            Command::ConfirmClock {} | Command::ResolveOrder { .. } => Ok(()),
        }
    }

    /// The command of an order that is to be executed, unless it was called off.
    pub(super) fn executable(&self, id: &OrderId) -> Result<Arc<Command>, LedgerError> {
        let order = self.orders.get(id).ok_or(LedgerError::Unknown { what: "order" })?;
        if order.called_off {
            return Err(CommandRefusal::State { what: "key that was suspended since" }.into());
        }
        order.command.clone().ok_or(LedgerError::Result)
    }

    /// What is to make a key active must not any more: the key is suspended now.
    pub(super) fn call_off(&mut self, key: &KeyId) {
        let resuming: Vec<OrderId> = self.resuming(key).cloned().collect();
        for id in resuming {
            if let Some(order) = self.orders.get_mut(&id) {
                order.called_off = true;
            }
        }
    }

    pub(super) fn enroll(&mut self, principal: Principal) {
        for role in &principal.roles {
            let organisations = self.roles.entry(role.clone()).or_default();
            let count = organisations.entry(principal.organisation.clone()).or_default();
            *count = count.saturating_add(1);
        }
        // Whoever asked for something under this name before was removed since.
        for order in self.orders.values_mut() {
            order.removed |= order.document.requester == principal.id;
        }
        self.members.insert(principal.id.clone(), Member::new(principal));
    }

    pub(super) fn move_key(&mut self, id: &KeyId, next: KeyState) -> Result<(), LedgerError> {
        let key = self.keys.get_mut(id).ok_or(LedgerError::Unknown { what: "key" })?;
        if !key.state.may_become(next) {
            return Err(LedgerError::KeyState { from: key.state, to: next });
        }
        key.state = next;
        Ok(())
    }

    pub(super) fn set_policy(&mut self, text: &str) -> Result<(), LedgerError> {
        let document: PolicyDocument = parse(text.as_bytes())?;
        let id = PolicyDocument::id_of(text.as_bytes());
        self.policy = Arc::new(PolicyInForce { id, document });
        Ok(())
    }

    fn dismiss(&mut self, id: &PrincipalId) {
        let Some(member) = self.members.remove(id) else { return };
        for role in &member.principal.roles {
            let Some(organisations) = self.roles.get_mut(role) else { continue };
            let organisation = &member.principal.organisation;
            if let Some(count) = organisations.get_mut(organisation) {
                *count = count.saturating_sub(1);
            }
            organisations.retain(|_, count| *count > 0);
        }
        for order in self.orders.values_mut() {
            let is_theirs = order.document.requester == *id || order.counted.contains(id);
            order.removed |= is_theirs && order.state != OrderState::Pending;
        }
        self.forget_approvals(|statement| statement.principal == *id);
    }

    /// Orders that wait lose these approvals: whoever is enrolled later under the same name, or with
    /// a credential of the same name, has not given them.
    fn forget_approvals(&mut self, is_revoked: impl Fn(&Statement) -> bool) {
        for order in self.waiting() {
            order.approvals.retain(|approval| !is_revoked(&approval.statement));
        }
    }

    /// Orders that wait no longer count as signed by their requester. The state does not say which
    /// credential signed an order, so that any of the requester's may be the one that went.
    fn forget_signatures(&mut self, requester: &PrincipalId) {
        for order in self.waiting().filter(|order| order.document.requester == *requester) {
            order.authentication.signed = false;
        }
    }

    fn waiting(&mut self) -> impl Iterator<Item = &mut OpenOrder> {
        self.orders.values_mut().filter(|order| order.state == OrderState::Pending)
    }

    fn change_credential(&mut self, command: &Command) -> Result<(), LedgerError> {
        let (Command::EnrollCredential { principal, .. }
        | Command::RemoveCredential { principal, .. }) = command
        else {
            return Ok(());
        };
        let member =
            self.members.get_mut(principal).ok_or(LedgerError::Unknown { what: "principal" })?;
        let credentials = &mut member.principal.credentials;
        if let Command::EnrollCredential { credential, key, .. } = command {
            credentials.insert(credential.clone(), key.clone());
        }
        if let Command::RemoveCredential { credential, .. } = command {
            credentials.remove(credential);
            self.forget_approvals(|statement| {
                statement.principal == *principal && statement.credential == *credential
            });
            self.forget_signatures(principal);
        }
        Ok(())
    }

    pub(super) fn schedule(
        &mut self,
        id: &KeyId,
        due: Option<Timestamp>,
    ) -> Result<(), LedgerError> {
        let key = self.keys.get_mut(id).ok_or(LedgerError::Unknown { what: "key" })?;
        if let Some(before) = std::mem::replace(&mut key.destruction, due) {
            self.index.cancel(id, before);
        }
        self.index.schedule(id, due);
        Ok(())
    }

    fn set_frozen(&mut self, scope: &FreezeScope, frozen: bool) -> Result<(), LedgerError> {
        match scope {
            FreezeScope::House => self.frozen = frozen,
            FreezeScope::Wallet(id) => {
                let wallet =
                    self.wallets.get_mut(id).ok_or(LedgerError::Unknown { what: "wallet" })?;
                wallet.frozen = frozen;
            }
        }
        Ok(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "called for these commands only")]
    fn register(&mut self, command: &Command, at: Timestamp) {
        match command {
            Command::RegisterAsset { asset } => {
                self.assets.insert(asset.id().clone(), asset.clone());
            }
            Command::RegisterBackend { backend, identity } => {
                self.backends.insert(backend.clone(), identity.clone());
            }
            Command::RegisterDescriptor { wallet, descriptor } => {
                if let Some(wallet) = self.wallets.get_mut(wallet) {
                    wallet.descriptors.push(descriptor.clone());
                }
            }
            Command::AddAddress { book, account } => {
                let books = self.addresses.or_default(account);
                if books.0.is_empty() {
                    self.looks.add(account);
                }
                books.0.insert(book.clone(), at);
            }
            Command::RemoveAddress { book, account } => {
                let books = self.addresses.get_mut(account);
                let is_last = books.is_some_and(|books| {
                    books.0.remove(book);
                    books.0.is_empty()
                });
                if is_last {
                    self.addresses.remove(account);
                    self.looks.remove(account);
                }
            }
            _ => {}
        }
    }

    fn create(&mut self, command: &Command, result: &CommandResult) -> Result<(), LedgerError> {
        match (command, result) {
            (Command::CreateWallet { wallet, chain, tier, backend, seed }, result) => {
                let seed = match (seed, result) {
                    (Some(id), CommandResult::Seed { handle }) => {
                        Some(SeedEntry { id: id.clone(), handle: *handle, former: Vec::new() })
                    }
                    (None, CommandResult::Done {}) => None,
                    _ => return Err(LedgerError::Result),
                };
                let (chain, tier, backend) = (chain.clone(), tier.clone(), backend.clone());
                let (keys, descriptors, frozen) = (Vec::new(), Vec::new(), false);
                let entry = Wallet { chain, tier, backend, seed, keys, descriptors, frozen };
                self.index.add_wallet(&entry);
                self.wallets.insert(wallet.clone(), entry);
                Ok(())
            }
            (
                Command::CreateKey { .. } | Command::DeriveAccount { .. },
                CommandResult::Key { .. },
            ) => self.create_key(command, result),
            _ => Err(LedgerError::Result),
        }
    }

    fn is_new_key(&self, public_key: &PublicKey) -> bool {
        !self.index.knows(Mark::of_key(public_key))
    }

    /// Whether a result can be the one of this command now. A backend that answers two key ids
    /// with one key is lying.
    pub(crate) fn fits(&self, command: &Command, result: &CommandResult) -> bool {
        match result {
            CommandResult::Key { public_key, .. } => self.is_new_key(public_key),
            CommandResult::Resealed { handles, next } => {
                self.fits_reseal(command, handles, next.as_ref())
            }
            CommandResult::Seed { handle } => !self.knows_handle(handle),
            CommandResult::Done {} | CommandResult::Extension { .. } => !matches!(
                command,
                Command::CreateKey { .. }
                    | Command::DeriveAccount { .. }
                    | Command::ResealKeys { .. }
            ),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "called for these commands only")]
    fn create_key(&mut self, command: &Command, result: &CommandResult) -> Result<(), LedgerError> {
        let (wallet, id, algorithm, start, exportability, path) = match command {
            Command::CreateKey { wallet, key, algorithm, exportability, start } => {
                (wallet, key, algorithm, start, *exportability, None)
            }
            Command::DeriveAccount { wallet, key, path, algorithm, start } => {
                (wallet, key, algorithm, start, Exportability::Never, Some(path.clone()))
            }
            _ => return Err(LedgerError::Result),
        };
        let CommandResult::Key { public_key, handle, account } = result else {
            return Err(LedgerError::Result);
        };
        if public_key.algorithm() != *algorithm || !self.is_new_key(public_key) {
            return Err(LedgerError::Result);
        }
        let state = match start {
            KeyStart::Active => KeyState::Active,
            KeyStart::PreActivation => KeyState::PreActivation,
        };
        let key = Key {
            wallet: wallet.clone(),
            public_key: public_key.clone(),
            handle: *handle,
            former: Vec::new(),
            state,
            exportability,
            path,
            account: account.clone(),
            destruction: None,
        };
        let entry = self.wallets.get_mut(wallet).ok_or(LedgerError::Unknown { what: "wallet" })?;
        entry.keys.push(id.clone());
        self.index.add(id, &key);
        key.account.iter().for_each(|account| self.looks.add(account));
        self.keys.insert(id.clone(), key);
        Ok(())
    }
}
