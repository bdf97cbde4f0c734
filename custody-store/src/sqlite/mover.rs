//! Moves the write-ahead log into the database beside the commits, on a thread and a connection of
//! its own.
//!
//! **Invariant:** what could not be moved stays in the log and is lost to nobody. A failure after
//! which the disk cannot be believed puts the store out of use, as one of the writer does.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use super::fault::Fault;
use super::writer::Health;

/// The writer's hold on the thread that moves. Dropping it waits for what is under way, so that the
/// writer's connection is closed after the mover's.
pub(super) struct Mover {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// Where the writer leaves word for the mover.
#[derive(Default)]
struct Desk {
    task: Mutex<Task>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Task {
    /// Nothing is to be done.
    #[default]
    Idle,
    /// The log is to be moved, or is being moved.
    Move,
    /// There is no mover any more.
    Over,
}

impl Mover {
    /// Starts the thread, which moves with `step` whenever it is asked to.
    pub(super) fn start(
        health: Arc<Health>,
        mut step: impl FnMut() -> Result<(), Fault> + Send + 'static,
    ) -> std::io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let shared = Arc::clone(&desk);
        let work = move || {
            // Whoever waits for a mover that died goes on without it.
            let desk = Over(shared);
            while desk.0.next() {
                match step() {
                    Ok(()) => {}
                    Err(fault) => health.weigh(fault),
                }
                desk.0.done();
            }
        };
        let thread = thread::Builder::new().name("custody-store-mover".to_owned()).spawn(work)?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// Asks for the log to be moved, without waiting.
    pub(super) fn ask(&self) {
        let mut task = self.desk.lock();
        if *task == Task::Idle {
            *task = Task::Move;
            self.desk.changed.notify_all();
        }
    }

    /// Whether nothing is being moved; it stays so until somebody asks.
    pub(super) fn is_idle(&self) -> bool {
        *self.desk.lock() != Task::Move
    }

    /// Waits until nothing is being moved.
    pub(super) fn wait(&self) {
        let task = self.desk.lock();
        let moves = |task: &mut Task| *task == Task::Move;
        drop(self.desk.changed.wait_while(task, moves).unwrap_or_else(PoisonError::into_inner));
    }
}

impl Mover {
    /// Waits for what is under way and ends the thread.
    pub(super) fn end(&mut self) {
        self.wait();
        self.desk.set(Task::Over);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a thread of the store panicked");
        }
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        self.end();
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Task> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, task: Task) {
        *self.lock() = task;
        self.changed.notify_all();
    }

    /// Waits for work; whether there is some.
    fn next(&self) -> bool {
        let rests = |task: &mut Task| *task == Task::Idle;
        let task = self.changed.wait_while(self.lock(), rests);
        *task.unwrap_or_else(PoisonError::into_inner) == Task::Move
    }

    fn done(&self) {
        let mut task = self.lock();
        if *task == Task::Move {
            *task = Task::Idle;
        }
        self.changed.notify_all();
    }
}

/// Says that there is no mover any more, also if it panicked.
struct Over(Arc<Desk>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.set(Task::Over);
    }
}

/// Moves as much of the log as no reader and no commit stands in the way of, and makes it durable
/// in the database.
pub(super) fn move_log(connection: &Connection) -> Result<(), Fault> {
    Ok(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_row| Ok(()))?)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_log_is_moved_once_for_each_time_it_is_asked_for() {
        let (moved, moves) = mpsc::channel();
        let step = move || {
            moved.send(()).unwrap();
            Ok(())
        };
        let mover = Mover::start(Arc::default(), step).unwrap();
        for _ in 0..100 {
            assert!(mover.is_idle() && moves.try_recv().is_err());
            mover.ask();
            mover.wait();
            moves.try_recv().unwrap();
        }
        drop(mover);
        moves.recv().unwrap_err();
    }

    #[test]
    fn what_is_under_way_is_finished_before_the_mover_is_gone() {
        let (go, started) = (mpsc::sync_channel(1), mpsc::sync_channel(1));
        let step = move || {
            started.0.send(()).unwrap();
            go.1.recv().unwrap();
            Ok(())
        };
        let health = Arc::<Health>::default();
        let mover = Mover::start(Arc::clone(&health), step).unwrap();
        mover.ask();
        started.1.recv().unwrap();
        assert!(!mover.is_idle());
        let gone = thread::spawn(move || drop(mover));
        thread::sleep(std::time::Duration::from_millis(20));
        assert!(!gone.is_finished());
        go.0.send(()).unwrap();
        gone.join().unwrap();
        assert_eq!(Arc::strong_count(&health), 1);
    }

    #[test]
    fn a_failure_of_the_disk_puts_the_store_out_of_use_and_a_full_one_does_not() {
        for (fault, poisoned) in [
            (Fault::Busy(5), false),
            (Fault::Full(13), false),
            (Fault::Disk(1_034), true),
            (Fault::Corrupt(11), true),
            (Fault::Damaged("a test"), true),
            (Fault::Other(7), true),
        ] {
            let health = Arc::<Health>::default();
            let mover = Mover::start(Arc::clone(&health), move || Err(fault)).unwrap();
            mover.ask();
            mover.wait();
            assert_eq!(health.check("a test").is_err(), poisoned, "{fault:?}");
            assert!(mover.is_idle(), "{fault:?}");
        }
    }

    #[test]
    fn nobody_waits_for_a_mover_that_panicked() {
        let mover = Mover::start(Arc::default(), || panic!("a test")).unwrap();
        mover.ask();
        mover.wait();
        assert!(mover.is_idle());
        mover.ask();
        assert!(mover.is_idle(), "there is nobody to ask");
    }
}
