//! What a comparison finds between whole runs, and what it refuses.

use std::fs;
use std::path::Path;
use std::time::Duration;

use custody_bench::harness::compare::{Machines, Verdict, compare};
use custody_bench::harness::{HarnessError, Stop, run};
use tempfile::TempDir;

use super::doubles::{bench, plan};

async fn measured(backend: &str) -> TempDir {
    let out = tempfile::tempdir().unwrap();
    let mut plan = plan(backend, out.path());
    plan.duration = Duration::from_millis(150);
    run(&bench(), plan, Vec::new(), &Stop::default()).await.unwrap();
    out
}

fn verdict(before: &Path, after: &Path) -> Verdict {
    compare(before, after, Machines::Same).unwrap().verdict()
}

/// The calls of both take a time by the clock, so that what is planted is exactly five percent
/// whatever else the machine does.
#[tokio::test(flavor = "multi_thread")]
async fn a_slowdown_of_five_percent_is_found_and_none_between_equal_runs_in_twenty_trials() {
    for trial in 0..20 {
        let (before, equal) = (measured("paced").await, measured("paced").await);
        let slower = measured("slower").await;
        let found = compare(before.path(), slower.path(), Machines::Same).unwrap();
        assert_eq!(found.verdict(), Verdict::Slower, "trial {trial}:\n{found}");
        assert_eq!(verdict(slower.path(), before.path()), Verdict::Faster, "trial {trial}");
        let found = compare(before.path(), equal.path(), Machines::Same).unwrap();
        assert_eq!(found.verdict(), Verdict::Same, "trial {trial}:\n{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_different_machines_are_compared_only_when_forced() {
    let (before, after) = (measured("paced").await, measured("paced").await);
    let path = after.path().join("run.json");
    let text = fs::read_to_string(&path).unwrap();
    let cores = text.lines().find(|line| line.contains("\"cores\"")).unwrap();
    fs::write(&path, text.replace(cores, "      \"cores\": 4096,")).unwrap();
    let error = compare(before.path(), after.path(), Machines::Same).unwrap_err();
    assert!(matches!(error, HarnessError::DifferentMachines { .. }), "{error}");
    assert!(error.to_string().contains("cores: "), "{error}");
    let forced = compare(before.path(), after.path(), Machines::Any).unwrap();
    assert!(forced.machines.iter().any(|told| told.contains("4096")), "{forced}");
}

/// What may explain a difference is told before it.
#[tokio::test(flavor = "multi_thread")]
async fn what_else_differs_is_told() {
    let (before, after) = (measured("paced").await, measured("slower").await);
    let path = after.path().join("run.json");
    let text = fs::read_to_string(&path).unwrap();
    let changed = text
        .replacen("\"crates\": {}", "\"crates\": {\"k256\": \"0.14.0\"}", 1)
        .replacen("\"features\": []", "\"features\": [\"mimalloc\"]", 1);
    fs::write(&path, changed).unwrap();
    let found = compare(before.path(), after.path(), Machines::Same).unwrap();
    let expected =
        ["backend: paced and slower", "features:  and mimalloc", "k256: none and 0.14.0"];
    assert_eq!(found.remarks, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_with_nothing_in_common_are_refused() {
    let (before, after) = (measured("paced").await, tempfile::tempdir().unwrap());
    let mut other = plan("paced", after.path());
    other.concurrency = vec![3];
    run(&bench(), other, Vec::new(), &Stop::default()).await.unwrap();
    let error = compare(before.path(), after.path(), Machines::Same).unwrap_err();
    assert!(matches!(error, HarnessError::NothingInCommon), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_that_are_none_are_refused_with_their_line() {
    let (before, after) = (measured("paced").await, measured("paced").await);
    fs::write(after.path().join("samples.csv.gz"), "no gzip").unwrap();
    assert!(compare(before.path(), after.path(), Machines::Same).is_err());
    fs::remove_file(after.path().join("samples.csv.gz")).unwrap();
    assert!(compare(before.path(), after.path(), Machines::Same).is_err());
}

/// A second run that answers nothing, or less, is no good one however fast it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_more_is_a_slower_one() {
    let (good, failing) = (measured("memory").await, measured("failing").await);
    let found = compare(good.path(), failing.path(), Machines::Same).unwrap();
    assert_eq!((found.failing.len(), found.verdict()), (1, Verdict::Slower), "{found}");
    let told = found.to_string();
    assert!(told.contains("FAILS: raw-closed-c1: ") && told.contains("0 of "), "{told}");
    let back = compare(failing.path(), good.path(), Machines::Same).unwrap();
    assert!(back.failing.is_empty(), "{back}");

    let nothing = measured("refusing").await;
    let found = compare(good.path(), nothing.path(), Machines::Same).unwrap();
    assert!(found.rows.is_empty(), "{found}");
    assert_eq!((found.failing.len(), found.verdict()), (1, Verdict::Slower), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn series_that_one_run_alone_has_are_told() {
    let (before, after) = (measured("memory").await, tempfile::tempdir().unwrap());
    let mut more = plan("memory", after.path());
    more.duration = Duration::from_millis(150);
    more.concurrency = vec![1, 2];
    run(&bench(), more, Vec::new(), &Stop::default()).await.unwrap();
    let found = compare(before.path(), after.path(), Machines::Same).unwrap();
    assert_eq!(found.remarks, ["series: only the run after has raw-closed-c2"]);
    let found = compare(after.path(), before.path(), Machines::Same).unwrap();
    assert_eq!(found.remarks, ["series: only the run before has raw-closed-c2"]);
}
