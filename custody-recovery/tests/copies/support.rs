//! Archives that are only bytes here, and places.

use std::sync::Arc;

use custody_core::digest::Digest;
use custody_core::time::Timestamp;
use custody_recovery::archive::{ArchiveId, Summary};
use custody_recovery::object_store::ObjectStore;
use custody_recovery::{CopyReport, CopyState, Place, PlaceName};

use crate::lying::LyingStore;

pub(crate) struct Archive {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) summary: Summary,
}

/// The archive of this number: the larger, the newer.
pub(crate) fn archive(number: u8) -> Archive {
    sized(number, 5_000)
}

pub(crate) fn sized(number: u8, length: usize) -> Archive {
    let bytes: Arc<[u8]> = (0..length).map(|at| (at % 251) as u8 ^ number).collect();
    let summary = Summary::new(
        ArchiveId::new([number; 32]),
        Timestamp::from_millis(1_000_000 + u64::from(number)),
        length as u64,
        Digest::of(&bytes),
    );
    Archive { bytes, summary }
}

pub(crate) fn name(text: &str) -> PlaceName {
    PlaceName::parse(text).unwrap()
}

pub(crate) fn place(text: &str, store: &LyingStore) -> Place {
    let store: Arc<dyn ObjectStore> = Arc::new(store.clone());
    Place::new(name(text), store, "custody/archives").unwrap()
}

pub(crate) fn states(report: &CopyReport) -> Vec<CopyState> {
    report.states().map(|(_, state)| state).collect()
}
