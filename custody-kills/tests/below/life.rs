//! A life under the shim, from its start to its end.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use custody_kills::failpoints::below::{CLOSING, OPENED};
use custody_kills::line::Line;

use crate::shim::{Fault, Order, Shim};

/// What a life told, and what the shim saw of it.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) lines: Vec<Line>,
    pub(crate) calls: Vec<Call>,
    status: ExitStatus,
    /// Whether it was ended, because it would not have ended by itself.
    killed: bool,
    errors: String,
}

/// One call that changes a file.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) kind: String,
    pub(crate) path: String,
    pub(crate) phase: Phase,
    struck: bool,
}

/// How far a life was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The host opens store and log: nobody else waits for anything yet.
    Opening,
    /// From the opening of the custodian to its end.
    Working,
    /// All callers went home.
    Closing,
}

impl Life {
    /// Has `command` live under the shim, which does as it is ordered.
    pub(crate) fn of(mut command: Command, shim: &Shim, order: &Order) -> Self {
        shim.order(order);
        shim.over(&mut command);
        command.env_remove("RUST_LOG").env_remove("CUSTODY_SECRET_TAP");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (told, heard) = mpsc::channel();
        let reader = thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // A line that an end cut short was never given to anybody.
                if let Some(line) = Line::parse(line.as_bytes()) {
                    told.send(line).unwrap();
                }
            }
        });
        let mut lines = Vec::new();
        let killed = wait(&mut child, shim, order.fault, (&heard, &mut lines));
        reader.join().unwrap();
        lines.extend(heard.try_iter());
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { lines, calls: calls(shim), status: output.status, killed, errors }
    }

    /// The call that went wrong, if it was made.
    pub(crate) fn struck(&self) -> Option<&Call> {
        self.calls.iter().find(|call| call.struck)
    }

    /// Whether it ended as it may: whoever asked heard something in time. A store or log that does
    /// not open is its host's affair.
    pub(crate) fn ended_well(&self, fault: Fault) -> bool {
        let (opened, heard) = (self.told(&Line::Open), self.told(&Line::Closing));
        let closed = self.told(&Line::Closed) && self.status.success();
        if self.struck().is_none() {
            return closed;
        }
        match fault {
            Fault::Abort | Fault::Torn => self.status.code() == Some(ABORTED),
            Fault::Hang => (closed || self.killed) && opened == heard,
            Fault::Count | Fault::Eio | Fault::Enospc | Fault::Short => {
                closed || (!opened && self.status.code() == Some(FAILED))
            }
        }
    }

    /// How it ended, for whoever looks for the reason.
    pub(crate) fn end(&self) -> String {
        let Self { lines, status, killed, errors, .. } = self;
        let told = lines.iter().filter(|line| !matches!(line, Line::Given(_)));
        let told: Vec<_> = told.collect();
        format!("{status}, killed: {killed}, told {told:?}, {errors}")
    }

    fn told(&self, line: &Line) -> bool {
        self.lines.contains(line)
    }
}

/// Waits for the end of a life, or until it hangs and nobody waits for it any more, and ends it
/// then as its host would; whether it was ended.
fn wait(
    child: &mut Child,
    shim: &Shim,
    fault: Fault,
    (heard, lines): (&Receiver<Line>, &mut Vec<Line>),
) -> bool {
    let (began, mut since) = (Instant::now(), None);
    loop {
        match heard.recv_timeout(A_MOMENT) {
            Ok(line) => lines.push(line),
            Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => {
                if since.is_none() && has_struck(shim) {
                    since = Some(Instant::now());
                }
                let is_awaited = lines.contains(&Line::Open) && !lines.contains(&Line::Closing);
                let hangs = since.is_some_and(|since| since.elapsed() > GRACE);
                let is_over = fault == Fault::Hang && hangs && !is_awaited;
                if is_over || began.elapsed() > PATIENCE {
                    child.kill().unwrap();
                    return true;
                }
            }
        }
    }
}

fn has_struck(shim: &Shim) -> bool {
    shim.trace().iter().any(|line| line.starts_with("! "))
}

/// What the shim saw.
fn calls(shim: &Shim) -> Vec<Call> {
    let mark = |name: &str| shim.directory.join(name).display().to_string();
    let (opened, closing) = (mark(OPENED), mark(CLOSING));
    let (mut phase, mut calls) = (Phase::Opening, Vec::new());
    for line in shim.trace() {
        let [struck, kind, path] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        if path == opened {
            phase = Phase::Working;
        } else if path == closing {
            phase = Phase::Closing;
        }
        let (kind, path) = (kind.to_owned(), path.to_owned());
        calls.push(Call { kind, path, phase, struck: struck == "!" });
    }
    calls
}

/// The code of a process that the shim ends.
const ABORTED: i32 = 137;
/// The code of a process whose store or log did not open.
const FAILED: i32 = 1;

const A_MOMENT: Duration = Duration::from_millis(10);
/// How long a life that hangs is left alone.
const GRACE: Duration = Duration::from_millis(60);
/// How long a life may take.
const PATIENCE: Duration = Duration::from_secs(60);
