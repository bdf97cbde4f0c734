//! Doubles of the host: its signer, and a tile storage that fails or was tampered with.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use custody_audit::TileLog;
use custody_audit::checkpoint::LogHead;
use custody_audit::log::LogError;
use custody_audit::note::{KeyName, SignedNote, VerifierKey};
use custody_audit::proof::LogProof;
use custody_audit::storage::{MemoryTiles, TileStorage};
use custody_audit::tile::{Tile, TileId};
use custody_audit::tree::{Frontier, TreeHash};
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::seam::{
    AuditError, AuditLog, BackendError, Batch, Checkpoint, Event, Position, Record, RecordKey,
    Signer, Store,
};
use custody_testkit::fault::FaultPlan;
use custody_testkit::store::MemoryStore;
use ed25519_dalek::Signer as _;
use pollster::block_on;

pub(crate) const ORIGIN: &str = "custody.example/log";

/// An Ed25519 key of the host that counts its signatures and fails when told to.
#[derive(Debug)]
pub(crate) struct LogSigner {
    secret: ed25519_dalek::SigningKey,
    public: PublicKey,
    pub(crate) faults: FaultPlan<&'static str>,
    signed: AtomicUsize,
}

impl LogSigner {
    pub(crate) fn new(seed: u8) -> Arc<Self> {
        let secret = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
        let bytes = secret.verifying_key().to_bytes();
        let public = PublicKey::from_bytes(Algorithm::Ed25519, &bytes).unwrap();
        Arc::new(Self { secret, public, faults: FaultPlan::new(), signed: AtomicUsize::new(0) })
    }

    /// Claims a public key that is not its own.
    pub(crate) fn claiming(seed: u8, public: PublicKey) -> Arc<Self> {
        let liar = Arc::into_inner(Self::new(seed)).unwrap();
        Arc::new(Self { public, ..liar })
    }

    pub(crate) fn key(&self) -> VerifierKey {
        VerifierKey::new(origin(), self.public.clone()).unwrap()
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// How many signatures were made, lost ones too.
    pub(crate) fn count(&self) -> usize {
        self.signed.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Signer for LogSigner {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Ed25519
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        let sign = async {
            self.signed.fetch_add(1, Ordering::SeqCst);
            let bytes = self.secret.sign(input.as_bytes()).to_bytes();
            Ok(Signature::from_bytes(Algorithm::Ed25519, &bytes).unwrap())
        };
        self.faults.call("sign", |kind| BackendError::new(kind, "sign"), sign).await
    }
}

/// A tile storage that fails when told to.
#[derive(Debug, Default)]
pub(crate) struct FaultyTiles {
    pub(crate) inner: MemoryTiles,
    pub(crate) faults: FaultPlan<&'static str>,
}

#[async_trait]
impl TileStorage for FaultyTiles {
    async fn tile(&self, id: TileId) -> Result<Option<Tile>, AuditError> {
        let error = |kind| AuditError::new(kind, "read a tile");
        self.faults.call("tile", error, self.inner.tile(id)).await
    }

    async fn put_tiles(&self, tiles: Vec<(TileId, Tile)>) -> Result<(), AuditError> {
        let error = |kind| AuditError::new(kind, "put tiles");
        self.faults.call("put tiles", error, self.inner.put_tiles(tiles)).await
    }

    async fn checkpoint(&self) -> Result<Option<String>, AuditError> {
        let error = |kind| AuditError::new(kind, "read the checkpoint");
        self.faults.call("checkpoint", error, self.inner.checkpoint()).await
    }

    async fn put_checkpoint(&self, note: String) -> Result<(), AuditError> {
        let error = |kind| AuditError::new(kind, "put the checkpoint");
        self.faults.call("put checkpoint", error, self.inner.put_checkpoint(note)).await
    }
}

/// A host: its store, its tiles and its keys.
pub(crate) struct House {
    pub(crate) store: MemoryStore,
    pub(crate) tiles: Arc<FaultyTiles>,
    pub(crate) signer: Arc<LogSigner>,
    pub(crate) next: Arc<LogSigner>,
}

impl House {
    pub(crate) fn new(events: u64) -> Self {
        let house = Self {
            store: MemoryStore::new(),
            tiles: Arc::default(),
            signer: LogSigner::new(1),
            next: LogSigner::new(2),
        };
        house.add(events);
        house
    }

    pub(crate) fn add(&self, events: u64) {
        let head = block_on(self.store.head()).unwrap();
        if events > 0 {
            let events = (head.value()..).map(event).take(usize::try_from(events).unwrap());
            let batch = Batch { events: events.collect(), ..Batch::default() };
            block_on(self.store.commit(head, batch)).unwrap();
        }
    }

    /// Stores a document as an order would, without an event.
    pub(crate) fn add_document(&self, order: &str, document: &[u8]) -> Digest {
        let digest = Digest::of(document);
        let key = RecordKey::parse(&format!("document/{order}/{digest}")).unwrap();
        self.store.replace_record(&key, document.to_vec());
        digest
    }

    pub(crate) fn open(&self) -> Result<TileLog, LogError> {
        let tiles: Arc<dyn TileStorage> = Arc::<FaultyTiles>::clone(&self.tiles);
        self.open_on(tiles)
    }

    pub(crate) fn open_on(&self, tiles: Arc<dyn TileStorage>) -> Result<TileLog, LogError> {
        let signers: Vec<Arc<dyn Signer>> =
            vec![Arc::<LogSigner>::clone(&self.signer), Arc::<LogSigner>::clone(&self.next)];
        let store = Arc::new(self.store.clone());
        block_on(TileLog::open(origin(), store, tiles, signers))
    }

    /// Opens the log and seals everything.
    pub(crate) fn sealed(&self) -> (TileLog, Checkpoint) {
        let log = self.open().unwrap();
        let head = block_on(self.store.head()).unwrap();
        let checkpoint = seal(&log, head.value()).unwrap();
        (log, checkpoint)
    }
}

pub(crate) fn origin() -> KeyName {
    KeyName::parse(ORIGIN).unwrap()
}

/// The bytes of an event; some are empty, some long.
pub(crate) fn event(index: u64) -> Vec<u8> {
    let length = usize::try_from(index * 7 % 300).unwrap();
    format!("{{\"v\":1,\"event\":{index}}}").into_bytes().into_iter().cycle().take(length).collect()
}

pub(crate) fn seal(log: &TileLog, through: u64) -> Result<Checkpoint, AuditError> {
    block_on(log.seal(Position::new(through)))
}

pub(crate) fn record(key: &str, value: &[u8]) -> Record {
    Record { key: RecordKey::parse(key).unwrap(), value: value.to_vec() }
}

/// The typed cause under an error of the seam.
pub(crate) fn cause(error: &AuditError) -> &LogError {
    std::error::Error::source(error).and_then(|source| source.downcast_ref()).unwrap()
}

/// The receipt of an event, parsed.
pub(crate) fn receipt(log: &TileLog, index: u64) -> LogProof {
    let receipt = block_on(log.receipt(Position::new(index))).unwrap();
    assert_eq!(receipt.index.value(), index);
    LogProof::parse(&receipt.proof).unwrap()
}

/// Events as a store gives them.
pub(crate) fn events(range: std::ops::Range<u64>) -> Vec<Event> {
    range.map(|index| Event { position: Position::new(index), bytes: event(index) }).collect()
}

/// The root over the first events, computed apart from the log.
fn root(size: u64) -> TreeHash {
    let mut frontier = Frontier::default();
    for index in 0..size {
        frontier.append(TreeHash::leaf(&event(index)), |_, _| ()).unwrap();
    }
    frontier.root()
}

/// The checkpoint is the signed head over exactly the first events.
#[track_caller]
pub(crate) fn assert_head(checkpoint: &Checkpoint, size: u64, signer: &LogSigner) {
    let note = SignedNote::parse(&checkpoint.note).unwrap();
    let head = LogHead::open(&note, &[signer.key()]).unwrap();
    assert_eq!((head.origin(), head.tree().size, head.tree().root), (ORIGIN, size, root(size)));
    assert_eq!(checkpoint.head.size.value(), size);
    assert_eq!(checkpoint.head.root.as_bytes(), head.tree().root.as_bytes());
}
