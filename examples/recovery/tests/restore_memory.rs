//! How much memory a restoring takes: a process of its own for each archive.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests: a check fails by panicking")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::{env, fs};

use async_trait::async_trait;
use custody_audit::TileLog;
use custody_audit::note::KeyName;
use custody_audit::storage::MemoryTiles;
use custody_core::caip::ChainId;
use custody_core::command::Command as Act;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::custodian::{Custodian, Genesis, Outcome, Request};
use custody_core::id::{BackendId, CustodianId, PrincipalId, RequestId, TierId, WalletId};
use custody_core::seam::{BackendError, Entropy, ErrorKind, RecordKey, Signer};
use custody_recovery::archive::{LocalFile, LockedArchive, Pack};
use custody_recovery::restore::{NoFiles, restore};
use custody_recovery::{Opener, Recipient};
use custody_store::SqliteStore;
use custody_testkit::backend::{MemoryBackend, MemoryKeyEncryption};
use custody_testkit::key::TestKey;
use custody_testkit::people::People;
use custody_testkit::policy::TestRules;
use custody_testkit::runtime::{TestClock, TestEntropy, TestExecutor};
use custody_testkit::store::MemoryStore;
use pollster::block_on;

const TEST: &str = "restoring_three_times_the_orders_takes_hardly_more_memory";
const ROLE: &str = "CUSTODY_RESTORE_FROM";
const PEAK: &str = "peak: ";
/// The smaller one fills what the store keeps in its caches.
const ORDERS: [u64; 2] = [2_000, 6_000];
/// A record besides those of each order, so that few orders are many bytes.
const GUEST_BYTES: usize = 6 * 1_024;
/// What the larger archive has more is five times as much.
const MORE_KIB_MAX: u64 = 6 * 1_024;

#[test]
fn restoring_three_times_the_orders_takes_hardly_more_memory() {
    if let Some(folder) = env::var_os(ROLE) {
        return live(Path::new(&folder));
    }
    let (mut peaks, mut sizes) = (Vec::new(), Vec::new());
    for orders in ORDERS {
        let folder = tempfile::tempdir().unwrap();
        sizes.push(archive(folder.path(), orders));
        let mut other = Command::new(env::current_exe().unwrap());
        let output =
            other.args([TEST, "--exact", "--nocapture"]).env(ROLE, folder.path()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        let (_, peak) = text.split_once(PEAK).unwrap();
        peaks.push(peak.lines().next().unwrap().parse::<u64>().unwrap());
    }
    let [small, large] = peaks[..] else { panic!("{peaks:?}") };
    println!("archives of {sizes:?} bytes, {peaks:?} KiB");
    assert!(sizes[1] - sizes[0] > 5 * MORE_KIB_MAX * 1_024, "{sizes:?}");
    assert!(large < small + MORE_KIB_MAX, "{peaks:?} KiB for {ORDERS:?} orders");
}

/// Restores what is in a folder, and says how much memory the process ever had.
fn live(folder: &Path) {
    let kek = MemoryKeyEncryption::seeded(1);
    block_on(async {
        let file = LocalFile::open(&folder.join("archive")).unwrap();
        let locked = LockedArchive::peek(file).await.unwrap();
        let key = locked.open_route(Opener::Kek(&kek)).await.unwrap();
        let store = SqliteStore::open(folder.join("custody.sqlite")).unwrap();
        let reader = locked.unlock(&key).unwrap();
        let restored = restore(reader, &store, &mut NoFiles).await.unwrap();
        assert!(ORDERS.contains(&(restored.folded().orders)), "{:?}", restored.folded());
    });
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("{PEAK}{}", line.trim().trim_end_matches("kB").trim());
}

/// The archive of a house that was asked for so many things in vain. Answers its size.
fn archive(folder: &Path, orders: u64) -> u64 {
    let (clock, store) = (TestClock::new(), MemoryStore::new());
    let executor = TestExecutor::new(clock.clone());
    let entropy: Arc<dyn Entropy> = Arc::new(TestEntropy::seeded(1));
    let log = Arc::new(block_on(tile_log(&store)));
    let builder = Custodian::builder()
        .store(Arc::new(store.clone()))
        .audit(Arc::<TileLog>::clone(&log))
        .backend(Arc::new(MemoryBackend::seeded("memory", 7)))
        .policy(Arc::new(TestRules::new()))
        .entropy(Arc::clone(&entropy))
        .spawner(Arc::new(executor.clone()))
        .clock(Arc::new(clock.clone()));
    executor.run(async {
        let genesis = Genesis {
            policy: TestRules::document(&["treasurer"], "allow update_policy"),
            principals: People::new(&[("tara", &["treasurer"])]).principals(),
            assets: Vec::new(),
        };
        let custodian = builder.create(genesis).await.unwrap();
        ask_in_vain(&custodian, orders).await;
        for number in 0..orders {
            let key = RecordKey::parse(&format!("guest/{number:08}")).unwrap();
            store.replace_record(&key, vec![7; GUEST_BYTES]);
        }
        let id: CustodianId = custodian.id();
        let kek = MemoryKeyEncryption::seeded(1);
        let pack = Pack::new(id, &store, log.as_ref()).await.unwrap();
        let routes = [Recipient::Kek(&kek)];
        pack.write_file(&folder.join("archive"), &routes, &clock, &entropy).await.unwrap().bytes
    })
}

/// The key of the log.
#[derive(Debug)]
struct LogSigner(TestKey);

#[async_trait]
impl Signer for LogSigner {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        self.0.sign(input).map_err(|_| BackendError::new(ErrorKind::Refused, "sign"))
    }
}

async fn tile_log(store: &MemoryStore) -> TileLog {
    let key: Arc<dyn Signer> = Arc::new(LogSigner(TestKey::seeded(Algorithm::Ed25519, 99)));
    let (name, tiles) = (KeyName::parse("restore/memory").unwrap(), MemoryTiles::default());
    TileLog::open(name, Arc::new(store.clone()), Arc::new(tiles), vec![key]).await.unwrap()
}

async fn ask_in_vain(custodian: &Custodian, orders: u64) {
    for number in 0..orders {
        let command = Act::CreateWallet {
            wallet: WalletId::parse("none").unwrap(),
            chain: ChainId::parse("eip155:1").unwrap(),
            tier: TierId::parse("hot").unwrap(),
            backend: BackendId::parse("memory").unwrap(),
            seed: None,
        };
        let requester = PrincipalId::parse("tara").unwrap();
        let request = RequestId::parse(&format!("request-{number:08}")).unwrap();
        let request = Request::command(requester, request, command);
        let answer = custodian.submit(request).await.unwrap();
        assert!(matches!(answer.outcome, Outcome::Denied { .. }), "{answer:?}");
    }
}
