//! A drill with 1,000 keys and 100,000 orders: how long it takes and how much memory it needs, beside one
//! with the same keys and a tenth of the orders.
//!
//! `cargo bench --bench drill` makes both houses through the whole flow the first time and keeps them
//! in the target folder (about 1 GB). Each drill is a process of its own, with the system's allocator. It
//! fails above 60 s, and if the large one needs more than 64 MiB more than the other.
#![expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "a bench that reports"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use benches::house::OsEntropy;
use benches::{Failure, kept};
use custody_core::id::{BackendId, PrincipalId};
use custody_core::seam::{Entropy, KeyBackend};
use custody_core::secret::Secret;
use custody_core::tokio::TokioClock;
use custody_recovery::archive::{Folder, LocalFile, LockedArchive, Pack};
use custody_recovery::drill::{DrillBackends, drill};
use custody_recovery::restore::{Keys, MemoryFiles, Secrets};
use custody_recovery::{OfficerKey, Opener, Recipient, X25519SecretKey};

const WALLETS: u64 = 100;
const KEYS_EACH: u64 = 10;
const IN_FLIGHT: usize = 256;
const SIZES: [u64; 2] = [10_000, 100_000];
const SECONDS_MAX: f64 = 60.0;
const MORE_MAX_KIB: u64 = 64 * 1_024;
/// An officer of this bench only.
const OFFICER: [u8; 32] = [7; 32];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    if let (Some("measure"), Some(directory)) = (arguments.next().as_deref(), arguments.next()) {
        return measure(Path::new(&directory)).await;
    }
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (mut memory, mut slowest) = (Vec::new(), 0.0_f64);
    for orders in SIZES {
        let house = tokio::runtime::Runtime::new();
        let path =
            tokio::task::spawn_blocking(move || house?.block_on(make(base, orders))).await??;
        let output = Command::new(std::env::current_exe()?).arg("measure").arg(&path).output()?;
        let text = String::from_utf8(output.stdout)?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        print!("{text}");
        let field = |name: &str| -> Result<f64, Failure> {
            let found = text.split_whitespace().find_map(|word| word.strip_prefix(name));
            Ok(found.ok_or("a figure is missing")?.parse()?)
        };
        memory.push(field("peak_kib=")?);
        slowest = slowest.max(field("seconds=")?);
    }
    let more =
        memory.last().copied().unwrap_or_default() - memory.first().copied().unwrap_or_default();
    println!("slowest {slowest:.1} s, {more:.0} KiB more for ten times the orders");
    let holds = slowest < SECONDS_MAX && more < MORE_MAX_KIB as f64;
    if holds { Ok(()) } else { Err("a limit does not hold".into()) }
}

/// The house of this size and its archive, made if they are not there.
async fn make(base: &Path, orders: u64) -> Result<PathBuf, Failure> {
    let path = base.join(format!("drill-{orders}"));
    if path.join(ARCHIVE).exists() {
        return Ok(path);
    }
    if path.exists() {
        fs::remove_dir_all(&path)?;
    }
    let house = kept::open(&path, IN_FLIGHT).await?;
    kept::make_wallets(&house.custodian, WALLETS, KEYS_EACH).await?;
    let payments = orders.saturating_sub(WALLETS * (KEYS_EACH + 1));
    kept::make_payments(&house.custodian, WALLETS, payments).await?;
    house.custodian.close().await?;
    drop(house);
    let started = Instant::now();
    let (store, log, custodian) = kept::closed(&path).await?;
    let files = Folder::new("log", path.join("log"))?;
    let pack = Pack::new(custodian, store.as_ref(), &log).await?.with_files(&files);
    let public_key = X25519SecretKey::new(&Secret::new(OFFICER.to_vec()))?.public_key();
    let officer = OfficerKey { officer: PrincipalId::parse("officer")?, public_key };
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let recipients = [Recipient::Officer(&officer)];
    let clock = TokioClock::new();
    let made = pack.write_file(&path.join(ARCHIVE), &recipients, &clock, &entropy).await?;
    let seconds = started.elapsed().as_secs_f64();
    println!("archived {orders} orders: {} bytes in {seconds:.1} s, read back", made.bytes);
    Ok(path)
}

/// Drills with the archive of a house.
async fn measure(directory: &Path) -> Result<(), Failure> {
    let started = Instant::now();
    let locked = LockedArchive::peek(LocalFile::open(&directory.join(ARCHIVE))?).await?;
    let officer = X25519SecretKey::new(&Secret::new(OFFICER.to_vec()))?;
    let key = locked.open_route(Opener::Officer(&officer)).await?;
    let reader = locked.unlock(&key)?;
    let backends = Software(directory.to_owned());
    let evidence = drill(reader, &backends, &TokioClock::new(), &OsEntropy).await?;
    if !evidence.is_success() || evidence.keys != WALLETS * KEYS_EACH {
        return Err("a key was not proved".into());
    }
    let seconds = started.elapsed().as_secs_f64();
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let peak: u64 = line.trim().trim_end_matches(" kB").parse()?;
    println!(
        "orders={} events={} keys={} seconds={seconds:.2} peak_kib={peak}",
        evidence.orders, evidence.events, evidence.keys
    );
    Ok(())
}

/// The software keys of a house; how they are derived lies beside the archive.
struct Software(PathBuf);

#[async_trait]
impl DrillBackends for Software {
    fn files(&self) -> MemoryFiles {
        MemoryFiles::none()
    }

    async fn open(
        &self,
        _keys: &Keys,
        _secrets: &mut Secrets,
        _files: &MemoryFiles,
    ) -> Result<BTreeMap<BackendId, Arc<dyn KeyBackend>>, String> {
        let backend = kept::backend(&self.0).map_err(|error| error.to_string())?;
        Ok(BTreeMap::from([(backend.id().clone(), backend)]))
    }
}

const ARCHIVE: &str = "archive.custody";
