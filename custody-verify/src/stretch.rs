//! A log in stretches that are checked side by side, cut where it has snapshots of its state.
//!
//! Invariant: a stretch that begins at a snapshot begins with the state that the snapshot names,
//! and the stretch before it ends with that same entry, which the replay takes only if the state
//! is the one the entries before it make. So if every stretch holds, the whole log holds, and the
//! first entry that any stretch refuses is the first wrong entry.

use std::convert::Infallible;

use custody_audit::verify::{LogDirectory, ReplayedLog};
use custody_core::digest::Digest;
use custody_core::document::{EventBody, EventDocument};
use custody_core::time::Timestamp;

use crate::failure::Failure;

/// Entries that are checked one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Its first entry.
    pub(crate) first: u64,
    /// The entry after its last one.
    pub(crate) end: u64,
    /// The state that its first entry names; none for the beginning of the log.
    pub(crate) snapshot: Option<Start>,
}

/// The state that a stretch begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// SHA-256 of the state's head.
    pub(crate) state: Digest,
    /// The time of the log's first entry, which no state holds; the stretch of that entry checks
    /// that it is the genesis event.
    pub(crate) began: Timestamp,
}

/// A snapshot in the log, not believed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    index: u64,
    start: Start,
}

/// Goes through the log once: the entries lead to its root. Cuts it into at most `count` stretches.
pub(crate) fn cut(
    directory: &LogDirectory,
    count: u64,
    mut show: impl FnMut(u64, &[u8]),
) -> Result<(ReplayedLog, Vec<Stretch>), Failure> {
    let size = directory.unverified_head().tree().size;
    let apart = size.checked_div(CUTS_MAX).unwrap_or_default().max(1);
    let mut cuts: Vec<Cut> = Vec::new();
    let mut next = apart;
    let mut began = Timestamp::default();
    let replayed = directory.clone().replay(|index, entry| {
        show(index, entry);
        if index == 0 {
            began = EventDocument::read(entry).map_or(began, |event| event.at);
        }
        if index >= next
            && let Some(state) = snapshot(entry)
        {
            cuts.push(Cut { index, start: Start { state, began } });
            next = index.saturating_add(apart);
        }
        Ok::<_, Infallible>(())
    });
    let replayed = replayed.map_err(Failure::of_tree)?;
    Ok((replayed, stretches(size, &cuts, count)))
}

/// The state that an entry names as a snapshot. An entry that hides from this look is only not
/// cut at.
fn snapshot(entry: &[u8]) -> Option<Digest> {
    if !entry.windows(SNAPSHOT.len()).any(|window| window == SNAPSHOT) {
        return None;
    }
    let event = EventDocument::read(entry).ok()?.event;
    if let EventBody::Snapshot(reference) = event { Some(reference.sha256) } else { None }
}

/// Cuts `size` entries into at most `count` stretches of about one length.
fn stretches(size: u64, cuts: &[Cut], count: u64) -> Vec<Stretch> {
    let mut stretches = vec![Stretch { first: 0, end: size, snapshot: None }];
    for number in 1..count {
        let wanted = size.saturating_mul(number).checked_div(count).unwrap_or_default();
        let Some(last) = stretches.last_mut() else { break };
        let cut = cuts.iter().find(|cut| cut.index >= wanted && cut.index > last.first);
        let Some(Cut { index, start }) = cut.copied() else { break };
        last.end = index.saturating_add(1);
        stretches.push(Stretch { first: index, end: size, snapshot: Some(start) });
    }
    stretches
}

const SNAPSHOT: &[u8] = b"\"snapshot\"";
const CUTS_MAX: u64 = 256;

#[cfg(test)]
mod tests {
    use custody_core::document::{DocumentReference, V1};
    use custody_core::id::KeyId;

    use super::*;

    fn cuts(indexes: &[u64]) -> Vec<Cut> {
        let start = Start { state: Digest::of(b"state"), began: Timestamp::default() };
        indexes.iter().map(|index| Cut { index: *index, start }).collect()
    }

    #[test]
    fn stretches_cover_every_entry_and_share_only_the_snapshots_between_them() {
        for (size, indexes, count) in [
            (0, &[][..], 2),
            (1, &[], 2),
            (100, &[], 4),
            (100, &[50], 2),
            (100, &[99], 2),
            (100, &[1], 2),
            (100, &[10, 20, 30, 40, 50, 60, 70, 80, 90], 4),
            (100, &[10, 11, 12], 4),
            (100, &[80, 90], 4),
            (100, &[50], 1),
        ] {
            let found = stretches(size, &cuts(indexes), count);
            assert!(found.len() as u64 <= count.max(1));
            assert_eq!((found[0].first, found[0].snapshot), (0, None));
            assert_eq!(found.last().unwrap().end, size);
            for pair in found.windows(2) {
                assert_eq!(pair[0].end, pair[1].first + 1, "{size} {indexes:?} {count}");
                assert!(pair[0].first < pair[1].first && pair[1].snapshot.is_some());
                assert!(indexes.contains(&pair[1].first));
            }
        }
    }

    #[test]
    fn a_snapshot_is_known_by_what_it_is_and_not_by_its_word() {
        let at = Timestamp::from_millis(1);
        let state = DocumentReference { sha256: Digest::of(b"state"), size: 5 };
        let entry = |event| EventDocument { v: V1, at, event }.to_bytes().unwrap();
        let kept = entry(EventBody::Snapshot(state));
        assert_eq!(snapshot(&kept), Some(Digest::of(b"state")));
        let other = entry(EventBody::KeyDestroyed(KeyId::parse("snapshot").unwrap()));
        assert!(other.windows(SNAPSHOT.len()).any(|window| window == SNAPSHOT));
        for entry in [&other, &kept[..kept.len() - 1], b"\"snapshot\"", b""] {
            assert_eq!(snapshot(entry), None);
        }
    }

    #[test]
    fn a_log_is_cut_near_its_parts() {
        let found = stretches(90, &cuts(&[10, 20, 30, 40, 50, 60, 70, 80]), 3);
        let firsts: Vec<_> = found.iter().map(|stretch| stretch.first).collect();
        assert_eq!(firsts, [0, 30, 60]);
    }
}
