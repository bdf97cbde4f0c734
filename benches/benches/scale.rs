//! A custodian with 1,000,000 orders and 100,000 keys beside an empty one: how long it takes to
//! open, how much memory it needs, and how fast it signs.
//!
//! `cargo bench --bench scale` makes the large house through the whole flow the first time, which
//! takes some minutes, and keeps it in the target folder (about 8 GB). Each measurement is a process
//! of its own, with the system's allocator: it signs from one wallet, then from a thousand in turn.
//! The first of each is told and does not count: the disk may still be busy with the house that was
//! made, and its file is not in memory. Then they take turns, large, empty, empty, large, so that
//! what drifts hits both; the large one grows by some 60,000 orders each time. It fails above 2 s, above 200 MiB, or if the median of the pairs is below
//! 0.9 of the empty one's rate (from one wallet).
//! `SCALE_ORDERS` and `SCALE_WALLETS` (of ten keys each) make a smaller house, without limits.
#![expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::arithmetic_side_effects,
    reason = "a bench that reports"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use benches::{Failure, kept};

const KEYS_EACH: u64 = 10;
const IN_FLIGHT: u64 = 256;
const PAIRS: usize = 8;
const TURN: Duration = Duration::from_secs(4);

/// What one process found.
#[derive(Debug, Clone, Copy)]
struct Found {
    open_ms: f64,
    opened_kib: f64,
    peak_kib: f64,
    rate: f64,
    spread: f64,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    if let (Some("measure"), Some(directory)) = (arguments.next().as_deref(), arguments.next()) {
        let wallets = arguments.next().ok_or("how many wallets it has is missing")?;
        return measure(Path::new(&directory), wallets.parse()?).await;
    }
    let (orders, wallets) = (number("SCALE_ORDERS")?, number("SCALE_WALLETS")?);
    let is_asked = orders.is_none() && wallets.is_none();
    let (orders, wallets) = (orders.unwrap_or(1_000_000), wallets.unwrap_or(10_000));
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let large = make(base, orders, wallets).await?;
    Command::new("sync").status()?;
    println!("not counted:");
    let mut of_large = vec![in_a_process(&large, wallets)?];
    an_empty_one(base).await?;
    println!("counted:");
    let (mut ratios, mut spreads) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        let (of_empty, found) = if pair % 2 == 0 {
            let found = in_a_process(&large, wallets)?;
            (an_empty_one(base).await?, found)
        } else {
            (an_empty_one(base).await?, in_a_process(&large, wallets)?)
        };
        ratios.push(found.rate / of_empty.rate);
        spreads.push(found.spread / of_empty.rate);
        of_large.push(found);
    }
    let slowest = most(&of_large, |found| found.open_ms);
    let memory = most(&of_large, |found| found.peak_kib) / 1_024.0;
    let opened = most(&of_large, |found| found.opened_kib) / 1_024.0;
    println!("orders {orders}, keys {}: opened in {slowest:.0} ms at most", wallets * KEYS_EACH);
    println!("memory: {opened:.0} MiB after opening, {memory:.0} MiB at most");
    println!("large/empty of each pair: {ratios:.2?}");
    let (ratio, spread) = (median(ratios), median(spreads));
    println!("median {ratio:.2}, from a thousand wallets in turn {spread:.2}");
    let holds = slowest < 2_000.0 && memory < 200.0 && ratio >= 0.9;
    if holds || !is_asked { Ok(()) } else { Err("a limit does not hold".into()) }
}

/// The house of this size, made if it is not there.
async fn make(base: &Path, orders: u64, wallets: u64) -> Result<PathBuf, Failure> {
    let (path, made) = (base.join(format!("scale-{orders}-{wallets}")), "made");
    if path.join(made).exists() {
        return Ok(path);
    }
    if path.exists() {
        fs::remove_dir_all(&path)?;
    }
    let started = Instant::now();
    let house = kept::open(&path, usize::try_from(IN_FLIGHT)?).await?;
    kept::make_wallets(&house.custodian, wallets, KEYS_EACH).await?;
    let payments = orders.saturating_sub(wallets * (KEYS_EACH + 1));
    kept::make_payments(&house.custodian, wallets, payments).await?;
    house.custodian.close().await?;
    fs::write(path.join(made), "")?;
    println!("made {} in {:.0} s", path.display(), started.elapsed().as_secs_f64());
    Ok(path)
}

/// Measures a house without orders, of one wallet, which is new each time and gone afterwards.
async fn an_empty_one(base: &Path) -> Result<Found, Failure> {
    let empty = make(base, 0, 1).await?;
    let found = in_a_process(&empty, 1)?;
    fs::remove_dir_all(empty)?;
    Ok(found)
}

fn in_a_process(directory: &Path, wallets: u64) -> Result<Found, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.arg("measure").arg(directory).arg(wallets.to_string()).output()?;
    let text = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    print!("{text}");
    let field = |name: &str| -> Result<f64, Failure> {
        let found = text.split_whitespace().find_map(|word| word.strip_prefix(name));
        Ok(found.ok_or("a figure is missing")?.parse()?)
    };
    Ok(Found {
        open_ms: field("open_ms=")?,
        opened_kib: field("opened_kib=")?,
        peak_kib: field("peak_kib=")?,
        rate: field("rate=")?,
        spread: field("spread=")?,
    })
}

/// Opens a house, signs from one wallet, then from all in turn.
async fn measure(directory: &Path, wallets: u64) -> Result<(), Failure> {
    let house = kept::open(directory, usize::try_from(IN_FLIGHT)?).await?;
    let opened = resident("VmRSS:")?;
    kept::payments_for(&house.custodian, IN_FLIGHT, TURN / 4, 1).await?;
    let rate = kept::payments_for(&house.custodian, IN_FLIGHT, TURN, 1).await?;
    let some = wallets.min(1_000);
    let spread = kept::payments_for(&house.custodian, IN_FLIGHT, TURN / 2, some).await?;
    let peak = resident("VmHWM:")?;
    house.custodian.close().await?;
    let open_ms = house.opened_in.as_secs_f64() * 1_000.0;
    let events = house.events;
    println!(
        "events={events} open_ms={open_ms:.0} opened_kib={opened} peak_kib={peak} \
         rate={rate:.0} spread={spread:.0}"
    );
    Ok(())
}

/// A figure of this process's memory in KiB (proc(5), `/proc/pid/status`).
fn resident(name: &str) -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such figure")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn number(name: &str) -> Result<Option<u64>, Failure> {
    Ok(std::env::var(name).ok().map(|text| text.parse()).transpose()?)
}

fn most(found: &[Found], figure: fn(&Found) -> f64) -> f64 {
    found.iter().map(figure).fold(0.0, f64::max)
}

/// The middle one, or between the two.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let sides = [middle.saturating_sub(1 - figures.len() % 2), middle];
    sides.iter().filter_map(|at| figures.get(*at)).sum::<f64>() / 2.0
}
