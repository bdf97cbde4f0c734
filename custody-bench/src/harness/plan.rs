//! What a run measures, checked before anything is opened.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use custody_core::crypto::Algorithm;
use serde::{Deserialize, Serialize};

use super::HarnessError;
use super::number::float;
use super::provider::Options;

/// What a run measures.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// The backend's name.
    pub backend: String,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// How many callers at once, one series each.
    pub concurrency: Vec<usize>,
    /// How the load is made.
    pub loops: Vec<Loop>,
    /// How long each series is timed.
    pub duration: Duration,
    /// How long each series runs before it is timed.
    pub warm_up: Duration,
    /// Whether the governed path is measured too.
    pub governed: bool,
    /// Whether peers are.
    pub peers: bool,
    /// What is signed follows from it.
    pub seed: u64,
    /// The backend's options.
    pub options: Options,
    /// Where the results go.
    pub out: PathBuf,
    /// So many calls, warm-up included, and a closed loop is over before its time: each is kept in
    /// memory until it is verified.
    pub calls_most: u64,
}

/// How load is made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::exhaustive_enums, reason = "load waits for answers or it does not")]
pub enum Loop {
    /// Each caller asks again once it is answered.
    Closed,
    /// So many calls a second are due, answered or not; each is timed from when it was due.
    Open {
        /// Calls a second.
        rate: f64,
    },
}

impl Plan {
    /// A plan with one caller, in a closed loop, for five seconds after one of warm-up.
    #[must_use]
    pub fn new(backend: &str, algorithm: Algorithm, out: PathBuf) -> Self {
        Self {
            backend: backend.to_owned(),
            algorithm,
            concurrency: vec![1],
            loops: vec![Loop::Closed],
            duration: Duration::from_secs(5),
            warm_up: Duration::from_secs(1),
            governed: false,
            peers: true,
            seed: 0,
            options: Options::default(),
            out,
            calls_most: CALLS,
        }
    }

    /// With options for the backend.
    #[must_use]
    pub fn with_options(mut self, options: BTreeMap<String, String>) -> Self {
        self.options = Options(options);
        self
    }

    /// The plan, if all its figures are within bounds.
    ///
    /// # Errors
    /// Names the option that is not.
    pub fn checked(self) -> Result<Self, HarnessError> {
        let bounds =
            |option, reason: &str| Err(HarnessError::Bounds { option, reason: reason.to_owned() });
        if self.duration < SHORTEST {
            return bounds("--duration", "must be at least 50 ms: less says nothing");
        }
        if self.duration > LONGEST || self.warm_up > LONGEST {
            return bounds("--duration", "and --warm-up must be at most an hour each");
        }
        if self.concurrency.is_empty() || self.concurrency.contains(&0) {
            return bounds("--concurrency", "must be at least 1: nobody would call");
        }
        if self.concurrency.iter().any(|callers| *callers > CALLERS) {
            return bounds("--concurrency", "must be at most 1024");
        }
        if has_twice(&self.concurrency) {
            return bounds("--concurrency", "has a number twice: each is one series");
        }
        if has_twice(&self.rates().collect::<Vec<_>>()) {
            return bounds("--rate", "has a number twice: each is one series");
        }
        for rate in self.rates() {
            if !rate.is_finite() || rate <= 0.0 {
                return bounds("--rate", "must be above zero");
            }
            if rate * (self.warm_up + self.duration).as_secs_f64() > float(CALLS) {
                let reason = "times --warm-up and --duration is more than 10 million calls";
                return bounds("--rate", reason);
            }
            if rate * self.duration.as_secs_f64() < 1.0 {
                return bounds("--rate", "times --duration is less than one call");
            }
        }
        Ok(self)
    }

    /// The arrival rates of the open loops.
    pub fn rates(&self) -> impl Iterator<Item = f64> {
        self.loops.iter().filter_map(|way| match way {
            Loop::Closed => None,
            Loop::Open { rate } => Some(*rate),
        })
    }

    pub(crate) fn most_callers(&self) -> usize {
        self.concurrency.iter().copied().max().unwrap_or(1)
    }
}

fn has_twice<T: PartialEq>(numbers: &[T]) -> bool {
    numbers
        .iter()
        .enumerate()
        .any(|(place, number)| numbers.iter().take(place).any(|n| n == number))
}

/// Reads `5s`, `250ms`, `2m` or `1h`; zero is read too, and refused by [`Plan::checked`].
///
/// # Errors
/// Fails on any other text.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(split).unwrap_or_default();
    let number: u64 = digits.parse().map_err(|_| DURATION.to_owned())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(DURATION.to_owned()),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(|| DURATION.to_owned())
}

/// Reads the name of an algorithm: as in documents, or without `ecdsa-`.
///
/// # Errors
/// Names those that there are.
pub fn parse_algorithm(text: &str) -> Result<Algorithm, String> {
    let short = |algorithm: &Algorithm| {
        let name = algorithm.as_str();
        name.strip_prefix("ecdsa-").unwrap_or(name)
    };
    let found = Algorithm::ALL.into_iter().find(|one| one.as_str() == text || short(one) == text);
    found.ok_or_else(|| {
        let names: Vec<_> = Algorithm::ALL.iter().map(short).collect();
        format!("there are {}", names.join(", "))
    })
}

const DURATION: &str = "a duration is a whole number and a unit: 250ms, 5s, 2m, 1h";
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(3_600);
const CALLERS: usize = 1_024;
/// Some 200 bytes each.
const CALLS: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(change: impl FnOnce(&mut Plan)) -> Result<Plan, String> {
        let mut plan = Plan::new("software", Algorithm::Ed25519, PathBuf::from("out"));
        change(&mut plan);
        plan.checked().map_err(|error| error.to_string())
    }

    #[test]
    fn figures_out_of_bounds_are_refused_with_the_option() {
        let open = |rate| vec![Loop::Open { rate }];
        let refused = [
            ("--duration", plan(|plan| plan.duration = Duration::ZERO)),
            ("--duration", plan(|plan| plan.duration = Duration::from_millis(49))),
            ("--duration", plan(|plan| plan.duration = Duration::from_secs(3_601))),
            ("--duration", plan(|plan| plan.warm_up = Duration::from_secs(3_601))),
            ("--concurrency", plan(|plan| plan.concurrency = vec![])),
            ("--concurrency", plan(|plan| plan.concurrency = vec![1, 0])),
            ("--concurrency", plan(|plan| plan.concurrency = vec![1_025])),
            ("--concurrency", plan(|plan| plan.concurrency = vec![2, 1, 2])),
            ("--rate", plan(|plan| plan.loops = [open(5.0), open(5.0)].concat())),
            ("--rate", plan(|plan| plan.loops = open(0.0))),
            ("--rate", plan(|plan| plan.loops = open(-5.0))),
            ("--rate", plan(|plan| plan.loops = open(f64::NAN))),
            ("--rate", plan(|plan| plan.loops = open(f64::INFINITY))),
            ("--rate", plan(|plan| plan.loops = open(1_666_667.0))),
            ("--rate", plan(|plan| (plan.loops, plan.warm_up) = (open(1e6), LONGEST))),
            ("--rate", plan(|plan| plan.loops = open(0.199))),
        ];
        for (option, refused) in refused {
            let reason = refused.unwrap_err();
            assert!(reason.starts_with(option), "{option}: {reason}");
        }
        assert!(plan(|plan| plan.loops = open(1_666_666.0)).is_ok());
        assert!(plan(|plan| plan.loops = open(0.2)).is_ok());
        assert!(plan(|plan| plan.duration = Duration::from_millis(50)).is_ok());
        assert!(plan(|plan| plan.concurrency = vec![1_024]).is_ok());
    }

    #[test]
    fn durations_have_a_unit() {
        for (text, milliseconds) in [("0s", 0), ("250ms", 250), ("5s", 5_000), ("1m", 60_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "5", "s", "-5s", "1.5s", "5 s", "5d", "99999999999999999999s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn algorithms_have_a_short_name() {
        for algorithm in Algorithm::ALL {
            assert_eq!(parse_algorithm(algorithm.as_str()), Ok(algorithm));
        }
        assert_eq!(parse_algorithm("secp256k1"), Ok(Algorithm::EcdsaSecp256k1));
        for text in ["", "rsa", "SECP256K1", "ecdsa-ed25519"] {
            assert!(parse_algorithm(text).unwrap_err().contains("secp256k1"), "{text}");
        }
    }
}
