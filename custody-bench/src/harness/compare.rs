//! Two runs side by side.
//!
//! Samples of one run follow each other and are not independent: a machine is slow for a while.
//! What is drawn again is therefore never a sample but a stretch of time, of which each series has
//! twenty.

mod bootstrap;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use super::HarnessError;
use super::document::{Run, Series, Status};
use super::load::Sample;
use super::number::float;
use super::output::{read_run, read_samples};

pub use bootstrap::Interval;
use bootstrap::{Stretches, ratio};

/// What two runs have in common, and how they differ in it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Comparison {
    /// What differs between the machines, if somebody insisted.
    pub machines: Vec<String>,
    /// What differs otherwise and may explain a difference.
    pub remarks: Vec<String>,
    /// The series in which the second run has fewer answers than it was asked for, and the first
    /// had them: nothing was answered, or more than one call in a hundred more failed.
    pub failing: Vec<String>,
    /// The series that both have.
    pub rows: Vec<Row>,
}

/// A series of both runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row {
    /// Its id.
    pub id: String,
    /// The medians, in nanoseconds.
    pub medians: (u64, u64),
    /// The second median over the first.
    pub median: Interval,
    /// The same for the 99th percentiles. They are told, and decide nothing.
    pub p99: Interval,
    /// What the medians say.
    pub verdict: Verdict,
}

/// What a comparison says about the second run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth")]
pub enum Verdict {
    /// It is faster.
    Faster,
    /// No difference was found that is not within [`MARGIN`] or within what chance explains.
    Same,
    /// It is slower.
    Slower,
}

impl Comparison {
    /// Slower if any series is or fails more, else faster if any is.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let has = |verdict| self.rows.iter().any(|row| row.verdict == verdict);
        if has(Verdict::Slower) || !self.failing.is_empty() {
            Verdict::Slower
        } else if has(Verdict::Faster) {
            Verdict::Faster
        } else {
            Verdict::Same
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in self.machines.iter().chain(&self.remarks) {
            writeln!(f, "differs: {difference}")?;
        }
        let width = self.rows.iter().map(|row| row.id.len()).max().unwrap_or(0).max(6);
        writeln!(
            f,
            "{:width$}  {:>12}  {:>12}  {:<24}  {:<24}  verdict",
            "series",
            "p50 before",
            "p50 after",
            "p50 after/before (95 %)",
            "p99 after/before (95 %)"
        )?;
        for row in &self.rows {
            let (before, after) = row.medians;
            let micros = |ns| super::report::time(ns);
            let verdict = match row.verdict {
                Verdict::Faster => "faster",
                Verdict::Same => "same",
                Verdict::Slower => "SLOWER",
            };
            writeln!(
                f,
                "{:width$}  {:>12}  {:>12}  {:<24}  {:<24}  {verdict}",
                row.id,
                micros(before),
                micros(after),
                row.median.to_string(),
                row.p99.to_string()
            )?;
        }
        for failing in &self.failing {
            writeln!(f, "FAILS: {failing}")?;
        }
        writeln!(f, "One run each: what differs from process to process is in no interval.")
    }
}

/// Which runs are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "machines are the same or not")]
pub enum Machines {
    /// Of different machines too.
    Any,
    /// Of one machine only.
    Same,
}

/// Compares the run in `after` with the one in `before`.
///
/// # Errors
/// Refuses runs of different machines unless [`Machines::Any`] is given, runs that have no series
/// in common, and what [`read_run`] refuses.
pub fn compare(before: &Path, after: &Path, allowed: Machines) -> Result<Comparison, HarnessError> {
    let (old, new) = (read_run(before)?, read_run(after)?);
    let machines = old.environment.machine.differences(&new.environment.machine);
    if !machines.is_empty() && allowed == Machines::Same {
        return Err(HarnessError::DifferentMachines { differences: machines.join("; ") });
    }
    let (old_samples, new_samples) = (read_samples(before)?, read_samples(after)?);
    let (mut rows, mut failing, mut is_in_common) = (Vec::new(), Vec::new(), false);
    for series in &old.series {
        let Some(other) = new.series.iter().find(|other| is_same(series, other)) else { continue };
        is_in_common = true;
        failing.extend(fails_more(series, other));
        let samples = (old_samples.get(&series.id), new_samples.get(&other.id));
        if let (Some(first), Some(second)) = samples {
            rows.extend(row(&series.id, first, second));
        }
    }
    if !is_in_common {
        return Err(HarnessError::NothingInCommon);
    }
    let remarks = remarks(&old, &new).into_iter().chain(alone(&old, &new)).collect();
    Ok(Comparison { machines, remarks, failing, rows })
}

/// The series that one run alone has.
fn alone(before: &Run, after: &Run) -> impl Iterator<Item = String> {
    let only = |one: &Run, other: &Run, which: &str| -> Vec<String> {
        let without = |series: &&Series| !other.series.iter().any(|told| is_same(series, told));
        let told = one.series.iter().filter(without);
        told.map(|series| format!("series: only the run {which} has {}", series.id)).collect()
    };
    only(before, after, "before").into_iter().chain(only(after, before, "after"))
}

/// What is told of a series in which more calls have no answer than before.
fn fails_more(before: &Series, after: &Series) -> Option<String> {
    let failed = |series: &Series| {
        let counts = series.errors.values().chain([&series.unanswered]);
        counts.fold(0_u64, |sum, more| sum.saturating_add(*more))
    };
    let all = |series: &Series| failed(series).saturating_add(series.count);
    let share = |series: &Series| float(failed(series)) / float(all(series).max(1));
    let is_more = share(after) > share(before) + 0.01 || (before.count > 0 && after.count == 0);
    is_more.then(|| {
        let told = |series: &Series| format!("{} of {} calls", failed(series), all(series));
        format!("{}: {} without an answer, {} before", after.id, told(after), told(before))
    })
}

/// The same thing measured in the same way.
fn is_same(one: &Series, other: &Series) -> bool {
    one.id == other.id && one.role == other.role && one.load == other.load
}

fn row(id: &str, before: &[Sample], after: &[Sample]) -> Option<Row> {
    let (old, new) = (Stretches::of(before)?, Stretches::of(after)?);
    let median = ratio((&old, &new), 0.5);
    let verdict = if median.low > 1.0 + MARGIN {
        Verdict::Slower
    } else if median.high < 1.0 / (1.0 + MARGIN) {
        Verdict::Faster
    } else {
        Verdict::Same
    };
    let p99 = ratio((&old, &new), 0.99);
    Some(Row { id: id.to_owned(), medians: (old.at(0.5), new.at(0.5)), median, p99, verdict })
}

fn remarks(before: &Run, after: &Run) -> Vec<String> {
    let (old, new) = (&before.environment, &after.environment);
    let facts = |run: &Run| format!("{:?}", run.settings.backend_facts);
    let status = |run: &Run| match run.status {
        Status::Complete => "complete".to_owned(),
        Status::Interrupted => "interrupted".to_owned(),
        Status::Void(_) => "void".to_owned(),
    };
    let length =
        |run: &Run| format!("{} ms after {} ms", run.settings.duration_ms, run.settings.warm_up_ms);
    let pairs = [
        ("status", status(before), status(after)),
        ("timed", length(before), length(after)),
        ("backend", before.settings.backend.clone(), after.settings.backend.clone()),
        ("backend facts", facts(before), facts(after)),
        ("algorithm", before.settings.algorithm.clone(), after.settings.algorithm.clone()),
        ("kernel", old.kernel.clone(), new.kernel.clone()),
        ("governor", old.governor.clone(), new.governor.clone()),
        ("compiler", old.build.compiler.clone(), new.build.compiler.clone()),
        ("flags", old.build.flags.clone(), new.build.flags.clone()),
        ("profile", old.build.profile.clone(), new.build.profile.clone()),
        ("features", old.build.features.join(", "), new.build.features.join(", ")),
        ("commit", old.build.commit.clone(), new.build.commit.clone()),
    ];
    let pairs = pairs.map(|(what, old, new)| (what.to_owned(), old, new)).into_iter();
    let differing = pairs.chain(crates(before, after)).filter(|(_, old, new)| old != new);
    differing.map(|(what, old, new)| format!("{what}: {old} and {new}")).collect()
}

/// The versions of each crate that either run names.
fn crates(before: &Run, after: &Run) -> Vec<(String, String, String)> {
    let (old, new) = (&before.environment.build.crates, &after.environment.build.crates);
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let version = |crates: &BTreeMap<String, String>, name: &str| {
        crates.get(name).cloned().unwrap_or_else(|| "none".to_owned())
    };
    let told = |name: &String| (name.clone(), version(old, name), version(new, name));
    names.into_iter().map(told).collect()
}

/// Medians that differ by less are the same: two equal runs on a shared machine differ by as much.
pub const MARGIN: f64 = 0.02;
