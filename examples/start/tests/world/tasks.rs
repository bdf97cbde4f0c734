use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use custody_core::seam::Spawner;
use tokio::task::JoinHandle;

/// Runs tasks on tokio, and ends them all wherever they are. Clones share their tasks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    open: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Ends every task at the await where it stands.
    pub(crate) async fn kill(&self) {
        loop {
            let open = std::mem::take(&mut *self.open.lock().unwrap());
            if open.is_empty() {
                return;
            }
            open.iter().for_each(JoinHandle::abort);
            for task in open {
                if let Err(error) = task.await {
                    assert!(!error.is_panic(), "a task of the custodian panicked");
                }
            }
        }
    }

    /// How many have not ended.
    pub(crate) fn running(&self) -> usize {
        self.open.lock().unwrap().iter().filter(|task| !task.is_finished()).count()
    }
}

impl Spawner for Tasks {
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let task = tokio::spawn(task);
        let mut open = self.open.lock().unwrap();
        open.retain(|task| !task.is_finished());
        open.push(task);
    }
}
