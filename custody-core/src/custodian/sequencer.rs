mod commit;
mod seal;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::channel::mpsc;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};

use super::anchoring::Anchoring;
use super::clock::ClockGuard;
use super::draft::{After, Kept, Turn};
use super::error::Error;
use super::message::{Entry, Message, Progress, Reply};
use super::shared::{Shared, lock};
use crate::crypto::PublicKey;
use crate::id::OrderId;
use crate::ledger::Ledger;
use crate::seam::{Head, Monotonic, PolicyEngine, Position};
use commit::{Committing, Doubt};
use seal::{Sealed, Sealing};

/// Judges, commits and seals. There is one for each custodian, and nothing else writes.
///
/// Three turns are under way at once: one takes entries in, the one before it is being committed,
/// and those before that are being sealed. Nothing follows from a turn, no answer and no job,
/// before it is durable and sealed.
///
/// Invariant: the working state is the published one, then the turn that is being committed, then
/// the open turn. If a commit fails, both turns are undone, and what came in after it is judged
/// again.
#[derive(Debug)]
pub(super) struct Sequencer {
    pub(super) shared: Arc<Shared>,
    pub(super) ledger: Ledger,
    pub(super) engine: Arc<dyn PolicyEngine>,
    pub(super) clock: ClockGuard,
    /// Orders whose job is at work, or starts once the turn that starts it is sealed.
    pub(super) running: BTreeSet<OrderId>,
    /// Orders that an earlier process left reserved: a backend may have been called for them.
    pub(super) resumed: BTreeSet<OrderId>,
    /// Where the state was kept last, in the working state.
    pub(super) snapshot: Kept,
    open: Turn,
    committing: Option<Committing>,
    sealing: Option<Sealing>,
    unsealed: Vec<(After, Option<Entry>)>,
    durable: Durable,
    queues: Queues,
    waiters: BTreeMap<OrderId, Vec<Reply>>,
    retained: Vec<Entry>,
    anchoring: Arc<futures::lock::Mutex<Anchoring>>,
    doubt: Option<Doubt>,
    rotation: Option<PublicKey>,
    closing: Vec<Entry>,
    conflicts: u8,
    /// Since when what is known to have happened could not be written.
    stuck: Option<Monotonic>,
    /// The last seal failed; it is tried again when something else happens.
    rests: bool,
    /// What is durable does not fold: nothing can be believed any more.
    broken: bool,
}

/// How far the durable state has come.
#[derive(Debug)]
struct Durable {
    position: Position,
    sealed: Position,
    snapshot: Kept,
}

/// What the sequencer hears, most urgent first.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) urgent: mpsc::Receiver<Entry>,
    /// What calls that were taken in lead to: jobs that ended, and orders that are hopeless.
    pub(super) finished: mpsc::UnboundedReceiver<Entry>,
    pub(super) normal: mpsc::Receiver<Entry>,
}

impl Queues {
    fn try_next(&mut self) -> Option<Entry> {
        let next = self.urgent.try_recv().ok();
        let next = next.or_else(|| self.finished.try_recv().ok());
        next.or_else(|| self.normal.try_recv().ok())
    }
}

/// What happens next.
enum Happening {
    Written(Option<commit::Answer>),
    Sealed(Option<Sealed>),
    Entry(Box<Entry>),
    Time,
    /// Nobody can call any more.
    Gone,
}

const BATCH_MAX: usize = 256;
const TICK: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(100);

impl Sequencer {
    pub(super) fn new(
        shared: Arc<Shared>,
        queues: Queues,
        anchored: Option<Head>,
        snapshot: Kept,
    ) -> Self {
        let published = shared.snapshot();
        let clock = ClockGuard::new(shared.clock.as_ref(), published.ledger.time());
        let position = published.ledger.position();
        Self {
            open: Turn::new(&published.ledger),
            ledger: Ledger::clone(&published.ledger),
            engine: published.engine,
            clock,
            running: BTreeSet::new(),
            resumed: BTreeSet::new(),
            snapshot: snapshot.clone(),
            committing: None,
            sealing: None,
            unsealed: Vec::new(),
            durable: Durable { position, sealed: position, snapshot },
            queues,
            waiters: BTreeMap::new(),
            retained: Vec::new(),
            anchoring: Arc::new(futures::lock::Mutex::new(Anchoring::new(anchored))),
            doubt: None,
            rotation: None,
            closing: Vec::new(),
            conflicts: 0,
            stuck: None,
            rests: false,
            broken: false,
            shared,
        }
    }

    /// Runs until the custodian is closed and everything under way has ended.
    ///
    /// Under load there is always something that has come, so that it gives way to the other tasks
    /// of its thread after each round: the jobs among them, whose results it waits for.
    pub(super) async fn run(mut self) {
        loop {
            give_way().await;
            match self.next().await {
                Happening::Written(answer) => self.written(answer).await,
                Happening::Sealed(sealed) => self.sealed(sealed),
                Happening::Entry(entry) => self.wake(Some(*entry)).await,
                Happening::Time if self.commit_hangs() => self.doubt_commit(),
                Happening::Time => self.wake(None).await,
                Happening::Gone => return,
            }
            if self.broken {
                return;
            }
            self.go_on();
            if !self.closing.is_empty() && self.is_idle() {
                let closing = std::mem::take(&mut self.closing);
                // Store and log are given back before anybody hears that it is closed.
                drop(self);
                for entry in closing {
                    answer(Some(entry), Ok(Progress::Closed));
                }
                return;
            }
        }
    }

    async fn next(&mut self) -> Happening {
        let waits = self.retained.is_empty() && !self.rests && self.doubt.is_none();
        let pause = if waits { TICK } else { RETRY };
        let deadline = self.shared.clock.monotonic().saturating_add(pause);
        let limit = match &self.committing {
            Some(committing) => Some(committing.deadline),
            None => self.open.kept_until,
        };
        let deadline = limit.map_or(deadline, |limit| deadline.min(limit));
        let mut sleep = self.shared.clock.sleep_until(deadline).fuse();
        let full = self.open.entries.len() >= BATCH_MAX;
        let Self { committing, sealing, queues: Queues { urgent, finished, normal }, .. } = self;
        let written = when(committing.as_mut().map(|committing| &mut committing.answer.0)).fuse();
        let sealed = when(sealing.as_mut().map(|sealing| &mut sealing.answer.0)).fuse();
        let normal = when((!full).then(|| normal.next())).fuse();
        futures::pin_mut!(written, sealed, normal);
        futures::select_biased! {
            answer = written => Happening::Written(answer),
            answer = sealed => Happening::Sealed(answer),
            entry = urgent.select_next_some() => Happening::Entry(Box::new(entry)),
            entry = finished.select_next_some() => Happening::Entry(Box::new(entry)),
            entry = normal => match entry {
                Some(entry) => Happening::Entry(Box::new(entry)),
                None => Happening::Gone,
            },
            () = sleep => Happening::Time,
        }
    }

    /// Takes what has come, and what has to be tried again.
    async fn wake(&mut self, first: Option<Entry>) {
        self.rests = false;
        if !self.is_sure().await {
            // All that waits, or each would wait for a look at the store of its own.
            let waiting = std::iter::from_fn(|| self.queues.try_next());
            let waiting: Vec<_> = waiting.take(self.shared.config.queue).collect();
            let refused = std::mem::take(&mut self.retained).into_iter().chain(first);
            let refused = refused.chain(waiting);
            let (closing, refused): (Vec<_>, Vec<_>) =
                refused.partition(|entry| matches!(entry.message, Message::Close));
            self.closing.extend(closing);
            return self.refuse(refused);
        }
        let timed = first.is_none();
        for entry in std::mem::take(&mut self.retained).into_iter().chain(first) {
            self.take(entry);
        }
        while self.open.entries.len() < BATCH_MAX
            && let Some(entry) = self.queues.try_next()
        {
            self.take(entry);
        }
        self.open.is_due |= timed;
    }

    /// Takes one entry in. Once the custodian closes, new calls are refused and only what is under
    /// way goes on.
    fn take(&mut self, entry: Entry) {
        match entry.message {
            Message::Close => self.closing.push(entry),
            Message::Switched => {}
            Message::Submit(_) | Message::Statement(_) | Message::Resume
                if !self.closing.is_empty() =>
            {
                answer(Some(entry), Err(Error::Closed));
            }
            Message::Deny(_)
            | Message::Finished(_)
            | Message::Resume
            | Message::Statement(_)
            | Message::Submit(_)
            | Message::Touch(_)
            | Message::Wait(_) => self.fold(entry),
        }
    }

    /// Starts what can start: one commit and one seal at a time.
    fn go_on(&mut self) {
        let can_commit = self.committing.is_none() && self.doubt.is_none();
        if can_commit && self.open.is_due && self.is_ripe() {
            self.close_turn();
        }
        if self.sealing.is_none() && !self.unsealed.is_empty() && !self.rests {
            self.start_seal();
        }
        if self.closing.is_empty() {
            self.switch_off();
        }
    }

    /// Whether nothing is under way. What cannot be sealed, and outcomes that cannot be written, do
    /// not keep a custodian from closing.
    fn is_idle(&self) -> bool {
        let doubted = self.doubt.iter().flat_map(Doubt::after);
        let starts = self.unsealed.iter().map(|(after, _)| after);
        let starts = starts.chain(self.is_stuck().then_some(doubted).into_iter().flatten());
        let starts = starts.filter(|after| matches!(after, After::Start(..))).count();
        let has_ended = |id: &&OrderId| self.has_ended(id);
        let is_stuck = self.is_stuck();
        let given_up = if is_stuck { self.running.iter().filter(has_ended).count() } else { 0 };
        self.committing.is_none()
            && self.sealing.is_none()
            && !self.is_switching()
            && self.open.entries.is_empty()
            && (self.unsealed.is_empty() || self.rests)
            && self.running.len() == starts.saturating_add(given_up)
    }

    /// Whether the job of a running order has begun and not ended: one that waits for its turn to be
    /// sealed asks nobody, nor does one whose outcome waits to be written.
    pub(super) fn is_at_work(&self, id: &OrderId) -> bool {
        let mut waiting = self.unsealed.iter();
        let waits =
            waiting.any(|(after, _)| matches!(after, After::Start(order, _) if order == id));
        !waits && !self.has_ended(id)
    }

    fn has_ended(&self, id: &OrderId) -> bool {
        let mut retained = self.retained.iter();
        retained.any(|entry| matches!(&entry.message, Message::Finished(f) if f.order == *id))
    }

    /// Whether what happened could not be written for as long as a call of the store may take.
    fn is_stuck(&self) -> bool {
        let now = self.shared.clock.monotonic();
        let limit = self.shared.config.store_timeout;
        self.stuck.is_some_and(|since| now.saturating_sub(since) >= limit)
    }

    /// Answers every caller with an error; what jobs brought back is kept for a later turn.
    fn fail(&mut self, entries: Vec<Option<Entry>>, error: impl Fn() -> Error) {
        let retained = self.retained.len();
        for entry in entries.into_iter().flatten() {
            if let Message::Finished(finished) = &entry.message {
                // What was started early and undone is nobody's any more.
                let is_ours = self.running.contains(&finished.order);
                for waiter in self.waiters.remove(&finished.order).into_iter().flatten() {
                    let order = Some(finished.order.clone());
                    drop(waiter.send(Err(Error::Unavailable { order })));
                }
                if is_ours {
                    self.retained.push(entry);
                }
            } else {
                let named = match (&entry.message, error()) {
                    (Message::Submit(prepared), Error::Indeterminate { .. }) => {
                        Error::Indeterminate { order: Some(prepared.document.order.clone()) }
                    }
                    (Message::Statement(signed), Error::Indeterminate { .. }) => {
                        Error::Indeterminate { order: Some(signed.statement.order.clone()) }
                    }
                    (_, error) => error,
                };
                answer(Some(entry), Err(named));
            }
        }
        if self.retained.len() > retained {
            self.stuck.get_or_insert_with(|| self.shared.clock.monotonic());
        }
    }

    fn refuse(&mut self, entries: Vec<Entry>) {
        let entries = entries.into_iter().map(Some).collect();
        self.fail(entries, || Error::Unavailable { order: None });
    }
}

/// Is ready when it is polled again, which it asks for at once.
async fn give_way() {
    let mut has_given_way = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_given_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Whoever waits to be woken hears that nothing more will come.
impl Drop for Sequencer {
    fn drop(&mut self) {
        *lock(&self.shared.wakeups) = None;
    }
}

/// A call that goes on while other things happen; nothing comes of one that panicked.
pub(super) struct UnderWay<T>(BoxFuture<'static, Option<T>>);

impl<T: 'static> UnderWay<T> {
    fn new(call: impl Future<Output = T> + Send + 'static) -> Self {
        Self(AssertUnwindSafe(call).catch_unwind().map(Result::ok).boxed())
    }
}

impl<T> fmt::Debug for UnderWay<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnderWay")
    }
}

/// What is under way, once it has ended; never if nothing is.
async fn when<T>(under_way: Option<impl Future<Output = T>>) -> T {
    match under_way {
        Some(under_way) => under_way.await,
        None => std::future::pending().await,
    }
}

fn answer(entry: Option<Entry>, progress: Result<Progress, Error>) {
    if let Some(reply) = entry.and_then(|entry| entry.reply) {
        drop(reply.send(progress));
    }
}
