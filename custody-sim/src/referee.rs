//! The referee: it sees every durable batch, every signed head, every use of a key and every
//! answer, holds them against each other, and hands events and answers to the one oracle of all
//! tests.
//!
//! Invariant: nothing here asks the custodian, and the checks count naively what the ledger counts
//! cleverly.

mod answers;
mod calls;
mod heads;
mod oracle;
mod story;
mod told;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use custody_core::crypto::{PublicKey, Signature};
use custody_core::digest::Digest;
use custody_core::document::{EventBody, EventDocument};
use custody_core::id::{CustodianId, KeyId, OrderId};
use custody_core::order::OrderState;
use custody_core::replay::Report;
use custody_core::seam::{Batch, Head};

use crate::disk::Content;
use crate::house::short;
use crate::trace::Trace;
use answers::Answers;
pub(crate) use answers::Asked;
use calls::Calls;
pub(crate) use calls::Reader;
use heads::Heads;
pub(crate) use heads::ORIGIN;
use oracle::WorldOracle;
use story::Story;
pub(crate) use story::Tale;

/// What must never happen has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Which invariant is broken.
    pub invariant: &'static str,
    /// How.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

/// Watches a world over all its lives. Clones are one referee.
#[derive(Clone)]
pub(crate) struct Referee {
    state: Arc<Mutex<State>>,
    trace: Trace,
}

struct State {
    violation: Option<Violation>,
    /// The vault may sign before a reservation is durable, and what it signs come to nothing.
    in_process: bool,
    life: u64,
    stamp: u64,
    custodian: Option<CustodianId>,
    oracle: WorldOracle,
    documents: BTreeMap<Digest, Vec<u8>>,
    story: Story,
    heads: Heads,
    answers: Answers,
    calls: Calls,
    made: BTreeMap<(KeyId, Digest), Made>,
}

/// A signature that the vault has made.
#[derive(Debug, Default)]
struct Made {
    signature: Option<Signature>,
    /// In which life it was asked for last, and how often it was made in it.
    life: u64,
    asked: u64,
    times: u64,
    /// It may still be made.
    is_asked: bool,
}

type Check = Result<(), Violation>;

fn broken<T>(invariant: &'static str, detail: impl fmt::Display) -> Result<T, Violation> {
    Err(Violation { invariant, detail: detail.to_string() })
}

impl Referee {
    pub(crate) fn new(
        trace: Trace,
        log_keys: Vec<PublicKey>,
        has_anchor: bool,
        in_process: bool,
    ) -> Self {
        let state = State {
            violation: None,
            in_process,
            life: 0,
            stamp: 0,
            custodian: None,
            oracle: WorldOracle::default(),
            documents: BTreeMap::new(),
            story: Story::new(),
            heads: Heads::new(log_keys, has_anchor),
            answers: Answers::default(),
            calls: Calls::default(),
            made: BTreeMap::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), trace }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What is wrong, if something is.
    pub(crate) fn violation(&self) -> Option<Violation> {
        self.state().violation.clone()
    }

    /// Something that never may be is so.
    pub(crate) fn object(&self, invariant: &'static str, detail: impl fmt::Display) {
        self.note(broken(invariant, detail));
    }

    /// Another life of the custodian begins.
    pub(crate) fn new_life(&self) {
        let mut state = self.state();
        state.life += 1;
        state.calls = Calls::default();
    }

    /// A moment, to tell later what came before what.
    pub(crate) fn stamp(&self) -> u64 {
        let mut state = self.state();
        state.stamp += 1;
        state.stamp
    }

    /// A batch is about to become durable after so many events.
    pub(crate) fn durable(&self, expected: u64, batch: &Batch) {
        let checked = self.state().durable(expected, batch, &self.trace);
        self.note(checked);
    }

    /// The disk holds this now: batches that nobody had a head over are lost, or a sabotaged part
    /// let an older copy in.
    pub(crate) fn rewound(&self, content: &Content) {
        let checked = self.state().rewound(content);
        self.note(checked);
    }

    /// The disk was lost, and holds an older copy now: what came after it is no more.
    pub(crate) fn restored(&self, content: &Content) {
        let checked = self.state().restored(content);
        self.note(checked);
    }

    /// The log's signer was asked to sign a head.
    pub(crate) fn head_signed(&self, size: u64, root: Digest) {
        self.trace.note(format_args!("log: head over {size} events"));
        let checked = self.state().heads.signed(size, root);
        self.note(checked);
    }

    /// The anchor moves.
    pub(crate) fn anchored(&self, old: Option<Head>, new: Head) {
        self.trace.note(format_args!("anchor: {} events", new.size));
        let checked = self.state().heads.anchored(old, new);
        self.note(checked);
    }

    /// The anchor stands here now, whatever it said before.
    pub(crate) fn anchor_is(&self, size: u64) {
        self.state().heads.anchor_is(size);
    }

    /// How many events the largest signed head covers.
    pub(crate) fn signed_size(&self) -> u64 {
        self.state().heads.size()
    }

    /// The custodian asks a key to sign.
    pub(crate) fn asked_to_sign(&self, key: &KeyId, input: Digest) {
        let checked = self.state().asked_to_sign(key, input);
        self.note(checked);
    }

    /// A key has signed.
    pub(crate) fn signed(&self, key: &KeyId, input: Digest, signature: &Signature) {
        let checked = self.state().signed(key, input, signature);
        self.note(checked);
    }

    /// A key has done what it was asked for, or will not do it.
    pub(crate) fn answered_by_key(&self, key: &KeyId, input: Digest) {
        if let Some(made) = self.state().made.get_mut(&(key.clone(), input)) {
            made.is_asked = false;
        }
    }

    /// The signatures that were made for an order, one for each task; none for a task whose key
    /// has not signed. Nobody can say as long as a key may still sign.
    pub(crate) fn made_for(&self, order: &OrderId) -> Option<Vec<(KeyId, Option<Signature>)>> {
        let state = self.state();
        let tale = state.story.tale(order)?;
        let life = state.life;
        let may_sign = |made: &Made| made.is_asked && made.life == life;
        let mut tasks = tale.document.tasks.iter();
        if tasks.any(|task| {
            state.made.get(&(task.key.clone(), task.input_sha256)).is_some_and(may_sign)
        }) {
            return None;
        }
        let made = |key: &KeyId, input| state.made.get(&(key.clone(), input));
        let signature =
            |key: &KeyId, input| made(key, input).and_then(|made| made.signature.clone());
        let tasks = tale.document.tasks.iter();
        let made = tasks.map(|task| (task.key.clone(), signature(&task.key, task.input_sha256)));
        Some(made.collect())
    }

    /// What a replay of all events has counted.
    pub(crate) fn report(&self) -> Report {
        self.state().oracle.report()
    }

    fn note(&self, checked: Check) {
        if let Err(violation) = checked {
            self.trace.note(format_args!("VIOLATION: {violation}"));
            self.state().violation.get_or_insert(violation);
        }
    }
}

impl State {
    fn durable(&mut self, expected: u64, batch: &Batch, trace: &Trace) -> Check {
        for record in batch.inserts.iter().chain(&batch.puts) {
            if record.key.as_str().starts_with("document/") {
                self.documents.insert(Digest::of(&record.value), record.value.clone());
            }
        }
        for (index, bytes) in (expected..).zip(&batch.events) {
            let event = self.event(index, bytes, Some(trace))?;
            if let EventBody::KeyDestroyed(key) = &event.event {
                check_destroyed(key, batch)?;
            }
        }
        Ok(())
    }

    fn event(
        &mut self,
        index: u64,
        bytes: &[u8],
        trace: Option<&Trace>,
    ) -> Result<EventDocument, Violation> {
        let Ok(event) = EventDocument::read(bytes) else {
            return broken("events can be read", format_args!("event {index}"));
        };
        if let Some(trace) = trace {
            trace.note(format_args!("event {index}: {}", story::in_words(&event.event)));
            trace.count(story::kind(&event.event));
        }
        let custodian = *self.custodian.get_or_insert_with(|| CustodianId::new(Digest::of(bytes)));
        self.heads.event(bytes);
        self.story.event(index, &event, &self.documents)?;
        self.story.check_keys(&event, self.in_process, |key, input| {
            self.made.get(&(key.clone(), input)).and_then(|made| made.signature.clone())
        })?;
        self.oracle.event(custodian, index, bytes, &self.documents)?;
        Ok(event)
    }

    fn rewound(&mut self, content: &Content) -> Check {
        self.begin_anew(content)?;
        self.answers.still_hold(&self.story)?;
        self.oracle.still_holds()
    }

    fn restored(&mut self, content: &Content) -> Check {
        self.begin_anew(content)?;
        self.answers.forget(&self.story);
        self.oracle.forget_lost();
        let story = &self.story;
        self.made.retain(|(key, input), _| story.order_of(key, input).is_some());
        Ok(())
    }

    fn begin_anew(&mut self, content: &Content) -> Check {
        self.story = Story::new();
        self.oracle.begin_anew();
        self.documents.clear();
        self.heads.rewind(content.events.len() as u64);
        for (key, value) in &content.records {
            if key.as_str().starts_with("document/") {
                self.documents.insert(Digest::of(value), value.clone());
            }
        }
        for (index, bytes) in (0..).zip(&content.events) {
            self.event(index, bytes, None)?;
        }
        Ok(())
    }

    /// A key is used only for an order whose reservation is durable, sealed and anchored, that
    /// nothing stops, and at most once in a life.
    fn asked_to_sign(&mut self, key: &KeyId, input: Digest) -> Check {
        const RULE: &str = "a key is used only after a durable and sealed reservation";
        let Some((id, tale)) = self.story.order_of(key, &input) else {
            if self.in_process {
                return Ok(());
            }
            return broken(RULE, format_args!("{key} is asked for bytes of no order"));
        };
        let name = short(id);
        if self.in_process {
            let made = self.made.entry((key.clone(), input)).or_default();
            (made.is_asked, made.life) = (true, self.life);
            return Ok(());
        }
        if tale.state != OrderState::Reserved {
            return broken(RULE, format_args!("{name} is {}", tale.state));
        }
        if tale.decided.is_none_or(|index| !self.heads.covers(index)) {
            return broken(RULE, format_args!("the reservation of {name} is not sealed"));
        }
        if let Some(stop) = self.story.stops(tale) {
            return broken(
                "what stops an order stops it before a key is used",
                format_args!("{name}: {stop}"),
            );
        }
        let life = self.life;
        let made = self.made.entry((key.clone(), input)).or_default();
        if made.life != life {
            (made.life, made.asked, made.times) = (life, 0, 0);
        }
        made.asked += 1;
        made.is_asked = true;
        if made.asked > 1 {
            return broken(
                "one order is signed once",
                format_args!("{key} is asked twice in one life for {name}"),
            );
        }
        Ok(())
    }

    fn signed(&mut self, key: &KeyId, input: Digest, signature: &Signature) -> Check {
        let made = self.made.entry((key.clone(), input)).or_default();
        made.times += 1;
        let times = made.times;
        made.signature = Some(signature.clone());
        if self.in_process {
            return Ok(());
        }
        let Some((id, tale)) = self.story.order_of(key, &input) else { return Ok(()) };
        if times > 1 {
            return broken(
                "one order is signed once",
                format_args!("{key} signed twice in one life for {}", short(id)),
            );
        }
        if tale.state == OrderState::Failed {
            return broken("what failed is not signed", short(id));
        }
        Ok(())
    }
}

/// The handle of a destroyed key is gone from the disk with the event that says so.
fn check_destroyed(key: &KeyId, batch: &Batch) -> Check {
    let name = format!("handle/{key}");
    let is_gone = batch.puts.iter().any(|put| put.key.as_str() == name && put.value.is_empty());
    if is_gone { Ok(()) } else { broken("the handle of a destroyed key is overwritten", key) }
}

impl fmt::Debug for Referee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Referee").finish_non_exhaustive()
    }
}
