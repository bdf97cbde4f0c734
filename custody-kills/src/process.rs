//! A life as its driver sees it: a process, its pipe, and its end.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use custody_testkit::oracle::Given;

use crate::Failure;
use crate::line::Line;

/// What a life left.
pub(crate) struct Killed {
    /// What its callers had been given.
    pub(crate) given: Vec<Given>,
    /// How far it had come.
    pub(crate) phase: Phase,
    /// What it told, if it was not the kill that ended it.
    pub(crate) ended_by_itself: Option<String>,
    /// Whether its custodian was not open in time, and it went on all the same.
    pub(crate) hung: bool,
}

/// What a life told last about its custodian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Closed,
    Closing,
    Open,
    Opening,
}

/// Starts a life, waits until its custodian is open if asked to, and kills it `after` that.
pub(crate) async fn kill(
    command: Command,
    open: Option<Duration>,
    after: Duration,
) -> Result<Killed, Failure> {
    tokio::task::spawn_blocking(move || live_and_die(command, open, after)).await?
}

fn live_and_die(
    mut command: Command,
    open: Option<Duration>,
    after: Duration,
) -> Result<Killed, Failure> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (opened, is_open) = mpsc::channel();
    let output = child.stdout.take().ok_or("no pipe")?;
    let reader = thread::spawn(move || read(BufReader::new(output), &opened));
    let hung = open.is_some_and(|most| !opens(&is_open, most));
    thread::sleep(after);
    let ended_by_itself = end(child)?;
    let (given, phase) = reader.join().map_err(|_| "the reader of the pipe panicked")?;
    Ok(Killed { given, phase, ended_by_itself, hung })
}

/// Waits until the custodian is open, or its process has closed the pipe; whether one of the two
/// came in time.
fn opens(is_open: &mpsc::Receiver<()>, most: Duration) -> bool {
    match is_open.recv_timeout(most) {
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => true,
        Err(mpsc::RecvTimeoutError::Timeout) => false,
    }
}

/// SIGKILL. If the process had ended before, what it told.
fn end(mut child: Child) -> Result<Option<String>, Failure> {
    child.kill()?;
    let status = child.wait()?;
    if status.signal() == Some(SIGKILL) {
        return Ok(None);
    }
    let mut told = String::new();
    if let Some(errors) = &mut child.stderr {
        errors.read_to_string(&mut told)?;
    }
    Ok(Some(format!("{status}: {told}")))
}

/// Reads the list to the end of the pipe. A line without an end was never given to anybody.
fn read(mut pipe: impl BufRead, opened: &mpsc::Sender<()>) -> (Vec<Given>, Phase) {
    let (mut given, mut phase) = (Vec::new(), Phase::Opening);
    let mut line = Vec::new();
    while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        let whole = line.ends_with(b"\n");
        match Line::parse(&line).filter(|_| whole) {
            Some(Line::Closed) => phase = Phase::Closed,
            Some(Line::Closing) => phase = Phase::Closing,
            Some(Line::Given(one)) => given.push(one),
            Some(Line::Open) => {
                phase = Phase::Open;
                // The driver waits for the first one only.
                let _ = opened.send(());
            }
            Some(Line::Figures(_) | Line::Reached(_)) | None => {}
        }
        line.clear();
    }
    (given, phase)
}

const SIGKILL: i32 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    fn lived(script: &str) -> Killed {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script);
        live_and_die(command, Some(A_SECOND), Duration::ZERO).unwrap()
    }

    #[test]
    fn what_neither_opens_nor_ends_in_time_has_hung() {
        let killed = lived("exec sleep 600");
        assert!(killed.hung && killed.ended_by_itself.is_none());
        let killed = lived("echo '\"open\"'; exec sleep 600");
        assert!(!killed.hung && killed.ended_by_itself.is_none());
        assert_eq!(killed.phase, Phase::Open);
        let killed = lived("exit 1");
        assert!(!killed.hung);
    }

    const A_SECOND: Duration = Duration::from_secs(1);
}
