//! What the threads of a pool do, how they follow each other, and the watch.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Done, GONE_MAX, Running, Shared, Taken};
use crate::answers::{Begun, hand_over};
use crate::observer::HsmEvent;
use crate::seat::Seat;
use crate::turn::lock;

/// Starts a thread that has the seat.
fn seat_at(
    shared: &Arc<Shared>,
    seat: Seat,
    threads: &mut BTreeMap<u64, JoinHandle<()>>,
) -> std::io::Result<()> {
    let its = Arc::clone(shared);
    let number = {
        let mut state = shared.lock();
        state.threads = state.threads.wrapping_add(1);
        state.threads
    };
    let thread = thread::Builder::new().name("hsm".into());
    threads.insert(number, thread.spawn(move || serve(&its, number, seat))?);
    Ok(())
}

/// Hands the seat to a new thread, with the session, so that nobody has to log in again. The new
/// one is there before this one ends: it would be given this one's part of the heap otherwise.
fn succeed(shared: &Arc<Shared>, thread: u64, seat: Seat) {
    let mut threads = lock(&shared.threads);
    let is_wanted = {
        let state = shared.lock();
        thread <= state.succeeded && !state.is_closed
    };
    // Whoever closes waits for those that he finds here. One that was given up is not found.
    if !is_wanted || threads.remove(&thread).is_none() {
        // The session is closed, which others need not wait for.
        drop(threads);
        drop(seat);
        return;
    }
    if let Err(error) = seat_at(shared, seat, &mut threads) {
        // The watch tries it again.
        tracing::error!(%error, "a thread for a token could not be started");
    }
}

fn serve(shared: &Arc<Shared>, thread: u64, mut seat: Seat) {
    let (mut done, mut ready) = (None, Vec::new());
    while let Some(Taken { number, until, asked }) = shared.turn(thread, done, &mut ready) {
        let since = Instant::now();
        seat.set_until(until);
        let came_back = catch_unwind(AssertUnwindSafe(|| asked.run(&mut seat)));
        let answer = if came_back.is_ok() {
            Some(asked)
        } else {
            tracing::error!("a call of a token panicked");
            seat = Seat::new(Arc::clone(&shared.token));
            asked.give_up(Begun::Yes);
            None
        };
        done = Some(Done { number, answer, took: since.elapsed() });
    }
    succeed(shared, thread, seat);
}

pub(super) fn watch(shared: &Arc<Shared>) {
    let tick = shared.limits.sign.checked_div(TICKS).unwrap_or(TICK_MIN);
    let tick = tick.clamp(TICK_MIN, TICK_MAX);
    loop {
        let mut state = shared.lock();
        if state.is_closed {
            return;
        }
        let (late, mut held) = (state.overdue(Instant::now()), Vec::new());
        state.held.all(&mut held);
        drop(state);
        hand_over(&mut held);
        if !late.is_empty() {
            lose(shared, late);
        }
        if let Err(error) = fill_up(shared) {
            tracing::error!(%error, "a thread for a token could not be started");
        }
        give_up_without_threads(shared);
        let state = shared.lock();
        if !state.is_closed {
            drop(shared.over.wait_timeout(state, tick));
        }
    }
}

/// Starts the threads that are missing. Whoever else looks meanwhile waits, so that there are never
/// too many.
pub(super) fn fill_up(shared: &Arc<Shared>) -> std::io::Result<()> {
    let mut threads = lock(&shared.threads);
    loop {
        let is_missing = {
            let state = shared.lock();
            usize::from(state.sessions) > threads.len() && !state.is_closed && state.gone < GONE_MAX
        };
        if !is_missing {
            return Ok(());
        }
        seat_at(shared, Seat::new(Arc::clone(&shared.token)), &mut threads)?;
    }
}

/// Answers those who wait if nobody else will.
fn give_up_without_threads(shared: &Arc<Shared>) {
    if lock(&shared.threads).is_empty() {
        let waiting = std::mem::take(&mut shared.lock().waiting);
        waiting.into_iter().for_each(|job| job.asked.give_up(Begun::No));
    }
}

/// Answers for threads that do not come back, and after a few leaves the module alone.
fn lose(shared: &Arc<Shared>, late: Vec<Running>) {
    shared.token.module().set_stuck();
    let lost = u8::try_from(late.len()).unwrap_or(u8::MAX);
    for job in late {
        drop(lock(&shared.threads).remove(&job.thread));
        job.asked.give_up(Begun::Yes);
    }
    let mut state = shared.lock();
    state.lost = state.lost.saturating_add(lost);
    if state.lost < shared.limits.lost_threads {
        return;
    }
    let lost = std::mem::take(&mut state.lost);
    state.paused_until = Instant::now().checked_add(shared.limits.pause);
    let waiting = std::mem::take(&mut state.waiting);
    drop(state);
    waiting.into_iter().for_each(|job| job.asked.give_up(Begun::No));
    tracing::error!(lost, "calls of a module do not come back; it is left alone for a while");
    shared.observer.tell(&HsmEvent::ThreadsLost { lost });
}

/// How often in the time of a signature the watch looks.
const TICKS: u32 = 10;
const TICK_MIN: Duration = Duration::from_millis(10);
const TICK_MAX: Duration = Duration::from_millis(500);
