use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use custody_core::seam::Spawner;
use futures::FutureExt as _;

/// Spawns on the tokio runtime of the caller, or on a thread of its own where there is none, and
/// counts. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct TestSpawner {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    panicked: AtomicUsize,
    started: AtomicUsize,
}

/// Counts a task as ended however it ends: finished, panicked or dropped with its runtime.
struct Open(Arc<Counts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl TestSpawner {
    /// A spawner that has spawned nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tasks that have not ended.
    #[must_use]
    pub fn open(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }

    /// Tasks that were started.
    #[must_use]
    pub fn started(&self) -> usize {
        self.counts.started.load(Ordering::SeqCst)
    }

    /// Tasks that panicked.
    #[must_use]
    pub fn panicked(&self) -> usize {
        self.counts.panicked.load(Ordering::SeqCst)
    }
}

impl Spawner for TestSpawner {
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.counts.started.fetch_add(1, Ordering::SeqCst);
        self.counts.open.fetch_add(1, Ordering::SeqCst);
        let open = Open(Arc::clone(&self.counts));
        let counted = async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                open.0.panicked.fetch_add(1, Ordering::SeqCst);
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(counted)),
            Err(_) => drop(std::thread::spawn(|| pollster::block_on(counted))),
        }
    }
}
