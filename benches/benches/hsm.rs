//! Signatures of a token through `custody-hsm` against a bare loop of cryptoki: as many sessions,
//! each with a thread of its own, and `HSM_CALLERS` callers a session on our side, sixteen unless it is
//! set. In turns in one run.
//!
//! The last column is what a bare loop gains if nobody asks the module how long the signature will
//! be. cryptoki always asks; a module that answers by itself stands before the real one.
//!
//! The token is a new one of SoftHSM, or the one that `HSM_BENCH_MODULE`, `HSM_BENCH_TOKEN` (its
//! label) and `HSM_BENCH_PIN_FILE` name. `HSM_SECONDS` sets how long each is measured for
//! each number of sessions. It fails if a ratio is below 0.95.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::float_arithmetic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench that reports"
)]

#[path = "../../shims/library.rs"]
mod library;

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use benches::Failure;
use benches::token::{BenchToken, SOFTHSM, signer};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use custody_core::crypto::SignInput;
use custody_core::seam::Signer;
use custody_hsm::HsmBackend;

const DIGEST: [u8; 32] = [7; 32];
const SESSIONS: [u8; 4] = [1, 2, 4, 8];
/// How often processes are started, and how many turns each has.
const STARTS: u8 = 12;
const TURNS: u8 = 10;
const LEAST: f64 = 0.95;
const ROLE: &str = "HSM_BENCH_ROLE";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    match std::env::var_os(ROLE) {
        Some(_) => measure(&BenchToken::told().ok_or("no token is told")?).await,
        None => compare(),
    }
}

/// Has processes measure in turns, so short that a machine which changes its speed does so for
/// all, and holds their sums against each other. Each measures one thing, so that a bare loop is
/// alone with its module, and new ones are started now and then: where a module's memory comes to
/// lie makes up to a sixth of its speed.
fn compare() -> Result<(), Failure> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let told = match BenchToken::told() {
        Some(token) => Some(token),
        None => BenchToken::of_opencryptoki(folder.path())?,
    };
    let (token, conf) = match told {
        Some(token) => (token, None),
        None => BenchToken::new(folder.path()).map(|(token, conf)| (token, Some(conf)))?,
    };
    let start = |more: &[(&str, &str)]| {
        let mut other = Command::new(std::env::current_exe()?);
        token.tell(&mut other);
        other.env(ROLE, "measures").envs(more.iter().copied());
        other.envs(conf.iter().map(|conf| (SOFTHSM, conf)));
        Other::start(&mut other)
    };
    // It makes the key.
    start(&[])?.ask("ours", 1)?;
    let before = library::library("pkcs11_faults", "-ldl").display().to_string();
    let real = token.module.display().to_string();
    let asked = [("HSM_BENCH_MODULE", before.as_str()), ("CUSTODY_MODULE", real.as_str())];
    let unasked = [&asked[..], &[("CUSTODY_MODULE_LENGTHS", "1")]].concat();
    println!("{}, {} callers a session", token.module.display(), callers());
    println!("sessions  bare/s  custody-hsm/s  ratio  one call less");
    let mut is_enough = true;
    for sessions in SESSIONS {
        let mut sums = [0.0; 4];
        for _ in 0..STARTS {
            let mut others = [
                ("bare", start(&[])?),
                ("ours", start(&[])?),
                ("bare", start(&asked)?),
                ("bare", start(&unasked)?),
            ];
            for _ in 0..TURNS {
                for (sum, (what, other)) in sums.iter_mut().zip(&mut others) {
                    *sum += other.ask(what, sessions)?;
                }
            }
        }
        let [bare, ours, asked, unasked] = sums.map(|sum| sum / f64::from(STARTS * TURNS));
        let (ratio, gain) = (ours / bare, unasked / asked);
        println!("{sessions:>8}  {bare:>6.0}  {ours:>13.0}  {ratio:>5.2}  {gain:>13.2}");
        is_enough &= ratio >= LEAST;
    }
    if is_enough { Ok(()) } else { Err(format!("a ratio is below {LEAST}").into()) }
}

/// A process that measures when it is asked to.
struct Other {
    child: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Other {
    fn start(command: &mut Command) -> Result<Self, Failure> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let questions = child.stdin.take().ok_or("no standard input")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
        Ok(Self { child, questions, answers })
    }

    /// Signatures a second in one turn, with so many sessions.
    fn ask(&mut self, what: &str, sessions: u8) -> Result<f64, Failure> {
        writeln!(self.questions, "{what} {sessions}")?;
        Ok(self.answers.next().ok_or("the process ended")??.parse()?)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// Answers each line of the standard input.
async fn measure(token: &BenchToken) -> Result<(), Failure> {
    let mut open = None;
    for line in std::io::stdin().lines() {
        let line = line?;
        let (what, sessions) = line.split_once(' ').ok_or("no such question")?;
        let measured = match open.take() {
            Some(measured) => measured,
            None => Measured::open(token, what, sessions.parse()?).await?,
        };
        println!("{}", measured.rate().await?);
        open = Some(measured);
    }
    Ok(())
}

/// What a process measures.
enum Measured {
    Ours(Arc<dyn Signer>, u8),
    /// The backend beside it keeps the module initialised and the user logged in.
    Bare(Bare, #[expect(dead_code, reason = "kept")] HsmBackend),
}

impl Measured {
    async fn open(token: &BenchToken, what: &str, sessions: u8) -> Result<Self, Failure> {
        match what {
            "ours" => Ok(Self::Ours(signer(&token.open(sessions).await?).await?, sessions)),
            "bare" => {
                let backend = token.open(1).await?;
                Ok(Self::Bare(Bare::start(token, sessions)?, backend))
            }
            _ => Err("no such question".into()),
        }
    }

    async fn rate(&self) -> Result<f64, Failure> {
        match self {
            Self::Ours(signer, sessions) => ours(signer, *sessions, turn()).await,
            Self::Bare(bare, _) => bare.rate(turn()),
        }
    }
}

/// So many threads, each with a session of its own, which live through all turns like those of a
/// backend.
struct Bare {
    turns: Vec<Sender<Arc<Turn>>>,
    threads: Vec<JoinHandle<()>>,
    counts: Receiver<Result<Counted, String>>,
}

/// What one thread did in a turn. It looks at the clock itself: where more threads than cores sign,
/// whoever waits for them is woken long after they began.
struct Counted {
    began: Instant,
    ended: Instant,
    signatures: u64,
}

/// What the threads of a bare loop begin at once and end at once.
struct Turn {
    start: Barrier,
    is_over: AtomicBool,
}

impl Bare {
    fn start(token: &BenchToken, sessions: u8) -> Result<Self, Failure> {
        let (counted, counts) = channel();
        let (mut turns, mut threads) = (Vec::new(), Vec::new());
        for _ in 0..sessions {
            let ((session, key), counted) = (token.bare()?, counted.clone());
            let (sender, wanted) = channel::<Arc<Turn>>();
            turns.push(sender);
            threads.push(std::thread::spawn(move || {
                for turn in wanted {
                    let count = turn.count(&session, key).map_err(|error| error.to_string());
                    // Nobody waits for it if the measurement was given up.
                    let _heard = counted.send(count);
                }
            }));
        }
        Ok(Self { turns, threads, counts })
    }

    /// Signatures a second in one turn. The thread of the runtime waits with it: nothing else runs.
    fn rate(&self, turn: Duration) -> Result<f64, Failure> {
        let start = Barrier::new(self.turns.len() + 1);
        let this = Arc::new(Turn { start, is_over: AtomicBool::new(false) });
        for thread in &self.turns {
            thread.send(Arc::clone(&this)).map_err(|_| "a thread ended")?;
        }
        this.start.wait();
        std::thread::sleep(turn);
        this.is_over.store(true, Ordering::Relaxed);
        let counted = self.counts.iter().take(self.turns.len());
        let counted = counted.collect::<Result<Vec<Counted>, String>>()?;
        let began = counted.iter().map(|one| one.began).min().ok_or("no session")?;
        let ended = counted.iter().map(|one| one.ended).max().ok_or("no session")?;
        let count: u64 = counted.iter().map(|one| one.signatures).sum();
        Ok(count as f64 / ended.duration_since(began).as_secs_f64())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.turns.clear();
        // One that panicked has said so.
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Turn {
    /// One signature after the other until the turn is over; how many.
    fn count(&self, session: &Session, key: ObjectHandle) -> cryptoki::error::Result<Counted> {
        self.start.wait();
        let (began, mut signatures) = (Instant::now(), 0);
        while !self.is_over.load(Ordering::Relaxed) {
            let _signature = session.sign(&Mechanism::Ecdsa, key, &DIGEST)?;
            signatures += 1;
        }
        Ok(Counted { began, ended: Instant::now(), signatures })
    }
}

/// Some callers for each session, each with one signature after the other.
async fn ours(signer: &Arc<dyn Signer>, sessions: u8, turn: Duration) -> Result<f64, Failure> {
    let (since, done) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..u16::from(sessions) * callers())
        .map(|_| {
            let (signer, done) = (Arc::clone(signer), Arc::clone(&done));
            tokio::spawn(async move {
                while since.elapsed() < turn {
                    let _signature = signer.sign(SignInput::Prehash(&DIGEST)).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, Failure>(())
            })
        })
        .collect();
    for caller in callers {
        caller.await??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / since.elapsed().as_secs_f64())
}

/// Callers of a session.
fn callers() -> u16 {
    let told = std::env::var("HSM_CALLERS").ok().and_then(|text| text.parse().ok());
    told.unwrap_or(16)
}

fn turn() -> Duration {
    let seconds = std::env::var("HSM_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(6.0) / f64::from(STARTS * TURNS))
}
