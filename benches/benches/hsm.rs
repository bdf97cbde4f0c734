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
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use benches::Failure;
use benches::token::{BenchToken, SOFTHSM, signer};
use cryptoki::mechanism::Mechanism;
use custody_core::crypto::SignInput;
use custody_core::seam::Signer;

const DIGEST: [u8; 32] = [7; 32];
const SESSIONS: [u8; 4] = [1, 2, 4, 8];
const ROUNDS: u8 = 120;
const LEAST: f64 = 0.95;
const ROLE: &str = "HSM_BENCH_ROLE";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    match std::env::var_os(ROLE) {
        Some(_) => measure(&BenchToken::told().ok_or("no token is told")?).await,
        None => compare(),
    }
}

/// Has three processes measure in turns, so short that a machine which changes its speed does so
/// for all, and holds their sums against each other.
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
    let mut direct = start(&[])?;
    // It makes the key.
    direct.ask("ours", 1)?;
    let before = library::library("pkcs11_faults", "-ldl").display().to_string();
    let real = token.module.display().to_string();
    let module = [("HSM_BENCH_MODULE", before.as_str()), ("CUSTODY_MODULE", real.as_str())];
    let mut asked = start(&module)?;
    let mut unasked = start(&[&module[..], &[("CUSTODY_MODULE_LENGTHS", "1")]].concat())?;
    println!("{}, {} callers a session", token.module.display(), callers());
    println!("sessions  bare/s  custody-hsm/s  ratio  one call less");
    let mut is_enough = true;
    for sessions in SESSIONS {
        let mut sums = [0.0; 4];
        for _ in 0..ROUNDS {
            let rates = [
                direct.ask("bare", sessions)?,
                direct.ask("ours", sessions)?,
                asked.ask("bare", sessions)?,
                unasked.ask("bare", sessions)?,
            ];
            sums.iter_mut().zip(rates).for_each(|(sum, rate)| *sum += rate);
        }
        let [bare, ours, asked, unasked] = sums.map(|sum| sum / f64::from(ROUNDS));
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
        let sessions: u8 = sessions.parse()?;
        if open.as_ref().is_none_or(|(of, _, _)| *of != sessions) {
            drop(open.take());
            let backend = token.open(sessions).await?;
            let signer = signer(&backend).await?;
            open = Some((sessions, backend, signer));
        }
        let Some((_, _, signer)) = &open else { return Err("nothing is open".into()) };
        let rate = match what {
            "ours" => ours(signer, sessions, turn()).await?,
            _ => bare(token, sessions, turn()).await?,
        };
        println!("{rate}");
    }
    Ok(())
}

/// So many threads, each with a session of its own.
async fn bare(token: &BenchToken, sessions: u8, turn: Duration) -> Result<f64, Failure> {
    let token = token.clone();
    let measure = move || {
        let start = Arc::new(Barrier::new(usize::from(sessions) + 1));
        let is_over = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..sessions)
            .map(|_| {
                let (token, start, is_over) =
                    (token.clone(), Arc::clone(&start), Arc::clone(&is_over));
                std::thread::spawn(move || -> Result<u64, Failure> {
                    let opened = token.bare();
                    start.wait();
                    let ((session, key), mut count) = (opened?, 0);
                    while !is_over.load(Ordering::Relaxed) {
                        let _signature = session.sign(&Mechanism::Ecdsa, key, &DIGEST)?;
                        count += 1;
                    }
                    Ok(count)
                })
            })
            .collect();
        start.wait();
        let since = Instant::now();
        std::thread::sleep(turn);
        is_over.store(true, Ordering::Relaxed);
        let counts = threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| Failure::from("a thread panicked")).flatten());
        let count = counts.sum::<Result<u64, Failure>>()?;
        Ok(count as f64 / since.elapsed().as_secs_f64())
    };
    tokio::task::spawn_blocking(measure).await?
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
    Duration::from_secs_f64(seconds.unwrap_or(6.0) / f64::from(ROUNDS))
}
