//! What callers ask of a token, and answers that are not handed over yet.
//!
//! Invariant: an answer is held only while others wait for theirs, and no longer than a few
//! milliseconds, as far as can be expected from the last call.
//!
//! A call has one piece of memory, and its caller frees it. Were it freed by the thread that signs,
//! a later number of the module would stand in it, beside what other threads write: their cores
//! would take the line from each other (measured with openCryptoki: up to a sixth of a signature).

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use custody_core::seam::ErrorKind;

use crate::fault::{Effect, Fault};
use crate::seat::Seat;
use crate::turn::lock;

/// What a caller asked for. He is answered once, by a thread or by the watch.
pub(crate) trait Asked: Send + Sync {
    /// Does it, unless nobody waits for it any more, and keeps the answer.
    fn run(&self, seat: &mut Seat);

    /// Hands the answer over.
    fn answer(self: Arc<Self>);

    /// Answers that it is not waited for any longer.
    fn give_up(self: Arc<Self>, begun: Begun);
}

/// Whether a job that is given up had begun.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    No,
    Yes,
}

/// Some work for a seat, and who waits for what comes of it.
pub(crate) struct Question<T, W> {
    work: Mutex<W>,
    result: Mutex<Option<Result<T, Fault>>>,
    caller: Mutex<Caller<T>>,
    effect: Effect,
}

/// How far it is.
enum Caller<T> {
    Waits(Option<Waker>),
    Answered(Result<T, Fault>),
    /// He has his answer, or went away.
    Gone,
}

/// Waits for the answer. It has the question as well, and lets it go last.
pub(crate) struct Awaited<T, W>(Arc<Question<T, W>>);

impl<T, W> Question<T, W> {
    pub(crate) fn new(work: W, effect: Effect) -> (Arc<Self>, Awaited<T, W>) {
        let (work, result) = (Mutex::new(work), Mutex::new(None));
        let question =
            Arc::new(Self { work, result, caller: Mutex::new(Caller::Waits(None)), effect });
        (Arc::clone(&question), Awaited(question))
    }

    /// Whoever comes second finds nobody. This share of the memory is let go first: the caller goes
    /// on as soon as he is woken.
    fn send(self: Arc<Self>, result: Result<T, Fault>) {
        let mut caller = lock(&self.caller);
        let Caller::Waits(waker) = &mut *caller else { return };
        let waker = waker.take();
        *caller = Caller::Answered(result);
        drop(caller);
        drop(self);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T, W> Asked for Question<T, W>
where
    T: Send + 'static,
    W: FnMut(&mut Seat) -> Result<T, Fault> + Send + 'static,
{
    fn run(&self, seat: &mut Seat) {
        if matches!(*lock(&self.caller), Caller::Gone) {
            return;
        }
        let result = lock(&self.work)(seat);
        *lock(&self.result) = Some(result);
    }

    fn answer(self: Arc<Self>) {
        let result = lock(&self.result).take();
        if let Some(result) = result {
            self.send(result);
        }
    }

    fn give_up(self: Arc<Self>, begun: Begun) {
        let fault = given_up(begun, self.effect);
        self.send(Err(fault));
    }
}

impl<T, W> Future for Awaited<T, W> {
    type Output = Result<T, Fault>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut caller = lock(&self.0.caller);
        match std::mem::replace(&mut *caller, Caller::Gone) {
            Caller::Answered(result) => Poll::Ready(result),
            Caller::Waits(_) => {
                *caller = Caller::Waits(Some(context.waker().clone()));
                Poll::Pending
            }
            // Nobody asks twice for an answer that he has.
            Caller::Gone => Poll::Pending,
        }
    }
}

impl<T, W> Drop for Awaited<T, W> {
    fn drop(&mut self) {
        *lock(&self.0.caller) = Caller::Gone;
    }
}

/// What a caller hears whose call is given up.
const fn given_up(begun: Begun, effect: Effect) -> Fault {
    let what = "the module did not answer in time";
    match (begun, effect) {
        (Begun::Yes, Effect::Some) => Fault::found(ErrorKind::Indeterminate, what),
        (Begun::Yes, Effect::None) => Fault::found(ErrorKind::Unavailable, what),
        (Begun::No, _) => Fault::found(ErrorKind::Unavailable, "no thread was free to ask it"),
    }
}

/// Answers of all threads, and since when the first of them is held.
#[derive(Default)]
pub(crate) struct HeldAnswers {
    since: Option<Instant>,
    answers: Vec<Arc<dyn Asked>>,
}

impl HeldAnswers {
    /// Keeps an answer while `others` wait and the next can be expected soon, and gives to `ready`
    /// those that are to be handed over now.
    pub(crate) fn hold(
        &mut self,
        answer: Option<Arc<dyn Asked>>,
        took: Duration,
        others: usize,
        ready: &mut Vec<Arc<dyn Asked>>,
    ) {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        self.answers.extend(answer);
        let next = now.saturating_duration_since(since).saturating_add(took);
        if next >= HELD_FOR || self.answers.len() >= HELD_MAX.min(others) {
            self.all(ready);
        }
    }

    /// Gives all that are held.
    pub(crate) fn all(&mut self, ready: &mut Vec<Arc<dyn Asked>>) {
        self.since = None;
        ready.append(&mut self.answers);
    }
}

pub(crate) fn hand_over(answers: &mut Vec<Arc<dyn Asked>>) {
    answers.drain(..).for_each(Asked::answer);
}

/// No answer is held longer, as far as can be expected.
const HELD_FOR: Duration = Duration::from_millis(8);
/// So many answers are held at most.
const HELD_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const QUICK: Duration = Duration::from_micros(1);

    type Work = fn(&mut Seat) -> Result<u8, Fault>;

    fn question() -> (Arc<Question<u8, Work>>, Awaited<u8, Work>) {
        let (question, awaited) = Question::new((|_| Ok(1)) as Work, Effect::Some);
        *lock(&question.result) = Some(Ok(7));
        (question, awaited)
    }

    /// How many are handed over once this one is there as well.
    fn hold(held: &mut HeldAnswers, is_one: bool, took: Duration, others: usize) -> usize {
        let mut ready = Vec::new();
        held.hold(is_one.then(|| question().0 as Arc<dyn Asked>), took, others, &mut ready);
        ready.len()
    }

    #[test]
    fn an_answer_is_held_only_while_others_wait() {
        let mut held = HeldAnswers::default();
        assert_eq!(hold(&mut held, true, QUICK, 0), 1, "nobody waits");
        assert_eq!(hold(&mut held, true, QUICK, 1), 1, "nobody but the next");
        assert_eq!(hold(&mut held, true, QUICK, 3), 0);
        assert_eq!(hold(&mut held, false, QUICK, 2), 0, "it panicked");
        assert_eq!(hold(&mut held, true, QUICK, 2), 2);
        let mut ready = Vec::new();
        held.all(&mut ready);
        assert!(ready.is_empty());
    }

    #[test]
    fn only_so_many_are_held() {
        let mut held = HeldAnswers::default();
        for _ in 1..HELD_MAX {
            assert_eq!(hold(&mut held, true, QUICK, 1_000), 0);
        }
        assert_eq!(hold(&mut held, true, QUICK, 1_000), HELD_MAX);
    }

    #[test]
    fn no_answer_waits_for_a_slow_one() {
        let mut held = HeldAnswers::default();
        assert_eq!(hold(&mut held, true, HELD_FOR, 1_000), 1);
        assert_eq!(hold(&mut held, true, HELD_FOR / 2, 1_000), 0);
        std::thread::sleep(HELD_FOR / 2);
        assert_eq!(hold(&mut held, false, HELD_FOR / 2, 1_000), 1);
        assert_eq!(hold(&mut held, true, QUICK, 1_000), 0);
        let mut ready = Vec::new();
        held.all(&mut ready);
        assert_eq!(ready.len(), 1);
    }

    #[test]
    fn whoever_answers_second_finds_nobody() {
        let (question, mut awaited) = question();
        assert!((&mut awaited).now_or_never().is_none());
        Arc::clone(&question).give_up(Begun::Yes);
        question.answer();
        let fault = awaited.now_or_never().unwrap().unwrap_err();
        assert_eq!(fault.kind(), ErrorKind::Indeterminate);
    }

    #[test]
    fn a_caller_who_went_away_is_not_worked_for() {
        let (question, awaited) = question();
        assert!(!matches!(*lock(&question.caller), Caller::Gone));
        drop(awaited);
        assert!(matches!(*lock(&question.caller), Caller::Gone));
        question.answer();
    }

    #[test]
    fn the_caller_lets_the_question_go_last() {
        let (question, awaited) = question();
        let memory = Arc::downgrade(&question);
        hand_over(&mut vec![question]);
        assert_eq!(memory.strong_count(), 1);
        assert_eq!(awaited.now_or_never().unwrap().unwrap(), 7);
        assert_eq!(memory.strong_count(), 0);
    }
}
