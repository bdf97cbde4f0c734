//! One caller at a time: how long a governed signature takes beside the disk's own fdatasync.
//!
//! `cargo bench --bench latency` measures both in turns in one run, on the same disk, and fails if
//! the median of the signature is above twice that of fdatasync plus 2 ms.
#![expect(clippy::print_stdout, clippy::float_arithmetic, reason = "a bench that reports")]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use benches::percentile::{Times, micros};
use benches::{Failure, house, load};

const ROUNDS: u64 = 5;
const CALLS: u64 = 200;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let custodian = house::open(directory.path(), 16).await?;
    let (mut syncs, mut signatures) = (Times::default(), Times::default());
    for number in 0..20 {
        load::pay(&custodian, 0, number).await?;
    }
    for round in 1..=ROUNDS {
        sync(directory.path(), &mut syncs)?;
        for number in 0..CALLS {
            let started = Instant::now();
            load::pay(&custodian, u128::from(round), number).await?;
            signatures.push(started.elapsed());
        }
    }
    custodian.close().await?;
    let median = |times: &mut Times| times.percentile(50).map(micros).ok_or("nothing was measured");
    let (sync, signature) = (median(&mut syncs)?, median(&mut signatures)?);
    let limit = 2.0 * sync + 2_000.0;
    println!("fdatasync of 4 KiB: p50 = {sync:.0} us");
    println!("governed signature: p50 = {signature:.0} us (at most {limit:.0})");
    if signature > limit { Err("above the limit".into()) } else { Ok(()) }
}

/// Appends and syncs, as a write-ahead log does.
fn sync(directory: &Path, times: &mut Times) -> Result<(), Failure> {
    let path = directory.join("syncs");
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    for _ in 0..CALLS {
        file.write_all(&[0x7b; 4_096])?;
        times.measure(|| file.sync_data())?;
    }
    Ok(())
}
