use std::future::Future;
use std::pin::Pin;

use async_trait::async_trait;
use custody_core::seam::{Clock, Entropy, EntropyError, Monotonic, Spawner};
use custody_core::time::Timestamp;

use super::{Action, Pointed, STALL, Side};

#[async_trait]
impl Clock for Pointed<dyn Clock> {
    fn now(&self) -> Timestamp {
        self.points.plain_now("clock.now", || self.inner.now())
    }

    fn monotonic(&self) -> Monotonic {
        self.points.plain_now("clock.monotonic", || self.inner.monotonic())
    }

    async fn sleep_until(&self, deadline: Monotonic) {
        self.points.plain("clock.sleep_until", self.inner.sleep_until(deadline)).await;
    }
}

impl Entropy for Pointed<dyn Entropy> {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        self.points.now("entropy.fill", || Err(EntropyError::new()), || self.inner.fill(bytes))
    }
}

impl Spawner for Pointed<dyn Spawner> {
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let time = self.points.time.clone();
        let late = async move {
            let due = time.monotonic().saturating_add(STALL);
            time.sleep_until(due).await;
        };
        match self.points.meet("spawner.spawn", Side::Before) {
            // As a runtime does that is being shut down.
            Some(Action::Error) => return,
            Some(_) => self.inner.spawn(Box::pin(async move {
                late.await;
                task.await;
            })),
            None => self.inner.spawn(task),
        }
        if self.points.meet("spawner.spawn", Side::After).is_some() {
            self.points.time.advance(STALL);
        }
    }
}
