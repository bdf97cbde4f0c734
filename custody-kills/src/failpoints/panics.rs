//! Panics of callers and of tasks: those of failpoints are planned, every other one is a failure.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use custody_core::seam::Spawner;
use custody_testkit::failpoint::Failpoint;
use futures::FutureExt as _;

/// The panics of one life that no failpoint planned. Clones are one list.
#[derive(Clone, Debug, Default)]
pub struct Panics(Arc<Mutex<Vec<String>>>);

impl Panics {
    /// Notes that `what` panicked, unless a failpoint planned it, which panics with its own name.
    pub fn note(&self, what: &str, payload: &(dyn Any + Send)) {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or_default();
        if Failpoint::parse(text).is_none() {
            let panic = format!("{what} panicked: {text}");
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(panic);
        }
    }

    /// The same spawner, of whose tasks it is noted that they panic.
    #[must_use]
    pub fn watch(&self, inner: Arc<dyn Spawner>) -> Arc<dyn Spawner> {
        Arc::new(Watched { inner, panics: self.clone() })
    }

    /// What was noted.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug)]
struct Watched {
    inner: Arc<dyn Spawner>,
    panics: Panics,
}

impl Spawner for Watched {
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let panics = self.panics.clone();
        self.inner.spawn(Box::pin(async move {
            if let Err(payload) = AssertUnwindSafe(task).catch_unwind().await {
                panics.note("a task", payload.as_ref());
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::Failure;
    use crate::failpoints::callers::Ear;
    use crate::failpoints::memory::Memory;
    use crate::failpoints::seams::World as _;

    /// What an ear says after a caller and a task have panicked with this text.
    fn checked(text: &'static str) -> Result<(), Failure> {
        const A_MOMENT: Duration = Duration::from_secs(1);
        Memory::new().live(async |seams| {
            let ear = Ear::new(&seams, A_MOMENT, |_| ());
            seams.spawner.spawn(Box::pin(async move { panics_with(text) }));
            ear.hear("a call", async move { panics_with(text) }).await;
            seams.clock.sleep_until(A_MOMENT).await;
            ear.check()
        })
    }

    /// As a failpoint does, so that nothing is printed.
    fn panics_with(text: &str) {
        std::panic::resume_unwind(Box::new(text.to_owned()));
    }

    #[test]
    fn every_panic_but_that_of_a_failpoint_is_a_failure() {
        assert!(checked("store.commit.before").is_ok());
        let failure = checked("store.commit").unwrap_err().to_string();
        for panicked in ["a call panicked: store.commit", "a task panicked: store.commit"] {
            assert!(failure.contains(panicked), "{failure}");
        }
    }
}
