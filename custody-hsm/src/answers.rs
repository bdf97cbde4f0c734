//! Answers, and those that are not handed over yet.
//!
//! Invariant: an answer is held only while others wait for theirs, and no longer than a few
//! milliseconds, as far as can be expected from the last call.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::channel::oneshot;

use crate::fault::Fault;
use crate::turn::lock;

/// Hands an answer over to whoever asked.
pub(crate) type Answer = Box<dyn FnOnce() + Send>;

/// Answers of all threads, and since when the first of them is held.
#[derive(Default)]
pub(crate) struct HeldAnswers {
    since: Option<Instant>,
    answers: Vec<Answer>,
}

impl HeldAnswers {
    /// Keeps an answer while `others` wait and the next can be expected soon, and gives those that
    /// are to be handed over now.
    pub(crate) fn hold(
        &mut self,
        answer: Option<Answer>,
        took: Duration,
        others: usize,
    ) -> Vec<Answer> {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        self.answers.extend(answer);
        let next = now.saturating_duration_since(since).saturating_add(took);
        if next >= HELD_FOR || self.answers.len() >= HELD_MAX.min(others) {
            return self.all();
        }
        Vec::new()
    }

    /// All that are held.
    pub(crate) fn all(&mut self) -> Vec<Answer> {
        self.since = None;
        std::mem::take(&mut self.answers)
    }
}

/// Whoever waits for an answer, until it is given.
pub(crate) type Reply<T> = Mutex<Option<oneshot::Sender<Result<T, Fault>>>>;

/// Answers once: whoever comes second, a thread or the watch, finds nobody.
pub(crate) fn answer<T>(reply: &Reply<T>, result: Result<T, Fault>) {
    if let Some(sender) = lock(reply).take() {
        // Whoever asked may have gone.
        let _gone = sender.send(result);
    }
}

pub(crate) fn hand_over(answers: Vec<Answer>) {
    answers.into_iter().for_each(|answer| answer());
}

/// No answer is held longer, as far as can be expected.
const HELD_FOR: Duration = Duration::from_millis(8);
/// So many answers are held at most.
const HELD_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_micros(1);

    fn answer() -> Option<Answer> {
        Some(Box::new(|| {}))
    }

    #[test]
    fn an_answer_is_held_only_while_others_wait() {
        let mut held = HeldAnswers::default();
        assert_eq!(held.hold(answer(), QUICK, 0).len(), 1, "nobody waits");
        assert_eq!(held.hold(answer(), QUICK, 1).len(), 1, "nobody but the next");
        assert_eq!(held.hold(answer(), QUICK, 3).len(), 0);
        assert_eq!(held.hold(None, QUICK, 2).len(), 0, "it panicked");
        assert_eq!(held.hold(answer(), QUICK, 2).len(), 2);
        assert_eq!(held.all().len(), 0);
    }

    #[test]
    fn only_so_many_are_held() {
        let mut held = HeldAnswers::default();
        for _ in 1..HELD_MAX {
            assert_eq!(held.hold(answer(), QUICK, 1_000).len(), 0);
        }
        assert_eq!(held.hold(answer(), QUICK, 1_000).len(), HELD_MAX);
    }

    #[test]
    fn no_answer_waits_for_a_slow_one() {
        let mut held = HeldAnswers::default();
        assert_eq!(held.hold(answer(), HELD_FOR, 1_000).len(), 1);
        assert_eq!(held.hold(answer(), HELD_FOR / 2, 1_000).len(), 0);
        std::thread::sleep(HELD_FOR / 2);
        assert_eq!(held.hold(None, HELD_FOR / 2, 1_000).len(), 1);
        let _kept = held.hold(answer(), QUICK, 1_000);
        assert_eq!(held.all().len(), 1);
    }
}
