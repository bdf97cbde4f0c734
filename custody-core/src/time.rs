//! Ledger time: milliseconds since 1970-01-01T00:00:00Z.
//!
//! Invariant: nothing here reads a clock.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

/// A point in time, in milliseconds since the Unix epoch; never after [`Self::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The largest time, so that it stays exact in JSON (I-JSON, RFC 7493, section 2.2).
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The time this many milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.0 { Self::MAX } else { Self(millis) }
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time `duration` later, at most [`Self::MAX`].
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// How long ago `earlier` was; zero if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            millis if millis <= Self::MAX.0 => Ok(Self(millis)),
            _ => Err(serde::de::Error::custom("a time after the last one")),
        }
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 with milliseconds, in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, rest) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let (year, month, day) = civil(days);
        let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
        let (second, milli) = (rest / 1_000 % 60, rest % 1_000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// Year, month and day of the proleptic Gregorian calendar, `days` after 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days.saturating_add(719_468);
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let leaps = (of_era / 1_460).saturating_add(of_era / 146_096);
    let year_of_era = of_era.saturating_sub(leaps.saturating_sub(of_era / 36_524)) / 365;
    let before = (year_of_era.saturating_mul(365)).saturating_add(year_of_era / 4);
    let day_of_year = of_era.saturating_sub(before.saturating_sub(year_of_era / 100));
    let shifted_month = day_of_year.saturating_mul(5).saturating_add(2) / 153;
    let first = shifted_month.saturating_mul(153).saturating_add(2) / 5;
    let day = day_of_year.saturating_sub(first).saturating_add(1);
    let wraps = shifted_month >= 10;
    let month =
        if wraps { shifted_month.saturating_sub(9) } else { shifted_month.saturating_add(3) };
    let year = era.saturating_mul(400).saturating_add(year_of_era);
    (year.saturating_add(u64::from(wraps)), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_after_the_last_one_is_not_read() {
        let last = Timestamp::MAX.as_millis();
        assert_eq!(serde_json::from_str::<Timestamp>(&last.to_string()).unwrap(), Timestamp::MAX);
        for later in [last + 1, 1 << 63, u64::MAX] {
            assert!(serde_json::from_str::<Timestamp>(&later.to_string()).is_err(), "{later}");
        }
        for text in ["-1", "1.0", "1e3", "\"1\"", "null"] {
            assert!(serde_json::from_str::<Timestamp>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_written_as_rfc_3339() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (4_102_444_800_000, "2100-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
        }
    }
}
