//! The one writer: takes commits in turn and decides what a failure means.
//!
//! **Invariant:** `Unavailable` and `Conflict` are answered only when nothing of the batch can
//! ever be read; what is not known to be so is `Indeterminate`, and the store answers nothing
//! more until it is opened again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use custody_core::seam::{Batch, ErrorKind, Position, StoreError};
use futures::channel::oneshot;

use super::COMMIT;
use super::fault::Fault;
use super::journal::Journal;

/// A batch on its way to the disk.
pub(super) struct Commit {
    pub(super) expected: Position,
    pub(super) batch: Batch,
    pub(super) reply: oneshot::Sender<Result<Position, StoreError>>,
}

/// Whether the store may be used.
#[derive(Debug, Default)]
pub(super) struct Health {
    poisoned: AtomicBool,
}

/// The store is out of use.
#[derive(Debug, thiserror::Error)]
#[error("the disk failed in an earlier commit; the store must be opened again")]
struct Poisoned;

impl Health {
    /// Puts the store out of use until it is opened again.
    pub(super) fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    /// Fails if the store is out of use.
    pub(super) fn check(&self, operation: &'static str) -> Result<(), StoreError> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(StoreError::new(ErrorKind::Unavailable, operation).with_source(Poisoned));
        }
        Ok(())
    }
}

/// Runs one commit at a time.
pub(super) struct Writer<J> {
    journal: J,
    health: Arc<Health>,
}

impl<J: Journal> Writer<J> {
    /// A writer to `journal`, which nobody else writes to.
    pub(super) fn new(journal: J, health: Arc<Health>) -> Self {
        Self { journal, health }
    }

    /// Answers one commit; the log is tidied afterwards, while nobody waits.
    pub(super) fn serve(&mut self, commit: Commit) {
        if commit.reply.is_canceled() {
            return;
        }
        let answer = self.commit(commit.expected, &commit.batch);
        let committed = answer.is_ok();
        // A caller who left reads the head.
        let _ = commit.reply.send(answer);
        if committed {
            self.shorten();
        }
    }

    fn commit(&mut self, expected: Position, batch: &Batch) -> Result<Position, StoreError> {
        self.health.check(COMMIT)?;
        let head = self.journal.begin().map_err(|fault| self.abandon(fault))?;
        if head != expected {
            self.undo();
            return Err(StoreError::new(ErrorKind::Conflict, COMMIT));
        }
        let after = self.journal.append(head, batch).map_err(|fault| self.abandon(fault))?;
        self.journal.commit().map_err(|fault| self.decide(fault, head))?;
        Ok(after)
    }

    /// A failure before the transaction was asked to commit: none of it can be read, ever.
    fn abandon(&mut self, fault: Fault) -> StoreError {
        self.undo();
        if matches!(fault, Fault::Corrupt(_) | Fault::Damaged(_) | Fault::Disk(_)) {
            self.poison(fault);
        }
        fault.before_commit(COMMIT)
    }

    /// A failure of the commit itself.
    ///
    /// SQLite answers "full" only from writing the log, before its last page, which alone makes
    /// the transaction valid, and "busy" only before it writes anything. Any other failure may
    /// come after the last page was written.
    fn decide(&mut self, fault: Fault, head: Position) -> StoreError {
        let before = match fault {
            Fault::Full(_) => true,
            Fault::Busy(_) => self.journal.is_open(),
            Fault::Corrupt(_)
            | Fault::Damaged(_)
            | Fault::Disk(_)
            | Fault::Exists
            | Fault::Other(_) => false,
        };
        self.undo();
        if before && !self.journal.is_open() && self.journal.head() == Ok(head) {
            return fault.before_commit(COMMIT);
        }
        self.poison(fault);
        let kind = if fault.is_damage() { ErrorKind::Corrupt } else { ErrorKind::Indeterminate };
        StoreError::new(kind, COMMIT).with_source(fault)
    }

    /// Leaves no transaction open, or the store out of use.
    fn undo(&mut self) {
        if !self.journal.is_open() {
            return;
        }
        let undone = self.journal.rollback();
        if let Err(fault) = undone
            && self.journal.is_open()
        {
            self.poison(fault);
        }
    }

    fn shorten(&mut self) {
        match self.journal.shorten() {
            Ok(()) => (),
            Err(fault @ (Fault::Busy(_) | Fault::Full(_))) => {
                tracing::warn!(%fault, "the log of the store could not be shortened");
            }
            Err(fault) => self.poison(fault),
        }
    }

    fn poison(&self, fault: Fault) {
        tracing::error!(%fault, "the store is out of use until it is opened again");
        self.health.poison();
    }
}
