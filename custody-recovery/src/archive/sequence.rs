//! Which entries follow which: the same rules for whoever writes and whoever reads.
//!
//! Events and records are mixed, so that one pass with little memory suffices to restore: the
//! documents of an order stand before the event that submits it, all other records are spread evenly
//! over the events, and the last of both is an event. So each part of a store can be filled at once,
//! and a state be folded on the way.
//!
//! Invariant: what this accepts to its end has exactly the counts of the header, in order.

use custody_core::id::OrderId;
use custody_core::seam::{Position, RecordKey};

use super::error::{ContentError, EntryKind};
use super::header::Counts;
use super::name::{EntryPath, SecretName};

/// How far the entries have come.
#[derive(Debug)]
pub(super) struct Sequence {
    expected: Counts,
    found: Counts,
    /// The entry before; [`EntryKind::Event`] at the beginning.
    after: EntryKind,
    /// The last key of those that are spread, and of the documents since the last event.
    key: Option<RecordKey>,
    document: Option<RecordKey>,
    path: Option<EntryPath>,
    name: Option<SecretName>,
    /// Bytes of the file that has begun.
    size: u64,
}

impl Sequence {
    pub(super) const fn new(expected: Counts) -> Self {
        let found = Counts { events: 0, records: 0, files: 0, secrets: 0 };
        let after = EntryKind::Event;
        let (key, document, path, name) = (None, None, None, None);
        Self { expected, found, after, key, document, path, name, size: 0 }
    }

    pub(super) fn event(&mut self, position: Position) -> Result<(), ContentError> {
        self.follow(EntryKind::Event)?;
        let (expected, found) = (self.found.events, position.value());
        if expected != found {
            return Err(ContentError::Gap { expected, found });
        }
        self.document = None;
        count(EntryKind::Event, &mut self.found.events, self.expected.events)
    }

    pub(super) fn record(&mut self, key: &RecordKey) -> Result<(), ContentError> {
        let (kind, after) = (EntryKind::Record, self.after);
        self.follow(kind)?;
        let is_late = self.expected.events > 0 && self.found.events >= self.expected.events;
        if is_late {
            return Err(ContentError::Order { kind, after });
        }
        let is_owned = owner(key).is_some();
        let before = if is_owned { &mut self.document } else { &mut self.key };
        ascend(EntryKind::Record, before, key)?;
        count(EntryKind::Record, &mut self.found.records, self.expected.records)
    }

    pub(super) fn file(&mut self, path: &EntryPath) -> Result<(), ContentError> {
        self.follow(EntryKind::File)?;
        ascend(EntryKind::File, &mut self.path, path)?;
        self.size = 0;
        count(EntryKind::File, &mut self.found.files, self.expected.files)
    }

    pub(super) fn piece(&mut self, length: u64) -> Result<(), ContentError> {
        self.follow(EntryKind::Piece)?;
        self.size = self.size.saturating_add(length);
        Ok(())
    }

    /// Ends a file. Answers its size.
    pub(super) fn file_end(&mut self) -> Result<u64, ContentError> {
        self.follow(EntryKind::FileEnd)?;
        Ok(self.size)
    }

    pub(super) fn secret(&mut self, name: &SecretName) -> Result<(), ContentError> {
        self.follow(EntryKind::Secret)?;
        ascend(EntryKind::Secret, &mut self.name, name)?;
        count(EntryKind::Secret, &mut self.found.secrets, self.expected.secrets)
    }

    pub(super) fn end(&mut self) -> Result<(), ContentError> {
        self.follow(EntryKind::End)
    }

    /// Checks that `kind` may come now, and that nothing is missing of what can come no more.
    fn follow(&mut self, kind: EntryKind) -> Result<(), ContentError> {
        use EntryKind::{End, Event, File, FileEnd, Piece, Record, Secret};
        let after = self.after;
        let may_follow = match kind {
            Event | Record => matches!(after, Event | Record),
            File => matches!(after, Event | Record | FileEnd),
            Piece | FileEnd => matches!(after, File | Piece),
            Secret | End => matches!(after, Event | Record | FileEnd | Secret),
        };
        if !may_follow {
            return Err(ContentError::Order { kind, after });
        }
        let (expected, found) = (self.expected, self.found);
        let finished = [
            (Event, expected.events, found.events),
            (Record, expected.records, found.records),
            (File, expected.files, found.files),
            (Secret, expected.secrets, found.secrets),
        ];
        for (earlier, expected, found) in finished {
            let is_over = earlier < kind && !matches!(kind, Record | Piece | FileEnd);
            if is_over && expected != found {
                return Err(ContentError::Count { kind: earlier, expected, found });
            }
        }
        self.after = kind;
        Ok(())
    }
}

/// Whose document a record is, if it stands before the event that it belongs to: an order's, or
/// `genesis`.
pub(crate) fn owner(key: &RecordKey) -> Option<&str> {
    let (owner, _) = key.as_str().strip_prefix("document/")?.split_once('/')?;
    // Parts of snapshots belong to no order; nothing that folds events needs them.
    let is_order = owner != SNAPSHOT && OrderId::parse(owner).is_ok();
    (owner == GENESIS || is_order).then_some(owner)
}

/// Counts one more.
fn count(kind: EntryKind, found: &mut u64, expected: u64) -> Result<(), ContentError> {
    *found = found.saturating_add(1);
    if *found > expected {
        return Err(ContentError::Count { kind, expected, found: *found });
    }
    Ok(())
}

/// Checks that a key comes after the one before.
fn ascend<K: Ord + Clone>(
    kind: EntryKind,
    before: &mut Option<K>,
    key: &K,
) -> Result<(), ContentError> {
    if before.as_ref().is_some_and(|before| before >= key) {
        return Err(ContentError::Unordered { kind });
    }
    *before = Some(key.clone());
    Ok(())
}

pub(super) const GENESIS: &str = "genesis";
const SNAPSHOT: &str = "snapshot";
