//! The log: how many leaves a second are hashed while a tree grows, and what a receipt costs in a
//! log of a million entries.
//!
//! `cargo bench --bench log` fails if fewer than 200,000 leaves a second are hashed, a receipt has
//! 8 KB or more, or the median of verifying one is above 1 ms.
#![expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::arithmetic_side_effects,
    reason = "a bench that reports"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::percentile::{Times, micros};
use benches::{Failure, house};
use custody_audit::TileLog;
use custody_audit::note::{KeyName, VerifierKey};
use custody_audit::proof::LogProof;
use custody_audit::storage::DirectoryTiles;
use custody_audit::tree::{Frontier, TreeHash};
use custody_core::seam::{AuditLog as _, Batch, Position, Store};
use custody_store::SqliteStore;

const ENTRIES: u64 = 1_000_000;
const BATCH: u64 = 10_000;
/// Bytes of an entry: between those of an order's three events.
const ENTRY: usize = 500;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut missed = Vec::new();
    let rate = leaves()?;
    println!("leaves hashed while the tree grows: {rate:.0}/s (at least 200000)");
    if rate < 200_000.0 {
        missed.push("leaves");
    }
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (log, key) = fill(directory.path()).await?;
    let (mut makes, mut checks, mut largest) = (Times::default(), Times::default(), 0);
    let keys = [key];
    for number in 0..2_000_u64 {
        let index = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % ENTRIES;
        let started = Instant::now();
        let receipt = log.receipt(Position::new(index)).await?;
        makes.push(started.elapsed());
        largest = largest.max(receipt.proof.len());
        checks.measure(|| LogProof::parse(&receipt.proof)?.verify(&keys).map(drop))?;
    }
    let median = |times: &mut Times| times.percentile(50).ok_or("nothing was measured");
    let (made, checked) = (median(&mut makes)?, median(&mut checks)?);
    println!("receipts in a log of {ENTRIES}: at most {largest} bytes (below 8000)");
    println!(
        "made in p50 = {:.0} us, verified in p50 = {:.0} us (below 1000)",
        micros(made),
        micros(checked)
    );
    if largest >= 8_000 {
        missed.push("size");
    }
    if checked >= Duration::from_millis(1) {
        missed.push("verification");
    }
    if missed.is_empty() { Ok(()) } else { Err(format!("missed: {missed:?}").into()) }
}

fn leaves() -> Result<f64, Failure> {
    let (mut frontier, mut entry) = (Frontier::default(), [0x7b; ENTRY]);
    let started = Instant::now();
    for number in 0..ENTRIES {
        entry[..8].copy_from_slice(&number.to_be_bytes());
        frontier.append(TreeHash::leaf(&entry), |_, _| ()).map_err(|_| "the tree is full")?;
    }
    std::hint::black_box(frontier.root());
    Ok(1e6 / started.elapsed().as_secs_f64())
}

/// A log of a million entries over SQLite, with its files in a directory.
async fn fill(directory: &Path) -> Result<(TileLog, VerifierKey), Failure> {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.join("log.sqlite"))?);
    let tiles = Arc::new(DirectoryTiles::open(directory.join("log"))?);
    let signer = house::log_key().await?;
    let name = KeyName::parse("benches")?;
    let key = VerifierKey::new(name.clone(), signer.public_key().clone())?;
    let log = TileLog::open(name, Arc::clone(&store), tiles, vec![signer]).await?;
    let (started, mut head) = (Instant::now(), Position::START);
    while head.value() < ENTRIES {
        let numbers = head.value()..head.value() + BATCH;
        let events = numbers.map(|number| format!("{number:0ENTRY$}").into_bytes()).collect();
        head = store.commit(head, Batch { events, ..Batch::default() }).await?;
        log.seal(head).await?;
    }
    let rate = 1e6 / started.elapsed().as_secs_f64();
    println!("stored and sealed, {BATCH} at once: {rate:.0} entries/s");
    Ok((log, key))
}
