//! The percentile bootstrap over stretches of time (Efron and Tibshirani 1993, chapters 8 and 13).

use std::fmt;

use super::Sample;
use crate::harness::number::{Draws, float, index, whole};

/// A ratio and its interval of 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "nothing else belongs to it")]
pub struct Interval {
    /// What was measured.
    pub ratio: f64,
    /// 2.5 % of the draws are below.
    pub low: f64,
    /// 2.5 % of the draws are above.
    pub high: f64,
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} [{:.3}, {:.3}]", self.ratio, self.low, self.high)
    }
}

/// The latencies of a series by stretches of time, those of each in order.
#[derive(Clone, Debug)]
pub(super) struct Stretches {
    stretches: Vec<Vec<u64>>,
    all: Vec<u64>,
}

impl Stretches {
    /// None without samples.
    pub(super) fn of(samples: &[Sample]) -> Option<Self> {
        let last = samples.iter().map(|sample| sample.intended_ns).max()?;
        let length = (last / STRETCHES).max(1) + 1;
        // The same for all stretches, so that each weighs what it holds.
        let step = samples.len().div_ceil(KEPT).max(1);
        let mut stretches = Vec::new();
        for number in 0..STRETCHES {
            let within = |sample: &&Sample| sample.intended_ns / length == number;
            let mut own: Vec<_> = samples.iter().filter(within).map(Sample::latency_ns).collect();
            own.sort_unstable();
            if !own.is_empty() {
                stretches.push(thin(&own, step));
            }
        }
        let mut all: Vec<_> = samples.iter().map(Sample::latency_ns).collect();
        all.sort_unstable();
        Some(Self { stretches, all })
    }

    /// The quantile of all samples.
    pub(super) fn at(&self, quantile: f64) -> u64 {
        at(&self.all, quantile)
    }

    /// The quantile of as many stretches as there are, each drawn from all of them.
    fn draw(&self, draws: &mut Draws, quantile: f64, drawn: &mut Vec<u64>) -> f64 {
        drawn.clear();
        for _ in 0..self.stretches.len() {
            let chosen = self.stretches.get(draws.below(self.stretches.len()));
            drawn.extend(chosen.into_iter().flatten());
        }
        let place = place(drawn.len(), quantile);
        if place >= drawn.len() {
            return 0.0;
        }
        float(*drawn.select_nth_unstable(place).1)
    }
}

/// The second's quantile over the first's. The same samples always give the same interval.
pub(super) fn ratio((before, after): (&Stretches, &Stretches), quantile: f64) -> Interval {
    let (mut draws, mut drawn) = (Draws::new(SEED), Vec::new());
    let mut ratios: Vec<_> = (0..DRAWS)
        .map(|_| {
            let old = before.draw(&mut draws, quantile, &mut drawn).max(1.0);
            after.draw(&mut draws, quantile, &mut drawn) / old
        })
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let at = |q: f64| ratios.get(place(ratios.len(), q)).copied().unwrap_or(f64::NAN);
    let ratio = float(after.at(quantile)) / float(before.at(quantile).max(1));
    Interval { ratio, low: at(0.025), high: at(0.975) }
}

/// Every so manieth of what is in order, and at least one.
fn thin(sorted: &[u64], step: usize) -> Vec<u64> {
    let step = step.min(sorted.len().max(1));
    sorted.iter().skip(step / 2).step_by(step).copied().collect()
}

fn at(sorted: &[u64], quantile: f64) -> u64 {
    sorted.get(place(sorted.len(), quantile)).copied().unwrap_or(0)
}

fn place(length: usize, quantile: f64) -> usize {
    let length = float(u64::try_from(length).unwrap_or(u64::MAX));
    index((length * quantile).min(float(whole(length)) - 1.0).max(0.0))
}

const STRETCHES: u64 = 20;
const KEPT: usize = 20_000;
const DRAWS: u32 = 1_000;
const SEED: u64 = 0x0063_7573_746f_6479;

#[cfg(test)]
mod tests {
    use super::*;

    /// Latencies around `median`, slower for a while now and then, as a shared machine makes them.
    fn samples(median: f64, seed: u64) -> Vec<Sample> {
        let mut draws = Draws::new(seed);
        let mut noise = || (float(draws.next() >> 11) / float(1 << 53)) - 0.5;
        let mut weather = 0.0;
        (0..20_000_u64)
            .map(|number| {
                if number % 200 == 0 {
                    weather = 0.9 * weather + 0.008 * noise();
                }
                let time = median * (1.0 + weather + 0.2 * noise());
                let intended_ns = number * 250_000;
                let ended_ns = intended_ns + whole(time);
                Sample { number, intended_ns, started_ns: intended_ns, ended_ns }
            })
            .collect()
    }

    fn verdicts(slower: f64) -> Vec<super::super::Verdict> {
        (0..20)
            .map(|trial| {
                let (before, after) = (samples(50_000.0, trial), samples(slower, 1_000 + trial));
                super::super::row("raw", &before, &after).unwrap().verdict
            })
            .collect()
    }

    #[test]
    fn a_planted_slowdown_of_five_percent_is_found_in_each_of_twenty_trials() {
        let found = verdicts(52_500.0);
        assert!(found.iter().all(|one| *one == super::super::Verdict::Slower), "{found:?}");
    }

    #[test]
    fn none_is_found_between_equal_runs_in_any_of_twenty_trials() {
        let found = verdicts(50_000.0);
        assert!(found.iter().all(|one| *one == super::super::Verdict::Same), "{found:?}");
    }

    #[test]
    fn the_same_samples_give_the_same_interval() {
        let samples = Stretches::of(&samples(50_000.0, 7)).unwrap();
        let one = ratio((&samples, &samples), 0.5);
        assert_eq!(one, ratio((&samples, &samples), 0.5));
        assert!(one.low < 1.0 && one.high > 1.0 && (one.ratio - 1.0).abs() < 1e-9, "{one}");
    }

    #[test]
    fn a_series_without_samples_has_no_interval() {
        assert!(Stretches::of(&[]).is_none());
    }
}
