//! Reports: `report.md` and `report.html`.
//!
//! Invariant: a report is a pure function of a run. Nothing here reads a clock, a file or the
//! environment, so that the same `run.json` always gives the same bytes.

mod charts;
mod page;
mod plot;

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use super::document::{Run, Series, Status};
use super::histogram::HistogramError;
use super::number::float;
use super::plan::Loop;

/// The report as one page of HTML with its plots in it.
///
/// # Errors
/// Fails if a histogram in the run is none.
pub fn page(run: &Run) -> Result<String, HistogramError> {
    page::page(run)
}

/// The report as Markdown, without plots.
#[must_use]
pub fn markdown(run: &Run) -> String {
    let mut text = format!("# {}\n\n", title(run));
    for warning in warnings(run) {
        push(&mut text, &format!("**{warning}**\n"));
    }
    for table in [settings(run), environment(run)] {
        text.push_str(&markdown_table(&table));
    }
    for table in tables(run) {
        push(&mut text, &format!("## {}\n\n{}\n", table.title, table.note));
        text.push_str(&markdown_table(&table));
    }
    text
}

/// A table of a report.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) title: &'static str,
    pub(crate) note: &'static str,
    pub(crate) head: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

pub(crate) fn title(run: &Run) -> String {
    let settings = &run.settings;
    let under = if settings.governed { ", raw and governed" } else { "" };
    format!("{} with {}{under}", settings.backend, settings.algorithm)
}

/// What whoever reads the report must know first.
pub(crate) fn warnings(run: &Run) -> Vec<&'static str> {
    let ended = match &run.status {
        Status::Complete => None,
        Status::Interrupted => {
            Some("This run was interrupted. It holds what was measured until then.")
        }
        Status::Void(_) => Some("This run is void."),
    };
    let crowded = |load: &str| load.split(' ').next()?.parse::<f64>().ok();
    let before = crowded(&run.environment.load_before).unwrap_or(0.0);
    let is_busy = before > float(run.environment.machine.cores) / 2.0;
    let busy = is_busy.then_some("The machine was busy before this run began.");
    let has_failed = |series: &Series| failed(series) > 0 || series.unanswered > 0;
    let has_failed = run.series.iter().any(has_failed);
    let failing = has_failed.then_some("Not all calls were answered: latencies are of the others.");
    ended.into_iter().chain(busy).chain(failing).collect()
}

pub(crate) fn settings(run: &Run) -> Table {
    let asked = &run.settings;
    let way = |way: &Loop| match way {
        Loop::Closed => "closed".to_owned(),
        Loop::Open { rate } => format!("open at {rate}/s"),
    };
    let mut rows = vec![
        row("backend", &asked.backend),
        row("algorithm", &asked.algorithm),
        row("callers", &joined(asked.concurrency.iter())),
        row("load", &asked.loops.iter().map(way).collect::<Vec<_>>().join(", ")),
        row("timed for", &format!("{} ms", asked.duration_ms)),
        row("warm-up", &format!("{} ms", asked.warm_up_ms)),
        row("seed", &asked.seed.to_string()),
    ];
    rows.extend(asked.backend_facts.iter().map(|(name, value)| row(name, value)));
    Table { title: "Settings", note: "", head: vec!["setting", "value"], rows }
}

pub(crate) fn environment(run: &Run) -> Table {
    let place = &run.environment;
    let (machine, build) = (&place.machine, &place.build);
    let mut rows = vec![
        row("begun", &date(run.started_ms)),
        row("processor", &machine.cpu),
        row("cores", &machine.cores.to_string()),
        row("memory", &format!("{} MiB", machine.memory_kib / 1_024)),
        row("architecture", &machine.architecture),
        row("machine", &machine.id),
        row("kernel", &place.kernel),
        row("frequency governor", &place.governor),
        row("load before", &place.load_before),
        row("load after", &place.load_after),
        row("clock granularity", &time(place.clock_granularity_ns)),
        row("compiler", &build.compiler),
        row("flags", &build.flags),
        row("profile", &build.profile),
        row("features", &build.features.join(", ")),
        row("commit", &build.commit),
    ];
    rows.extend(build.crates.iter().map(|(name, version)| row(name, version)));
    Table { title: "Environment", note: "", head: vec!["where", "value"], rows }
}

/// The tables of figures.
pub(crate) fn tables(run: &Run) -> Vec<Table> {
    let mut tables = vec![latencies(run)];
    let arrivals: Vec<_> = run.series.iter().filter_map(arrivals).collect();
    if !arrivals.is_empty() {
        tables.push(Table {
            title: "Arrivals",
            note: "How late the harness let calls go. Latencies begin when a call was due: this is \
                   in them, and so is the waking of a caller.",
            head: vec!["series", "p50", "p99", "max", "unanswered"],
            rows: arrivals,
        });
    }
    let stages: Vec<_> = run.series.iter().flat_map(stages).collect();
    if !stages.is_empty() {
        tables.push(Table {
            title: "Stages",
            note: "Commit and seal are for many orders at once; an order waits for one of each, or \
                   for two if its key is outside of the process. Wait is what the others leave of \
                   the mean.",
            head: vec!["series", "stage", "passes", "mean", "p50", "p99", "of an order"],
            rows: stages,
        });
    }
    let errors = |series: &Series| -> Vec<Vec<String>> {
        let told = series.errors.iter();
        told.map(|(text, count)| vec![series.id.clone(), count.to_string(), text.clone()]).collect()
    };
    let errors: Vec<_> = run.series.iter().flat_map(errors).collect();
    if !errors.is_empty() {
        let head = vec!["series", "calls", "what was said"];
        let note = "Calls that failed are in no histogram.";
        tables.push(Table { title: "Failures", note, head, rows: errors });
    }
    tables
}

fn latencies(run: &Run) -> Table {
    let rows = run.series.iter().map(|series| {
        let has_answers = series.count > 0;
        let shown = |ns: Option<u64>| ns.filter(|_| has_answers).map_or_else(String::new, time);
        let at = |q| shown(series.quantile(q));
        vec![
            series.name(),
            way(series),
            series.concurrency.to_string(),
            rate(series.rate),
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            shown(Some(series.max_ns)),
            counted(series),
        ]
    });
    Table {
        title: "Latencies",
        note: "Every signature was verified after the timed part.",
        head: vec![
            "who",
            "load",
            "callers",
            "per second",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "max",
            "n",
        ],
        rows: rows.collect(),
    }
}

/// How many calls were answered, and what became of the others.
fn counted(series: &Series) -> String {
    let failed = match failed(series) {
        0 => None,
        failed => Some(format!("{failed} failed")),
    };
    let unanswered = match series.unanswered {
        0 => None,
        more => Some(format!("{more} not answered")),
    };
    let cut = series.is_cut.then(|| "all that are kept".to_owned());
    let besides: Vec<_> = failed.into_iter().chain(unanswered).chain(cut).collect();
    if besides.is_empty() {
        return series.count.to_string();
    }
    format!("{} ({})", series.count, besides.join(", "))
}

fn failed(series: &Series) -> u64 {
    series.errors.values().fold(0, |sum, more| sum.saturating_add(*more))
}

fn arrivals(series: &Series) -> Option<Vec<String>> {
    let late = series.lateness?;
    let times = [late.p50_ns, late.p99_ns, late.max_ns].map(time);
    let ends = [series.unanswered.to_string()];
    Some([series.id.clone()].into_iter().chain(times).chain(ends).collect())
}

fn stages(series: &Series) -> Vec<Vec<String>> {
    let stages = series.stages.iter();
    stages
        .map(|stage| {
            vec![
                series.id.clone(),
                stage.stage.clone(),
                stage.count.to_string(),
                time(super::number::whole(stage.mean_ns)),
                stage.p50_ns.map_or_else(String::new, time),
                stage.p99_ns.map_or_else(String::new, time),
                time(super::number::whole(stage.share_ns)),
            ]
        })
        .collect()
}

fn markdown_table(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let plain = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    let mut text = line(table.head.iter().map(|cell| (*cell).to_owned()).collect());
    text.push_str(&line(table.head.iter().map(|_| "---".to_owned()).collect()));
    for row in &table.rows {
        text.push_str(&line(row.iter().map(|cell| plain(cell)).collect()));
    }
    text.push('\n');
    text
}

fn push(text: &mut String, more: &str) {
    // Writing to a string does not fail.
    let _written = writeln!(text, "{more}");
}

fn row(name: &str, value: &str) -> Vec<String> {
    vec![name.to_owned(), value.to_owned()]
}

fn joined<T: ToString>(parts: impl Iterator<Item = T>) -> String {
    parts.map(|part| part.to_string()).collect::<Vec<_>>().join(", ")
}

pub(crate) fn way(series: &Series) -> String {
    match series.load {
        Loop::Closed => "closed".to_owned(),
        Loop::Open { rate } => format!("open {}/s", self::rate(rate)),
    }
}

/// Date and time in UTC (RFC 3339).
fn date(since_1970_ms: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(since_1970_ms));
    // What no calendar of four digits has is told as it is.
    let time = time.filter(|_| since_1970_ms < YEAR_10000_MS);
    time.map_or_else(
        || format!("{since_1970_ms} ms since 1970"),
        |time| humantime::format_rfc3339_seconds(time).to_string(),
    )
}

const YEAR_10000_MS: u64 = 253_402_300_800_000;

/// Three digits and a unit.
pub(crate) fn time(ns: u64) -> String {
    let (value, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..999_500 => (float(ns) / 1e3, "µs"),
        999_500..999_500_000 => (float(ns) / 1e6, "ms"),
        _ => (float(ns) / 1e9, "s"),
    };
    format!("{} {unit}", digits(value))
}

/// Three digits.
pub(crate) fn digits(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

pub(crate) fn rate(value: f64) -> String {
    if value < 0.000_5 {
        "0".to_owned()
    } else if value < 100.0 {
        digits(value)
    } else {
        grouped(super::number::whole(value))
    }
}

/// With commas between the thousands.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_utc() {
        assert_eq!(date(1_796_033_218_018), "2026-11-30T10:06:58Z");
        assert_eq!(date(YEAR_10000_MS - 1), "9999-12-31T23:59:59Z");
        assert_eq!(date(u64::MAX), "18446744073709551615 ms since 1970");
    }

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        let cases = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (35_149, "35.1 µs"),
            (999_499, "999 µs"),
            (999_700, "1.00 ms"),
            (1_500_000, "1.50 ms"),
            (2_000_000_000, "2.00 s"),
        ];
        for (ns, expected) in cases {
            assert_eq!(time(ns), expected);
        }
        assert_eq!([rate(3.0), rate(1_234_567.0)], ["3.00", "1,234,567"]);
    }
}
