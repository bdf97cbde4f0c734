//! One oracle for every test of a whole custodian: replays its log in full, counts naively what
//! must never happen twice or too much, and holds the log against what callers were given.
//!
//! Invariant: nothing is taken from the custodian under test but its events, its documents and its
//! answers; the sums, the tree, who may approve, what is frozen, how keys stand and the story of
//! each order are counted anew.

mod breach;
mod charged;
mod follow;
mod given;
mod history;
mod spent;
mod tree;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use breach::{Breach, Invariant};
pub use given::{Given, Heard};
pub use history::{End, Promises};

use custody_core::command::FreezeScope;
use custody_core::crypto::PublicKey;
use custody_core::digest::Digest;
use custody_core::document::{Conclusion, EventBody, EventDocument};
use custody_core::id::{CustodianId, KeyId, OrderId};
use custody_core::key::KeyState;
use custody_core::ledger::Ledger;
use custody_core::replay::{Depth, Documents, Replay, ReplayError, Report};
use custody_core::seam::{Decoder, PolicyCompiler, Position};

use history::History;
use tree::Tree;

/// What the log of one custodian says, as far as it was read, and what its callers were given.
///
/// # Examples
/// ```no_run
/// # async fn example(
/// #     custodian: custody_core::id::CustodianId,
/// #     compiler: std::sync::Arc<dyn custody_core::seam::PolicyCompiler>,
/// #     decoders: Vec<std::sync::Arc<dyn custody_core::seam::Decoder>>,
/// #     store: &dyn custody_core::seam::Store,
/// #     given: &[custody_testkit::oracle::Given],
/// # ) -> Result<(), custody_testkit::oracle::Breach> {
/// use custody_testkit::oracle::{Oracle, Promises};
///
/// let mut oracle = Oracle::new(custodian, compiler, decoders, Promises::default());
/// oracle.follow(store).await?;
/// oracle.hear(given)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Oracle {
    replay: Replay,
    tree: Tree,
    history: History,
    /// Every key that signed heads so far.
    log_keys: Vec<PublicKey>,
    /// SHA-256 of the signed payloads that were handed out.
    signed: BTreeMap<OrderId, Option<Digest>>,
    /// What was answered as frozen, with no thaw asked for since.
    frozen: Vec<FreezeScope>,
}

impl Oracle {
    /// Knows nothing but what the rules of the house promise.
    #[must_use]
    pub fn new(
        custodian: CustodianId,
        compiler: Arc<dyn PolicyCompiler>,
        decoders: Vec<Arc<dyn Decoder>>,
        promises: Promises,
    ) -> Self {
        Self {
            replay: Replay::new(custodian, Depth::Full, Some(compiler), decoders),
            tree: Tree::default(),
            history: History::new(custodian, promises),
            log_keys: Vec::new(),
            signed: BTreeMap::new(),
            frozen: Vec::new(),
        }
    }

    /// Takes the next event of the log.
    ///
    /// # Errors
    /// Names the invariant that it breaks; the oracle is of no use after that.
    pub fn event(&mut self, bytes: &[u8], documents: &dyn Documents) -> Result<(), Breach> {
        let index = self.tree.size();
        let event = EventDocument::read(bytes)
            .map_err(|error| Invariant::Replay.broken(format!("event {index}: {error}")))?;
        let moved = self.keys_of(&event.event);
        let before: Vec<_> = moved.iter().map(|key| self.key_state(key)).collect();
        self.check_restored(&event.event)?;
        self.replay.event(bytes, documents).map_err(|error| not_replayed(index, &error))?;
        self.tree.append(bytes);
        self.history.event(index, &event, documents)?;
        for (key, before) in moved.iter().zip(before) {
            legal(key, before, self.key_state(key))?;
        }
        self.note_log_key();
        Ok(())
    }

    /// Takes what callers were given, in the order in which they were given it. All events that
    /// were durable when it was given must have been taken before.
    ///
    /// # Errors
    /// Names what was given and does not hold.
    pub fn hear(&mut self, given: &[Given]) -> Result<(), Breach> {
        for given in given {
            self.hear_one(given)?;
        }
        self.frozen.iter().try_for_each(|scope| self.still_frozen(scope))
    }

    /// As [`Self::hear`], of answers that were given after the last event that was taken: an order
    /// that has ended does not wait any more.
    ///
    /// One that is reserved may still be told as waiting, with nothing missing: its job may be at
    /// work, and what a stopped process left waits for `resume` (SECURITY.md, "A disk that fails").
    /// That none is left in the end is for [`Self::settled`] to say.
    ///
    /// # Errors
    /// Names what was given and does not hold.
    pub fn hear_now(&mut self, given: &[Given]) -> Result<(), Breach> {
        self.hear(given)?;
        given.iter().try_for_each(|given| self.still_waits(given))
    }

    /// Whether everything that was allowed has come to an end, be it an unknown one. Ask once the
    /// custodian has gone on with whatever was left, and its log was read to the last event.
    ///
    /// # Errors
    /// Names an order that is reserved.
    pub fn settled(&self) -> Result<(), Breach> {
        self.history.settled()
    }

    /// What was checked so far.
    #[must_use]
    pub const fn report(&self) -> &Report {
        self.replay.report()
    }

    /// How many events were taken.
    #[must_use]
    pub const fn position(&self) -> Position {
        Position::new(self.tree.size())
    }

    /// The state after the last event; none before the genesis event.
    #[must_use]
    pub const fn ledger(&self) -> Option<&Ledger> {
        self.replay.state()
    }

    /// Gives the state away.
    #[must_use]
    pub fn into_ledger(self) -> Option<Ledger> {
        self.replay.into_state()
    }

    /// How an order ended; none if it is open or unknown here.
    #[must_use]
    pub fn end(&self, order: &OrderId) -> Option<&End> {
        self.history.order(order)?.end.as_ref()
    }

    /// The orders that were submitted so far.
    pub fn orders(&self) -> impl Iterator<Item = &OrderId> {
        self.history.orders()
    }

    fn key_state(&self, key: &KeyId) -> Option<KeyState> {
        Some(self.ledger()?.key(key)?.state())
    }

    /// The keys whose state an event may change, or that it says have signed.
    fn keys_of(&self, event: &EventBody) -> Vec<KeyId> {
        if let EventBody::KeyDestroyed(key) = event {
            return vec![key.clone()];
        }
        let EventBody::OrderConcluded(concluded) = event else { return Vec::new() };
        let command = self.history.order(&concluded.order).and_then(|order| order.command.as_ref());
        match (&concluded.outcome, command) {
            (Conclusion::Executed { .. }, Some(command)) => {
                command.key().into_iter().cloned().collect()
            }
            (Conclusion::Unknown { suspends, .. }, _) => suspends.iter().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// A recovery names the head over all events before it.
    fn check_restored(&self, event: &EventBody) -> Result<(), Breach> {
        let EventBody::Recovered(recovered) = event else { return Ok(()) };
        let restored = recovered.restored;
        let is_own = restored.size.value() == self.tree.size()
            && Some(restored.root) == self.tree.root(self.tree.size());
        let told = || format!("a recovery names a head over {} events", restored.size);
        if is_own { Ok(()) } else { Err(Invariant::Log.broken(told())) }
    }

    fn note_log_key(&mut self) {
        let Some(key) = self.replay.state().map(Ledger::log_key) else { return };
        if self.log_keys.last() != Some(key) {
            self.log_keys.push(key.clone());
        }
    }
}

/// The moves of NIST SP 800-57 part 1 revision 5, section 7, written down a second time.
fn legal(key: &KeyId, before: Option<KeyState>, after: Option<KeyState>) -> Result<(), Breach> {
    use KeyState::{Active, Compromised, Deactivated, Destroyed, PreActivation, Suspended};
    let legal = before == after
        || matches!(
            (before, after),
            (None, Some(PreActivation | Active))
                | (Some(PreActivation), Some(Active | Compromised | Destroyed))
                | (Some(Active), Some(Suspended | Deactivated | Compromised))
                | (Some(Suspended), Some(Active | Deactivated | Compromised))
                | (Some(Deactivated), Some(Compromised | Destroyed))
                | (Some(Compromised), Some(Destroyed))
        );
    let told = || format!("key {key} went from {before:?} to {after:?}");
    if legal { Ok(()) } else { Err(Invariant::Keys.broken(told())) }
}

fn not_replayed(index: u64, error: &ReplayError) -> Breach {
    let signature = matches!(error, ReplayError::Signature { .. });
    let invariant = if signature { Invariant::Signatures } else { Invariant::Replay };
    invariant.broken(format!("event {index} does not replay: {error:?}"))
}
