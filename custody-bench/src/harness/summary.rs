//! What a series comes to: its signatures verified, its samples counted.

use std::sync::Arc;
use std::time::Duration;

use super::HarnessError;
use super::document::{Lateness, QUANTILES, Quantile, Role, Series, StageTime};
use super::histogram;
use super::load::{Load, Sample, Taken};
use super::number::{count, float, thousandths};
use super::plan::Loop;
use super::stage::{Stage, Timed};
use super::target::{Answer, Job, Target};

/// Verifies every signature, on all cores; the mean time of one.
pub(crate) fn verify(
    series: &str,
    target: &Arc<dyn Target>,
    answers: &[(Job, Answer)],
) -> Result<f64, HarnessError> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let part = answers.len().div_ceil(cores).max(1);
    let check = |part: &[(Job, Answer)]| {
        let since = std::time::Instant::now();
        for (job, answer) in part {
            target.verify(job, answer).map_err(|wrong| HarnessError::Void {
                series: series.to_owned(),
                number: job.number & IN_SERIES,
                checked: answers.len(),
                reason: wrong.to_string(),
            })?;
        }
        Ok(since.elapsed())
    };
    let times: Vec<Result<Duration, HarnessError>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            answers.chunks(part).map(|part| scope.spawn(move || check(part))).collect();
        let panicked = |_| {
            let reason = "the verification panicked".to_owned();
            let (series, checked) = (series.to_owned(), answers.len());
            Err(HarnessError::Void { series, number: 0, checked, reason })
        };
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    });
    let mut total = Duration::ZERO;
    for time in times {
        total += time?;
    }
    Ok(thousandths(total.as_secs_f64() * 1e9 / float(count(answers.len().max(1)))))
}

pub(crate) fn summarise(
    (role, subject): (Role, &str),
    load: Load,
    (id, verify_mean_ns): (String, f64),
    (taken, timed, turns): (&Taken, &[Timed], Turns),
) -> Result<Series, HarnessError> {
    let times = taken.samples.iter().map(Sample::latency_ns);
    let refused = |error: histogram::HistogramError| HarnessError::File {
        path: "run.json".into(),
        reason: error.to_string(),
    };
    let histogram = histogram::of(times).map_err(refused)?;
    let elapsed_ns = taken.samples.iter().map(|sample| sample.ended_ns).max().unwrap_or(0);
    let calls = count(taken.samples.len());
    let all: u64 =
        taken.samples.iter().fold(0, |sum, sample| sum.saturating_add(sample.latency_ns()));
    let mean_ns = thousandths(float(all) / float(calls.max(1)));
    Ok(Series {
        id,
        role,
        subject: subject.to_owned(),
        concurrency: count(load.concurrency),
        load: load.way,
        elapsed_ns,
        count: calls,
        unanswered: taken.unanswered,
        is_cut: taken.is_cut,
        errors: taken.errors.clone(),
        rate: thousandths(float(calls) * 1e9 / float(elapsed_ns.max(1))),
        mean_ns,
        quantiles: QUANTILES.map(|q| Quantile { q, ns: histogram.value_at_quantile(q) }).to_vec(),
        max_ns: histogram.max(),
        histogram: histogram::encode(&histogram).map_err(refused)?,
        lateness: lateness(load.way, &taken.lateness),
        verify_mean_ns,
        stages: stage_times(timed, turns, (calls, mean_ns)),
    })
}

fn lateness(way: Loop, late: &[u64]) -> Option<Lateness> {
    if way == Loop::Closed {
        return None;
    }
    let histogram = histogram::of(late.iter().copied()).ok()?;
    let at = |q| histogram.value_at_quantile(q);
    Some(Lateness { p50_ns: at(0.5), p99_ns: at(0.99), max_ns: histogram.max() })
}

/// How many turns an order waits for, one after the other, each with a commit and a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turns {
    /// Keys in the process sign before the turn in which the order is written.
    One,
    /// Others are asked when the order is written, and what they answer is written in another turn.
    Two,
}

/// What each stage adds to the mean time of an order: what is done for one order, in full; the
/// commits and seals that it waits for, each of which is for many; and the rest, which is waiting.
fn stage_times(timed: &[Timed], turns: Turns, (orders, mean_ns): (u64, f64)) -> Vec<StageTime> {
    let Some(_) = timed.first() else { return Vec::new() };
    let mut told: Vec<_> = timed
        .iter()
        .map(|(stage, sum, histogram)| {
            let mean = float(sum.total_ns) / float(sum.count.max(1));
            let share = match stage {
                Stage::Commit | Stage::Seal if turns == Turns::Two => 2.0 * mean,
                Stage::Commit | Stage::Seal => mean,
                Stage::Decode | Stage::Judge | Stage::Sign | Stage::Verify => {
                    float(sum.total_ns) / float(orders.max(1))
                }
            };
            StageTime {
                stage: stage.as_str().to_owned(),
                count: sum.count,
                mean_ns: thousandths(mean),
                p50_ns: Some(histogram.value_at_quantile(0.5)),
                p99_ns: Some(histogram.value_at_quantile(0.99)),
                share_ns: thousandths(share),
            }
        })
        .collect();
    let known: f64 = told.iter().map(|stage| stage.share_ns).sum();
    let rest = thousandths((mean_ns - known).max(0.0));
    told.push(StageTime {
        stage: "wait".to_owned(),
        count: orders,
        mean_ns: rest,
        p50_ns: None,
        p99_ns: None,
        share_ns: rest,
    });
    told
}

/// The bits of a job's number that count within its series.
const IN_SERIES: u64 = 0xffff_ffff;
