use custody_core::time::Timestamp;

/// A stretch of time that a trail covers: from its first instant to just before its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    from: Timestamp,
    until: Timestamp,
}

impl Period {
    /// Everything.
    pub const ALL: Self = Self { from: Timestamp::from_millis(0), until: Timestamp::MAX };

    /// From one time to just before another.
    #[must_use]
    pub const fn new(from: Timestamp, until: Timestamp) -> Self {
        Self { from, until }
    }

    pub(super) fn contains(&self, time: Timestamp) -> bool {
        self.from <= time && time < self.until
    }

    /// How much of the time from one instant to another, both included, lies in the period.
    pub(super) fn share(&self, from: Timestamp, until: Timestamp) -> Share {
        if self.contains(from) && self.contains(until) {
            Share::All
        } else if from < self.until && until >= self.from {
            Share::Some
        } else {
            Share::None
        }
    }
}

/// How much of something lies in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    All,
    None,
    Some,
}

/// Reads a time in UTC as CloudTrail writes it: `2026-03-01T12:00:04Z`, from 1970 on (RFC 3339).
#[must_use]
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_once('T')?;
    let time = rest.strip_suffix('Z')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if year < 1970 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_before(year, month, day)?;
    let seconds = [(days, 86_400), (hour, 3_600), (minute, 60), (second, 1)]
        .into_iter()
        .fold(0_u64, |sum, (count, unit)| sum.saturating_add(count.saturating_mul(unit)));
    Some(Timestamp::from_millis(seconds.saturating_mul(1_000)))
}

/// Three numbers of fixed widths.
fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut next = |width: usize| {
        let part = parts.next().filter(|part| part.len() == width)?;
        let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| is_number)
    };
    let [first, second, third] = widths;
    let read = [next(first)?, next(second)?, next(third)?];
    parts.next().is_none().then_some(read)
}

/// The days from 1970-01-01 to a day of the Gregorian calendar, if there is such a day.
fn days_before(year: u64, month: u64, day: u64) -> Option<u64> {
    let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let february = if is_leap { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = usize::try_from(month.checked_sub(1)?).ok()?;
    let (before, rest) = months.split_at_checked(index)?;
    if day == 0 || day > *rest.first()? {
        return None;
    }
    let last = year.checked_sub(1)?;
    let leap_days = (last / 4).checked_sub(last / 100)?.checked_add(last / 400)?;
    let years = year.checked_sub(1970)?.checked_mul(365)?;
    let in_year = before.iter().sum::<u64>().checked_add(day)?.checked_sub(1)?;
    years.checked_add(leap_days)?.checked_sub(LEAP_DAYS_BEFORE_1970)?.checked_add(in_year)
}

/// 1969 / 4 - 1969 / 100 + 1969 / 400.
const LEAP_DAYS_BEFORE_1970: u64 = 477;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_real_times_in_the_one_form_are_read() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:34:56Z", 951_827_696_000),
            ("2022-03-07T22:36:44Z", 1_646_692_604_000),
            ("2024-02-29T23:59:59Z", 1_709_251_199_000),
            ("2100-01-01T00:00:00Z", 4_102_444_800_000),
        ] {
            assert_eq!(parse_time(text), Some(Timestamp::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "2022-03-07",
            "2022-03-07T22:36:44",
            "2022-03-07T22:36:44.000Z",
            "2022-03-07T22:36:44+00:00",
            "2022-03-07 22:36:44Z",
            "2022-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2022-04-31T00:00:00Z",
            "2022-00-07T00:00:00Z",
            "2022-13-07T00:00:00Z",
            "2022-03-00T00:00:00Z",
            "2022-03-07T24:00:00Z",
            "2022-03-07T22:60:00Z",
            "2022-03-07T22:36:60Z",
            "1969-12-31T23:59:59Z",
            "+022-03-07T22:36:44Z",
            "22-03-07T22:36:44Z",
            "2022-3-7T22:36:44Z",
            "2022-03-07-01T22:36:44Z",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn a_period_ends_just_before_its_end() {
        let at = Timestamp::from_millis;
        let period = Period::new(at(100), at(200));
        assert!(period.contains(at(100)) && period.contains(at(199)));
        assert!(!period.contains(at(99)) && !period.contains(at(200)));
        for (from, until, share) in [
            (100, 199, Share::All),
            (99, 199, Share::Some),
            (100, 200, Share::Some),
            (0, 1_000, Share::Some),
            (0, 100, Share::Some),
            (0, 99, Share::None),
            (199, 300, Share::Some),
            (200, 300, Share::None),
        ] {
            assert_eq!(period.share(at(from), at(until)), share, "{from} to {until}");
        }
    }

    proptest! {
        #[test]
        fn what_the_ledger_writes_is_read_back(seconds in 0_u64..253_402_300_800) {
            let time = Timestamp::from_millis(seconds.saturating_mul(1_000));
            let text = time.to_string().replace(".000Z", "Z");
            prop_assert_eq!(parse_time(&text), Some(time));
        }
    }
}
