//! Conformance suites: each check is a public function here, and each suite's macro makes one test
//! of each check.
//!
//! Invariant: a check passes only if it saw what it is named after; what a fixture does not offer
//! is asserted as missing or fails, and is never skipped.

pub mod audit;
pub mod decoder;
pub mod key_backend;
pub mod key_encryption;
pub mod policy_engine;
pub mod runtime;
pub mod signer;
pub mod store;

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// How long one check may take before it counts as hanging.
const CHECK_TIMEOUT: Duration = Duration::from_secs(200);

/// Kept alive as long as a fixture: a temporary folder, a server process.
pub type Guard = Box<dyn Any + Send>;

/// Runs one check on a runtime of its own. The suites' macros call it.
///
/// # Panics
/// If the check fails or hangs, with the name of the check.
pub fn run<T>(check: &'static str, future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a tokio runtime");
    let answer = runtime.block_on(async {
        let timed = tokio::time::timeout(CHECK_TIMEOUT, future);
        AssertUnwindSafe(timed).catch_unwind().await
    });
    runtime.shutdown_background();
    match answer {
        Ok(Ok(value)) => value,
        Ok(Err(_)) => panic!("the check {check} hangs"),
        Err(cause) => panic!("the check {check} fails: {}", message(cause.as_ref())),
    }
}

/// What a panic said.
#[must_use]
pub fn message(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Runs a check that must fail, and returns what it said. This is how a suite is itself tested.
///
/// # Panics
/// If the check passes.
pub fn run_failing<T>(check: &'static str, future: impl Future<Output = T>) -> String {
    match std::panic::catch_unwind(AssertUnwindSafe(|| drop(run(check, future)))) {
        Ok(()) => panic!("the check {check} passes where it must fail"),
        Err(cause) => message(cause.as_ref()),
    }
}

/// Everything an error says: its text, its debug form, and those of its causes.
fn shown(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = String::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        said += &format!("{error}\n{error:?}\n{error:#?}\n");
        cause = error.source();
    }
    said
}

/// Fails if an error shows eight bytes of `input` in a row: as text, as hex in either case, or as
/// a list of numbers.
fn assert_hidden(error: &(dyn std::error::Error + 'static), input: &[u8], case: &str) {
    let said = shown(error);
    let lower = said.to_lowercase();
    for window in input.windows(8) {
        let text = std::str::from_utf8(window).is_ok_and(|text| said.contains(text));
        let list = said.contains(format!("{window:?}").trim_matches(['[', ']']));
        let shows = text || list || lower.contains(&hex::encode(window));
        assert!(!shows, "{case}: the error shows its input");
    }
}

/// Runs a property so often. What it found first is found again: the seed is fixed.
fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}
