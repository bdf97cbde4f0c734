//! The checks of [`Clock`], [`Entropy`] and [`Spawner`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use custody_core::seam::{Clock, Entropy, Spawner};

/// Makes every check of a clock a test of its own.
///
/// `$make` is evaluated for each test, may `.await`, and yields an `Arc<dyn Clock>` whose time
/// passes by itself. Put each use in a module of its own.
#[macro_export]
macro_rules! clock_suite {
    ($make:expr) => {
        $crate::clock_suite! { @tests $make;
            a_deadline_in_the_past_returns_at_once
            a_sleeper_wakes_at_its_deadline_and_not_before
            the_monotonic_clock_never_goes_back
        }
    };
    (@tests $make:expr; $($check:ident)*) => {$(
        #[test]
        fn $check() {
            $crate::suite::run(stringify!($check), async {
                $crate::suite::runtime::$check($make).await
            });
        }
    )*};
}

/// Makes every check of a source of randomness a test of its own.
///
/// `$make` is evaluated for each test, may `.await`, and yields an `Arc<dyn Entropy>`. Put each use
/// in a module of its own.
#[macro_export]
macro_rules! entropy_suite {
    ($make:expr) => {
        $crate::clock_suite! { @tests $make;
            a_buffer_is_filled_to_its_last_byte
            two_fills_never_repeat
        }
    };
}

/// Makes every check of a spawner a test of its own.
///
/// `$make` is evaluated for each test inside a tokio runtime, may `.await`, and yields an
/// `Arc<dyn Spawner>`. Put each use in a module of its own.
#[macro_export]
macro_rules! spawner_suite {
    ($make:expr) => {
        $crate::clock_suite! { @tests $make;
            a_task_runs_to_its_end_with_nobody_waiting
            a_task_that_panics_harms_no_other
        }
    };
}

/// Ten thousand readings each are not before the one ahead of them, in four threads at once.
pub async fn the_monotonic_clock_never_goes_back(clock: Arc<dyn Clock>) {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let clock = Arc::clone(&clock);
            std::thread::spawn(move || {
                let mut last = clock.monotonic();
                for _ in 0..10_000 {
                    let now = clock.monotonic();
                    assert!(now >= last, "the clock went from {last:?} back to {now:?}");
                    last = now;
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// A sleeper wakes when the deadline is reached, and the clock then shows it.
pub async fn a_sleeper_wakes_at_its_deadline_and_not_before(clock: Arc<dyn Clock>) {
    for millis in [1, 5, 20] {
        let deadline = clock.monotonic() + Duration::from_millis(millis);
        clock.sleep_until(deadline).await;
        let now = clock.monotonic();
        assert!(now >= deadline, "woken at {now:?}, before {deadline:?}");
    }
}

/// A deadline that has been reached returns at the first poll.
pub async fn a_deadline_in_the_past_returns_at_once(clock: Arc<dyn Clock>) {
    clock.sleep_until(clock.monotonic() + Duration::from_millis(2)).await;
    for deadline in [Duration::ZERO, clock.monotonic()] {
        let wait = tokio::time::timeout(Duration::from_secs(5), clock.sleep_until(deadline));
        wait.await.expect("a deadline in the past returns");
    }
}

/// Buffers of every length are filled: no byte keeps its value in 64 fills.
pub async fn a_buffer_is_filled_to_its_last_byte(entropy: Arc<dyn Entropy>) {
    for length in [1, 7, 12, 16, 31, 32, 33, 64, 1_000] {
        let mut changed = vec![false; length];
        for _ in 0..64 {
            let mut bytes = vec![0xa5; length];
            entropy.fill(&mut bytes).expect("an honest source");
            changed.iter_mut().zip(bytes).for_each(|(changed, byte)| *changed |= byte != 0xa5);
        }
        let left = changed.iter().position(|changed| !changed);
        assert_eq!(left, None, "a byte of {length} is never filled");
    }
    entropy.fill(&mut []).expect("an empty buffer is filled");
}

/// Of 4,096 fills of 16 bytes, in four threads at once, no two are the same.
pub async fn two_fills_never_repeat(entropy: Arc<dyn Entropy>) {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let entropy = Arc::clone(&entropy);
            std::thread::spawn(move || {
                let fill = |_| {
                    let mut bytes = [0; 16];
                    entropy.fill(&mut bytes).expect("an honest source");
                    bytes
                };
                (0..1_024).map(fill).collect::<Vec<_>>()
            })
        })
        .collect();
    let fills: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(fills.iter().collect::<BTreeSet<_>>().len(), 4_096, "two fills are the same");
}

/// A hundred tasks end though nobody waits for them, across many polls.
pub async fn a_task_runs_to_its_end_with_nobody_waiting(spawner: Arc<dyn Spawner>) {
    let ended = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let ended = Arc::clone(&ended);
        spawner.spawn(Box::pin(async move {
            for _ in 0..10 {
                futures::future::join(yield_once(), yield_once()).await;
            }
            ended.fetch_add(1, Ordering::SeqCst);
        }));
    }
    wait_for(&ended, 100).await;
}

/// Tasks beside and after one that panics run to their end.
pub async fn a_task_that_panics_harms_no_other(spawner: Arc<dyn Spawner>) {
    let ended = Arc::new(AtomicUsize::new(0));
    for task in 0..20 {
        let ended = Arc::clone(&ended);
        spawner.spawn(Box::pin(async move {
            yield_once().await;
            assert!(task % 4 != 0, "the task panics, as it should");
            ended.fetch_add(1, Ordering::SeqCst);
        }));
    }
    wait_for(&ended, 15).await;
}

async fn wait_for(ended: &AtomicUsize, count: usize) {
    for _ in 0..300 {
        if ended.load(Ordering::SeqCst) == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} of {count} tasks ended in three seconds", ended.load(Ordering::SeqCst));
}

/// Gives way once.
async fn yield_once() {
    let mut gave_way = false;
    std::future::poll_fn(move |context| {
        if gave_way {
            return std::task::Poll::Ready(());
        }
        gave_way = true;
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
