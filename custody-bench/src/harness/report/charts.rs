//! Which plots a run has.

use hdrhistogram::Histogram;

use super::plot::{Axis, Bars, COLOURS, Line, Plot};
use super::{digits, rate, time};
use crate::harness::document::{Role, Run, Series};
use crate::harness::histogram::{HistogramError, decode};
use crate::harness::number::{float, whole};
use crate::harness::plan::Loop;

/// All plots, as figures of HTML.
pub(super) fn figures(run: &Run) -> Result<Vec<String>, HistogramError> {
    let mut figures = Vec::new();
    for (name, series) in crowds(run) {
        let read: Result<Vec<_>, _> =
            series.iter().map(|one| Ok((one.name(), decode(&one.histogram)?))).collect();
        let read: Vec<_> =
            read?.into_iter().filter(|(_, histogram)| !histogram.is_empty()).collect();
        for chunk in read.chunks(COLOURS) {
            figures.push(distribution(&name, chunk).figure());
            figures.push(percentiles(&name, chunk).figure());
        }
    }
    figures.extend(throughput(run).map(|plot| plot.figure()));
    for quantile in [(0.5, "median"), (0.99, "99th percentile")] {
        figures.extend(offered(run, quantile).map(|plot| plot.figure()));
    }
    figures.extend(stages(run).map(|bars| bars.figure()));
    figures.extend(overhead(run).map(|bars| bars.figure()));
    Ok(figures)
}

/// For each way of loading, the series with the most callers and, in open loops, the highest rate.
fn crowds(run: &Run) -> Vec<(String, Vec<&Series>)> {
    let most = run.series.iter().map(|series| series.concurrency).max().unwrap_or(0);
    let crowd = |series: &&Series| series.concurrency == most;
    let closed: Vec<_> =
        run.series.iter().filter(crowd).filter(|series| series.load == Loop::Closed).collect();
    let fastest = run.series.iter().filter_map(offered_rate).fold(0.0, f64::max);
    let is_fastest = |series: &&Series| offered_rate(series).is_some_and(|rate| rate >= fastest);
    let open: Vec<_> = run.series.iter().filter(crowd).filter(is_fastest).collect();
    let callers = callers(most);
    let named = [
        (format!("closed loop, {callers}"), closed),
        (format!("open loop, {} a second due, {callers}", rate(fastest)), open),
    ];
    named.into_iter().filter(|(_, series)| !series.is_empty()).collect()
}

fn callers(count: u64) -> String {
    if count == 1 { "one caller".to_owned() } else { format!("{count} callers") }
}

fn offered_rate(series: &Series) -> Option<f64> {
    match series.load {
        Loop::Closed => None,
        Loop::Open { rate } => Some(rate),
    }
}

fn distribution(name: &str, read: &[(String, Histogram<u64>)]) -> Plot {
    let lines = read.iter().map(|(name, histogram)| {
        let all = float(histogram.len());
        let mut below = 0;
        let mut points = vec![(float(histogram.min().max(1)), 0.0)];
        for step in histogram.iter_recorded() {
            below += step.count_since_last_iteration();
            points.push((float(step.value_iterated_to()), float(below) / all));
        }
        Line { name: name.clone(), points: thinned(points), has_dots: false, marks: Vec::new() }
    });
    let lines: Vec<_> = lines.collect();
    Plot {
        title: format!("Latency distribution: {name}"),
        caption: "How many calls were answered within a time. Steep is steady; a foot to the right \
                  is a tail.",
        x: Axis::log("latency", span(&lines, |point| point.0), |ns| time(whole(ns))),
        y: Axis::linear("share of calls", 1.0, |share| format!("{:.0} %", share * 100.0)),
        lines,
    }
}

fn percentiles(name: &str, read: &[(String, Histogram<u64>)]) -> Plot {
    let nines = read.iter().map(|(_, histogram)| float(histogram.len())).fold(10.0, f64::max);
    let lines = read.iter().map(|(name, histogram)| {
        let most = float(histogram.len());
        let mut points = Vec::new();
        let mut beyond = 1.0;
        while beyond <= most * 1.000_001 {
            let ns = histogram.value_at_quantile(1.0 - 1.0 / beyond);
            points.push((beyond, float(ns)));
            beyond *= 1.05;
        }
        points.push((most, float(histogram.max())));
        Line { name: name.clone(), points, has_dots: false, marks: Vec::new() }
    });
    let lines: Vec<_> = lines.collect();
    Plot {
        title: format!("Percentiles: {name}"),
        caption: "The time within which so many of all calls were answered. Each step to the right \
                  leaves a tenth of the calls before; the ends are single calls.",
        x: Axis::log("percentile", (1.0, nines), percentile),
        y: Axis::log("latency", span(&lines, |point| point.1), |ns| time(whole(ns))),
        lines,
    }
}

/// What stands at the place that one in so many calls is beyond.
fn percentile(beyond: f64) -> String {
    let text = format!("{:.7}", 100.0 - 100.0 / beyond);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

fn throughput(run: &Run) -> Option<Plot> {
    let mut lines = Vec::new();
    for name in names(run) {
        let of = |series: &&Series| series.name() == name && series.load == Loop::Closed;
        let points: Vec<_> = run.series.iter().filter(of).collect();
        let mut points: Vec<_> =
            points.iter().map(|series| (float(series.concurrency), series.rate)).collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        let marks: Vec<_> = knee(&points).into_iter().collect();
        let told = marks.first().map(|(x, y)| format!("{name}: knee at {x}, {}/s", rate(*y)));
        if !points.is_empty() {
            lines.push(Line { name: told.unwrap_or(name), points, has_dots: true, marks });
        }
    }
    let concurrency: Vec<_> = lines.first()?.points.iter().map(|point| point.0).collect();
    let (low, high) = (concurrency.first()?, concurrency.last()?);
    if low >= high {
        return None;
    }
    let ticks = concurrency.iter().map(|callers| (*callers, callers.to_string())).collect();
    let x = Axis { label: "callers at once", is_log: true, range: (*low, *high), ticks };
    Some(Plot {
        title: "Throughput against concurrency".to_owned(),
        caption: "Signatures a second. The knee, in a ring, is the least number of callers that \
                  reaches 95 % of the most; further callers wait for each other.",
        x,
        y: Axis::linear("signatures a second", span(&lines, |point| point.1).1, rate),
        lines,
    })
}

/// The first point that reaches 95 % of the highest.
fn knee(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let most = points.iter().map(|point| point.1).fold(0.0, f64::max);
    let found = points.iter().find(|point| point.1 >= most * 0.95).copied();
    found.filter(|_| points.len() > 1)
}

fn offered(run: &Run, (q, told): (f64, &str)) -> Option<Plot> {
    let most = run.series.iter().map(|series| series.concurrency).max()?;
    let mut lines = Vec::new();
    for name in names(run) {
        let of = |series: &&Series| series.name() == name && series.concurrency == most;
        let open = run.series.iter().filter(of).filter(|series| series.count > 0);
        let point = |series: &Series| Some((offered_rate(series)?, float(series.quantile(q)?)));
        let mut points: Vec<_> = open.filter_map(point).collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        if !points.is_empty() {
            lines.push(Line { name, points, has_dots: true, marks: Vec::new() });
        }
    }
    lines.first()?;
    let x = Axis::linear("calls due a second", span(&lines, |point| point.0).1, rate);
    Some(Plot {
        title: format!("Latency against offered rate: {told}"),
        caption: "Open loop: each call is timed from when it was due. Where a line turns up, calls \
                  come faster than they are answered.",
        x,
        y: Axis::log("latency", span(&lines, |point| point.1), |ns| time(whole(ns))),
        lines,
    })
}

fn stages(run: &Run) -> Option<Bars> {
    let staged = run.series.iter().filter(|series| !series.stages.is_empty());
    // Where calls come faster than they are answered there is nothing to see but waiting.
    let (mut staged, open): (Vec<_>, Vec<_>) =
        staged.partition(|series| series.load == Loop::Closed);
    if staged.is_empty() {
        staged = open;
    }
    staged.first()?;
    let bars = staged.iter().map(|series| {
        let share = |name: &&str| {
            let found = series.stages.iter().find(|stage| stage.stage == *name);
            found.map_or(0.0, |stage| stage.share_ns)
        };
        let name = format!("{} loop, {}", super::way(series), callers(series.concurrency));
        let whole = time(whole(series.mean_ns));
        (name, ORDER.iter().map(share).collect(), whole)
    });
    Some(Bars {
        title: "Where the time of a governed signature goes".to_owned(),
        caption: "Mean time of an order. Decoding, judging, signing and verifying are its own; it \
                  shares a commit and a seal with others, two of each if its key is outside of the \
                  process; the rest is waiting.",
        parts: ORDER.iter().map(|name| (*name).to_owned()).collect(),
        bars: bars.collect(),
    })
}

fn overhead(run: &Run) -> Option<Bars> {
    let least = run.series.iter().map(|series| series.concurrency).min()?;
    let fewest: Vec<_> = run
        .series
        .iter()
        .filter(|series| series.concurrency == least && series.load == Loop::Closed)
        .collect();
    let bare = fewest.iter().find(|series| series.role == Role::Primitive)?;
    let median = |series: &Series| series.quantile(0.5).map(float).filter(|ns| *ns > 0.0);
    let below = median(bare)?;
    let bars = fewest.iter().filter_map(|series| {
        let times = median(series)? / below;
        let end = format!("{}×  {}", digits(times), time(series.quantile(0.5)?));
        Some((series.name(), vec![times], end))
    });
    Some(Bars {
        title: "Overhead over the bare primitive".to_owned(),
        caption: "Median latency with the fewest callers, as so many times that of the first \
                  primitive.",
        parts: vec!["median".to_owned()],
        bars: bars.collect(),
    })
}

/// Who signed, in the order in which they did.
fn names(run: &Run) -> Vec<String> {
    let mut names = Vec::new();
    for series in &run.series {
        let name = series.name();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn span(lines: &[Line], part: impl Fn(&(f64, f64)) -> f64) -> (f64, f64) {
    let values = lines.iter().flat_map(|line| &line.points).map(part);
    values.fold((f64::MAX, 0.0), |(low, high), value| (low.min(value), high.max(value)))
}

/// At most some hundred points: more cannot be seen.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(POINTS).max(1);
    let last = points.last().copied();
    points.into_iter().step_by(step).chain(last).collect()
}

const POINTS: usize = 400;
const ORDER: [&str; 7] = ["decode", "judge", "wait", "commit", "sign", "verify", "seal"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_knee_is_the_first_that_reaches_most_of_the_highest() {
        let points = [(1.0, 100.0), (2.0, 190.0), (4.0, 198.0), (8.0, 200.0), (16.0, 150.0)];
        assert_eq!(knee(&points), Some((2.0, 190.0)));
        assert_eq!(knee(&points[..1]), None);
        assert_eq!(knee(&[]), None);
    }

    #[test]
    fn points_are_in_order_whatever_was_measured_first() {
        let run = |order: &[u64]| -> Run {
            let series = |callers: &u64| {
                let rate = if *callers == 1 { 50 } else { 100 };
                json!({
                    "id": format!("raw-closed-c{callers}"), "role": "raw", "subject": "one",
                    "concurrency": callers, "load": "closed", "elapsed_ns": 1, "count": 1,
                    "unanswered": 0, "is_cut": false, "errors": {}, "rate": rate, "mean_ns": 1.0,
                    "quantiles": [], "max_ns": 1, "histogram": "", "lateness": null,
                    "verify_mean_ns": 1.0, "stages": [],
                })
            };
            let machine = json!({
                "id": "", "cpu": "", "cores": 2, "memory_kib": 1, "architecture": "",
            });
            let build = json!({
                "compiler": "", "flags": "", "profile": "", "features": [], "commit": "",
                "crates": {},
            });
            serde_json::from_value(json!({
                "v": 1, "status": { "is": "complete" }, "started_ms": 0,
                "settings": {
                    "backend": "one", "backend_facts": {}, "algorithm": "ed25519",
                    "concurrency": order, "loops": ["closed"], "duration_ms": 1, "warm_up_ms": 1,
                    "governed": false, "peers": false, "seed": 0,
                },
                "environment": {
                    "machine": machine, "kernel": "", "governor": "", "build": build,
                    "clock_granularity_ns": 1, "load_before": "", "load_after": "",
                },
                "series": order.iter().map(series).collect::<Vec<_>>(),
            }))
            .unwrap()
        };
        let plot = throughput(&run(&[8, 1, 2])).unwrap();
        let expected = [(1.0, 50.0), (2.0, 100.0), (8.0, 100.0)];
        assert_eq!(plot.lines[0].points, expected);
        assert_eq!(plot.lines[0].marks, [(2.0, 100.0)]);
        assert_eq!(plot.figure(), throughput(&run(&[1, 2, 8])).unwrap().figure());
    }

    #[test]
    fn percentiles_are_named_by_their_nines() {
        let named = [1.0, 10.0, 100.0, 1e5].map(percentile);
        assert_eq!(named, ["0 %", "90 %", "99 %", "99.999 %"]);
    }
}
