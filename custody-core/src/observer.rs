//! What a crate tells its host besides the answers to calls.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Whom to tell of events `E`. It is called in the middle of other work and must not block.
///
/// ```
/// use custody_core::observer::Observer;
///
/// let observer = Observer::new(|event: &u8| assert_eq!(*event, 7));
/// observer.tell(&7);
/// Observer::default().tell(&8); // nobody hears it
/// ```
pub struct Observer<E>(Option<Arc<Tell<E>>>);

type Tell<E> = dyn Fn(&E) + Send + Sync;

impl<E> Observer<E> {
    /// Tells the host's function.
    #[must_use]
    pub fn new(tell: impl Fn(&E) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    /// Tells of an event. That the host's function panics stops nobody.
    pub fn tell(&self, event: &E) {
        if let Some(tell) = &self.0
            && catch_unwind(AssertUnwindSafe(|| tell(event))).is_err()
        {
            tracing::error!("whoever is told of events panicked");
        }
    }
}

impl<E> Clone for Observer<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E> Default for Observer<E> {
    /// Nobody is told.
    fn default() -> Self {
        Self(None)
    }
}

impl<E> fmt::Debug for Observer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").field(&self.0.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    #[test]
    fn a_host_that_panics_is_told_again() {
        let told = Arc::new(AtomicU8::new(0));
        let count = Arc::clone(&told);
        let observer = Observer::new(move |event: &u8| {
            let before = count.fetch_add(*event, Ordering::Relaxed);
            assert_ne!(before, 0, "the first time");
        });
        observer.tell(&1);
        observer.clone().tell(&1);
        assert_eq!(told.load(Ordering::Relaxed), 2);
    }
}
