//! The suites of clocks, sources of randomness and spawners hold for the testkit's doubles and for
//! the tokio set of the core.

use std::sync::Arc;
use std::time::Duration;

use custody_core::seam::{Clock as _, Spawner as _};
use custody_core::tokio::{TokioClock, TokioSpawner};
use custody_testkit::runtime::{
    LyingClock, LyingEntropy, LyingSpawner, TestClock, TestEntropy, TestExecutor, TestSpawner,
};
use custody_testkit::suite::run_failing;
use custody_testkit::suite::runtime as checks;

mod tokio_clock {
    custody_testkit::clock_suite!(std::sync::Arc::new(super::TokioClock::new()));
}

mod tokio_spawner {
    custody_testkit::spawner_suite!(std::sync::Arc::new(super::TokioSpawner::new(
        tokio::runtime::Handle::current()
    )));
}

mod test_entropy {
    custody_testkit::entropy_suite!(std::sync::Arc::new(super::TestEntropy::seeded(1)));
}

mod test_spawner {
    custody_testkit::spawner_suite!(std::sync::Arc::new(super::TestSpawner::new()));
}

#[test]
fn a_lying_clock_is_found() {
    let clock = || Arc::new(LyingClock::new());
    run_failing("the_monotonic_clock_never_goes_back", async {
        checks::the_monotonic_clock_never_goes_back(clock()).await;
    });
    run_failing("a_sleeper_wakes_at_its_deadline_and_not_before", async {
        checks::a_sleeper_wakes_at_its_deadline_and_not_before(clock()).await;
    });
}

#[test]
fn a_lying_source_of_randomness_is_found() {
    run_failing("a_buffer_is_filled_to_its_last_byte", async {
        checks::a_buffer_is_filled_to_its_last_byte(Arc::new(LyingEntropy::new())).await;
    });
    run_failing("two_fills_never_repeat", async {
        checks::two_fills_never_repeat(Arc::new(LyingEntropy::new())).await;
    });
}

#[test]
fn a_spawner_that_drops_tasks_is_found() {
    run_failing("a_task_runs_to_its_end_with_nobody_waiting", async {
        checks::a_task_runs_to_its_end_with_nobody_waiting(Arc::new(LyingSpawner::new())).await;
    });
}

#[test]
fn a_test_spawner_counts_what_is_open_and_what_panicked_with_and_without_a_runtime() {
    let spawner = TestSpawner::new();
    spawner.spawn(Box::pin(async {}));
    spawner.spawn(Box::pin(async { panic!("as it should") }));
    for _ in 0..500 {
        if spawner.open() == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!((spawner.started(), spawner.open(), spawner.panicked()), (2, 0, 1));
}

#[test]
fn an_executor_counts_tasks_that_panic_and_runs_the_others() {
    let clock = TestClock::new();
    let executor = TestExecutor::new(clock.clone());
    executor.spawn(Box::pin(async { panic!("as it should") }));
    let sleeper = clock.clone();
    executor.spawn(Box::pin(async move { sleeper.sleep_until(Duration::from_secs(9)).await }));
    executor.run(async move { clock.sleep_until(Duration::from_secs(1)).await });
    assert_eq!((executor.panicked(), executor.open()), (1, 1));
}
