//! Spending windows: rings of buckets on ledger time, shared by the judge and the verifier.
//!
//! Invariant: a reservation counts from its event until the whole bucket it was put in is older
//! than the window: never under-counted, at most one bucket too long. Nothing here reads a clock.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::amount::Units;
use crate::caip::{AccountId, AssetId};
use crate::id::{PrincipalId, WalletId};
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
    rings: BTreeMap<WindowKey, [Ring; 4]>,
}

/// The buckets of one window, oldest first; only buckets that something was put in exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Ring {
    buckets: VecDeque<(u64, Units)>,
}

impl Windows {
    /// Counts `charges` in the buckets of `time`, all or nothing.
    ///
    /// # Errors
    /// Fails if a sum would pass 2^256 - 1; nothing is counted then.
    pub fn reserve(&mut self, charges: &Charges, time: Timestamp) -> Result<(), WindowOverflow> {
        for (key, units) in charges {
            self.sums(key, *units, time)?;
        }
        for (key, units) in charges {
            let rings = self.rings.entry(key.clone()).or_default();
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

    /// The sums of one window at `now`, with `more` added.
    ///
    /// # Errors
    /// Fails if a sum passes 2^256 - 1.
    pub fn sums(
        &self,
        key: &WindowKey,
        more: Units,
        now: Timestamp,
    ) -> Result<WindowSums, WindowOverflow> {
        let Some(rings) = self.rings.get(key) else {
            return Ok(WindowSums { h1: more, h24: more, d7: more, d30: more });
        };
        let mut sums = [Units::ZERO; 4];
        for ((sum, ring), (length, bucket)) in sums.iter_mut().zip(rings).zip(WINDOWS) {
            *sum = ring.sum(oldest(now, length, bucket), more)?;
        }
        let [h1, h24, d7, d30] = sums;
        Ok(WindowSums { h1, h24, d7, d30 })
    }

    /// Forgets windows in which nothing counts any more at `now`.
    pub fn prune(&mut self, now: Timestamp) {
        self.rings.retain(|_, rings| {
            for (ring, (length, bucket)) in rings.iter_mut().zip(WINDOWS) {
                ring.drop_before(oldest(now, length, bucket));
            }
            rings.iter().any(|ring| !ring.buckets.is_empty())
        });
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

impl Serialize for Windows {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rings.iter())
    }
}

impl<'de> Deserialize<'de> for Windows {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut rings = BTreeMap::new();
        for (key, ring) in Vec::<(WindowKey, [Ring; 4])>::deserialize(deserializer)? {
            if rings.insert(key, ring).is_some() {
                return Err(serde::de::Error::custom("a window stands twice"));
            }
        }
        Ok(Self { rings })
    }
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
    fn a_sum_that_would_overflow_reserves_nothing() {
        let now = Timestamp::from_millis(1);
        let mut windows = Windows::default();
        windows.reserve(&charge(1), now).unwrap();
        let most = Charges::from([(key(), Units::MAX)]);
        assert_eq!(windows.reserve(&most, now), Err(WindowOverflow));
        assert_eq!(windows.sums(&key(), Units::ZERO, now).unwrap().h1, Units::from(1_u64));
    }

    #[test]
    fn windows_survive_their_document() {
        let mut windows = Windows::default();
        windows.reserve(&charge(5), Timestamp::from_millis(60_000)).unwrap();
        let text = serde_json::to_string(&windows).unwrap();
        assert_eq!(serde_json::from_str::<Windows>(&text).unwrap(), windows);
        windows.prune(Timestamp::from_millis(4_000_000_000));
        assert_eq!(windows, Windows::default());
    }
}
