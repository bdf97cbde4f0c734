//! Runs a command, keeps every line it prints in a file and shows its progress on the terminal.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Output};

use crate::screen::Screen;

/// The cargo that started this program, or the one in the path.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

/// Runs a command to its end. The error is what it said, in one line.
pub(crate) fn succeeded(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().display().to_string();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(said(&output).unwrap_or_else(|| format!("{program}: {}", output.status)))
}

/// The error among what debootstrap printed, or the first line of what others complained of.
fn said(output: &Output) -> Option<String> {
    let printed = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    let error = printed.lines().find_map(|line| line.strip_prefix("E: "));
    let first = complained.lines().map(str::trim).find(|line| !line.is_empty());
    error.or(first).map(str::to_owned)
}

/// The file that keeps all output of a run.
pub(crate) struct Log(BufWriter<File>);

/// What a finished command left behind.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    /// The lines for which the caller asked.
    pub(crate) kept: Vec<String>,
}

impl Log {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(BufWriter::new(File::create(path)?)))
    }

    /// Runs `command` to its end. Both of its streams go into the log through one pipe, so that
    /// their order is kept; the lines for which `keep` holds are also handed back.
    pub(crate) fn run(
        &mut self,
        mut command: Command,
        keep: fn(&str) -> bool,
    ) -> io::Result<Finished> {
        let (reader, writer) = io::pipe()?;
        command.stdin(std::process::Stdio::null());
        command.stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn()?;
        // The command holds the write end; without this the pipe would never end.
        drop(command);
        let kept = self.copy(BufReader::new(reader), keep)?;
        Ok(Finished { status: child.wait()?, kept })
    }

    fn copy(&mut self, mut lines: impl BufRead, keep: fn(&str) -> bool) -> io::Result<Vec<String>> {
        let mut screen = Screen::default();
        let mut kept = Vec::new();
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            self.0.write_all(&line)?;
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            if screen.shows(text) {
                println!("{text}");
            }
            if keep(text) {
                kept.push(text.to_owned());
            }
            line.clear();
        }
        self.0.flush()?;
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_streams_and_bytes_that_are_no_text_reach_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", r"echo out; echo err >&2; printf '\377\n'; exit 3"]);
        let finished = Log::create(&path).unwrap().run(command, |line| line == "err").unwrap();
        assert_eq!(finished.status.code(), Some(3));
        assert_eq!(finished.kept, ["err"]);
        assert_eq!(std::fs::read(&path).unwrap(), b"out\nerr\n\xff\n");
    }

    #[test]
    fn a_second_command_is_appended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(&path).unwrap();
        for word in ["one", "two"] {
            let mut command = Command::new("echo");
            command.arg(word);
            log.run(command, |_| false).unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn a_command_that_fails_tells_why_in_one_line() {
        let run = |script: &str| succeeded(Command::new("sh").args(["-c", script]));
        assert_eq!(run("exit 0"), Ok(()));
        for (script, reason) in [
            ("echo; echo why >&2; echo more >&2; exit 1", "why"),
            ("echo I: get; echo E: no network; echo W: more >&2; exit 1", "no network"),
            ("exit 3", "sh: exit status: 3"),
        ] {
            assert_eq!(run(script), Err(reason.to_owned()));
        }
        let absent = succeeded(&mut Command::new("no-such-program")).unwrap_err();
        assert!(absent.starts_with("no-such-program: "), "{absent}");
    }
}
