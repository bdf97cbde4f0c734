//! Whole runs over doubles: what they write, what they refuse, and what a comparison finds.
#![cfg(feature = "harness")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "harness/compared.rs"]
mod compared;
#[path = "harness/doubles.rs"]
mod doubles;
#[path = "harness/refused.rs"]
mod refused;

use std::fs;
use std::time::Duration;

use custody_bench::harness::document::{Series, Status};
use custody_bench::harness::plan::Loop;
use custody_bench::harness::{Stop, check, read_run, read_samples, run, write_report};
use doubles::{bench, plan, reported};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_writes_what_it_measured_and_its_report() {
    let out = tempfile::tempdir().unwrap();
    let mut plan = plan("memory", out.path());
    plan.concurrency = vec![1, 2];
    plan.loops = vec![Loop::Closed, Loop::Open { rate: 500.0 }];
    let run = run(&bench(), plan, Vec::new(), &Stop::default()).await.unwrap();
    assert_eq!(run.status, Status::Complete);
    let ids: Vec<_> = run.series.iter().map(|series| series.id.as_str()).collect();
    let expected = ["raw-closed-c1", "raw-closed-c2", "raw-open-c1-r500", "raw-open-c2-r500"];
    assert_eq!(ids, expected);
    let mut files: Vec<_> = fs::read_dir(out.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let written = ["latency.hlog", "report.html", "report.md", "run.json", "samples.csv.gz"];
    assert_eq!(files, written);
    assert!(read_run(out.path()).unwrap() == run, "run.json is another run");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_loop_asks_as_often_as_it_was_told() {
    let out = tempfile::tempdir().unwrap();
    let mut plan = plan("memory", out.path());
    plan.loops = vec![Loop::Open { rate: 500.0 }];
    plan.warm_up = Duration::from_millis(100);
    let run = run(&bench(), plan, Vec::new(), &Stop::default()).await.unwrap();
    let series = run.series.first().unwrap();
    assert_eq!((series.count, series.unanswered), (100, 0));
    let samples = read_samples(out.path()).unwrap();
    let due: Vec<_> = samples[&series.id].iter().map(|sample| sample.intended_ns).collect();
    let expected: Vec<_> = (0..100).map(|number| number * 2_000_000).collect();
    assert_eq!(due, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_regenerates_byte_for_byte_from_run_json_alone() {
    let (out, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut plan = plan("memory", out.path());
    plan.loops = vec![Loop::Closed, Loop::Open { rate: 300.0 }];
    run(&bench(), plan, Vec::new(), &Stop::default()).await.unwrap();
    fs::copy(out.path().join("run.json"), other.path().join("run.json")).unwrap();
    write_report(other.path()).unwrap();
    assert_eq!(reported(out.path()), reported(other.path()));
    let [page, _] = reported(out.path());
    for needed in ["<svg", "Latency distribution", "Percentiles", "prefers-color-scheme", "@media"]
    {
        assert!(page.contains(needed), "{needed}");
    }
    for foreign in ["http://", "https://", "<script", "<link", "<img", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

/// `latency.hlog` is what the tools of HdrHistogram read.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_histograms_has_those_of_the_run() {
    use custody_bench::hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    let out = tempfile::tempdir().unwrap();
    let mut plan = plan("memory", out.path());
    plan.concurrency = vec![1, 2];
    let run = run(&bench(), plan, Vec::new(), &Stop::default()).await.unwrap();
    let log = fs::read(out.path().join("latency.hlog")).unwrap();
    let mut read = Vec::new();
    for entry in IntervalLogIterator::new(&log) {
        if let LogEntry::Interval(interval) = entry.unwrap() {
            let tag = interval.tag().unwrap().as_str().to_owned();
            read.push((tag, interval.encoded_histogram().to_owned()));
        }
    }
    let expected = |series: &Series| (series.id.clone(), series.histogram.clone());
    assert_eq!(read, run.series.iter().map(expected).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn histograms_agree_with_the_samples_and_a_changed_one_is_found() {
    let out = tempfile::tempdir().unwrap();
    let made = run(&bench(), plan("memory", out.path()), Vec::new(), &Stop::default()).await;
    let made = made.unwrap();
    check(out.path()).unwrap();
    let series = made.series.first().unwrap();
    let path = out.path().join("run.json");
    let text = fs::read_to_string(&path).unwrap();
    let count = format!("\"count\": {}", series.count);
    let max = format!("\"max_ns\": {}", series.max_ns);
    for (from, to) in [
        (count.as_str(), "\"count\": 1"),
        (max.as_str(), "\"max_ns\": 7"),
        (series.histogram.as_str(), "HISTFAAAAAA="),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        assert!(check(out.path()).is_err(), "{from}");
    }
}

/// In both loops the same backend stops for a second, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_stall_shows_in_the_open_loop_and_hides_in_the_closed_one() {
    let mut worst = Vec::new();
    for way in [Loop::Closed, Loop::Open { rate: 400.0 }] {
        let out = tempfile::tempdir().unwrap();
        let mut plan = plan("stalling", out.path());
        plan.concurrency = vec![2];
        plan.loops = vec![way];
        plan.duration = Duration::from_secs(4);
        let run = run(&bench(), plan, Vec::new(), &Stop::default()).await.unwrap();
        let series = run.series.first().unwrap();
        assert!(series.max_ns >= 900_000_000, "the stall is in the samples: {}", series.max_ns);
        worst.push(series.quantile(0.99).unwrap());
    }
    let [closed, open] = worst[..] else { panic!("{worst:?}") };
    assert!(closed < 200_000_000, "p99 of the closed loop is {closed} ns");
    assert!(open > 800_000_000, "p99 of the open loop is {open} ns");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_keeps_what_it_measured_and_says_so() {
    let out = tempfile::tempdir().unwrap();
    let mut plan = plan("memory", out.path());
    plan.concurrency = vec![1, 2, 3];
    plan.duration = Duration::from_secs(30);
    let stop = Stop::default();
    let soon = stop.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(400));
        soon.stop();
    });
    let run = run(&bench(), plan, Vec::new(), &stop).await.unwrap();
    assert_eq!((run.status, run.series.len()), (Status::Interrupted, 1));
    let series = run.series.first().unwrap();
    assert!(series.count > 10 && series.elapsed_ns < 10_000_000_000, "{series:?}");
    check(out.path()).unwrap();
    assert!(reported(out.path()).iter().all(|text| text.contains("This run was interrupted")));
}

/// As a process does that is killed while it writes the samples of its second series.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_measured_can_be_read() {
    let out = tempfile::tempdir().unwrap();
    let mut plan = plan("memory", out.path());
    plan.concurrency = vec![1, 2];
    run(&bench(), plan, Vec::new(), &Stop::default()).await.unwrap();
    let path = out.path().join("run.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut whole: serde_json::Value = serde_json::from_str(&text).unwrap();
    whole["series"].as_array_mut().unwrap().truncate(1);
    whole["status"] = serde_json::json!({ "is": "interrupted" });
    fs::write(&path, whole.to_string()).unwrap();
    let samples = out.path().join("samples.csv.gz");
    let bytes = fs::read(&samples).unwrap();
    fs::write(&samples, &bytes[..bytes.len() - 20]).unwrap();
    let read = read_run(out.path()).unwrap();
    assert_eq!((read.status, read.series.len()), (Status::Interrupted, 1));
    check(out.path()).unwrap();
    write_report(out.path()).unwrap();
    // Cut within the first series it is no run any more.
    fs::write(&samples, &bytes[..200]).unwrap();
    assert!(check(out.path()).is_err());
}

/// One caller hears nothing any more, and the other goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_hangs_is_told_and_holds_no_stop_up() {
    let out = tempfile::tempdir().unwrap();
    let mut plan = plan("hanging", out.path());
    plan.concurrency = vec![2];
    plan.duration = Duration::from_secs(30);
    let stop = Stop::default();
    let soon = stop.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        soon.stop();
    });
    let since = std::time::Instant::now();
    let run = run(&bench(), plan, Vec::new(), &stop).await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    let series = run.series.first().unwrap();
    assert_eq!((run.status, series.unanswered), (Status::Interrupted, 1));
    assert!(series.count > 100, "{series:?}");
}

/// Calls that were due while nothing was answered are not forgotten because somebody lost patience.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_open_loop_tells_what_was_due() {
    let out = tempfile::tempdir().unwrap();
    let mut plan = plan("slow", out.path());
    plan.loops = vec![Loop::Open { rate: 100.0 }];
    plan.duration = Duration::from_secs(30);
    let stop = Stop::default();
    let soon = stop.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(2));
        soon.stop();
    });
    let run = run(&bench(), plan, Vec::new(), &stop).await.unwrap();
    let series = run.series.first().unwrap();
    let due = series.count + series.unanswered;
    assert_eq!(run.status, Status::Interrupted);
    assert!((100..=1_000).contains(&due) && series.unanswered > 80, "{series:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_loop_ends_with_as_many_calls_as_are_kept() {
    let out = tempfile::tempdir().unwrap();
    let mut plan = plan("memory", out.path());
    (plan.calls_most, plan.duration) = (500, Duration::from_secs(60));
    plan.warm_up = Duration::ZERO;
    plan.concurrency = vec![2];
    let run = run(&bench(), plan, Vec::new(), &Stop::default()).await.unwrap();
    let series = run.series.first().unwrap();
    assert!(series.is_cut && series.count <= 500 && series.count > 400, "{series:?}");
    assert_eq!((run.status, series.unanswered), (Status::Complete, 0));
    check(out.path()).unwrap();
    assert!(reported(out.path()).iter().all(|text| text.contains("all that are kept")));
}

/// Where nothing was answered there is no time to tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_series_without_answers_has_no_figures() {
    let out = tempfile::tempdir().unwrap();
    let run = run(&bench(), plan("refusing", out.path()), Vec::new(), &Stop::default()).await;
    let run = run.unwrap();
    let series = run.series.first().unwrap();
    assert_eq!(series.count, 0);
    let failed: u64 = series.errors.values().sum();
    let row = format!("| 0 |  |  |  |  |  | 0 ({failed} failed) |");
    let [_, text] = reported(out.path());
    assert!(text.contains(&row) && !text.contains("| 0 ns |"), "{text}");
    assert!(text.contains("Not all calls were answered"), "{text}");
}

/// A backend that answers more slowly than it is asked is given up after a while.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_were_never_answered_are_told() {
    let out = tempfile::tempdir().unwrap();
    let mut plan = plan("slow", out.path());
    plan.loops = vec![Loop::Open { rate: 500.0 }];
    let run = run(&bench(), plan, Vec::new(), &Stop::default()).await.unwrap();
    let series = run.series.first().unwrap();
    assert!(series.unanswered > 0 && series.count > 0, "{series:?}");
    assert_eq!(series.unanswered + series.count, 100);
    assert_eq!(run.status, Status::Complete);
    let told = format!("{} ({} not answered)", series.count, series.unanswered);
    assert!(reported(out.path()).iter().all(|text| text.contains(&told)), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_fail_are_counted_and_in_no_histogram() {
    let out = tempfile::tempdir().unwrap();
    let run = run(&bench(), plan("failing", out.path()), Vec::new(), &Stop::default()).await;
    let run = run.unwrap();
    let series = run.series.first().unwrap();
    let failed: u64 = series.errors.values().sum();
    assert!(failed > 0 && series.count > 0, "{series:?}");
    check(out.path()).unwrap();
    assert!(reported(out.path()).iter().all(|text| text.contains("Failures")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_signs_the_same_bytes() {
    use custody_bench::harness::Job;
    assert_eq!(Job::new(7, 3), Job::new(7, 3));
    assert_ne!(Job::new(7, 3).digest, Job::new(8, 3).digest);
    assert_ne!(Job::new(7, 3).digest, Job::new(7, 4).digest);
}

/// Every name in `run.json` is explained.
#[tokio::test(flavor = "multi_thread")]
async fn each_field_of_a_run_is_documented() {
    let out = tempfile::tempdir().unwrap();
    let mut plan = plan("memory", out.path());
    plan.loops = vec![Loop::Closed, Loop::Open { rate: 300.0 }];
    run(&bench(), plan, Vec::new(), &Stop::default()).await.unwrap();
    let text = fs::read_to_string(out.path().join("run.json")).unwrap();
    let explained = include_str!("../RUN.md");
    for line in text.lines() {
        if let Some((name, _)) = line.trim().strip_prefix('"').and_then(|l| l.split_once("\": ")) {
            assert!(explained.contains(&format!("`{name}`")), "{name}");
        }
    }
}
