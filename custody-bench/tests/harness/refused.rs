//! What is not measured, and why.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use custody_bench::harness::document::{Run, Status};
use custody_bench::harness::plan::{Loop, Plan};
use custody_bench::harness::{
    Answer, HarnessError, Job, Manner, Peer, Stop, Target, Wrong, read_run, run, write_report,
};
use custody_core::crypto::Algorithm;

use super::doubles::{bench, plan};

async fn refused(plan: Plan) -> HarnessError {
    run(&bench(), plan, Vec::new(), &Stop::default()).await.map(|run: Run| run.status).unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_nobody_registered() {
    let out = tempfile::tempdir().unwrap();
    let error = refused(plan("hardware", out.path())).await;
    assert!(matches!(error, HarnessError::UnknownBackend { .. }), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("there is no backend hardware; there are memory, "), "{text}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.as_path(), &file.join("below"), Path::new("/proc/custody-bench")] {
        let error = refused(plan("memory", path)).await;
        assert!(matches!(error, HarnessError::Output { .. }), "{error}");
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_signs_wrongly_makes_the_run_void() {
    let out = tempfile::tempdir().unwrap();
    // What an earlier run left is not taken for this one's.
    fs::write(out.path().join("report.html"), "old").unwrap();
    let error = refused(plan("wrong", out.path())).await;
    assert!(matches!(error, HarnessError::Void { .. }), "{error}");
    let text = fs::read_to_string(out.path().join("run.json")).unwrap();
    let void: Run = serde_json::from_str(&text).unwrap();
    assert!(matches!(void.status, Status::Void(_)) && void.series.is_empty(), "{void:?}");
    for name in ["report.html", "report.md", "samples.csv.gz", "latency.hlog"] {
        assert!(!out.path().join(name).exists(), "{name}");
    }
    let read = read_run(out.path()).unwrap_err().to_string();
    assert!(read.contains("the run is void") && write_report(out.path()).is_err(), "{read}");
}

/// A refusal comes before anything of an earlier run is taken away.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_measured_before_a_refusal_stays() {
    let out = tempfile::tempdir().unwrap();
    run(&bench(), plan("memory", out.path()), Vec::new(), &Stop::default()).await.unwrap();
    let files = || {
        let mut files: Vec<_> = fs::read_dir(out.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = files();
    assert_eq!(before.len(), 5);
    let mut without = plan("narrow", out.path());
    without.algorithm = Algorithm::Bip340;
    let mut too_fast = plan("memory", out.path());
    too_fast.loops = vec![Loop::Open { rate: 40_000_000.0 }];
    let mut ungoverned = plan("memory", out.path());
    ungoverned.governed = true;
    for plan in [without, too_fast, ungoverned, plan("hardware", out.path())] {
        refused(plan).await;
        assert!(files() == before, "something of the run before is gone");
    }
    let stop = Stop::default();
    stop.stop();
    let stopped = run(&bench(), plan("memory", out.path()), Vec::new(), &stop).await;
    assert!(matches!(stopped, Err(HarnessError::Interrupted)), "nothing was measured");
    assert!(files() == before, "something of the run before is gone");
}

/// While a run lasts its folder is its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_another_run_writes_to() {
    let out = tempfile::tempdir().unwrap();
    let mut long = plan("memory", out.path());
    long.duration = Duration::from_secs(30);
    let stop = Stop::default();
    let first = {
        let stop = stop.clone();
        tokio::spawn(async move { run(&bench(), long, Vec::new(), &stop).await })
    };
    while !out.path().join(".while-it-runs/lock").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let error = refused(plan("memory", out.path())).await.to_string();
    assert!(error.ends_with("cannot be written: another run writes to it"), "{error}");
    stop.stop();
    assert_eq!(first.await.unwrap().unwrap().status, Status::Interrupted);
    let after = run(&bench(), plan("memory", out.path()), Vec::new(), &Stop::default()).await;
    assert_eq!(after.unwrap().status, Status::Complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_could_not_be_told_apart() {
    let out = tempfile::tempdir().unwrap();
    let peer = |name: &str| Peer::new(name, Arc::new(Nobody));
    let peers = vec![peer("a b"), peer("a-b")];
    let error = run(&bench(), plan("memory", out.path()), peers, &Stop::default()).await;
    let error = error.map(|run| run.status).unwrap_err();
    assert!(matches!(error, HarnessError::SameName { .. }), "{error}");
    assert_eq!(error.to_string(), "two peers are called a-b: one of them needs another name");
}

/// Signs nothing.
#[derive(Debug)]
struct Nobody;

#[async_trait::async_trait]
impl Target for Nobody {
    fn manner(&self) -> Manner {
        Manner::Threads
    }

    async fn sign(&self, _job: &Job) -> Result<Answer, String> {
        Err("nobody signs".to_owned())
    }

    fn verify(&self, _job: &Job, _answer: &Answer) -> Result<(), Wrong> {
        Err(Wrong::new("nothing was signed"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_of_zero() {
    let out = tempfile::tempdir().unwrap();
    let mut no_time = plan("memory", out.path());
    no_time.duration = Duration::ZERO;
    let mut nobody = plan("memory", out.path());
    nobody.concurrency = vec![0];
    for (option, plan) in [("--duration", no_time), ("--concurrency", nobody)] {
        let error = refused(plan).await.to_string();
        assert!(error.starts_with(option), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_that_nobody_can_offer() {
    let out = tempfile::tempdir().unwrap();
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 100_000_000.0] {
        let mut plan = plan("memory", out.path());
        plan.loops = vec![Loop::Open { rate }];
        let error = refused(plan).await.to_string();
        assert!(error.starts_with("--rate"), "{rate}: {error}");
    }
    // Within all bounds, but more than empty calls that this machine makes.
    let mut plan = plan("memory", out.path());
    plan.loops = vec![Loop::Open { rate: 40_000_000.0 }];
    let error = refused(plan).await.to_string();
    assert!(error.contains("cannot be offered"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_algorithm_that_the_backend_has_not() {
    let out = tempfile::tempdir().unwrap();
    let mut without = plan("narrow", out.path());
    without.algorithm = Algorithm::Bip340;
    let error = refused(without).await;
    assert_eq!(error.to_string(), "backend narrow has no bip340; it has ed25519");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_option_that_the_backend_does_not_know() {
    let out = tempfile::tempdir().unwrap();
    let options = |name: &str| BTreeMap::from([(name.to_owned(), "blue".to_owned())]);
    let error = refused(plan("memory", out.path()).with_options(options("color"))).await;
    assert_eq!(error.to_string(), "backend memory has no option color; it has colour");
    let known = plan("memory", out.path()).with_options(options("colour"));
    assert!(run(&bench(), known, Vec::new(), &Stop::default()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_governed_path_that_the_program_has_not() {
    let out = tempfile::tempdir().unwrap();
    let mut plan = plan("memory", out.path());
    plan.governed = true;
    assert!(matches!(refused(plan).await, HarnessError::NoGovernor));
}
