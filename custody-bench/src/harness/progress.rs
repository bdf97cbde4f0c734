//! A progress bar, on terminals only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::number::count;
use super::plan::Plan;

/// The bar of a run. Where standard error is no terminal nothing is drawn.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new(plan: &Plan, subjects: usize) -> Self {
        let series = count(plan.loops.len() * plan.concurrency.len() * subjects);
        let bar = ProgressBar::new(series * milliseconds(plan.warm_up + plan.duration));
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Moves on while a series is measured, until what is returned is dropped.
    pub(crate) fn series(&self, name: &str, length: Duration) -> Moving {
        self.0.set_message(name.to_owned());
        let begun = self.0.position();
        let (bar, is_over) = (self.0.clone(), Arc::new(AtomicBool::new(self.0.is_hidden())));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let since = Instant::now();
            while !over.load(Ordering::Relaxed) {
                bar.set_position(begun + milliseconds(since.elapsed().min(length)));
                std::thread::sleep(Duration::from_millis(100));
            }
            bar.set_position(begun + milliseconds(length));
        });
        Moving { is_over, thread: Some(thread) }
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// A bar that moves.
#[derive(Debug)]
pub(crate) struct Moving {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Moving {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A bar that panicked is no reason to stop.
            let _ended = thread.join();
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

const TEMPLATE: &str = "{bar:32} {percent:>3} %  {eta:>4} left  {msg}";
