//! One server that runs beside tests: started, asked until it answers, ended when it is dropped.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How one is run. In settings and answers, `{port}`, `{folder}` and `{mark}` stand for the port
/// that it is to listen on, a folder of its own, and a word that no other one is given.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// The variable that tells tests where it is.
    pub(crate) variable: &'static str,
    /// What is run, and its arguments.
    pub(crate) words: Vec<PathBuf>,
    /// All variables that it sees, but for the path and its folder.
    pub(crate) settings: Vec<(&'static str, &'static str)>,
    /// What it is asked over HTTP until it answers,
    pub(crate) question: String,
    /// and what then stands in its answer.
    pub(crate) answers: &'static [&'static str],
}

/// One that runs and has answered.
pub(crate) struct Running {
    program: Program,
    child: Child,
    port: u16,
    folder: PathBuf,
    has_answered: bool,
}

/// Why one does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StandInError {
    #[error("{name} ended before it answered ({status}); the last it said:\n{said}")]
    Ended { name: &'static str, status: ExitStatus, said: String },
    #[error("{name} could not be started: {source}")]
    Io { name: &'static str, source: io::Error },
    #[error("{name} did not answer within {seconds} s; the last it said:\n{said}")]
    Silent { name: &'static str, seconds: u64, said: String },
}

impl Running {
    /// Starts it, with a folder of its own below `target`, and waits until it answers.
    pub(crate) fn start(program: Program, target: &Path) -> Result<Self, StandInError> {
        Self::start_within(program, target, LIMIT)
    }

    fn start_within(
        program: Program,
        target: &Path,
        limit: Duration,
    ) -> Result<Self, StandInError> {
        let name = program.name;
        let failed = |source| StandInError::Io { name, source };
        let mut attempt = 1_u32;
        loop {
            let mut running = Self::spawn(program.clone(), target).map_err(failed)?;
            match running.wait(limit).map_err(failed)? {
                Fate::Answers => {
                    running.has_answered = true;
                    return Ok(running);
                }
                // Somebody else may have taken the port before it did.
                Fate::Ended(_) if attempt < ATTEMPTS => attempt = attempt.saturating_add(1),
                Fate::Ended(status) => {
                    return Err(StandInError::Ended { name, status, said: running.said() });
                }
                Fate::Silent => {
                    let seconds = limit.as_secs();
                    return Err(StandInError::Silent { name, seconds, said: running.said() });
                }
            }
        }
    }

    fn spawn(program: Program, target: &Path) -> io::Result<Self> {
        let port = free_port()?;
        let own = format!("{}-{}-{port}", program.name, std::process::id());
        let folder = target.join(FOLDER).join(&own);
        fs::create_dir_all(&folder)?;
        sweep(&target.join(FOLDER));
        let folder = folder.canonicalize()?;
        let output = File::create(folder.join(OUTPUT))?;
        let mut words = program.words.iter();
        let mut command = Command::new(words.next().ok_or(io::ErrorKind::InvalidInput)?);
        command.args(words).current_dir(&folder).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", &folder).env("TMPDIR", &folder);
        let place = Place { port, folder: &folder, mark: &own };
        command.envs(program.settings.iter().map(|(name, value)| (name, place.fill(value))));
        // Nothing is written to its input: that it is held open tells it that we live.
        command.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn()?;
        Ok(Self { program, child, port, folder, has_answered: false })
    }

    fn wait(&mut self, limit: Duration) -> io::Result<Fate> {
        let started = Instant::now();
        while started.elapsed() < limit {
            let answers = self.answers();
            // An answer of one that has ended was somebody else's.
            if let Some(status) = self.child.try_wait()? {
                return Ok(Fate::Ended(status));
            }
            if answers {
                return Ok(Fate::Answers);
            }
            thread::sleep(PAUSE);
        }
        Ok(Fate::Silent)
    }

    pub(crate) fn variable(&self) -> &'static str {
        self.program.variable
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    fn answers(&self) -> bool {
        let mark = self.folder.file_name().unwrap_or_default().to_string_lossy();
        let place = Place { port: self.port, folder: &self.folder, mark: &mark };
        ask(self.port, &self.program.question).is_ok_and(|answer| {
            self.program.answers.iter().all(|wanted| answer.contains(&place.fill(wanted)))
        })
    }

    /// The last lines of what it printed.
    fn said(&self) -> String {
        let text = fs::read(self.folder.join(OUTPUT)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
        last.join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let (true, Ok(Some(status))) = (self.has_answered, self.child.try_wait()) {
            let (name, said) = (self.program.name, self.said());
            eprintln!("{name} ended while it was used ({status}); the last it said:\n{said}");
        }
        // LocalStack does not end when it is asked to.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

enum Fate {
    Answers,
    Ended(ExitStatus),
    Silent,
}

/// What the words in braces stand for.
struct Place<'a> {
    port: u16,
    folder: &'a Path,
    mark: &'a str,
}

impl Place<'_> {
    fn fill(&self, text: &str) -> String {
        let (port, folder) = (self.port.to_string(), self.folder.to_string_lossy());
        text.replace("{port}", &port).replace("{folder}", &folder).replace("{mark}", self.mark)
    }
}

/// Takes away the folders of those that were killed with whoever started them.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let starter = name.split('-').nth(1).unwrap_or_default();
        if !Path::new("/proc").join(starter).exists() {
            // Others may be taking it away too.
            let _gone = fs::remove_dir_all(entry.path());
        }
    }
}

/// A port on which nothing listens; somebody else may take it until it is used.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// What is answered to one request.
fn ask(port: u16, question: &str) -> io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(question.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// How long one may take to answer; LocalStack takes two seconds on a quiet machine.
const LIMIT: Duration = Duration::from_secs(120);
/// How long it may take to answer one question.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);
const ATTEMPTS: u32 = 3;
const ANSWER_MAX: u64 = 1 << 16;
const LINES: usize = 20;
const OUTPUT: &str = "output.log";
const FOLDER: &str = "xtask/beside";

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with the variable ANSWER.
    const SERVER: &str = "import http.server as s, os
class H(s.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ['ANSWER'].encode())
s.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()
";

    fn program(code: &str, answer: &'static str) -> Program {
        Program {
            name: "one",
            variable: "ONE",
            words: ["python3", "-c", code].map(PathBuf::from).to_vec(),
            settings: vec![("PORT", "{port}"), ("ANSWER", answer)],
            question: "GET / HTTP/1.1\r\nHost: one\r\nConnection: close\r\n\r\n".to_owned(),
            answers: &["{mark}"],
        }
    }

    /// Why it does not run.
    fn fails(code: &str, answer: &'static str, limit: Duration) -> StandInError {
        let target = tempfile::tempdir().unwrap();
        let started = Running::start_within(program(code, answer), target.path(), limit);
        started.map(drop).unwrap_err()
    }

    /// Whether there is such a process; what its parent waits for has ended.
    fn lives(process: &str) -> bool {
        Path::new("/proc").join(process).exists()
    }

    #[test]
    fn one_that_answers_runs_until_it_is_dropped() {
        let target = tempfile::tempdir().unwrap();
        let running = Running::start(program(SERVER, "{mark}"), target.path()).unwrap();
        let (process, folder) = (running.child.id().to_string(), running.folder.clone());
        assert_eq!(running.url(), format!("http://127.0.0.1:{}", running.port));
        assert!(lives(&process) && folder.join(OUTPUT).is_file());
        drop(running);
        assert!(!lives(&process) && !folder.exists());
    }

    #[test]
    fn what_a_killed_run_left_is_taken_away_and_what_others_use_is_not() {
        let target = tempfile::tempdir().unwrap();
        let folder = |starter: &str| target.path().join(FOLDER).join(format!("one-{starter}-1"));
        // No process has this number: it is more than there can be.
        let (left, used) = (folder("99999999"), folder("1"));
        for folder in [&left, &used] {
            fs::create_dir_all(folder).unwrap();
        }
        drop(Running::start(program(SERVER, "{mark}"), target.path()).unwrap());
        assert!(!left.exists() && used.exists());
    }

    #[test]
    fn one_that_ends_tells_what_it_said_last() {
        let code = "import sys\nfor n in range(30): print('line', n)\nsys.exit(3)";
        let error = fails(code, "", LIMIT);
        let StandInError::Ended { status, said, .. } = &error else { panic!("{error}") };
        assert_eq!(status.code(), Some(3));
        let expected: Vec<_> = (10..30).map(|n| format!("line {n}")).collect();
        assert_eq!(*said, expected.join("\n"));
    }

    #[test]
    fn one_that_does_not_answer_is_ended() {
        let code = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)";
        let error = fails(code, "", Duration::from_secs(2));
        let StandInError::Silent { seconds: 2, said, .. } = &error else { panic!("{error}") };
        assert!(!said.is_empty() && !lives(said), "{said}");
    }

    #[test]
    fn the_answer_of_another_server_is_not_taken_for_its_own() {
        let error = fails(SERVER, "one-of-another", Duration::from_secs(2));
        assert!(matches!(error, StandInError::Silent { .. }), "{error}");
    }

    #[test]
    fn one_that_is_not_there_is_named() {
        let mut absent = program("", "");
        absent.words = vec![PathBuf::from("/no-such-program")];
        let target = tempfile::tempdir().unwrap();
        let error = Running::start(absent, target.path()).map(drop).unwrap_err();
        assert!(error.to_string().starts_with("one could not be started: "), "{error}");
    }

    #[test]
    fn nothing_of_our_environment_reaches_it() {
        let code = "import os; print('CARGO_MANIFEST_DIR' in os.environ, 'PORT' in os.environ)";
        let error = fails(code, "", LIMIT);
        let StandInError::Ended { said, .. } = &error else { panic!("{error}") };
        assert_eq!(said, "False True");
    }
}
