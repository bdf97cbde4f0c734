use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex};

use custody_core::seam::ErrorKind;

use super::Intercept;

/// Refuses calls until a test allows them, and logs what it refused. `O` names the operations.
/// Clones are one denial.
///
/// A refused call fails with [`ErrorKind::Refused`], and the inner call is not made.
#[derive(Debug)]
pub struct Denial<O> {
    state: Arc<Mutex<State<O>>>,
}

#[derive(Debug)]
struct State<O> {
    denies: Denies<O>,
    denied: Vec<O>,
}

#[derive(Debug)]
enum Denies<O> {
    All,
    Only(Vec<O>),
}

impl<O: Copy + PartialEq> Denial<O> {
    /// Denies every call.
    #[must_use]
    pub fn new() -> Self {
        let state = State { denies: Denies::All, denied: Vec::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Denies these calls and passes the others on.
    #[must_use]
    pub fn of(calls: &[O]) -> Self {
        let denial = Self::new();
        denial.deny_only(calls);
        denial
    }

    /// Passes every call on from now on.
    pub fn allow(&self) {
        self.deny_only(&[]);
    }

    /// Denies every call from now on.
    pub fn deny_all(&self) {
        self.state.lock().unwrap().denies = Denies::All;
    }

    /// Denies these calls from now on and passes the others on.
    pub fn deny_only(&self, calls: &[O]) {
        self.state.lock().unwrap().denies = Denies::Only(calls.to_vec());
    }

    /// The calls that were denied, in order.
    #[must_use]
    pub fn denied(&self) -> Vec<O> {
        self.state.lock().unwrap().denied.clone()
    }

    fn strikes(&self, operation: O) -> bool {
        let mut state = self.state.lock().unwrap();
        let strikes = match &state.denies {
            Denies::All => true,
            Denies::Only(calls) => calls.contains(&operation),
        };
        if strikes {
            state.denied.push(operation);
        }
        strikes
    }
}

impl<O> Clone for Denial<O> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state) }
    }
}

impl<O: Copy + PartialEq> Default for Denial<O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O: Copy + Debug + PartialEq + Send + 'static> Intercept<O> for Denial<O> {
    async fn intercept<T: Send, E: Send>(
        &self,
        operation: O,
        error: impl FnOnce(ErrorKind) -> E + Send,
        inner: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        if self.strikes(operation) { Err(error(ErrorKind::Refused)) } else { inner.await }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    async fn call(denial: &Denial<u8>, operation: u8, made: &AtomicUsize) -> Option<ErrorKind> {
        let inner = async { Ok(made.fetch_add(1, Ordering::SeqCst)) };
        denial.intercept(operation, |kind| kind, inner).await.err()
    }

    #[test]
    fn a_denied_call_is_refused_and_logged_and_the_inner_call_is_not_made() {
        pollster::block_on(async {
            let (denial, made) = (Denial::new(), AtomicUsize::new(0));
            assert_eq!(call(&denial, 1, &made).await, Some(ErrorKind::Refused));
            assert_eq!(call(&denial, 2, &made).await, Some(ErrorKind::Refused));
            assert_eq!((denial.denied(), made.load(Ordering::SeqCst)), (vec![1, 2], 0));
        });
    }

    #[test]
    fn only_what_is_named_is_denied_until_it_is_allowed() {
        pollster::block_on(async {
            let (denial, made) = (Denial::of(&[2]), AtomicUsize::new(0));
            assert_eq!(call(&denial, 1, &made).await, None);
            assert_eq!(call(&denial, 2, &made).await, Some(ErrorKind::Refused));
            denial.clone().allow();
            assert_eq!(call(&denial, 2, &made).await, None);
            denial.deny_only(&[1]);
            assert_eq!(call(&denial, 1, &made).await, Some(ErrorKind::Refused));
            assert_eq!(call(&denial, 2, &made).await, None);
            denial.deny_all();
            assert_eq!(call(&denial, 2, &made).await, Some(ErrorKind::Refused));
            assert_eq!((denial.denied(), made.load(Ordering::SeqCst)), (vec![2, 1, 2], 3));
        });
    }
}
