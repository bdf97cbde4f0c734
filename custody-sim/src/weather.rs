use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use custody_core::seam::{Clock as _, ErrorKind, Monotonic, Spawner as _};
use custody_testkit::runtime::TestClock;
use futures::channel::oneshot;

use crate::dice::Dice;
use crate::executor::Executor;
use crate::trace::Trace;

/// How often things go wrong in one life, in a thousand calls, and how slow they are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Odds {
    /// Calls that fail and have not happened.
    pub(crate) before: u64,
    /// Calls that fail and have happened.
    pub(crate) after: u64,
    /// Calls that never return, in ten thousand.
    pub(crate) hang: u64,
    /// Calls that panic, in ten thousand.
    pub(crate) panic: u64,
    /// Calls that take time.
    pub(crate) slow: u64,
    /// The longest time a slow call takes, in milliseconds.
    pub(crate) slow_ms: u64,
    /// Calls that may take longer than anybody waits.
    pub(crate) late: u64,
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Fine,
    FailsBefore,
    FailsAfter,
    HangsBefore,
    HangsAfter,
    PanicsBefore,
    PanicsAfter,
}

/// The faults of one life.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    pub(crate) dice: Dice,
    pub(crate) clock: TestClock,
    pub(crate) trace: Trace,
    executor: Executor,
    sky: Arc<Sky>,
    /// The parts of this life are gone: what they had not done by then they never do.
    is_over: Arc<AtomicBool>,
}

/// What is drawn once for each life.
#[derive(Debug, Default)]
pub(crate) struct Sky {
    /// Nothing goes wrong, and nobody is impatient.
    pub(crate) is_calm: bool,
    /// What was asked of store, anchor and vault is done even if nobody waits for it any longer.
    pub(crate) goes_on: bool,
    pub(crate) commits: Odds,
    pub(crate) reads: Odds,
    pub(crate) tiles: Odds,
    pub(crate) heads: Odds,
    pub(crate) anchor: Odds,
    pub(crate) backend: Odds,
    /// From when to when the store cannot be reached.
    pub(crate) outage: Option<(Monotonic, Monotonic)>,
}

impl Sky {
    /// No faults at all.
    pub(crate) fn calm() -> Self {
        Self { is_calm: true, ..Self::default() }
    }

    /// Draws the faults of a life.
    pub(crate) fn drawn(dice: &Dice, now: Monotonic) -> Self {
        let outage = dice.chance(150).then(|| {
            let from = now.saturating_add(dice.time(0, 60_000));
            (from, from.saturating_add(dice.time(10, 20_000)))
        });
        Self {
            is_calm: false,
            goes_on: dice.chance(700),
            commits: Odds::drawn(dice, 400, 2_000),
            reads: Odds { after: 0, ..Odds::drawn(dice, 250, 300) },
            tiles: Odds::drawn(dice, 250, 300),
            heads: Odds::drawn(dice, 250, 2_000),
            anchor: Odds::drawn(dice, 250, 2_000),
            backend: Odds::drawn(dice, 600, 15_000).times(3),
            outage,
        }
    }
}

impl Odds {
    /// Bad for so many lives in a thousand.
    fn drawn(dice: &Dice, bad: u64, slow_ms: u64) -> Self {
        let slow = *dice.pick(&[0, 100, 400]);
        if !dice.chance(bad) {
            return Self { slow, slow_ms: slow_ms.min(200), ..Self::default() };
        }
        let worst = *dice.pick(&[10, 50, 150, 300]);
        let share = |permille| if dice.chance(permille) { dice.below(worst + 1) } else { 0 };
        Self {
            before: share(700),
            after: share(500),
            hang: share(400) * 2,
            panic: share(300) * 2,
            slow,
            slow_ms,
            late: share(300) / 3,
        }
    }
}

impl Odds {
    /// So many times as often, for calls that are rare.
    const fn times(self, factor: u64) -> Self {
        Self {
            before: self.before * factor / 2,
            after: self.after * factor,
            hang: self.hang * factor,
            panic: self.panic * factor,
            late: self.late * factor,
            ..self
        }
    }
}

impl Weather {
    pub(crate) fn new(clock: TestClock, trace: Trace, executor: Executor, sky: Sky) -> Self {
        let dice = executor.dice();
        Self { dice, clock, trace, executor, sky: Arc::new(sky), is_over: Arc::default() }
    }

    /// The parts of this life go, and others take their place.
    pub(crate) fn ends(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// The same weather for parts that take the place of others.
    pub(crate) fn anew(&self) -> Self {
        Self { is_over: Arc::default(), ..self.clone() }
    }

    /// Whether the parts of this life are gone.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Makes a call that goes on even if whoever made it does not wait for its answer.
    pub(crate) async fn make<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> T {
        if !self.sky.goes_on {
            return call.await;
        }
        let (answers, answer) = oneshot::channel();
        self.executor.spawn(Box::pin(async move { drop(answers.send(call.await)) }));
        match answer.await {
            Ok(answer) => answer,
            Err(oneshot::Canceled) => panic!("a planned panic of a call that goes on"),
        }
    }

    pub(crate) fn sky(&self) -> &Sky {
        &self.sky
    }

    /// Has something done later, beside everything else.
    pub(crate) fn later(&self, work: impl Future<Output = ()> + Send + 'static) {
        let (weather, delay) = (self.clone(), self.dice.time(1, 20_000));
        self.executor.spawn(Box::pin(async move {
            weather.sleep(delay).await;
            work.await;
        }));
    }

    /// What becomes of the next call of `what`.
    pub(crate) fn fate(&self, what: &str, odds: &Odds) -> Fate {
        let at = self.dice.below(1_000);
        let fate = if at < odds.before {
            Fate::FailsBefore
        } else if at < odds.before + odds.after {
            Fate::FailsAfter
        } else {
            self.rare_fate(odds)
        };
        if fate != Fate::Fine {
            self.trace.note(format_args!("fault: {what} {fate:?}"));
            self.trace.count(fate.in_words());
        }
        fate
    }

    fn rare_fate(&self, odds: &Odds) -> Fate {
        let at = self.dice.below(10_000);
        let after = self.dice.chance(500);
        if at < odds.hang {
            if after { Fate::HangsAfter } else { Fate::HangsBefore }
        } else if at < odds.hang + odds.panic {
            if after { Fate::PanicsAfter } else { Fate::PanicsBefore }
        } else {
            Fate::Fine
        }
    }

    /// Takes the time that a call takes.
    pub(crate) async fn pass(&self, odds: &Odds) {
        if self.dice.chance(odds.slow) {
            self.sleep(self.dice.time(1, odds.slow_ms.max(1))).await;
        }
        if self.dice.chance(odds.late) {
            self.trace.count("calls that are late");
            self.sleep(self.dice.time(500, 45_000)).await;
        }
    }

    pub(crate) async fn sleep(&self, duration: Duration) {
        self.clock.sleep_until(self.clock.monotonic().saturating_add(duration)).await;
    }

    /// Whether the store cannot be reached now.
    pub(crate) fn is_out(&self) -> bool {
        let now = self.clock.monotonic();
        self.sky.outage.is_some_and(|(from, until)| from <= now && now < until)
    }

    /// A kind of error after which the call may have happened or not.
    pub(crate) fn doubt(&self) -> ErrorKind {
        ErrorKind::Indeterminate
    }
}

impl Fate {
    const fn in_words(self) -> &'static str {
        match self {
            Self::Fine => "calls that went well",
            Self::FailsBefore => "calls that failed and had not happened",
            Self::FailsAfter => "calls that failed and had happened",
            Self::HangsBefore | Self::HangsAfter => "calls that never returned",
            Self::PanicsBefore | Self::PanicsAfter => "calls that panicked",
        }
    }

    /// Waits for ever or panics, if that is what happens before the call.
    pub(crate) async fn strike_before(self) {
        match self {
            Self::HangsBefore => std::future::pending().await,
            Self::PanicsBefore => panic!("a planned panic before the call"),
            Self::Fine
            | Self::FailsBefore
            | Self::FailsAfter
            | Self::HangsAfter
            | Self::PanicsAfter => {}
        }
    }

    /// Waits for ever or panics, if that is what happens after the call.
    pub(crate) async fn strike_after(self) {
        match self {
            Self::HangsAfter => std::future::pending().await,
            Self::PanicsAfter => panic!("a planned panic after the call"),
            Self::Fine
            | Self::FailsBefore
            | Self::FailsAfter
            | Self::HangsBefore
            | Self::PanicsBefore => {}
        }
    }
}
