//! Builds the shim `disk_faults.c`, starts processes under it, and tells it what to do.
//!
//! **Invariant:** an order is written whole before the call that it is about is made.

#[path = "library.rs"]
mod library;

use std::fmt;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use library::library;

/// What the shim watches, and where it is told what to do and tells what it saw.
#[derive(Clone, Debug)]
pub(crate) struct Shim {
    /// Only files below it are watched.
    pub(crate) directory: PathBuf,
    pub(crate) control: PathBuf,
    pub(crate) trace: PathBuf,
}

/// What is to go wrong.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) fault: Fault,
    /// Whether all calls of the kind go wrong from then on.
    pub(crate) goes_on: bool,
    /// `any`, or the kind of call: `write`, `sync`, `truncate`, `allocate`, `rename`, `unlink`,
    /// `mkdir`, `open` (to create).
    pub(crate) kind: &'static str,
    /// The first call of this kind is 1.
    pub(crate) number: usize,
    /// Only calls on paths that hold this text are counted.
    pub(crate) part: String,
}

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process ends before the call.
    Abort,
    /// Nothing; calls are only counted.
    Count,
    /// An input or output error.
    Eio,
    /// No space is left.
    Enospc,
    /// The call never comes back.
    Hang,
    /// Half is written; writing the rest fails.
    Short,
    /// Half is written, or another call is made, and the process ends.
    Torn,
}

impl Shim {
    /// The shim of this process, if it runs under one.
    pub(crate) fn of_this_process() -> Option<Self> {
        let path = |name| std::env::var_os(name).map(PathBuf::from);
        let (directory, control, trace) = (path(DIRECTORY)?, path(CONTROL)?, path(TRACE)?);
        Some(Self { directory, control, trace })
    }

    /// The shim of this process, which begins anew under one if it does not run under it. One test
    /// at a time has it.
    pub(crate) fn here() -> Self {
        let shim = Self::of_this_process().unwrap_or_else(|| {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
            let folder = folder.join(format!("shims/run-{}", std::process::id()));
            let (control, trace) = (folder.join("control"), folder.join("trace"));
            let shim = Self { directory: folder.join("watched"), control, trace };
            let mut again = Command::new(std::env::current_exe().unwrap());
            again.args(std::env::args_os().skip(1)).env("RUST_TEST_THREADS", "1");
            shim.over(&mut again);
            panic!("the process does not begin anew: {}", again.exec());
        });
        fs::create_dir_all(&shim.directory).unwrap();
        shim
    }

    /// The calls since the last order.
    pub(crate) fn trace(&self) -> Vec<String> {
        let trace = fs::read_to_string(&self.trace).unwrap_or_default();
        trace.lines().map(str::to_owned).collect()
    }

    /// Has `command` run under the shim.
    pub(crate) fn over(&self, command: &mut Command) {
        command.env("LD_PRELOAD", library("disk_faults", "-lpthread"));
        command.env(DIRECTORY, &self.directory);
        command.env(CONTROL, &self.control).env(TRACE, &self.trace);
    }

    /// From now on this is to go wrong; counting begins with the next call.
    pub(crate) fn order(&self, order: &Order) {
        drop(fs::remove_file(&self.trace));
        fs::write(&self.control, order.to_string()).unwrap();
    }

    /// From now on nothing goes wrong.
    pub(crate) fn cease(&self) {
        fs::write(&self.control, "").unwrap();
    }
}

/// Where whatever runs under the shim writes down what it did, if it is asked to.
pub(crate) const JOURNAL: &str = "CUSTODY_SHIM_JOURNAL";

/// Removes the files of [`Shim::here`].
#[derive(Debug)]
pub(crate) struct Clean(pub(crate) Shim);

impl Drop for Clean {
    fn drop(&mut self) {
        self.0.cease();
        drop(fs::remove_dir_all(self.0.control.parent().unwrap()));
    }
}

impl Order {
    /// Nothing is to go wrong.
    pub(crate) fn counting() -> Self {
        Self { fault: Fault::Count, goes_on: false, kind: "any", number: 1, part: "/".to_owned() }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = format!("{:?}", self.fault).to_lowercase();
        let how = if self.goes_on { "on" } else { "once" };
        writeln!(f, "{fault} {how} {} {} {}", self.kind, self.number, self.part)
    }
}

const DIRECTORY: &str = "CUSTODY_SHIM_DIRECTORY";
const CONTROL: &str = "CUSTODY_SHIM_CONTROL";
const TRACE: &str = "CUSTODY_SHIM_TRACE";
