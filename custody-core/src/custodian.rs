//! The custodian: takes requests along the one flow, from submission to release.
//!
//! Invariant: nothing here uses a key but a job that follows a durable and sealed reservation, and
//! nothing is released but what a durable and sealed outcome names.

mod account;
mod anchoring;
mod builder;
mod clock;
mod deliver;
mod draft;
mod error;
mod extension;
mod job;
mod limits;
mod message;
mod open;
mod owed;
mod prepare;
mod record;
mod recover;
mod request;
mod sequencer;
mod shared;
mod submit;
mod switching;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::channel::mpsc;

pub use builder::CustodianBuilder;
pub use error::{Error, OpenError};
pub use extension::CommandHandler;
pub use recover::{Older, Recovery};
pub use request::{Answer, Explanation, Outcome, Release, Request, RequestedWork};
pub use switching::OwedSwitch;

use crate::amount::Asset;
use crate::digest::Digest;
use crate::id::{BackendId, BackendIdentity, CustodianId, KeyId, OrderId, PolicyId, WalletId};
use crate::ledger::{Key, Recovered, Wallet};
use crate::principal::{Principal, SignedStatement, Verb};
use crate::seam::{Checkpoint, DerivationPath, Event, ExtendedPublicKey, PolicyDocument, Position};
use message::{Entry, Message, Progress};
use shared::{Shared, lock};

/// A custodian that runs. Clones are the same custodian.
#[derive(Clone, Debug)]
pub struct Custodian {
    shared: Arc<Shared>,
    _last: Arc<CloseOnDrop>,
}

/// Closes the custodian when its last handle is gone.
#[derive(Debug)]
struct CloseOnDrop(Arc<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        drop(self.0.send(Entry { message: Message::Close, reply: None }, true));
    }
}

/// Who may do what, from the start.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct Genesis {
    /// The first rule set.
    pub policy: PolicyDocument,
    /// The first principals, with their credentials.
    pub principals: Vec<Principal>,
    /// The first assets.
    pub assets: Vec<Asset>,
}

/// Limits and time-outs of a custodian.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it from the default")]
pub struct Config {
    /// Open orders of one requester. Orders that only take rights away, and those that settle
    /// another, may be 16 more.
    pub open_per_requester: usize,
    /// Open orders about one wallet. Orders that only take rights away, and those that settle
    /// another, are not refused for it.
    pub open_per_wallet: usize,
    /// Approvals of one order.
    pub approvals_per_order: usize,
    /// Calls that wait for the sequencer.
    pub queue: usize,
    /// Calls in one backend at once.
    pub backend_calls: usize,
    /// How long a backend may take for one call.
    pub sign_timeout: Duration,
    /// How long the store, the log and the head anchor may take for one call.
    pub store_timeout: Duration,
    /// How long an order lives if its requester does not say: at most 30 days.
    pub order_life: Duration,
    /// Events between two snapshots of the state.
    pub snapshot_interval: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            open_per_requester: 100,
            open_per_wallet: 1_000,
            approvals_per_order: 32,
            queue: 4_096,
            backend_calls: 64,
            sign_timeout: Duration::from_secs(10),
            store_timeout: Duration::from_secs(10),
            order_life: Duration::from_secs(86_400),
            snapshot_interval: 20_000,
        }
    }
}

impl Custodian {
    fn new(shared: Arc<Shared>) -> Self {
        let last = Arc::new(CloseOnDrop(Arc::clone(&shared)));
        Self { shared, _last: last }
    }

    /// Puts a custodian together.
    #[must_use]
    pub fn builder() -> CustodianBuilder {
        CustodianBuilder::default()
    }

    /// The custodian's id: SHA-256 of its genesis event. Keep it in the host's configuration.
    #[must_use]
    pub fn id(&self) -> CustodianId {
        *self.shared.read().ledger.custodian()
    }

    /// The rule set in force.
    #[must_use]
    pub fn policy(&self) -> PolicyId {
        self.shared.read().ledger.policy().id()
    }

    /// The digest that a requester's credential signs for `request`.
    ///
    /// # Errors
    /// Fails if the request cannot be written as a document.
    pub fn submission_digest(&self, request: &Request) -> Result<Digest, Error> {
        let submission = prepare::submission(request)?;
        Ok(crate::principal::submission_signing_digest(&self.id(), submission.digest()))
    }

    /// Takes a request along the flow: decodes, judges, reserves, signs, records, and releases or
    /// says what is missing. The same request id and submission give the same order and answer.
    ///
    /// # Errors
    /// No order changed, or the error names the order to ask for.
    ///
    /// # Cancel safety
    /// Safe: an order that was made goes on without the caller; submit again with the same id.
    pub async fn submit(&self, request: Request) -> Result<Answer, Error> {
        submit::submit(&self.shared, request).await
    }

    /// Adds an approval, signed by the approver's own credential, and judges the order again.
    ///
    /// # Errors
    /// Refuses a statement that does not count; else as for [`Self::submit`].
    ///
    /// # Cancel safety
    /// Safe: the same approval can be given again as long as it counts; [`Self::order`] tells the rest.
    pub async fn approve(&self, approval: SignedStatement) -> Result<Answer, Error> {
        self.statement(approval, Verb::Approve).await
    }

    /// Rejects a pending order for good.
    ///
    /// # Errors
    /// As for [`Self::approve`].
    ///
    /// # Cancel safety
    /// Safe: the same rejection can be given again, as an approval.
    pub async fn reject(&self, rejection: SignedStatement) -> Result<Answer, Error> {
        self.statement(rejection, Verb::Reject).await
    }

    /// Takes the requester's own pending order back.
    ///
    /// # Errors
    /// As for [`Self::approve`].
    ///
    /// # Cancel safety
    /// Safe: the same cancellation can be given again, as an approval.
    pub async fn cancel(&self, cancellation: SignedStatement) -> Result<Answer, Error> {
        self.statement(cancellation, Verb::Cancel).await
    }

    /// Why an open order stands as it does. Changes nothing.
    ///
    /// # Errors
    /// `NotFound` for an order that is not open.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn explain(&self, order: &OrderId) -> Result<Explanation, Error> {
        submit::explain(&self.shared, order).await
    }

    /// What the rules would say about a request. Makes no order.
    ///
    /// # Errors
    /// As for [`Self::submit`].
    pub fn simulate(&self, request: Request) -> Result<Explanation, Error> {
        submit::simulate(&self.shared, request)
    }

    /// Goes on with the orders that a stopped process left reserved, and waits for them.
    ///
    /// # Errors
    /// `ClockJump` if there are some and the clock is not trusted: nobody can tell what has expired.
    /// They stay as they are; call it again once a `confirm_clock` order was done, which holds for
    /// this process. Else as for [`Self::submit`].
    ///
    /// # Cancel safety
    /// Safe: the orders go on without the caller.
    pub async fn resume(&self) -> Result<Vec<Answer>, Error> {
        let Progress::Resumed(orders) = submit::call(&self.shared, Message::Resume, false).await?
        else {
            return Err(Error::Closed);
        };
        let mut answers = Vec::with_capacity(orders.len());
        for order in orders {
            answers.push(submit::wait(&self.shared, &order).await?);
        }
        Ok(answers)
    }

    /// Keys that are off in the ledger, and which their backends have not said to have switched off:
    /// whoever has the backend's own credentials may still sign with them. Empty once all is done.
    #[must_use]
    pub fn owed_switches(&self) -> Vec<OwedSwitch> {
        lock(&self.shared.switches).owed()
    }

    /// The last recovery from an archive; none if there was none.
    #[must_use]
    pub fn recovered(&self) -> Option<Recovered> {
        self.shared.read().ledger.recovered().cloned()
    }

    /// Which spending windows are still exhausted by the last recovery: those of the last hour, day,
    /// week and thirty days.
    #[must_use]
    pub fn exhausted(&self) -> [bool; 4] {
        let now = self.shared.now();
        self.shared.read().ledger.exhausted(now)
    }

    /// How an order stands.
    ///
    /// # Errors
    /// `NotFound` for an order that does not exist.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn order(&self, order: &OrderId) -> Result<Answer, Error> {
        submit::current(&self.shared, order).await
    }

    /// Judges a pending order again, which time or a thaw may have changed, and says how it stands.
    ///
    /// # Errors
    /// As for [`Self::submit`].
    ///
    /// # Cancel safety
    /// Safe: an order that is released goes on without the caller.
    pub async fn judge_again(&self, order: &OrderId) -> Result<Answer, Error> {
        submit::touch(&self.shared, order).await
    }

    /// A wallet.
    #[must_use]
    pub fn wallet(&self, id: &WalletId) -> Option<Wallet> {
        self.shared.read().ledger.wallet(id).cloned()
    }

    /// What a backend was last registered as: under which key-encrypting key, in which token or account
    /// its keys are.
    #[must_use]
    pub fn registered(&self, backend: &BackendId) -> Option<BackendIdentity> {
        self.shared.read().ledger.backend(backend).cloned()
    }

    /// The extended public key of an account of a wallet's seed, at a path of hardened steps such as
    /// `m/84'/0'/0'` (BIP-44, "Account"): what a host needs to watch the account's addresses and to
    /// write its descriptor. Like every other reading it changes nothing and is not logged.
    ///
    /// # Errors
    /// `Request` for a path with no step or an unhardened one: the key above an account would show
    /// all accounts. `NotFound` for a wallet without a seed, `Busy` if the backend has no place,
    /// `Backend` if it fails.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn account_key(
        &self,
        wallet: &WalletId,
        path: &DerivationPath,
    ) -> Result<ExtendedPublicKey, Error> {
        account::account_key(&self.shared, wallet, path).await
    }

    /// A key.
    #[must_use]
    pub fn key(&self, id: &KeyId) -> Option<Key> {
        self.shared.read().ledger.key(id).cloned()
    }

    /// Durable events from `from` on, at most `limit`.
    ///
    /// # Errors
    /// Fails if the store fails.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, Error> {
        Ok(self.shared.store.events(from, limit).await?)
    }

    /// The newest signed head of the log.
    ///
    /// # Errors
    /// Fails if the log fails.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        Ok(self.shared.audit.head().await?)
    }

    /// Wakes its reader whenever events became durable. It says only that there are some, up to a
    /// position; read them with [`Self::events`]. It ends when the custodian has closed.
    pub fn wakeups(&self) -> impl Stream<Item = Position> + use<> {
        let (sender, receiver) = mpsc::channel(1);
        lock(&self.shared.wakeups).iter_mut().for_each(|listeners| listeners.push(sender.clone()));
        receiver
    }

    /// Stops the custodian once everything under way has ended. An outcome that cannot be written
    /// is given up after a while: its order stays reserved, and goes on with [`Self::resume`] after
    /// the custodian was opened again.
    ///
    /// # Errors
    /// Fails if it is closed already.
    ///
    /// # Cancel safety
    /// Safe: the custodian closes without the caller.
    pub async fn close(&self) -> Result<(), Error> {
        submit::call(&self.shared, Message::Close, false).await.map(drop)
    }

    async fn statement(&self, signed: SignedStatement, verb: Verb) -> Result<Answer, Error> {
        if signed.statement.verb != verb {
            return Err(Error::Request { what: "the statement says something else" });
        }
        submit::statement(&self.shared, signed).await
    }
}
