//! Copies of archives in several places.
//!
//! Each place is an [`ObjectStore`]: a folder of the local disk, or whatever the host configures. An
//! archive lies in each under `<prefix>/<time>-<archive id>.archive`, where the time is that of its
//! header in milliseconds, with sixteen digits.
//!
//! Invariant: a copy counts only after it was read back whole and has the SHA-256 of what was written;
//! what a place says about itself counts for nothing.

mod place;
mod report;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, join_all, select};
use tokio::io::AsyncRead;

use custody_core::seam::Clock;

use crate::archive::{LocalFile, Summary};
pub use object_store;
pub use place::{Place, PlaceError, PlaceName, PlaceNameError};
pub use report::{CopyReport, CopyState, PruneReport, Pruned};

#[expect(unused_imports, reason = "the documentation names it")]
use object_store::ObjectStore;

/// Keeps copies of archives in several places.
///
/// Places are worked on beside each other: one that fails keeps no other from having its copy. One
/// that never answers keeps the caller waiting, unless there is a deadline ([`Self::with_deadline`]).
#[derive(Debug)]
pub struct Copies {
    places: Vec<Place>,
    deadline: Option<(Arc<dyn Clock>, Duration)>,
}

/// Where an archive can be read from, as often as it is needed.
pub trait ArchiveSource: fmt::Debug + Send + Sync {
    /// Begins to read it.
    ///
    /// # Errors
    /// Fails if it cannot be read.
    fn open(&self) -> io::Result<Box<dyn AsyncRead + Send + Unpin>>;
}

impl ArchiveSource for PathBuf {
    fn open(&self) -> io::Result<Box<dyn AsyncRead + Send + Unpin>> {
        Ok(Box::new(LocalFile::open(self)?))
    }
}

impl ArchiveSource for Arc<[u8]> {
    fn open(&self) -> io::Result<Box<dyn AsyncRead + Send + Unpin>> {
        Ok(Box::new(io::Cursor::new(Self::clone(self))))
    }
}

impl Copies {
    /// Copies in these places.
    ///
    /// # Errors
    /// Fails without places, and if two have one name.
    pub fn new(places: Vec<Place>) -> Result<Self, CopiesError> {
        let names: BTreeSet<_> = places.iter().map(Place::name).collect();
        if names.is_empty() {
            return Err(CopiesError::NoPlace);
        }
        if names.len() != places.len() {
            return Err(CopiesError::NameTwice);
        }
        Ok(Self { places, deadline: None })
    }

    /// Gives every place so much time for each call; one that takes longer is unreachable.
    #[must_use]
    pub fn with_deadline(mut self, clock: Arc<dyn Clock>, time: Duration) -> Self {
        self.deadline = Some((clock, time));
        self
    }

    /// Copies an archive to every place, and reads each copy back.
    ///
    /// # Errors
    /// Fails if the archive cannot be read or is not the one of `archive`. What went wrong in the
    /// places stands in the report.
    ///
    /// # Cancel safety
    /// If the future is dropped, a place has the whole copy or none; a cloud may keep parts of one,
    /// which its rules for unfinished uploads should delete.
    pub async fn put(
        &self,
        source: &dyn ArchiveSource,
        archive: &Summary,
    ) -> Result<CopyReport, CopiesError> {
        let puts = self.places.iter().map(|place| async move {
            let put = self.in_time(place.put(source, archive)).await;
            Ok((place.name().clone(), put.unwrap_or(Ok(CopyState::Unreachable))?))
        });
        let states = join_all(puts).await.into_iter().collect::<Result<_, CopiesError>>()?;
        Ok(CopyReport::new(states))
    }

    /// Reads the copy of an archive in every place again.
    ///
    /// # Cancel safety
    /// Nothing changes if the future is dropped.
    pub async fn check(&self, archive: &Summary) -> CopyReport {
        let checks = self.places.iter().map(|place| async move {
            let state = self.in_time(place.check(archive)).await;
            (place.name().clone(), state.unwrap_or(CopyState::Unreachable))
        });
        CopyReport::new(join_all(checks).await.into_iter().collect())
    }

    /// Deletes copies of older archives: in each place those of `archives` that are older than the
    /// `keep` newest of them that are good there, which is found out by reading them.
    ///
    /// `archives` are those that the host has made, as it recorded them. Anything else in a place is
    /// neither counted nor touched, so that nobody who can write to a place can have copies deleted by
    /// putting newer ones there. A place with fewer than `keep` good copies keeps everything.
    ///
    /// # Cancel safety
    /// If the future is dropped, some may have been deleted, and none that were to stay.
    pub async fn prune(&self, archives: &[Summary], keep: NonZeroUsize) -> PruneReport {
        let mut newest_first = archives.to_vec();
        newest_first.sort_by_key(|archive| (archive.created_at, archive.archive));
        newest_first.reverse();
        // One archive has one place: what two records say of it is looked for there once.
        newest_first.dedup_by_key(|archive| (archive.created_at, archive.archive));
        let prunes = self.places.iter().map(|place| {
            let newest_first = &newest_first;
            async move {
                let pruned = self.in_time(place.prune(newest_first, keep)).await;
                (place.name().clone(), pruned.unwrap_or(Pruned::Unreachable))
            }
        });
        PruneReport::new(join_all(prunes).await.into_iter().collect())
    }

    /// The places.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// What the call answers, or nothing if it takes too long.
    async fn in_time<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        let Some((clock, time)) = &self.deadline else { return Some(call.await) };
        let late = clock.sleep_until(clock.monotonic().saturating_add(*time));
        match select(pin!(call), late).await {
            Either::Left((answer, _)) => Some(answer),
            Either::Right(_) => None,
        }
    }
}

/// Why there are no copies.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopiesError {
    /// What is to be copied is another archive.
    #[error("what is to be copied is not the archive that was written")]
    Differs,
    /// Two places have one name.
    #[error("two places have one name")]
    NameTwice,
    /// There are no places.
    #[error("there is no place for copies")]
    NoPlace,
    /// The archive cannot be read.
    #[error("the archive to be copied cannot be read")]
    Source(#[source] io::Error),
}
