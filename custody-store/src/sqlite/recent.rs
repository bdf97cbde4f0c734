//! The newest events, as they were committed: the log asks for them right after each commit.
//!
//! **Invariant:** only events whose commit is durable are here, and without a gap. Each is answered
//! only if it has the sum that was taken when it was committed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use custody_core::seam::{Event, Position};

use super::sum;

/// The newest events of an open store.
#[derive(Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// The position after the last one.
    end: Position,
    /// With their sums.
    events: VecDeque<(Vec<u8>, i64)>,
    bytes: usize,
}

impl Recent {
    /// Remembers the events of a commit after `head`, which is durable.
    pub(super) fn add(&self, head: Position, events: Vec<Vec<u8>>) {
        let mut kept = self.lock();
        if kept.end != head {
            *kept = Kept { end: head, ..Kept::default() };
        }
        for event in events {
            let sum = sum::of_event(kept.end, &event);
            kept.end = kept.end.plus(1);
            kept.bytes = kept.bytes.saturating_add(event.len());
            kept.events.push_back((event, sum));
        }
        while kept.events.len() > EVENTS || kept.bytes > BYTES {
            let Some((oldest, _)) = kept.events.pop_front() else { return };
            kept.bytes = kept.bytes.saturating_sub(oldest.len());
        }
    }

    /// At most `limit` events from `from` on; none if the first of them is not here, or if one of
    /// them is no longer what was committed.
    pub(super) fn get(&self, from: Position, limit: u16) -> Option<Vec<Event>> {
        let kept = self.lock();
        let behind = usize::try_from(kept.end.value().checked_sub(from.value())?).ok()?;
        let skipped = kept.events.len().checked_sub(behind).filter(|_| behind > 0)?;
        let events = (from.value()..).map(Position::new).zip(kept.events.iter().skip(skipped));
        let events = events.take(limit.into()).map(|(position, (bytes, sum))| {
            let is_same = sum::of_event(position, bytes) == *sum;
            is_same.then(|| Event { position, bytes: bytes.clone() })
        });
        events.collect()
    }

    /// Forgets all of them: a closed store answers nothing.
    pub(super) fn clear(&self) {
        *self.lock() = Kept::default();
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const EVENTS: usize = 2_048;
/// Four mebibytes; the limit of an event keeps the last ones below it.
const BYTES: usize = 4 * 1_024 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn events(numbers: std::ops::Range<u64>) -> Vec<Vec<u8>> {
        numbers.map(|number| number.to_string().into_bytes()).collect()
    }

    #[track_caller]
    fn assert_kept(recent: &Recent, from: u64, limit: u16, expected: std::ops::Range<u64>) {
        let found = recent.get(Position::new(from), limit).unwrap();
        let positions: Vec<_> = found.iter().map(|event| event.position.value()).collect();
        assert_eq!(positions, expected.clone().collect::<Vec<_>>());
        let bytes: Vec<_> = found.into_iter().map(|event| event.bytes).collect();
        assert_eq!(bytes, events(expected));
    }

    #[test]
    fn events_are_found_at_their_positions() {
        let recent = Recent::default();
        recent.add(Position::new(7), events(7..9));
        recent.add(Position::new(9), events(9..12));
        assert_kept(&recent, 7, u16::MAX, 7..12);
        assert_kept(&recent, 8, 3, 8..11);
        assert_kept(&recent, 11, 1, 11..12);
        assert_kept(&recent, 9, 0, 9..9);
    }

    #[test]
    fn what_is_not_kept_is_not_answered() {
        let recent = Recent::default();
        assert!(recent.get(Position::START, 1).is_none());
        recent.add(Position::new(7), events(7..9));
        for from in [0, 6, 9, 10, u64::MAX] {
            assert!(recent.get(Position::new(from), 1).is_none(), "{from}");
        }
        recent.clear();
        assert!(recent.get(Position::new(8), 1).is_none());
    }

    #[test]
    fn what_changed_in_memory_is_not_answered() {
        for flipped in [
            |event: &mut (Vec<u8>, i64)| event.0[0] ^= 1,
            |event: &mut (Vec<u8>, i64)| event.1 ^= 1,
        ] {
            let recent = Recent::default();
            recent.add(Position::new(7), events(7..11));
            flipped(&mut recent.lock().events[2]);
            assert!(recent.get(Position::new(7), 4).is_none());
            assert!(recent.get(Position::new(9), 1).is_none());
            assert_kept(&recent, 7, 2, 7..9);
            assert_kept(&recent, 10, 1, 10..11);
        }
    }

    #[test]
    fn a_gap_drops_what_came_before_it() {
        let recent = Recent::default();
        recent.add(Position::new(7), events(7..9));
        recent.add(Position::new(10), events(10..12));
        assert!(recent.get(Position::new(8), 1).is_none());
        assert_kept(&recent, 10, 9, 10..12);
    }

    #[test]
    fn no_more_are_kept_than_the_limits_allow() {
        let recent = Recent::default();
        recent.add(Position::START, events(0..3_000));
        assert!(recent.get(Position::new(951), 1).is_none());
        assert_kept(&recent, 952, 2, 952..954);
        recent.add(Position::new(3_000), vec![vec![0; BYTES / 4]; 5]);
        assert!(recent.get(Position::new(3_000), 1).is_none());
        assert_eq!(recent.get(Position::new(3_001), 9).unwrap().len(), 4);
    }
}
