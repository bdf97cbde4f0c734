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
use super::recent::Recent;

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

    /// A failure to move the log. Nothing is lost by it: what is busy or full passes, and anything
    /// else puts the store out of use.
    pub(super) fn weigh(&self, fault: Fault) {
        if matches!(fault, Fault::Busy(_) | Fault::Full(_)) {
            tracing::warn!(%fault, "the log of the store could not be shortened");
        } else {
            self.condemn(fault);
        }
    }

    fn condemn(&self, fault: Fault) {
        tracing::error!(%fault, "the store is out of use until it is opened again");
        self.poison();
    }
}

/// Runs one commit at a time.
pub(super) struct Writer<J> {
    journal: J,
    health: Arc<Health>,
    recent: Arc<Recent>,
}

impl<J: Journal> Writer<J> {
    /// A writer to `journal`, which nobody else writes to.
    pub(super) const fn new(journal: J, health: Arc<Health>, recent: Arc<Recent>) -> Self {
        Self { journal, health, recent }
    }

    /// Answers one commit; the log is tidied afterwards, while nobody waits.
    pub(super) fn serve(&mut self, commit: Commit) {
        if commit.reply.is_canceled() {
            return;
        }
        let answer = self.commit(commit.expected, &commit.batch);
        let committed = answer.is_ok();
        if committed {
            self.recent.add(commit.expected, commit.batch.events);
        }
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
        // The disk may have failed the mover meanwhile, and said so to it alone.
        let is_sure = self.health.check(COMMIT).is_ok();
        if is_sure { Ok(after) } else { Err(StoreError::new(ErrorKind::Indeterminate, COMMIT)) }
    }

    /// A failure before the transaction was asked to commit: none of it can be read, ever.
    fn abandon(&mut self, fault: Fault) -> StoreError {
        self.undo();
        if matches!(fault, Fault::Corrupt(_) | Fault::Damaged(_) | Fault::Disk(_)) {
            self.health.condemn(fault);
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
        self.health.condemn(fault);
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
            self.health.condemn(fault);
        }
    }

    fn shorten(&mut self) {
        if let Err(fault) = self.journal.shorten() {
            self.health.weigh(fault);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A journal that fails at one step, as told.
    #[derive(Debug, Default)]
    struct Script {
        head: u64,
        open: bool,
        pending: u64,
        begun: u32,
        failure: Option<Failure>,
        rollback_fails: bool,
        head_unreadable: bool,
        shorten_fails: Option<Fault>,
        /// The disk fails the mover of this store while this step is taken.
        mover_fails: Option<(Step, Arc<Health>)>,
    }

    #[derive(Clone, Copy, Debug)]
    struct Failure {
        step: Step,
        fault: Fault,
        /// Whether the transaction is still open after it.
        open: bool,
        /// Whether the transaction is stored nevertheless.
        happened: bool,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Step {
        Append,
        Begin,
        Commit,
    }

    impl Script {
        fn step(&mut self, step: Step) -> Result<(), Fault> {
            if let Some((_, health)) = self.mover_fails.take_if(|(when, _)| *when == step) {
                health.weigh(FSYNC);
            }
            let Some(failure) = self.failure.take_if(|failure| failure.step == step) else {
                return Ok(());
            };
            self.open = failure.open;
            if failure.happened {
                self.head = self.head.saturating_add(self.pending);
            }
            Err(failure.fault)
        }
    }

    impl Journal for Script {
        fn begin(&mut self) -> Result<Position, Fault> {
            self.begun = self.begun.saturating_add(1);
            assert!(!self.open, "a transaction was left open");
            self.open = true;
            self.step(Step::Begin)?;
            Ok(Position::new(self.head))
        }

        fn append(&mut self, head: Position, batch: &Batch) -> Result<Position, Fault> {
            assert!(self.open, "written outside a transaction");
            self.pending = batch.events.len() as u64;
            self.step(Step::Append)?;
            Ok(head.plus(self.pending))
        }

        fn commit(&mut self) -> Result<(), Fault> {
            assert!(self.open, "committed outside a transaction");
            self.step(Step::Commit)?;
            self.open = false;
            self.head = self.head.saturating_add(self.pending);
            Ok(())
        }

        fn rollback(&mut self) -> Result<(), Fault> {
            if self.rollback_fails {
                return Err(NO_MEMORY);
            }
            assert!(self.open, "rolled back outside a transaction");
            self.open = false;
            Ok(())
        }

        fn is_open(&self) -> bool {
            self.open
        }

        fn head(&self) -> Result<Position, Fault> {
            if self.head_unreadable { Err(READ) } else { Ok(Position::new(self.head)) }
        }

        fn shorten(&mut self) -> Result<(), Fault> {
            self.shorten_fails.take().map_or(Ok(()), Err)
        }
    }

    const BUSY: Fault = Fault::Busy(5);
    const CORRUPT: Fault = Fault::Corrupt(11);
    const DAMAGED: Fault = Fault::Damaged("a test");
    const FSYNC: Fault = Fault::Disk(1_034);
    const FULL: Fault = Fault::Full(13);
    const NO_MEMORY: Fault = Fault::Other(7);
    const READ: Fault = Fault::Disk(266);
    const WRITE: Fault = Fault::Disk(778);

    const IN_USE: bool = false;
    const OUT_OF_USE: bool = true;

    fn writer(script: Script) -> Writer<Script> {
        Writer::new(script, Arc::default(), Arc::default())
    }

    fn batch() -> Batch {
        Batch { events: vec![b"1".to_vec(), b"2".to_vec()], ..Batch::default() }
    }

    fn serve(writer: &mut Writer<Script>, expected: u64) -> Result<Position, ErrorKind> {
        let (reply, mut answer) = oneshot::channel();
        let expected = Position::new(expected);
        writer.serve(Commit { expected, batch: batch(), reply });
        answer.try_recv().unwrap().unwrap().map_err(|error| error.kind())
    }

    fn is_poisoned(writer: &Writer<Script>) -> bool {
        writer.health.check(COMMIT).is_err()
    }

    #[test]
    fn a_commit_is_answered_with_the_new_head() {
        let mut writer = writer(Script { head: 5, ..Script::default() });
        assert_eq!(serve(&mut writer, 5), Ok(Position::new(7)));
        assert_eq!(serve(&mut writer, 7), Ok(Position::new(9)));
    }

    #[test]
    fn a_commit_at_another_position_is_a_conflict_and_leaves_no_transaction() {
        let mut writer = writer(Script { head: 5, ..Script::default() });
        for expected in [0, 4, 6, u64::MAX] {
            assert_eq!(serve(&mut writer, expected), Err(ErrorKind::Conflict), "{expected}");
            assert!(!writer.journal.open && !is_poisoned(&writer), "{expected}");
        }
        assert_eq!(writer.journal.head, 5);
    }

    #[test]
    fn a_failure_before_the_commit_is_never_indeterminate() {
        use ErrorKind::{Conflict, Corrupt, Unavailable};
        for (step, fault, kind, poisoned) in [
            (Step::Begin, BUSY, Unavailable, IN_USE),
            (Step::Begin, FULL, Unavailable, IN_USE),
            (Step::Begin, NO_MEMORY, Unavailable, IN_USE),
            (Step::Begin, READ, Unavailable, OUT_OF_USE),
            (Step::Begin, CORRUPT, Corrupt, OUT_OF_USE),
            (Step::Append, Fault::Exists, Conflict, IN_USE),
            (Step::Append, BUSY, Unavailable, IN_USE),
            (Step::Append, FULL, Unavailable, IN_USE),
            (Step::Append, NO_MEMORY, Unavailable, IN_USE),
            (Step::Append, WRITE, Unavailable, OUT_OF_USE),
            (Step::Append, FSYNC, Unavailable, OUT_OF_USE),
            (Step::Append, CORRUPT, Corrupt, OUT_OF_USE),
            (Step::Append, DAMAGED, Corrupt, OUT_OF_USE),
        ] {
            // SQLite undoes some failed transactions itself.
            for open in [true, false] {
                let failure = Failure { step, fault, open, happened: false };
                let mut writer = writer(Script { failure: Some(failure), ..Script::default() });
                assert_eq!(serve(&mut writer, 0), Err(kind), "{failure:?}");
                assert_eq!(is_poisoned(&writer), poisoned, "{failure:?}");
                assert!(!writer.journal.open, "{failure:?}");
                let next = if poisoned { Err(Unavailable) } else { Ok(Position::new(2)) };
                assert_eq!(serve(&mut writer, 0), next, "{failure:?}");
            }
        }
    }

    #[test]
    fn a_failed_commit_is_unavailable_only_where_it_certainly_left_nothing() {
        use ErrorKind::{Corrupt, Indeterminate, Unavailable};
        for (fault, open, happened, kind, poisoned) in [
            (FULL, true, false, Unavailable, IN_USE),
            (FULL, false, false, Unavailable, IN_USE),
            (FULL, false, true, Indeterminate, OUT_OF_USE),
            (BUSY, true, false, Unavailable, IN_USE),
            (BUSY, false, false, Indeterminate, OUT_OF_USE),
            (BUSY, false, true, Indeterminate, OUT_OF_USE),
            (FSYNC, true, false, Indeterminate, OUT_OF_USE),
            (FSYNC, false, false, Indeterminate, OUT_OF_USE),
            (FSYNC, false, true, Indeterminate, OUT_OF_USE),
            (WRITE, false, false, Indeterminate, OUT_OF_USE),
            (WRITE, false, true, Indeterminate, OUT_OF_USE),
            (NO_MEMORY, true, false, Indeterminate, OUT_OF_USE),
            (NO_MEMORY, false, true, Indeterminate, OUT_OF_USE),
            (Fault::Exists, false, false, Indeterminate, OUT_OF_USE),
            (CORRUPT, false, false, Corrupt, OUT_OF_USE),
            (CORRUPT, false, true, Corrupt, OUT_OF_USE),
        ] {
            let failure = Failure { step: Step::Commit, fault, open, happened };
            let mut writer = writer(Script { failure: Some(failure), ..Script::default() });
            assert_eq!(serve(&mut writer, 0), Err(kind), "{failure:?}");
            assert_eq!(is_poisoned(&writer), poisoned, "{failure:?}");
            assert!(!writer.journal.open, "{failure:?}");
            let next = if poisoned { Err(Unavailable) } else { Ok(Position::new(2)) };
            assert_eq!(serve(&mut writer, 0), next, "{failure:?}");
        }
    }

    #[test]
    fn a_full_disk_is_indeterminate_if_the_rest_is_not_as_expected() {
        let failure = Failure { step: Step::Commit, fault: FULL, open: true, happened: false };
        let unreadable = Script { head_unreadable: true, ..Script::default() };
        let stuck = Script { rollback_fails: true, ..Script::default() };
        for (name, script) in [("head unreadable", unreadable), ("rollback fails", stuck)] {
            let mut writer = writer(Script { failure: Some(failure), ..script });
            assert_eq!(serve(&mut writer, 0), Err(ErrorKind::Indeterminate), "{name}");
            assert!(is_poisoned(&writer), "{name}");
        }
    }

    #[test]
    fn a_transaction_that_cannot_be_undone_puts_the_store_out_of_use() {
        let failure = Failure { step: Step::Append, fault: FULL, open: true, happened: false };
        for (name, failure, expected, kind) in [
            ("append", Some(failure), 0, ErrorKind::Unavailable),
            ("conflict", None, 7, ErrorKind::Conflict),
        ] {
            let mut writer = writer(Script { failure, rollback_fails: true, ..Script::default() });
            assert_eq!(serve(&mut writer, expected), Err(kind), "{name}");
            assert!(is_poisoned(&writer), "{name}");
        }
    }

    #[test]
    fn a_store_out_of_use_does_not_touch_the_journal() {
        let mut writer = writer(Script::default());
        writer.health.poison();
        assert_eq!(serve(&mut writer, 0), Err(ErrorKind::Unavailable));
        assert_eq!(writer.journal.begun, 0);
    }

    /// The disk told the mover alone: what the commit wrote may be no safer than what it moved.
    #[test]
    fn a_commit_during_which_the_disk_failed_the_mover_is_indeterminate() {
        for step in [Step::Begin, Step::Append, Step::Commit] {
            let health = Arc::<Health>::default();
            let mover_fails = Some((step, Arc::clone(&health)));
            let script = Script { mover_fails, ..Script::default() };
            let mut writer = Writer::new(script, health, Arc::default());
            assert_eq!(serve(&mut writer, 0), Err(ErrorKind::Indeterminate), "{step:?}");
            assert!(is_poisoned(&writer) && !writer.journal.open, "{step:?}");
            assert!(writer.recent.get(Position::START, 1).is_none(), "{step:?}");
            assert_eq!(serve(&mut writer, 2), Err(ErrorKind::Unavailable), "{step:?}");
            assert_eq!(writer.journal.begun, 1, "{step:?}");
        }
    }

    #[test]
    fn a_commit_whose_caller_left_before_its_turn_is_not_begun() {
        let mut writer = writer(Script::default());
        let (reply, answer) = oneshot::channel();
        drop(answer);
        writer.serve(Commit { expected: Position::START, batch: batch(), reply });
        assert_eq!(writer.journal.begun, 0);
    }

    #[test]
    fn a_log_that_cannot_be_shortened_takes_no_commit_back() {
        for (fault, poisoned) in [
            (BUSY, IN_USE),
            (FULL, IN_USE),
            (FSYNC, OUT_OF_USE),
            (WRITE, OUT_OF_USE),
            (CORRUPT, OUT_OF_USE),
            (NO_MEMORY, OUT_OF_USE),
        ] {
            let mut writer = writer(Script { shorten_fails: Some(fault), ..Script::default() });
            assert_eq!(serve(&mut writer, 0), Ok(Position::new(2)), "{fault:?}");
            assert_eq!(is_poisoned(&writer), poisoned, "{fault:?}");
        }
    }
}
