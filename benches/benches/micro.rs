//! The parts of a governed signature, each alone, on one core: signing and verifying, decoding,
//! judging, sealing, the tree, receipts, and one commit of many half-orders.
//!
//! `cargo bench --bench micro`, or `-- NAME` for those whose name contains it.

use std::cell::Cell;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use benches::Failure;
use benches::house::{self, OsEntropy};
use benches::judging::{self, Case, context, payload};
use criterion::{BatchSize, Criterion};
use custody_audit::TileLog;
use custody_audit::note::{KeyName, VerifierKey};
use custody_audit::proof::LogProof;
use custody_audit::storage::DirectoryTiles;
use custody_audit::tree::{HashSource, Node, ProofPlan, TreeHash, TreeHead, verify_inclusion};
use custody_chain::EvmDecoder;
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::digest::Digest;
use custody_core::envelope;
use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
use custody_core::seam::{
    AuditLog as _, Batch, Decoder, Entropy, Exportability, KeyBackend as _, KeyRecord, KeyRequest,
    Position, Record, RecordKey, Signer, Store,
};
use custody_core::secret::Secret;
use custody_core::tokio::TokioClock;
use custody_soft::{KdfParameters, PassphraseKek, SoftBackend};
use custody_store::{SealedStore, SqliteStore};
use custody_testkit::backend::MemoryKeyEncryption;
use tokio::runtime::Runtime;

fn main() -> Result<(), Failure> {
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR"))?;
    let backend = backend()?;
    signatures(&mut criterion, &runtime, &backend)?;
    decoding(&mut criterion, &runtime, &backend)?;
    judgements(&mut criterion)?;
    envelopes(&mut criterion)?;
    tree(&mut criterion)?;
    receipts(&mut criterion, &runtime, &backend, directory.path())?;
    seals(&mut criterion, &runtime, &backend, directory.path())?;
    commits(&mut criterion, &runtime, directory.path())?;
    criterion.final_summary();
    Ok(())
}

fn signatures(
    criterion: &mut Criterion,
    runtime: &Runtime,
    backend: &SoftBackend,
) -> Result<(), Failure> {
    for algorithm in Algorithm::ALL {
        let signer = runtime.block_on(signer(backend, "hot", algorithm))?;
        let digest = Digest::of(b"micro");
        let input = if algorithm.signs_prehash() {
            SignInput::Prehash(digest.as_bytes())
        } else {
            SignInput::Message(digest.as_bytes())
        };
        criterion.bench_function(&format!("sign/{algorithm}"), |bencher| {
            bencher.iter(|| runtime.block_on(signer.sign(black_box(input))));
        });
        let key = signer.public_key().clone();
        let signature = runtime.block_on(signer.sign(input))?;
        signature.clone().checked(&key, input)?;
        criterion.bench_function(&format!("verify/{algorithm}"), |bencher| {
            bencher.iter(|| signature.verify(black_box(&key), input));
        });
        criterion.bench_function(&format!("checked/{algorithm}"), |bencher| {
            bencher.iter(|| signature.clone().checked(black_box(&key), input));
        });
    }
    Ok(())
}

fn decoding(
    criterion: &mut Criterion,
    runtime: &Runtime,
    backend: &SoftBackend,
) -> Result<(), Failure> {
    let signer = runtime.block_on(signer(backend, "hot", Algorithm::EcdsaSecp256k1))?;
    let (decoder, payload) = (EvmDecoder::new(), payload()?);
    let context = context(signer.public_key())?;
    decoder.decode(&payload, &context)?;
    criterion.bench_function("decode/evm transfer", |bencher| {
        bencher.iter(|| decoder.decode(black_box(&payload), &context));
    });
    Ok(())
}

/// Five of the fifty rules can match.
fn judgements(criterion: &mut Criterion) -> Result<(), Failure> {
    let (case, engine) = (Case::new()?, judging::engine(house::rules())?);
    let judgement = case.judge(engine.as_ref());
    if !judgement.allowed {
        return Err(format!("not allowed: {judgement:?}").into());
    }
    criterion.bench_function("judge/5 of 50 rules", |bencher| {
        bencher.iter(|| case.judge(black_box(engine.as_ref())));
    });
    Ok(())
}

fn envelopes(criterion: &mut Criterion) -> Result<(), Failure> {
    let key = Secret::try_fill(32, |bytes| OsEntropy.fill(bytes))?;
    let secret = Secret::try_fill(32, |bytes| OsEntropy.fill(bytes))?;
    let context: [&[u8]; 3] = [&[1; 32], b"hot", b"hot.0"];
    let sealed = envelope::seal(&key, &context, &secret, &OsEntropy)?;
    criterion.bench_function("envelope/seal 32 bytes", |bencher| {
        bencher.iter(|| envelope::seal(&key, &context, black_box(&secret), &OsEntropy));
    });
    envelope::open(&key, &context, &sealed)?;
    criterion.bench_function("envelope/open 32 bytes", |bencher| {
        bencher.iter(|| envelope::open(&key, &context, black_box(&sealed)));
    });
    Ok(())
}

fn tree(criterion: &mut Criterion) -> Result<(), Failure> {
    let entry = [0x7b; EVENT];
    criterion.bench_function("tree/leaf hash of 500 bytes", |bencher| {
        bencher.iter(|| TreeHash::leaf(black_box(&entry)));
    });
    let mut levels = Levels::of(1 << 20);
    let (index, size) = (777_777, 1 << 20);
    criterion.bench_function("tree/inclusion proof in 2^20", |bencher| {
        bencher.iter(|| ProofPlan::inclusion(black_box(index), size)?.assemble(&mut levels));
    });
    let proof = ProofPlan::inclusion(index, size)?.assemble(&mut levels)?;
    let leaf = levels.hash(Node { level: 0, index })?;
    let head = TreeHead { size, root: levels.hash(Node { level: 20, index: 0 })? };
    verify_inclusion(&leaf, index, &head, &proof)?;
    criterion.bench_function("tree/verify inclusion in 2^20", |bencher| {
        bencher.iter(|| verify_inclusion(black_box(&leaf), index, &head, &proof));
    });
    Ok(())
}

fn receipts(
    criterion: &mut Criterion,
    runtime: &Runtime,
    backend: &SoftBackend,
    directory: &Path,
) -> Result<(), Failure> {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.join("receipts.sqlite"))?);
    let tiles = Arc::new(DirectoryTiles::open(directory.join("log"))?);
    let signer = runtime.block_on(signer(backend, "log", Algorithm::Ed25519))?;
    let name = KeyName::parse("benches")?;
    let key = VerifierKey::new(name.clone(), signer.public_key().clone())?;
    let log = runtime.block_on(async {
        let log = TileLog::open(name, Arc::clone(&store), tiles, vec![signer]).await?;
        let events = (0..4_096).map(|number| format!("{number:0EVENT$}").into_bytes()).collect();
        let batch = Batch { events, ..Batch::default() };
        let head = store.commit(Position::START, batch).await?;
        log.seal(head).await?;
        Ok::<_, Failure>(log)
    })?;
    let receipt = runtime.block_on(log.receipt(Position::new(1_234)))?;
    criterion.bench_function("receipt/make in 4,096", |bencher| {
        bencher.iter(|| runtime.block_on(log.receipt(black_box(Position::new(1_234)))));
    });
    let keys = [key];
    let verify = |file: &str| LogProof::parse(file)?.verify(&keys).map(|(_, head)| head);
    verify(&receipt.proof)?;
    criterion.bench_function("receipt/read and verify in 4,096", |bencher| {
        bencher.iter(|| verify(black_box(&receipt.proof)));
    });
    Ok(())
}

/// A signed head over 256 more entries, which the store has.
fn seals(
    criterion: &mut Criterion,
    runtime: &Runtime,
    backend: &SoftBackend,
    directory: &Path,
) -> Result<(), Failure> {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.join("seals.sqlite"))?);
    let tiles = Arc::new(DirectoryTiles::open(directory.join("seals"))?);
    let signer = runtime.block_on(signer(backend, "log", Algorithm::Ed25519))?;
    let name = KeyName::parse("benches")?;
    let log = TileLog::open(name, Arc::clone(&store), tiles, vec![signer]);
    let log = runtime.block_on(log)?;
    let head = Cell::new(Position::START);
    criterion.bench_function("seal/head over 256 more", |bencher| {
        bencher.iter_batched(
            || {
                let events = (0..256).map(|_| vec![0x7b; EVENT]).collect();
                let batch = Batch { events, ..Batch::default() };
                head.set(runtime.block_on(store.commit(head.get(), batch))?);
                Ok::<_, Failure>(head.get())
            },
            |through| Ok::<_, Failure>(runtime.block_on(log.seal(through?))?),
            BatchSize::PerIteration,
        );
    });
    Ok(())
}

/// One durable commit of what 256 orders leave behind when they are submitted and allowed.
fn commits(criterion: &mut Criterion, runtime: &Runtime, directory: &Path) -> Result<(), Failure> {
    let plain: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.join("commits.sqlite"))?);
    commit_to(criterion, runtime, "commit/256 half-orders", plain)?;
    let below = Arc::new(SqliteStore::open(directory.join("sealed.sqlite"))?);
    let kek = Arc::new(MemoryKeyEncryption::seeded(1));
    let sealed = runtime.block_on(SealedStore::open(below, kek, Arc::new(OsEntropy)))?;
    commit_to(criterion, runtime, "commit/256 half-orders, sealed", Arc::new(sealed))
}

fn commit_to(
    criterion: &mut Criterion,
    runtime: &Runtime,
    name: &str,
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let first = half_orders(Position::START)?;
    let head = Cell::new(runtime.block_on(store.commit(Position::START, first))?);
    criterion.bench_function(name, |bencher| {
        bencher.iter_batched(
            || half_orders(head.get()),
            |batch| {
                head.set(runtime.block_on(store.commit(head.get(), batch?))?);
                Ok::<_, Failure>(())
            },
            BatchSize::PerIteration,
        );
    });
    Ok(())
}

fn half_orders(head: Position) -> Result<Batch, Failure> {
    let mut batch = Batch::default();
    for number in 0..256 {
        let order = format!("{:020}-{number:03}", head.value());
        for (name, bytes) in RECORDS {
            let key = RecordKey::parse(&format!("{name}/{order}"))?;
            batch.inserts.push(Record { key, value: vec![0x7b; bytes] });
        }
        batch.events.extend(EVENTS.map(|bytes| vec![0x7b; bytes]));
    }
    Ok(batch)
}

fn backend() -> Result<SoftBackend, Failure> {
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let parameters = KdfParameters::new(19 * 1024, 2, 1)?;
    let passphrase = Secret::new(b"benches only".to_vec());
    let (kek, _) = PassphraseKek::create(passphrase, parameters, Arc::clone(&entropy))?;
    let clock = Arc::new(TokioClock::new());
    Ok(SoftBackend::new(BackendId::parse("software")?, Arc::new(kek), entropy, clock)?)
}

async fn signer(
    backend: &SoftBackend,
    wallet: &str,
    algorithm: Algorithm,
) -> Result<Arc<dyn Signer>, Failure> {
    let request = KeyRequest {
        custodian: CustodianId::new(Digest::of(b"micro")),
        wallet: WalletId::parse(wallet)?,
        key: KeyId::parse("hot.0")?,
        algorithm,
        exportability: Exportability::Never,
    };
    let made = backend.generate(&request).await?;
    let KeyRequest { custodian, wallet, key, .. } = request;
    let (public_key, handle) = (made.public_key, made.handle);
    Ok(backend.signer(&KeyRecord { custodian, wallet, key, public_key, handle }).await?)
}

/// A whole tree in memory, level by level.
struct Levels(Vec<Vec<TreeHash>>);

impl Levels {
    /// The tree over the numbers below `size`, a power of two.
    fn of(size: u64) -> Self {
        let mut levels = Vec::new();
        let mut level: Vec<_> = (0..size).map(|leaf| TreeHash::leaf(&leaf.to_be_bytes())).collect();
        while level.len() > 1 {
            let pairs = level.as_chunks::<2>().0;
            let above = pairs.iter().map(|[left, right]| TreeHash::node(left, right)).collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        Self(levels)
    }
}

impl HashSource for Levels {
    type Error = Failure;

    fn hash(&mut self, node: Node) -> Result<TreeHash, Failure> {
        let level = self.0.get(usize::from(node.level)).ok_or("no such level")?;
        Ok(*level.get(usize::try_from(node.index)?).ok_or("no such node")?)
    }
}

/// Bytes of an event of the tree's benches.
const EVENT: usize = 500;
/// Bytes of the two events of a transfer that is submitted and allowed.
const EVENTS: [usize; 2] = [420, 920];
/// The records beside them, with as many bytes as those of a transfer.
const RECORDS: [(&str, usize); 4] =
    [("context", 200), ("document", 1_110), ("payload", 50), ("request", 130)];
