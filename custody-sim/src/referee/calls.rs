//! Who waits for an answer, and whether the custodian has closed.

use std::collections::BTreeMap;

use custody_core::seam::{Event, Position};

use super::{Check, Referee, State, broken};

/// The calls of one life.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: BTreeMap<u64, String>,
    is_open: bool,
    is_closed: bool,
}

/// A call that is under way. It ends when it is answered, and when nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct UnderWay {
    referee: Referee,
    stamp: u64,
}

/// What one reader has read who reads whenever it is woken.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    woken: Position,
    pub(crate) read: u64,
}

impl Referee {
    /// A call begins.
    pub(crate) fn begins_call(&self, stamp: u64, what: &str) -> UnderWay {
        self.state().calls.open.insert(stamp, what.to_owned());
        UnderWay { referee: self.clone(), stamp }
    }

    /// A call that nobody has answered yet.
    pub(crate) fn waits(&self) -> Option<String> {
        self.state().calls.open.values().next().cloned()
    }

    /// The custodian is open: from now on it answers.
    pub(crate) fn opened(&self) {
        self.state().calls.is_open = true;
    }

    /// Whether the custodian was opened.
    pub(crate) fn is_open(&self) -> bool {
        self.state().calls.is_open
    }

    /// The custodian says that it has closed.
    pub(crate) fn closed(&self) {
        self.state().calls.is_closed = true;
    }

    /// A part of the house is asked for something that is not only read.
    pub(crate) fn begins(&self, what: &str) {
        if self.state().calls.is_closed {
            self.object("a closed custodian asks for nothing", what);
        }
    }

    /// A reader is woken.
    pub(crate) fn woken(&self, reader: &mut Reader, position: Position) {
        let checked = self.state().woken(reader, position);
        self.note(checked);
        reader.woken = position;
    }

    /// A reader has read on.
    pub(crate) fn read(&self, reader: &mut Reader, events: &[Event]) {
        let checked = self.state().read(reader, events);
        self.note(checked);
        reader.read += events.len() as u64;
    }

    /// The reader was woken for the last time.
    pub(crate) fn has_read(&self, reader: &Reader) {
        let durable = self.state().heads.events();
        if reader.read != durable {
            let detail = format_args!("{} of {durable} events", reader.read);
            self.object("who reads whenever it is woken misses nothing", detail);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.referee.state().calls.open.remove(&self.stamp);
    }
}

impl State {
    fn woken(&self, reader: &Reader, position: Position) -> Check {
        const RULE: &str = "wake-ups tell of what is durable, in order";
        if position <= reader.woken || position.value() > self.heads.events() {
            let detail = format_args!("{position} after {}", reader.woken);
            return broken(RULE, detail);
        }
        Ok(())
    }

    fn read(&self, reader: &Reader, events: &[Event]) -> Check {
        const RULE: &str = "what is read is what is durable";
        for (index, event) in (reader.read..).zip(events) {
            if event.position.value() != index || !self.heads.has_leaf(index, &event.bytes) {
                return broken(RULE, format_args!("event {index}"));
            }
        }
        Ok(())
    }
}
