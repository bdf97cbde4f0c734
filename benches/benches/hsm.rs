//! Signatures of a token through `custody-hsm` against a bare loop of cryptoki: as many sessions,
//! each with a thread of its own, and four callers a session on our side. In turns in one run.
//!
//! The last column is what a bare loop gains if nobody asks the module how long the signature will
//! be. cryptoki always asks; a module that answers by itself stands before the real one.
//!
//! The token is a new one of SoftHSM, or the one that `HSM_BENCH_MODULE`, `HSM_BENCH_TOKEN` (its
//! label) and `HSM_BENCH_PIN_FILE` name. `HSM_SECONDS` sets the length of a turn. It fails if a
//! ratio is below 0.95.
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

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use benches::Failure;
use benches::token::{BenchToken, SOFTHSM, signer};
use cryptoki::mechanism::Mechanism;
use custody_core::crypto::SignInput;
use custody_core::seam::Signer;

const DIGEST: [u8; 32] = [7; 32];
const SESSIONS: [u8; 4] = [1, 2, 4, 8];
const CALLERS: u8 = 4;
const ROUNDS: u8 = 3;
const LEAST: f64 = 0.95;
const ROLE: &str = "HSM_BENCH_ROLE";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    match std::env::var(ROLE) {
        Ok(role) => {
            let token = BenchToken::told().ok_or("no token is told")?;
            if role == "both" { both(&token).await } else { bare_only(&token).await }
        }
        Err(_) => compare(),
    }
}

/// Has the rates measured by processes of their own, and holds them against each other.
fn compare() -> Result<(), Failure> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (token, conf) = match BenchToken::told() {
        Some(token) => (token, None),
        None => BenchToken::new(folder.path()).map(|(token, conf)| (token, Some(conf)))?,
    };
    let run = |role: &str, more: &[(&str, &str)]| -> Result<Vec<Vec<f64>>, Failure> {
        let mut other = Command::new(std::env::current_exe()?);
        token.tell(&mut other);
        other.env(ROLE, role).envs(more.iter().copied());
        other.envs(conf.iter().map(|conf| (SOFTHSM, conf)));
        let output = other.output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let rows = String::from_utf8(output.stdout)?;
        let row = |line: &str| line.split(' ').map(str::parse).collect::<Result<_, _>>();
        Ok(rows.lines().map(row).collect::<Result<_, _>>()?)
    };
    let rates = run("both", &[])?;
    // The same module before it, once as it is and once with its own answer.
    let before = library::library("pkcs11_faults", "-ldl").display().to_string();
    let real = token.module.display().to_string();
    let module = [("HSM_BENCH_MODULE", before.as_str()), ("CUSTODY_MODULE", real.as_str())];
    let asked = run("bare", &module)?;
    let unasked = run("bare", &[&module[..], &[("CUSTODY_MODULE_LENGTHS", "1")]].concat())?;
    println!("{}, {CALLERS} callers a session", token.module.display());
    println!("sessions  bare/s  custody-hsm/s  ratio  one call less");
    let mut is_enough = true;
    for (sessions, rates) in SESSIONS.iter().zip(rates.iter().zip(asked.iter().zip(&unasked))) {
        let ([bare, ours], ([asked], [unasked])) = (&rates.0[..], (&rates.1.0[..], &rates.1.1[..]))
        else {
            return Err("a process told something else".into());
        };
        let (ratio, gain) = (ours / bare, unasked / asked);
        println!("{sessions:>8}  {bare:>6.0}  {ours:>13.0}  {ratio:>5.2}  {gain:>13.2}");
        is_enough &= ratio >= LEAST;
    }
    if is_enough { Ok(()) } else { Err(format!("a ratio is below {LEAST}").into()) }
}

/// A line for each number of sessions: bare signatures and ours, a second.
async fn both(token: &BenchToken) -> Result<(), Failure> {
    for sessions in SESSIONS {
        let backend = token.open(sessions).await?;
        let signer = signer(&backend).await?;
        let (mut bare_sum, mut our_sum) = (0.0, 0.0);
        ours(&signer, sessions, turn() / 4).await?;
        for _ in 0..ROUNDS {
            bare_sum += bare(token, sessions, turn()).await?;
            our_sum += ours(&signer, sessions, turn()).await?;
        }
        println!("{} {}", bare_sum / f64::from(ROUNDS), our_sum / f64::from(ROUNDS));
    }
    Ok(())
}

/// A line for each number of sessions: bare signatures a second.
async fn bare_only(token: &BenchToken) -> Result<(), Failure> {
    let _open = token.open(1).await?;
    for sessions in SESSIONS {
        println!("{}", bare(token, sessions, turn()).await?);
    }
    Ok(())
}

/// So many threads, each with a session of its own.
async fn bare(token: &BenchToken, sessions: u8, turn: Duration) -> Result<f64, Failure> {
    let token = token.clone();
    let measure = move || {
        let start = Arc::new(Barrier::new(usize::from(sessions)));
        let threads: Vec<_> = (0..sessions)
            .map(|_| {
                let (token, start) = (token.clone(), Arc::clone(&start));
                std::thread::spawn(move || -> Result<f64, Failure> {
                    let opened = token.bare();
                    start.wait();
                    let (session, key) = opened?;
                    let (since, mut count) = (Instant::now(), 0_u64);
                    while since.elapsed() < turn {
                        let _signature = session.sign(&Mechanism::Ecdsa, key, &DIGEST)?;
                        count += 1;
                    }
                    Ok(count as f64 / since.elapsed().as_secs_f64())
                })
            })
            .collect();
        let rates = threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| Failure::from("a thread panicked")).flatten());
        rates.sum()
    };
    tokio::task::spawn_blocking(measure).await?
}

/// Four callers for each session, each with one signature after the other.
async fn ours(signer: &Arc<dyn Signer>, sessions: u8, turn: Duration) -> Result<f64, Failure> {
    let (since, done) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..sessions * CALLERS)
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

fn turn() -> Duration {
    let seconds = std::env::var("HSM_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(2.0))
}
