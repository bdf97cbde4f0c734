//! Faults at chosen calls: "failed and did not happen", "failed but did happen", and calls that
//! never return; denials and delays of all calls.
//!
//! Invariant: a call that is neither failed, denied nor delayed is passed on unchanged.

mod delay;
mod denial;

use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex};

use custody_core::seam::ErrorKind;
use futures::channel::oneshot;

pub use delay::Delay;
pub use denial::Denial;

/// What stands between a caller and the calls of a double: a [`FaultPlan`] makes it failing, a
/// [`Denial`] denying, a [`Delay`] slow. `O` names the operations. Clones are one.
pub trait Intercept<O>: Clone + Debug + Send + Sync + 'static {
    /// Makes the call `inner` of `operation` or does not; `error` builds the error of a failure.
    ///
    /// # Errors
    /// With what this makes of the call, and with the errors of `inner`.
    fn intercept<T: Send, E: Send>(
        &self,
        operation: O,
        error: impl FnOnce(ErrorKind) -> E + Send,
        inner: impl Future<Output = Result<T, E>> + Send,
    ) -> impl Future<Output = Result<T, E>> + Send;
}

/// Whether the failed call took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a call took effect or it did not")]
pub enum Happened {
    /// The inner call was not made.
    No,
    /// The inner call was made and its answer lost.
    Yes,
}

/// What goes wrong with a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// It fails with this kind.
    Fail {
        /// The kind that the caller sees.
        kind: ErrorKind,
        /// Whether the call took effect.
        happened: Happened,
    },
    /// It never returns: the process dies here, or a timeout strikes.
    Hang {
        /// Whether the call took effect.
        happened: Happened,
    },
    /// It waits until the gate is opened, then goes on unharmed.
    Hold(Gate),
    /// It waits until the gate is opened, then fails.
    HoldThenFail {
        /// What it waits for.
        gate: Gate,
        /// The kind that the caller sees.
        kind: ErrorKind,
        /// Whether the call took effect, once the gate was opened.
        happened: Happened,
    },
}

impl Fault {
    /// A failure of this kind that took no effect.
    #[must_use]
    pub const fn fail(kind: ErrorKind) -> Self {
        Self::Fail { kind, happened: Happened::No }
    }

    /// A failure of this kind that took effect all the same.
    #[must_use]
    pub const fn fail_after(kind: ErrorKind) -> Self {
        Self::Fail { kind, happened: Happened::Yes }
    }
}

/// Which calls fail, and a log of all calls. `O` names the operations. Clones share one plan.
#[derive(Debug)]
pub struct FaultPlan<O> {
    state: Arc<Mutex<State<O>>>,
}

#[derive(Debug)]
struct State<O> {
    once: Vec<(O, usize, Fault)>,
    always: Vec<(O, Fault)>,
    calls: Vec<O>,
}

impl<O> Clone for FaultPlan<O> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state) }
    }
}

impl<O> Default for FaultPlan<O> {
    fn default() -> Self {
        let state = State { once: Vec::new(), always: Vec::new(), calls: Vec::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }
}

impl<O: Copy + Debug + PartialEq> FaultPlan<O> {
    /// A plan without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Plans a fault for call number `nth` of `operation`, counted from 0 since the beginning.
    ///
    /// # Panics
    /// If that call was made already.
    pub fn at(&self, operation: O, nth: usize, fault: Fault) {
        let made = self.count(operation);
        assert!(nth >= made, "call {nth} of {operation:?} was made already, the next is {made}");
        self.state.lock().unwrap().once.push((operation, nth, fault));
    }

    /// Plans a fault for the next call of `operation`.
    pub fn next(&self, operation: O, fault: Fault) {
        self.at(operation, self.count(operation), fault);
    }

    /// Plans a fault for every call of `operation` from now on, until [`Self::clear`].
    pub fn always(&self, operation: O, fault: Fault) {
        self.state.lock().unwrap().always.push((operation, fault));
    }

    /// Forgets all planned faults; the log of calls stays.
    pub fn clear(&self) {
        let mut state = self.state.lock().unwrap();
        state.once.clear();
        state.always.clear();
    }

    /// How many calls of `operation` were made, with or without a fault.
    #[must_use]
    pub fn count(&self, operation: O) -> usize {
        self.state.lock().unwrap().calls.iter().filter(|call| **call == operation).count()
    }

    /// All calls in order.
    #[must_use]
    pub fn calls(&self) -> Vec<O> {
        self.state.lock().unwrap().calls.clone()
    }

    /// Whether a planned single fault has not struck yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.state.lock().unwrap().once.is_empty()
    }

    /// Makes the call `inner` of `operation` as the plan says; `error` builds the error of a
    /// failure.
    ///
    /// # Errors
    /// With the planned kind, and with the errors of `inner`.
    pub async fn call<T, E>(
        &self,
        operation: O,
        error: impl FnOnce(ErrorKind) -> E,
        inner: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.strike(operation) {
            None => inner.await,
            Some(Fault::Fail { kind, happened }) => {
                if happened == Happened::Yes {
                    inner.await?;
                }
                Err(error(kind))
            }
            Some(Fault::Hang { happened }) => {
                if happened == Happened::Yes {
                    inner.await?;
                }
                std::future::pending().await
            }
            Some(Fault::Hold(gate)) => {
                gate.pass().await;
                inner.await
            }
            Some(Fault::HoldThenFail { gate, kind, happened }) => {
                gate.pass().await;
                if happened == Happened::Yes {
                    inner.await?;
                }
                Err(error(kind))
            }
        }
    }

    fn strike(&self, operation: O) -> Option<Fault> {
        let nth = self.count(operation);
        let mut state = self.state.lock().unwrap();
        state.calls.push(operation);
        let planned =
            state.once.iter().position(|(name, call, _)| *name == operation && *call == nth);
        match planned {
            Some(index) => Some(state.once.remove(index).2),
            None => state
                .always
                .iter()
                .find(|(name, _)| *name == operation)
                .map(|(_, fault)| fault.clone()),
        }
    }
}

impl<O: Copy + Debug + PartialEq + Send + 'static> Intercept<O> for FaultPlan<O> {
    async fn intercept<T: Send, E: Send>(
        &self,
        operation: O,
        error: impl FnOnce(ErrorKind) -> E + Send,
        inner: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        self.call(operation, error, inner).await
    }
}

/// Holds calls until a test opens it. Clones are one gate.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    state: Arc<Mutex<GateState>>,
}

#[derive(Debug, Default)]
struct GateState {
    open: bool,
    waiting: Vec<oneshot::Sender<()>>,
    arrived: usize,
    watchers: Vec<(usize, oneshot::Sender<()>)>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the gate for good.
    pub fn open(&self) {
        let mut state = self.state.lock().unwrap();
        state.open = true;
        for waiting in state.waiting.drain(..) {
            let _gone = waiting.send(());
        }
    }

    /// Returns when `calls` calls have come to the gate.
    pub async fn reached_by(&self, calls: usize) {
        let arrival = {
            let mut state = self.state.lock().unwrap();
            if state.arrived >= calls {
                return;
            }
            let (sender, receiver) = oneshot::channel();
            state.watchers.push((calls, sender));
            receiver
        };
        arrival.await.unwrap();
    }

    /// Waits until the gate is open.
    pub async fn pass(&self) {
        let opening = {
            let mut state = self.state.lock().unwrap();
            state.arrived += 1;
            let arrived = state.arrived;
            let watchers = std::mem::take(&mut state.watchers);
            for (calls, watcher) in watchers {
                if calls <= arrived {
                    let _gone = watcher.send(());
                } else {
                    state.watchers.push((calls, watcher));
                }
            }
            if state.open {
                return;
            }
            let (sender, receiver) = oneshot::channel();
            state.waiting.push(sender);
            receiver
        };
        opening.await.unwrap();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::poll;

    use super::*;

    async fn call(plan: &FaultPlan<u8>, made: &AtomicUsize) -> Result<usize, ErrorKind> {
        plan.call(1, |kind| kind, async { Ok(made.fetch_add(1, Ordering::SeqCst)) }).await
    }

    #[test]
    fn a_fault_strikes_its_call_only_and_happened_says_whether_the_inner_call_was_made() {
        pollster::block_on(async {
            let (plan, made) = (FaultPlan::new(), AtomicUsize::new(0));
            plan.at(1, 1, Fault::fail(ErrorKind::Unavailable));
            plan.at(1, 2, Fault::fail_after(ErrorKind::Indeterminate));
            assert_eq!(call(&plan, &made).await, Ok(0));
            assert_eq!(call(&plan, &made).await, Err(ErrorKind::Unavailable));
            assert_eq!(made.load(Ordering::SeqCst), 1);
            assert_eq!(call(&plan, &made).await, Err(ErrorKind::Indeterminate));
            assert_eq!(made.load(Ordering::SeqCst), 2);
            assert_eq!(call(&plan, &made).await, Ok(2));
            assert_eq!((plan.calls(), plan.is_waiting()), (vec![1; 4], false));
        });
    }

    #[test]
    fn a_gate_holds_calls_until_it_is_opened() {
        pollster::block_on(async {
            let (plan, made, gate) = (FaultPlan::new(), AtomicUsize::new(0), Gate::new());
            plan.always(1, Fault::Hold(gate.clone()));
            let mut held = pin!(call(&plan, &made));
            assert!(poll!(&mut held).is_pending());
            gate.reached_by(1).await;
            assert_eq!(made.load(Ordering::SeqCst), 0);
            gate.open();
            assert_eq!(held.await, Ok(0));
        });
    }

    #[test]
    fn a_call_that_is_held_and_fails_took_effect_as_planned() {
        pollster::block_on(async {
            let (plan, made) = (FaultPlan::new(), AtomicUsize::new(0));
            for (happened, after) in [(Happened::No, 0), (Happened::Yes, 1)] {
                let gate = Gate::new();
                let kind = ErrorKind::Indeterminate;
                plan.next(1, Fault::HoldThenFail { gate: gate.clone(), kind, happened });
                let mut held = pin!(call(&plan, &made));
                assert!(poll!(&mut held).is_pending());
                assert_eq!(made.load(Ordering::SeqCst), 0);
                gate.open();
                assert_eq!(held.await, Err(kind));
                assert_eq!(made.load(Ordering::SeqCst), after);
            }
        });
    }

    #[test]
    #[should_panic(expected = "was made already")]
    fn a_fault_in_the_past_is_loud() {
        let plan = FaultPlan::new();
        let _struck = plan.strike(1);
        plan.at(1, 0, Fault::fail(ErrorKind::Unavailable));
    }
}
