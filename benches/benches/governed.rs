//! Governed signing against the bare key: SQLite on disk, 256 orders in flight, one wallet, fifty
//! rules of which five can match. Both are measured in turns in one run.
//!
//! `GOVERNED_SECONDS` sets the length of a turn; `GOVERNED_ONLY` leaves the bare key out, for a
//! profiler. `cargo bench --bench governed` ends with the line `governed/bare = …`.
#![expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::arithmetic_side_effects,
    reason = "a bench that reports"
)]

use std::time::Duration;

use benches::{Failure, house, load};

/// What servers that allocate much use; the bare key hardly allocates.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const IN_FLIGHT: usize = 256;
const ROUNDS: u32 = 3;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let seconds = std::env::var("GOVERNED_SECONDS").ok().and_then(|text| text.parse().ok());
    let turn = Duration::from_secs(seconds.unwrap_or(4));
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let custodian = house::open(directory.path(), IN_FLIGHT).await?;
    load::governed(&custodian, IN_FLIGHT, turn / 4).await?;
    if std::env::var_os("GOVERNED_ONLY").is_some() {
        let rate = load::governed(&custodian, IN_FLIGHT, turn).await?;
        println!("governed {rate:.0}/s");
        return Ok(());
    }
    let (mut bare, mut governed) = (0.0, 0.0);
    for round in 1..=ROUNDS {
        let alone = tokio::task::spawn_blocking(move || load::bare(turn)).await??;
        let under_rules = load::governed(&custodian, IN_FLIGHT, turn).await?;
        println!("round {round}: bare {alone:.0}/s, governed {under_rules:.0}/s");
        bare += alone;
        governed += under_rules;
    }
    custodian.close().await?;
    println!("governed/bare = {:.2}", governed / bare);
    Ok(())
}
