use async_lock::Semaphore;
use futures::channel::mpsc;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::task::{Context, Poll, Waker};

use super::Config;
use super::error::Error;
use super::extension::CommandHandler;
use super::limits::Limit;
use super::message::Entry;
use super::switching::Switches;
use crate::caip::ChainId;
use crate::command::{Command, FreezeScope};
use crate::crypto::PublicKey;
use crate::digest::Digest;
use crate::document::{OrderDocument, SubmissionDocument, Work};
use crate::id::{
    BackendId, ExtensionName, KeyId, OrderId, PayloadFormat, PrincipalId, RequestId, WalletId,
};
use crate::ledger::Ledger;
use crate::seam::{
    AuditLog, Clock, DecodeContext, Decoder, Entropy, HeadAnchor, Intent, KeyBackend, Payload,
    PolicyCompiler, PolicyEngine, Position, Signer, Spawner, Store,
};
use crate::time::Timestamp;

use super::record::document_key;

/// What every part of a custodian shares.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) store: Arc<dyn Store>,
    /// The store without a limit of time, for commits: one that hangs is waited for all the same.
    pub(crate) commits: Arc<dyn Store>,
    pub(crate) audit: Arc<dyn AuditLog>,
    pub(crate) anchor: Option<Arc<dyn HeadAnchor>>,
    /// How long a backend may take.
    pub(crate) calls: Limit,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) spawner: Arc<dyn Spawner>,
    pub(crate) compiler: Arc<dyn PolicyCompiler>,
    pub(crate) decoders: Vec<Arc<dyn Decoder>>,
    pub(crate) backends: BTreeMap<BackendId, Backend>,
    pub(crate) extensions: BTreeMap<ExtensionName, Arc<dyn CommandHandler>>,
    pub(crate) published: RwLock<Published>,
    pub(crate) holds: RwLock<Holds>,
    pub(crate) doubted: AtomicU64,
    /// How many events are durable, under a signed head, and anchored if there is an anchor.
    pub(crate) sealed: AtomicU64,
    pub(crate) signers: Mutex<OpenSigners>,
    /// Keys that the log can be rotated to, of those that it was asked for since the start.
    pub(crate) log_signers: Mutex<Vec<PublicKey>>,
    pub(crate) switches: Mutex<Switches>,
    pub(crate) queue: Mutex<mpsc::Sender<Entry>>,
    pub(crate) urgent: Mutex<mpsc::Sender<Entry>>,
    pub(crate) finished: mpsc::UnboundedSender<Entry>,
    /// Who is told of durable events; nobody once the custodian has closed.
    pub(crate) wakeups: Mutex<Option<Vec<mpsc::Sender<Position>>>>,
    pub(crate) recent: Recent,
}

/// Which requests came in lately: a hint that a request may have been made before, so that only
/// then the store is asked before the turn. Fingerprints may collide; they decide nothing.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    keys: RandomState,
    kept: Mutex<(HashSet<u64>, VecDeque<u64>)>,
}

impl Recent {
    fn contains(&self, request: &(&PrincipalId, &RequestId)) -> bool {
        lock(&self.kept).0.contains(&self.keys.hash_one(request))
    }

    /// Whether a request came in before; remembers it.
    fn insert(&self, request: &(&PrincipalId, &RequestId)) -> bool {
        const KEPT: usize = 65_536;
        let fingerprint = self.keys.hash_one(request);
        let (seen, order) = &mut *lock(&self.kept);
        if !seen.insert(fingerprint) {
            return true;
        }
        order.push_back(fingerprint);
        if order.len() > KEPT
            && let Some(oldest) = order.pop_front()
        {
            seen.remove(&oldest);
        }
        false
    }
}

/// Opened signers by key, with the handle they were opened with.
pub(crate) type OpenSigners = HashMap<KeyId, (Digest, Arc<dyn Signer>)>;

/// A backend and how many calls may be in it at once.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) backend: Arc<dyn KeyBackend>,
    pub(crate) permits: Semaphore,
    /// One call at a time that switches a key.
    pub(crate) switching: Semaphore,
}

/// The durable state as callers see it, with the engine of the rule set in force. Copies share the
/// state until it changes.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) engine: Arc<dyn PolicyEngine>,
}

/// What holds before it is durable: only what takes rights away. It follows from the turns that are
/// not durable yet and may become it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Holds {
    house: bool,
    wallets: BTreeSet<WalletId>,
    keys: BTreeSet<KeyId>,
    people: BTreeSet<PrincipalId>,
}

impl Holds {
    pub(crate) fn add(&mut self, command: &Command) {
        if let Command::Freeze { scope } = command {
            match scope {
                FreezeScope::House => self.house = true,
                FreezeScope::Wallet(id) => drop(self.wallets.insert(id.clone())),
            }
        }
        if let Command::SuspendKey { key } | Command::CompromiseKey { key } = command {
            self.keys.insert(key.clone());
        }
        if let Command::RemovePrincipal { principal } = command {
            self.people.insert(principal.clone());
        }
    }

    /// Whether an order is being stopped right now. Like one that is durable, a freeze stops no
    /// command.
    pub(crate) fn stops(&self, order: &OrderDocument) -> bool {
        if matches!(order.work, Work::Command(_)) {
            return false;
        }
        self.stops_wallet(order) || order.tasks.iter().any(|task| self.keys.contains(&task.key))
    }

    /// Whether the order's wallet is being frozen right now.
    pub(crate) fn stops_wallet(&self, order: &OrderDocument) -> bool {
        self.house || order.wallet.as_ref().is_some_and(|wallet| self.wallets.contains(wallet))
    }

    /// Whether the key is being suspended or compromised right now.
    pub(crate) fn stops_key(&self, key: &KeyId) -> bool {
        self.keys.contains(key)
    }

    pub(crate) fn has_removed(&self, principal: &PrincipalId) -> bool {
        self.people.contains(principal)
    }
}

impl Shared {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Published> {
        self.published.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The durable state as it is now: whoever looks at it for long keeps nobody from changing it.
    pub(crate) fn snapshot(&self) -> Published {
        self.read().clone()
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Published> {
        self.published.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn holds(&self) -> RwLockReadGuard<'_, Holds> {
        self.holds.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn holds_mut(&self) -> RwLockWriteGuard<'_, Holds> {
        self.holds.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request with this id came in lately; remembers it.
    pub(crate) fn is_recent(&self, submission: &SubmissionDocument) -> bool {
        self.recent.insert(&(&submission.requester, &submission.request))
    }

    /// Whether a request with this id came in lately; remembers nothing.
    pub(crate) fn was_recent(&self, requester: &PrincipalId, request: &RequestId) -> bool {
        self.recent.contains(&(requester, request))
    }

    /// Ledger time as far as callers know it: what the sequencer made of it last while the clock is
    /// not trusted.
    pub(crate) fn now(&self) -> Timestamp {
        let last = self.read().ledger.time();
        match self.doubted.load(Ordering::Acquire) {
            0 => self.clock.now().max(last),
            time => Timestamp::from_millis(time).max(last),
        }
    }

    /// While the clock is not trusted, the time that is gone by; none once it is trusted again.
    pub(crate) fn set_doubted(&self, time: Option<Timestamp>) {
        self.doubted.store(time.map_or(0, Timestamp::as_millis), Ordering::Release);
    }

    /// Whether an event is sealed: what only the log has a head over may not be anchored yet.
    pub(crate) fn is_sealed(&self, index: Position) -> bool {
        index.value() < self.sealed.load(Ordering::Acquire)
    }

    pub(crate) fn set_sealed(&self, through: Position) {
        self.sealed.store(through.value(), Ordering::Release);
    }

    pub(crate) fn decoder(
        &self,
        format: &PayloadFormat,
        chain: &ChainId,
    ) -> Result<&Arc<dyn Decoder>, Error> {
        self.decoders
            .iter()
            .find(|decoder| decoder.reads(format, chain))
            .ok_or(Error::Decoder { what: "no decoder reads this format on this chain" })
    }

    /// Decodes under `catch_unwind` and checks what a decoder promises.
    pub(crate) fn decode(
        &self,
        decoder: &dyn Decoder,
        payload: &Payload,
        context: &DecodeContext,
    ) -> Result<Intent, Error> {
        const MANY: usize = 1_024;
        let intent = catch_unwind(AssertUnwindSafe(|| decoder.decode(payload, context)))
            .map_err(|_| Error::Decoder { what: "the decoder panicked" })??;
        let broken = |what| Err(Error::Decoder { what });
        if intent.chain != context.chain {
            return broken("the payload is for another chain than the wallet");
        }
        if intent.effects.is_empty() || intent.effects.len() > MANY {
            return broken("an intent has 1 to 1,024 effects");
        }
        if intent.effects.iter().any(|effect| effect.action().is_governance()) {
            return broken("a payload has no governance effects");
        }
        if intent.tasks.is_empty() || intent.tasks.len() > MANY {
            return broken("an intent has 1 to 1,024 tasks");
        }
        let known = |key: &KeyId| context.accounts.iter().any(|account| account.key == *key);
        if !intent.tasks.iter().all(|task| known(&task.key)) {
            return broken("a task is for a key outside the wallet");
        }
        Ok(intent)
    }

    /// Reads a document and checks it against its digest.
    pub(crate) async fn document(&self, owner: &str, sha256: &Digest) -> Result<Vec<u8>, Error> {
        let record = self.store.get(&document_key(owner, sha256)?).await?;
        let bytes = record.ok_or(Error::NotFound { what: "document" })?.value;
        if Digest::of(&bytes) == *sha256 {
            Ok(bytes)
        } else {
            Err(Error::Request { what: "a stored document contradicts its digest" })
        }
    }

    /// A new order id: UUIDv7 (RFC 9562, section 5.7), so that ids sort by time.
    pub(crate) fn new_order_id(&self, now: Timestamp) -> Result<OrderId, Error> {
        let mut random = [0; 10];
        self.entropy.fill(&mut random)?;
        let id = uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &random).into_uuid();
        Ok(OrderId::parse(&id.hyphenated().to_string())?)
    }

    /// Fails if [`Self::send`] would fail now: asked before work is done for a call, which is still
    /// decided upon when it is sent.
    pub(crate) fn has_place(&self, urgent: bool) -> Result<(), Error> {
        let queue = if urgent { &self.urgent } else { &self.queue };
        match lock(queue).poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(_)) => Err(Error::Closed),
            Poll::Pending => Err(FULL),
        }
    }

    pub(crate) fn send(&self, entry: Entry, urgent: bool) -> Result<(), Error> {
        let queue = if urgent { &self.urgent } else { &self.queue };
        lock(queue)
            .try_send(entry)
            .map_err(|error| if error.is_full() { FULL } else { Error::Closed })
    }

    pub(crate) fn wake(&self, position: Position) {
        lock(&self.wakeups).iter_mut().for_each(|listeners| {
            listeners.retain_mut(|listener| {
                listener.try_send(position).map_or_else(|error| error.is_full(), |()| true)
            });
        });
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

const FULL: Error = Error::Busy { what: "the queue is full" };

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
