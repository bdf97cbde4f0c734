use super::index::Mark;
use super::{Key, Ledger};
use crate::caip::AccountId;
use crate::command::{Command, FreezeScope, Resolution};
use crate::crypto::SignInput;
use crate::document::TaskReference;
use crate::id::{BookId, KeyId, WalletId};
use crate::key::KeyState;
use crate::order::OrderState;
use crate::principal::{Principal, rotation_signing_digest};
use crate::seam::{PolicyDocument, TaskInput, TaskSignature, WalletDescriptor};

/// Why a command cannot be done now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandRefusal {
    /// The thing exists already.
    #[error("the {what} exists already")]
    Exists {
        /// What exists.
        what: &'static str,
    },
    /// A key of the custodian is in a state that does not allow it.
    #[error("a key that is {state} cannot do this")]
    KeyState {
        /// The key's state.
        state: KeyState,
    },
    /// The thing is malformed.
    #[error("the {what} is malformed")]
    Malformed {
        /// What is malformed.
        what: &'static str,
    },
    /// The thing does not exist.
    #[error("the {what} does not exist")]
    NotFound {
        /// What does not exist.
        what: &'static str,
    },
    /// Orders still depend on it.
    #[error("{count} orders are reserved or unknown on the key")]
    OpenOrders {
        /// How many.
        count: usize,
    },
    /// The new rule set is refused, or would never allow another.
    #[error("the rule set is refused: {reason}")]
    Policy {
        /// Why.
        reason: String,
    },
    /// It is so already, or it cannot be done to this thing.
    #[error("the {what} does not allow this")]
    State {
        /// What does not allow it.
        what: &'static str,
    },
}

impl Ledger {
    /// Whether a command can be done now. It says nothing about who may do it.
    ///
    /// # Errors
    /// Names the first precondition that does not hold.
    pub fn check(&self, command: &Command) -> Result<(), CommandRefusal> {
        match command {
            Command::ActivateKey { key } => self.check_move(key, KeyState::Active, true),
            Command::SuspendKey { key } => self.check_suspension(key),
            Command::ResumeKey { key } => self.check_move(key, KeyState::Active, false),
            Command::CompromiseKey { key } => self.check_move(key, KeyState::Compromised, false),
            Command::DeactivateKey { key } => {
                self.check_move(key, KeyState::Deactivated, false)?;
                self.check_no_orders(key)
            }
            Command::DestroyKey { key, wait_ms } => self.check_destroy(key, *wait_ms),
            Command::CancelDestroy { key } => match self.find_key(key)?.destruction {
                Some(_) => Ok(()),
                None => Err(CommandRefusal::State { what: "key" }),
            },
            Command::CreateWallet { .. }
            | Command::CreateKey { .. }
            | Command::DeriveAccount { .. } => self.check_creation(command),
            Command::EnrollPrincipal { .. }
            | Command::RemovePrincipal { .. }
            | Command::EnrollCredential { .. }
            | Command::RemoveCredential { .. } => self.check_people(command),
            Command::Freeze { scope } => self.check_freeze(scope, true),
            Command::Thaw { scope } => self.check_freeze(scope, false),
            Command::AddAddress { book, account } => {
                let known = self.is_in_book(account, book);
                if known { Err(CommandRefusal::Exists { what: "address" }) } else { Ok(()) }
            }
            Command::RemoveAddress { book, account } => {
                let known = self.is_in_book(account, book);
                if known { Ok(()) } else { Err(CommandRefusal::NotFound { what: "address" }) }
            }
            Command::ResolveOrder { order, resolution } => {
                let found =
                    self.orders.get(order).ok_or(CommandRefusal::NotFound { what: "order" })?;
                if found.state != OrderState::Unknown {
                    return Err(CommandRefusal::State { what: "order" });
                }
                check_resolution(resolution, found.document.tasks.len())
            }
            Command::RotateLogKey { .. } => self.check_rotation(command),
            Command::UpdatePolicy { policy } => check_policy(policy),
            Command::RegisterDescriptor { wallet, descriptor } => {
                self.check_descriptor(wallet, descriptor)
            }
            Command::ResealKeys { wallet, after, limit } => {
                self.check_reseal(wallet, after.as_ref(), *limit)
            }
            Command::RegisterBackend { .. }
            | Command::RegisterAsset { .. }
            | Command::ConfirmClock {}
            | Command::Extension { .. } => Ok(()),
        }
    }

    fn check_descriptor(
        &self,
        wallet: &WalletId,
        descriptor: &WalletDescriptor,
    ) -> Result<(), CommandRefusal> {
        const MANY: usize = 16;
        let wallet = self.wallets.get(wallet).ok_or(CommandRefusal::NotFound { what: "wallet" })?;
        if wallet.descriptors.contains(descriptor) {
            return Err(CommandRefusal::Exists { what: "descriptor" });
        }
        if wallet.descriptors.len() >= MANY {
            return Err(CommandRefusal::State { what: "number of the wallet's descriptors" });
        }
        Ok(())
    }

    /// The wallet that a command is about, named by itself or through its key.
    #[must_use]
    pub fn wallet_of(&self, command: &Command) -> Option<WalletId> {
        if let Some(wallet) = command.wallet() {
            return Some(wallet.clone());
        }
        if let Command::ResolveOrder { order, .. } = command {
            return self.orders.get(order)?.document.wallet.clone();
        }
        command.key().and_then(|key| self.keys.get(key)).map(|key| key.wallet.clone())
    }

    pub(super) fn find_key(&self, id: &KeyId) -> Result<&Key, CommandRefusal> {
        self.keys.get(id).ok_or(CommandRefusal::NotFound { what: "key" })
    }

    fn check_move(
        &self,
        id: &KeyId,
        next: KeyState,
        first_time: bool,
    ) -> Result<(), CommandRefusal> {
        let key = self.find_key(id)?;
        let state = key.state;
        if key.destruction.is_some() && next != KeyState::Compromised {
            return Err(CommandRefusal::State { what: "key whose destruction is scheduled" });
        }
        let activates = next == KeyState::Active;
        let resumes = state == KeyState::Suspended;
        if !state.may_become(next) || (activates && first_time == resumes) {
            return Err(CommandRefusal::KeyState { state });
        }
        Ok(())
    }

    /// A key that is suspended is suspended once more while an order is about to make it active.
    fn check_suspension(&self, id: &KeyId) -> Result<(), CommandRefusal> {
        let is_suspended = self.find_key(id)?.state == KeyState::Suspended;
        if is_suspended && self.resuming(id).next().is_some() {
            return Ok(());
        }
        self.check_move(id, KeyState::Suspended, false)
    }

    fn check_destroy(&self, id: &KeyId, wait_ms: u64) -> Result<(), CommandRefusal> {
        const WAIT_MAX_MS: u64 = 30 * 86_400_000;
        let key = self.find_key(id)?;
        if !key.state.may_become(KeyState::Destroyed) {
            return Err(CommandRefusal::KeyState { state: key.state });
        }
        if key.destruction.is_some() {
            return Err(CommandRefusal::State { what: "key" });
        }
        if wait_ms > WAIT_MAX_MS {
            return Err(CommandRefusal::Malformed { what: "waiting period" });
        }
        self.check_no_orders(id)
    }

    pub(super) fn check_no_orders(&self, id: &KeyId) -> Result<(), CommandRefusal> {
        let count = self.open.of_key(id);
        if count == 0 { Ok(()) } else { Err(CommandRefusal::OpenOrders { count }) }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "called for these commands only")]
    fn check_creation(&self, command: &Command) -> Result<(), CommandRefusal> {
        match command {
            Command::CreateWallet { wallet, tier, backend, seed, .. } => {
                if self.wallets.contains_key(wallet) {
                    return Err(CommandRefusal::Exists { what: "wallet" });
                }
                if !self.policy.document.tiers.contains(tier) {
                    return Err(CommandRefusal::NotFound { what: "tier" });
                }
                if !self.backends.contains_key(backend) {
                    return Err(CommandRefusal::NotFound { what: "backend" });
                }
                seed.as_ref().map_or(Ok(()), |seed| self.check_new_key(seed))
            }
            Command::CreateKey { wallet, key, .. } => {
                self.find_wallet(wallet)?;
                self.check_new_key(key)
            }
            Command::DeriveAccount { wallet, key, path, algorithm, .. } => {
                let found = self.find_wallet(wallet)?;
                if found.seed.is_none() {
                    return Err(CommandRefusal::NotFound { what: "seed" });
                }
                let twice = found.keys.iter().filter_map(|id| self.keys.get(id)).any(|key| {
                    key.path.as_ref() == Some(path) && key.public_key.algorithm() == *algorithm
                });
                if twice {
                    return Err(CommandRefusal::Exists { what: "path" });
                }
                self.check_new_key(key)
            }
            _ => Ok(()),
        }
    }

    fn check_new_key(&self, id: &KeyId) -> Result<(), CommandRefusal> {
        if self.keys.contains_key(id) || self.index.knows(Mark::of_seed(id)) {
            return Err(CommandRefusal::Exists { what: "key" });
        }
        Ok(())
    }

    fn is_in_book(&self, account: &AccountId, book: &BookId) -> bool {
        self.addresses.get(account).is_some_and(|books| books.0.contains_key(book))
    }

    fn find_wallet(&self, id: &WalletId) -> Result<&super::Wallet, CommandRefusal> {
        self.wallets.get(id).ok_or(CommandRefusal::NotFound { what: "wallet" })
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "called for these commands only")]
    fn check_people(&self, command: &Command) -> Result<(), CommandRefusal> {
        let find = |id| {
            self.members
                .get(id)
                .map(|member| &member.principal)
                .ok_or(CommandRefusal::NotFound { what: "principal" })
        };
        match command {
            Command::EnrollPrincipal { principal } => {
                if self.members.contains_key(&principal.id) {
                    return Err(CommandRefusal::Exists { what: "principal" });
                }
                self.check_principal(principal)
            }
            Command::RemovePrincipal { principal } => find(principal).map(drop),
            Command::EnrollCredential { principal, credential, key } => {
                if find(principal)?.credentials.contains_key(credential) {
                    return Err(CommandRefusal::Exists { what: "credential" });
                }
                self.check_credential_is_new(key.public_key())
            }
            Command::RemoveCredential { principal, credential } => {
                match find(principal)?.credentials.contains_key(credential) {
                    true => Ok(()),
                    false => Err(CommandRefusal::NotFound { what: "credential" }),
                }
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_principal(&self, principal: &Principal) -> Result<(), CommandRefusal> {
        let known = &self.policy.document.roles;
        if principal.roles.iter().any(|role| !known.contains(role)) {
            return Err(CommandRefusal::NotFound { what: "role" });
        }
        for credential in principal.credentials.values() {
            self.check_credential_is_new(credential.public_key())?;
        }
        Ok(())
    }

    /// One key is the credential of one person only.
    fn check_credential_is_new(
        &self,
        key: &crate::crypto::PublicKey,
    ) -> Result<(), CommandRefusal> {
        let known = self
            .members
            .values()
            .flat_map(|member| member.principal.credentials.values())
            .any(|credential| credential.public_key() == key);
        if known { Err(CommandRefusal::Exists { what: "credential" }) } else { Ok(()) }
    }

    fn check_freeze(&self, scope: &FreezeScope, freeze: bool) -> Result<(), CommandRefusal> {
        let (frozen, what) = match scope {
            FreezeScope::House => (self.frozen, "custodian"),
            FreezeScope::Wallet(id) => (self.find_wallet(id)?.frozen, "wallet"),
        };
        if frozen == freeze { Err(CommandRefusal::State { what }) } else { Ok(()) }
    }

    fn check_rotation(&self, command: &Command) -> Result<(), CommandRefusal> {
        let Command::RotateLogKey { next, old_signature, new_signature } = command else {
            return Ok(());
        };
        let digest = rotation_signing_digest(&self.custodian, &self.log_key, next);
        let input = SignInput::Message(digest.as_bytes());
        old_signature
            .verify(&self.log_key, input)
            .and_then(|()| new_signature.verify(next, input))
            .map_err(|_| CommandRefusal::Malformed { what: "rotation signature" })
    }
}

/// Whether signatures verify over what was decoded again, and are as they are released: ECDSA over
/// secp256k1 with its recovery id.
///
/// # Errors
/// Fails if one does not, or if there is not one for each task in order.
pub(crate) fn check_signatures(
    signatures: &[TaskSignature],
    tasks: &[(TaskReference, TaskInput)],
) -> Result<(), CommandRefusal> {
    const WRONG: CommandRefusal = CommandRefusal::Malformed { what: "set of signatures" };
    if signatures.len() != tasks.len() {
        return Err(WRONG);
    }
    for (signed, (task, input)) in signatures.iter().zip(tasks) {
        let checked = signed.signature.clone().checked(&task.public_key, input.as_input());
        if signed.key != task.key || checked.as_ref() != Ok(&signed.signature) {
            return Err(WRONG);
        }
    }
    Ok(())
}

fn check_resolution(resolution: &Resolution, tasks: usize) -> Result<(), CommandRefusal> {
    const WRONG: CommandRefusal = CommandRefusal::Malformed { what: "resolution" };
    match resolution {
        Resolution::Failed { reason } => {
            let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
            let valid = (1..=500).contains(&reason.len()) && reason.bytes().all(printable);
            if valid { Ok(()) } else { Err(WRONG) }
        }
        Resolution::Signed { signatures } if signatures.len() == tasks => Ok(()),
        Resolution::Signed { .. } => Err(WRONG),
    }
}

fn check_policy(policy: &str) -> Result<(), CommandRefusal> {
    let too_large = policy.len() > PolicyDocument::MAX;
    let document: Result<PolicyDocument, _> = crate::document::parse(policy.as_bytes());
    match document {
        Ok(document) if document.v == 1 && !too_large => Ok(()),
        _ => Err(CommandRefusal::Malformed { what: "rule set" }),
    }
}
