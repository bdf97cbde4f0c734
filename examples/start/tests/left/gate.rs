//! Randomness that a test holds back, so that whatever draws from it stands still.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use custody_core::seam::{Entropy, EntropyError};
use examples_start::entropy::OsEntropy;

/// Randomness of the system, while it is open.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    step: Mutex<Step>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Open,
    Shut,
    /// Somebody stands before it.
    Reached,
}

impl Gate {
    pub(crate) fn shut(&self) {
        self.go_to(Step::Shut);
    }

    pub(crate) fn open(&self) {
        self.go_to(Step::Open);
    }

    /// Waits until somebody stands before the shut gate.
    pub(crate) async fn reached(&self) {
        let mut looks = 0..LOOKS_MAX;
        while !self.is_reached() {
            assert!(looks.next().is_some(), "nobody comes to the gate");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn is_reached(&self) -> bool {
        *self.step.lock().unwrap() == Step::Reached
    }

    fn go_to(&self, step: Step) {
        *self.step.lock().unwrap() = step;
        self.changed.notify_all();
    }
}

impl Entropy for Gate {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let mut step = self.step.lock().unwrap();
        if *step == Step::Shut {
            *step = Step::Reached;
        }
        let is_shut = |step: &mut Step| *step != Step::Open;
        // A test that failed in between must not hang.
        drop(self.changed.wait_timeout_while(step, SHUT_MAX, is_shut).unwrap());
        OsEntropy.fill(bytes)
    }
}

const LOOKS_MAX: u32 = 2_000;
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Less than a backend may take for a call.
const SHUT_MAX: Duration = Duration::from_secs(8);
