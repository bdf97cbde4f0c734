use custody_core::custodian::{Custodian, Older, OpenError, Recovery};
use custody_core::digest::Digest;
use custody_core::seam::Head;

use super::World;
use crate::anchor::Anchor;
use crate::executor::{Ending, Executor};
use crate::weather::Sky;

impl World {
    /// Somebody puts an older copy in place, of the disk alone or of the log's files too. It must
    /// not open if a head was kept that it lacks.
    pub(super) fn roll_back(&mut self) {
        let Some((content, kept)) = self.backup.clone() else { return };
        let (disk, files) = (self.disk.snapshot(), self.files.snapshot());
        let takes_files = self.dice.chance(500);
        let signed = if takes_files { 0 } else { files.size() };
        let anchored = self.anchor.as_ref().map_or(0, Anchor::size);
        if content.events.len() as u64 >= anchored.max(signed) {
            return;
        }
        self.disk.restore(content);
        if takes_files {
            self.files.restore(kept);
        }
        let executor = Executor::new(self.clock.clone(), self.dice.clone());
        let opened = self.try_to_open(&executor);
        self.trace.note(format_args!("an older copy is put in place: {opened:?}"));
        self.trace.count("older copies put in place");
        let refused = match &opened {
            Ending::Done(Err(OpenError::RolledBack { .. } | OpenError::AnchorAhead { .. })) => true,
            // The log itself may refuse to open over fewer events than its checkpoint covers.
            Ending::Done(Err(OpenError::Audit(_))) => !takes_files,
            _ => false,
        };
        if !refused {
            self.referee.object("an older copy is refused", format_args!("{opened:?}"));
        }
        drop(opened);
        executor.kill();
        self.disk.restore(disk);
        self.files.restore(files);
    }

    /// The disk is lost, and the custodian goes on from an older copy. Where a head is known that the
    /// copy lacks, it is refused first, and then opened frozen with a fresh anchor.
    pub(super) fn recover_older(&mut self) {
        let Some((content, kept)) = self.backup.clone() else { return };
        if !self.disk.snapshot().events.starts_with(&content.events) {
            return;
        }
        let knows = self.anchor.is_some() || self.dice.chance(500);
        let newest = self.referee.newest_head().filter(|_| knows);
        let archive = Digest::of(&self.lives.to_be_bytes());
        self.disk.restore(content.clone());
        self.files.restore(kept);
        self.referee.restored(&content);
        let vouched = newest.into_iter().collect();
        let recovery = Recovery { archive, vouched, older: Older::Refuse };
        self.recovery = Some(recovery.clone());
        let size = content.events.len() as u64;
        if newest.is_some_and(|newest| newest.size.value() > size) {
            self.must_be_refused();
            self.recovery = Some(Recovery { older: Older::Freeze, ..recovery });
            self.renew_anchor(None);
        } else if self.anchor.as_ref().is_some_and(|anchor| anchor.size() > size) {
            self.renew_anchor(None);
        }
        self.trace.note(format_args!("an older copy of {size} events is recovered"));
        self.trace.count("older copies recovered");
    }

    /// How the custodian is opened: by its recovery until that is durable, and now and then later, too.
    pub(super) fn next_recovery(&self) -> Option<Recovery> {
        let recovery = self.recovery.clone()?;
        let is_known = self.referee.recovered() == Some(recovery.archive);
        (!is_known || self.dice.chance(300)).then_some(recovery)
    }

    fn renew_anchor(&self, head: Option<Head>) {
        if let Some(anchor) = &self.anchor {
            anchor.set(head);
            self.referee.anchor_is(0);
        }
    }

    fn must_be_refused(&self) {
        let executor = Executor::new(self.clock.clone(), self.dice.clone());
        let opened = self.try_to_open(&executor);
        if !matches!(opened, Ending::Done(Err(OpenError::RolledBack { .. }))) {
            self.referee.object("an older copy is refused", format_args!("{opened:?}"));
        }
        drop(opened);
        executor.kill();
    }

    fn try_to_open(&self, executor: &Executor) -> Ending<Result<Custodian, OpenError>> {
        let weather = self.weather(executor, Sky::calm());
        executor.run(Box::pin(self.open(executor, &weather)), 100_000, || false)
    }
}
