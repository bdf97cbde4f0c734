//! Spending windows: rings of buckets on ledger time, shared by the judge and the verifier.
//!
//! Invariant: a reservation counts from its event until the whole bucket it was put in is older
//! than the window: never under-counted, at most one bucket too long. Nothing here reads a clock.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::amount::Units;
use crate::caip::{AccountId, AssetId};
use crate::id::{PrincipalId, WalletId};
use crate::parted::Parted;
use crate::seam::WindowSums;
use crate::time::Timestamp;

/// Length and bucket size of the four windows in milliseconds: the last hour in minutes, the last
/// day in quarters of an hour, the last week and the last thirty days in hours.
pub const WINDOWS: [(u64, u64); 4] = [
    (3_600_000, 60_000),
    (86_400_000, 900_000),
    (604_800_000, 3_600_000),
    (2_592_000_000, 3_600_000),
];

/// Whose spending a window sums.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "rules know these three scopes")]
pub enum WindowScope {
    /// What goes to an account.
    Destination(AccountId),
    /// What a principal asks for, over all wallets.
    Requester(PrincipalId),
    /// What leaves a wallet.
    Wallet(WalletId),
}

/// One window's scope and asset.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a key of two parts")]
pub struct WindowKey {
    /// Whose spending.
    pub scope: WindowScope,
    /// In which asset.
    pub asset: AssetId,
}

/// What an order counts in each window, in the worst case.
pub type Charges = BTreeMap<WindowKey, Units>;

/// All windows of a custodian.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    rings: Parted<WindowKey, Rings>,
    /// When all of them were exhausted last, whatever is in them.
    exhausted: Option<Timestamp>,
}

/// The four windows of one key.
pub(crate) type Rings = [Ring; 4];

/// The buckets of one window, oldest first; only buckets that something was put in exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ring {
    buckets: VecDeque<(u64, Units)>,
}

impl Windows {
    /// Counts `charges` in the buckets of `time`, all or nothing.
    ///
    /// # Errors
    /// Fails if a sum would pass 2^256 - 1; nothing is counted then.
    pub fn reserve(&mut self, charges: &Charges, time: Timestamp) -> Result<(), WindowOverflow> {
        for (key, units) in charges {
            self.counted(key, *units, time)?;
        }
        for (key, units) in charges {
            let rings = self.rings.or_default(key);
            for (ring, (length, bucket)) in rings.iter_mut().zip(WINDOWS) {
                ring.drop_before(oldest(time, length, bucket));
                ring.add(index(time, bucket), *units)?;
            }
        }
        Ok(())
    }

    /// Takes `charges` that were reserved at `time` out of the buckets they were put in.
    pub fn release(&mut self, charges: &Charges, time: Timestamp) {
        for (key, units) in charges {
            let Some(rings) = self.rings.get_mut(key) else { continue };
            for (ring, (_, bucket)) in rings.iter_mut().zip(WINDOWS) {
                ring.subtract(index(time, bucket), *units);
            }
        }
    }

    /// Exhausts every window of every key at `time`, known or not: what was spent since the state
    /// that was restored is not known.
    pub const fn exhaust(&mut self, time: Timestamp) {
        self.exhausted = Some(time);
    }

    /// Which of the four windows are still exhausted at `now`, in the order of [`WINDOWS`]. A window
    /// is until the whole bucket in which it was exhausted is older than it.
    #[must_use]
    pub fn exhausted(&self, now: Timestamp) -> [bool; 4] {
        WINDOWS.map(|(length, bucket)| {
            self.exhausted.is_some_and(|time| index(time, bucket) >= oldest(now, length, bucket))
        })
    }

    /// The sums of one window at `now`, with `more` added; the largest number where the window is
    /// exhausted.
    ///
    /// # Errors
    /// Fails if a sum of what is known passes 2^256 - 1.
    pub fn sums(
        &self,
        key: &WindowKey,
        more: Units,
        now: Timestamp,
    ) -> Result<WindowSums, WindowOverflow> {
        let mut sums = self.counted(key, more, now)?;
        for (sum, is_exhausted) in sums.iter_mut().zip(self.exhausted(now)) {
            if is_exhausted {
                *sum = Units::MAX;
            }
        }
        let [h1, h24, d7, d30] = sums;
        Ok(WindowSums { h1, h24, d7, d30 })
    }

    /// What is known to count in the windows of one key, with `more` added.
    fn counted(
        &self,
        key: &WindowKey,
        more: Units,
        now: Timestamp,
    ) -> Result<[Units; 4], WindowOverflow> {
        let Some(rings) = self.rings.get(key) else { return Ok([more; 4]) };
        let mut sums = [Units::ZERO; 4];
        for ((sum, ring), (length, bucket)) in sums.iter_mut().zip(rings).zip(WINDOWS) {
            *sum = ring.sum(oldest(now, length, bucket), more)?;
        }
        Ok(sums)
    }

    /// Forgets windows in which nothing counts any more at `now`.
    pub fn prune(&mut self, now: Timestamp) {
        let oldest = WINDOWS.map(|(length, bucket)| oldest(now, length, bucket));
        let is_old = |(ring, oldest): (&Ring, u64)| {
            ring.buckets.front().is_some_and(|(bucket, _)| *bucket < oldest)
        };
        // A part in which nothing is over is not touched, so that no snapshot writes it again.
        self.rings.retain(
            |rings| rings.iter().zip(oldest).any(is_old) || is_empty(rings),
            |rings| {
                for (ring, oldest) in rings.iter_mut().zip(oldest) {
                    ring.drop_before(oldest);
                }
                !is_empty(rings)
            },
        );
    }

    /// All windows with something in them, in parts.
    pub(crate) const fn rings(&self) -> &Parted<WindowKey, Rings> {
        &self.rings
    }

    pub(crate) const fn rings_mut(&mut self) -> &mut Parted<WindowKey, Rings> {
        &mut self.rings
    }
}

impl Ring {
    fn add(&mut self, bucket: u64, units: Units) -> Result<(), WindowOverflow> {
        match self.buckets.back_mut() {
            Some((last, sum)) if *last == bucket => {
                *sum = sum.checked_add(units).ok_or(WindowOverflow)?;
            }
            _ => self.buckets.push_back((bucket, units)),
        }
        Ok(())
    }

    fn subtract(&mut self, bucket: u64, units: Units) {
        let found = self.buckets.iter_mut().rev().find(|(number, _)| *number == bucket);
        if let Some((_, sum)) = found {
            *sum = sum.checked_sub(units).unwrap_or(Units::ZERO);
        }
    }

    fn drop_before(&mut self, oldest: u64) {
        while self.buckets.front().is_some_and(|(bucket, _)| *bucket < oldest) {
            self.buckets.pop_front();
        }
    }

    fn sum(&self, oldest: u64, more: Units) -> Result<Units, WindowOverflow> {
        self.buckets
            .iter()
            .rev()
            .take_while(|(bucket, _)| *bucket >= oldest)
            .try_fold(more, |sum, (_, units)| sum.checked_add(*units))
            .ok_or(WindowOverflow)
    }
}

fn is_empty(rings: &Rings) -> bool {
    rings.iter().all(|ring| ring.buckets.is_empty())
}

/// The oldest bucket that still counts: the first one that is not wholly older than the window.
const fn oldest(now: Timestamp, length: u64, bucket: u64) -> u64 {
    index(Timestamp::from_millis(now.as_millis().saturating_sub(length)), bucket)
}

const fn index(time: Timestamp, bucket: u64) -> u64 {
    match time.as_millis().checked_div(bucket) {
        Some(index) => index,
        None => 0,
    }
}

/// A sum passes 2^256 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sum of a spending window passes 2^256 - 1")]
#[non_exhaustive]
pub struct WindowOverflow;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::document::DocumentReference;

    fn key() -> WindowKey {
        WindowKey {
            scope: WindowScope::Wallet(WalletId::parse("hot").unwrap()),
            asset: AssetId::parse("eip155:1/slip44:60").unwrap(),
        }
    }

    fn charge(units: u64) -> Charges {
        Charges::from([(key(), Units::from(units))])
    }

    #[test]
    fn a_reservation_counts_until_its_whole_bucket_is_older_than_the_window() {
        for (index, (length, bucket)) in WINDOWS.into_iter().enumerate() {
            for offset in [0, 1, bucket - 1] {
                let start = 1_000 * 2_592_000_000;
                let mut windows = Windows::default();
                windows.reserve(&charge(7), Timestamp::from_millis(start + offset)).unwrap();
                let at = |millis| {
                    let sums =
                        windows.sums(&key(), Units::ZERO, Timestamp::from_millis(millis)).unwrap();
                    [sums.h1, sums.h24, sums.d7, sums.d30][index]
                };
                let case = format!("window {index}, offset {offset}");
                assert_eq!(at(start + offset), Units::from(7_u64), "{case}");
                assert_eq!(at(start + length), Units::from(7_u64), "{case}");
                assert_eq!(at(start + length + bucket - 1), Units::from(7_u64), "{case}");
                assert_eq!(at(start + length + bucket), Units::ZERO, "{case}");
            }
        }
    }

    #[test]
    fn an_exhausted_window_is_so_until_its_whole_bucket_is_older_than_it() {
        for (index, (length, bucket)) in WINDOWS.into_iter().enumerate() {
            for offset in [0, 1, bucket - 1] {
                let start = 1_000 * 2_592_000_000;
                let mut windows = Windows::default();
                windows.exhaust(Timestamp::from_millis(start + offset));
                let at = |millis| {
                    let now = Timestamp::from_millis(millis);
                    let sums = windows.sums(&key(), Units::from(3_u64), now).unwrap();
                    let sum = [sums.h1, sums.h24, sums.d7, sums.d30][index];
                    assert_eq!(windows.exhausted(now)[index], sum == Units::MAX);
                    sum
                };
                let case = format!("window {index}, offset {offset}");
                assert_eq!(at(start), Units::MAX, "{case}: before it");
                assert_eq!(at(start + offset), Units::MAX, "{case}");
                assert_eq!(at(start + length), Units::MAX, "{case}");
                assert_eq!(at(start + length + bucket - 1), Units::MAX, "{case}");
                assert_eq!(at(start + length + bucket), Units::from(3_u64), "{case}");
            }
        }
    }

    #[test]
    fn what_is_reserved_in_exhausted_windows_counts_once_they_are_not() {
        let time = Timestamp::from_millis(600_000);
        let mut windows = Windows::default();
        windows.reserve(&charge(2), time).unwrap();
        windows.exhaust(time);
        windows.reserve(&charge(5), time).unwrap();
        assert_eq!(windows.sums(&key(), Units::ZERO, time).unwrap().d30, Units::MAX);
        let later = Timestamp::from_millis(600_000 + 3_660_000);
        let sums = windows.sums(&key(), Units::ZERO, later).unwrap();
        assert_eq!((sums.h1, sums.h24), (Units::ZERO, Units::MAX));
        let later = Timestamp::from_millis(600_000 + 86_400_000);
        assert_eq!(windows.sums(&key(), Units::ZERO, later).unwrap().h24, Units::MAX);
        windows.exhausted = None;
        let counted = windows.sums(&key(), Units::ZERO, later).unwrap();
        assert_eq!(counted.h24, Units::from(7_u64));
    }

    #[test]
    fn what_overflows_is_not_reserved_in_an_exhausted_window_either() {
        let time = Timestamp::from_millis(1);
        let mut windows = Windows::default();
        windows.exhaust(time);
        let most = Charges::from([(key(), Units::MAX)]);
        windows.reserve(&most, time).unwrap();
        assert_eq!(windows.reserve(&charge(1), time), Err(WindowOverflow));
        assert_eq!(windows.sums(&key(), Units::from(1_u64), time), Err(WindowOverflow));
    }

    #[test]
    fn windows_that_are_pruned_stay_exhausted() {
        let time = Timestamp::from_millis(60_000);
        let mut windows = Windows::default();
        windows.reserve(&charge(5), time).unwrap();
        windows.exhaust(time);
        windows.prune(Timestamp::from_millis(60_000 + 604_800_000));
        let now = Timestamp::from_millis(60_000 + 2_592_000_000);
        assert_eq!(windows.exhausted(now), [false, false, false, true]);
    }

    #[test]
    fn a_returned_reservation_leaves_the_bucket_it_was_put_in() {
        let (first, second) = (Timestamp::from_millis(60_000), Timestamp::from_millis(180_000));
        let mut windows = Windows::default();
        windows.reserve(&charge(5), first).unwrap();
        windows.reserve(&charge(3), second).unwrap();
        windows.release(&charge(5), first);
        let sums = windows.sums(&key(), Units::ZERO, second).unwrap();
        assert_eq!(sums.h1, Units::from(3_u64));
        assert_eq!(sums.d30, Units::from(3_u64));
    }

    #[test]
    fn of_two_reservations_in_one_bucket_the_other_stays() {
        let (first, second) = (Timestamp::from_millis(60_000), Timestamp::from_millis(60_001));
        for (returned, left) in [(5, 3_u64), (3, 5)] {
            let mut windows = Windows::default();
            windows.reserve(&charge(5), first).unwrap();
            windows.reserve(&charge(3), second).unwrap();
            windows.release(&charge(returned), first);
            let sums = windows.sums(&key(), Units::ZERO, second).unwrap();
            assert_eq!([sums.h1, sums.h24, sums.d7, sums.d30], [Units::from(left); 4]);
        }
    }

    #[test]
    fn a_sum_that_would_overflow_reserves_nothing() {
        let now = Timestamp::from_millis(1);
        let mut windows = Windows::default();
        windows.reserve(&charge(1), now).unwrap();
        let most = Charges::from([(key(), Units::MAX)]);
        assert_eq!(windows.reserve(&most, now), Err(WindowOverflow));
        assert_eq!(windows.sums(&key(), Units::ZERO, now).unwrap().h1, Units::from(1_u64));
    }

    #[test]
    fn nothing_is_reserved_if_one_of_many_sums_would_overflow() {
        let now = Timestamp::from_millis(1);
        let first = WindowKey {
            scope: WindowScope::Requester(PrincipalId::parse("olivia").unwrap()),
            ..key()
        };
        let mut windows = Windows::default();
        windows.reserve(&charge(1), now).unwrap();
        let before = windows.clone();
        let charges = Charges::from([(first, Units::from(5_u64)), (key(), Units::MAX)]);
        assert_eq!(windows.reserve(&charges, now), Err(WindowOverflow));
        assert_eq!(windows, before);
    }

    #[test]
    fn a_window_is_forgotten_once_nothing_counts_in_it() {
        let mut windows = Windows::default();
        windows.reserve(&charge(5), Timestamp::from_millis(60_000)).unwrap();
        let kept = windows.clone();
        windows.prune(Timestamp::from_millis(60_000));
        assert_eq!(windows, kept);
        windows.prune(Timestamp::from_millis(4_000_000_000));
        assert_eq!(windows, Windows::default());
    }

    #[test]
    fn a_part_of_windows_is_touched_only_when_something_in_it_is_over() {
        let hours = |count: u64| Timestamp::from_millis(count * 3_600_000);
        let mut windows = Windows::default();
        windows.reserve(&charge(5), Timestamp::from_millis(60_000)).unwrap();
        let document = DocumentReference { sha256: Digest::of(b"part"), size: 4 };
        // An hour is over, then nothing more, then a day.
        for (hour, is_touched) in [(1, false), (3, true), (4, false), (20, false), (30, true)] {
            windows.rings().parts().for_each(|(_, part)| part.keep(document));
            windows.prune(hours(hour));
            let kept: Vec<_> =
                windows.rings().parts().map(|(_, part)| part.kept().is_some()).collect();
            assert_eq!(kept, [!is_touched], "{hour}");
        }
    }
}
