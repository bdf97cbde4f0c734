//! A life over a disk that fails below SQLite and below the log: a process that opens, does a
//! workload and closes, and tells how far it is.
//!
//! **Invariant:** the process knows nothing of what is to fail; its driver tells that to a library
//! between the process and its disk.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use custody_testkit::failpoint::Failpoints;
use custody_testkit::runtime::TestClock;

use super::callers::Ear;
use super::disk::Disk;
use super::judge::work;
use super::seams::World as _;
use super::workload::Workload;
use crate::Failure;
use crate::line::{Line, Pipe};

/// The process: its store, log and anchor may take so many milliseconds for one call. That it does
/// not open is no failure of it, if whoever asked heard so.
pub fn live(mut arguments: impl Iterator<Item = String>) -> Result<(), Failure> {
    let mut next = || arguments.next().ok_or("usage: below DIRECTORY ID WORKLOAD MILLISECONDS");
    let (directory, id) = (PathBuf::from(next()?), serde_json::from_str(&next()?)?);
    let workload = Workload::parse(&next()?).ok_or("no such workload")?;
    let limit = Duration::from_millis(next()?.parse()?);
    let points = Failpoints::new(TestClock::new());
    let pipe = Arc::new(Pipe::default());
    let teller = Arc::clone(&pipe);
    Disk::at(&directory).with_store_timeout(limit).live(async |seams| {
        fs::create_dir(directory.join(OPENED))?;
        pipe.tell(&Line::Open);
        let note = move |given| teller.tell(&Line::Given(given));
        let ear = Ear::new(&seams, LIMIT, note);
        work(&seams, &points, &ear, (id, workload)).await?;
        ear.check()?;
        fs::create_dir(directory.join(CLOSING))?;
        // What is left waits for the threads of store and log, as their host would.
        pipe.tell(&Line::Closing);
        Ok(())
    })?;
    pipe.tell(&Line::Closed);
    Ok(())
}

/// The folder that is made between the opening of store and log and that of the custodian.
pub const OPENED: &str = "opened";
/// The folder that is made when all callers were answered and the custodian was closed.
pub const CLOSING: &str = "closing";

/// How long a caller may have to wait.
const LIMIT: Duration = Duration::from_secs(10);
