//! How fast a log of 100,000 entries is verified offline, as a whole and by parts, on one core.
//!
//! `cargo bench --bench verify` makes the log with real orders (`VERIFY_ENTRIES` sets how many
//! entries), exports it, and ends with the line `verified/s without replay = …`: the tree, the
//! head, every document and every signature, with each payload decoded again, but without judging
//! the decisions again.
#![expect(clippy::print_stdout, clippy::float_arithmetic, reason = "a bench that reports")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use benches::{Failure, house, load};
use custody_audit::note::{KeyName, VerifierKey};
use custody_audit::verify::{KeyHistory, LogDirectory, ReplayError};
use custody_chain::EvmDecoder;
use custody_core::custodian::Custodian;
use custody_core::digest::Digest;
use custody_core::id::CustodianId;
use custody_core::replay::{Depth, Documents, Replay};
use custody_core::seam::{Checkpoint, Decoder, PolicyCompiler};
use custody_policy::CedarCompiler;
use custody_store::{OpenError, SqliteStore};

const IN_FLIGHT: usize = 256;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let wanted = std::env::var("VERIFY_ENTRIES").ok().and_then(|text| text.parse().ok());
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR"))?;
    let (custodian, checkpoint) = fill(directory.path(), wanted.unwrap_or(100_000)).await?;
    let target = directory.path().join("export");
    let store = reopen(&directory.path().join("custody.sqlite")).await?;
    let started = Instant::now();
    let exported = custody_audit::export(&store, &checkpoint, &target).await?;
    let seconds = started.elapsed().as_secs_f64();
    println!("{} entries and {} documents", exported.entries, exported.documents);
    println!("exported in {seconds:.1} s");
    let rate = tokio::task::spawn_blocking(move || Log { target, custodian }.measure()).await??;
    println!("verified/s without replay = {rate:.0}");
    Ok(())
}

/// Runs orders until the log has about `wanted` entries, three for each; its custodian and newest
/// checkpoint.
async fn fill(directory: &Path, wanted: u64) -> Result<(CustodianId, Checkpoint), Failure> {
    let (started, orders) = (Instant::now(), wanted.div_ceil(3));
    let custodian = house::open(directory, IN_FLIGHT).await?;
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = Vec::new();
    for _ in 0..IN_FLIGHT {
        let (custodian, next) = (custodian.clone(), Arc::clone(&next));
        workers.push(tokio::spawn(pay_until(custodian, next, orders)));
    }
    for worker in workers {
        worker.await??;
    }
    println!("{orders} orders in {:.1} s", started.elapsed().as_secs_f64());
    let checkpoint = custodian.checkpoint().await?.ok_or("there is no checkpoint")?;
    custodian.close().await?;
    Ok((custodian.id(), checkpoint))
}

async fn pay_until(custodian: Custodian, next: Arc<AtomicU64>, orders: u64) -> Result<(), Failure> {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= orders {
            return Ok(());
        }
        load::pay(&custodian, 0, number).await?;
    }
}

/// Opens the store once the custodian's last task has let go of it, which may be a moment after
/// the custodian was closed.
async fn reopen(path: &Path) -> Result<SqliteStore, Failure> {
    for _ in 0..100 {
        match SqliteStore::open(path) {
            Err(OpenError::InUse) => tokio::time::sleep(Duration::from_millis(50)).await,
            opened => return Ok(opened?),
        }
    }
    Err("the store stays in use".into())
}

/// An exported log.
struct Log {
    target: PathBuf,
    custodian: CustodianId,
}

impl Log {
    /// Measures the parts and the whole; entries verified a second without judging again.
    fn measure(&self) -> Result<f64, Failure> {
        let files = DocumentFiles(self.target.join("documents"));
        self.tree()?;
        let started = Instant::now();
        let documents = files.read_all()?;
        println!("{:32} {:7.1} s", "documents read once", started.elapsed().as_secs_f64());
        self.fold("fold, documents in memory", Depth::Fold, &documents)?;
        self.fold("without decisions, in memory", Depth::WithoutDecisions, &documents)?;
        self.fold("full, documents in memory", Depth::Full, &documents)?;
        let rate = self.fold("without decisions, from disk", Depth::WithoutDecisions, &files)?;
        self.fold("full, documents from disk", Depth::Full, &files)?;
        Ok(rate)
    }

    /// The tree only: tiles, leaves and root.
    fn tree(&self) -> Result<(), Failure> {
        let started = Instant::now();
        let log = LogDirectory::open(&self.target)?;
        let size = log.unverified_head().tree().size;
        log.replay(|_, _| Ok::<_, Failure>(())).map(drop).map_err(refusal)?;
        report("tree only", size, started)?;
        Ok(())
    }

    /// The tree, the head's signature, and each event at this depth.
    fn fold(&self, what: &str, depth: Depth, documents: &dyn Documents) -> Result<f64, Failure> {
        let compiler: Arc<dyn PolicyCompiler> = Arc::new(CedarCompiler::new()?);
        let decoders: Vec<Arc<dyn Decoder>> = vec![Arc::new(EvmDecoder::new())];
        let mut replay = Replay::new(self.custodian, depth, Some(compiler), decoders);
        let started = Instant::now();
        let log = LogDirectory::open(&self.target)?;
        let size = log.unverified_head().tree().size;
        let log = log.replay(|_, entry| replay.event(entry, documents)).map_err(refusal)?;
        let key = replay.state().ok_or("the log is empty")?.log_key().clone();
        log.authenticate(KeyHistory::new(VerifierKey::new(KeyName::parse("benches")?, key)?))?;
        report(what, size, started)
    }
}

fn report(what: &str, entries: u64, started: Instant) -> Result<f64, Failure> {
    let seconds = started.elapsed().as_secs_f64();
    let rate = f64::from(u32::try_from(entries)?) / seconds;
    println!("{what:32} {seconds:7.1} s {rate:9.0} entries/s");
    Ok(rate)
}

/// The documents of an exported log, each read when it is asked for.
struct DocumentFiles(PathBuf);

impl DocumentFiles {
    fn read_all(&self) -> Result<BTreeMap<Digest, Vec<u8>>, Failure> {
        let mut documents = BTreeMap::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name();
            let digest = Digest::parse(name.to_str().ok_or("a name is not text")?)?;
            documents.insert(digest, fs::read(entry.path())?);
        }
        Ok(documents)
    }
}

impl Documents for DocumentFiles {
    fn get(&self, sha256: &Digest) -> Option<Vec<u8>> {
        fs::read(self.0.join(sha256.to_string())).ok()
    }
}

fn refusal<E: std::fmt::Display>(error: ReplayError<E>) -> Failure {
    if let ReplayError::Entry { index, source } = &error {
        return format!("entry {index}: {source}").into();
    }
    error.to_string().into()
}
