//! The log of a custodian: brings the events of a store under signed heads.
//!
//! **Invariant:** for each size there is at most one signed head. A head is signed only after the
//! tiles under it are durable and handed out only after it is durable itself; what is read back
//! from the tile storage is used only once it is proved under that head.

mod error;
mod growth;
mod proved;

use std::fmt::{self, Write as _};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use custody_core::crypto::{PublicKey, SignInput};
use custody_core::digest::Digest;
use custody_core::seam::{
    AuditError, AuditLog, Checkpoint, ErrorKind, Event, Head, Position, Receipt, Signer, Store,
};

use crate::checkpoint::LogHead;
use crate::note::{KeyName, NoteSignature, SignedNote, VerifierKey};
use crate::proof::LogProof;
use crate::storage::TileStorage;
use crate::tile::Edge;
use crate::tree::{ProofPlan, TreeHash, TreeHead, verify_inclusion};

pub use error::LogError;
use proved::{KnownNodes, RecentEvents, TileCache};

/// The Merkle log over the events of a store.
///
/// It keeps in memory the right edge of the tree (fewer than 256 hashes a tile level) and a small
/// cache of full tiles, whatever the number of events.
pub struct TileLog {
    origin: KeyName,
    store: Arc<dyn Store>,
    tiles: Arc<dyn TileStorage>,
    signers: Vec<LogSigner>,
    cache: TileCache,
    recent: RecentEvents,
    known: KnownNodes,
    current: RwLock<Current>,
    /// One seal at a time; holds the newest head that a signer was asked to sign.
    sealing: async_lock::Mutex<Option<TreeHead>>,
}

impl TileLog {
    /// Opens the log named `origin`, and checks what it finds.
    ///
    /// The first of `signers` signs until a checkpoint shows another of them in force; the others
    /// are there to be rotated to. A rotation that no head was signed after is forgotten: the
    /// custodian, which has it as an event, asks for it again. Full tiles that the storage has lost are made again from the
    /// events, if these still lead to the signed root.
    ///
    /// # Errors
    /// Fails if there is no signer or one is not an Ed25519 key, if the stored checkpoint is not
    /// signed by one of the signers in the name `origin`, and if its root is not that of the tiles
    /// and events.
    ///
    /// # Security
    /// Only the checkpoint found in `tiles` is compared. That it is the newest one ever signed is
    /// for a head anchor to tell.
    ///
    /// # Cancel safety
    /// Safe: what was written again are tiles proved under the stored checkpoint.
    pub async fn open(
        origin: KeyName,
        store: Arc<dyn Store>,
        tiles: Arc<dyn TileStorage>,
        signers: Vec<Arc<dyn Signer>>,
    ) -> Result<Self, LogError> {
        let signers: Vec<_> = signers
            .into_iter()
            .map(|signer| LogSigner::new(&origin, signer))
            .collect::<Result<_, _>>()?;
        let first = signers.first().cloned().ok_or(LogError::NoSigner)?;
        let log = Self {
            origin,
            store,
            tiles,
            signers,
            cache: TileCache::default(),
            recent: RecentEvents::default(),
            known: KnownNodes::default(),
            current: RwLock::new(Current { signer: first, sealed: None }),
            sealing: async_lock::Mutex::new(None),
        };
        if let Some(note) = log.tiles.checkpoint().await.map_err(LogError::Tiles)? {
            let current = log.reopen(&note).await?;
            *log.sealing.lock().await = current.sealed.as_ref().map(|sealed| sealed.head);
            log.replace(current);
        }
        Ok(log)
    }

    /// Returns the name of the log.
    #[must_use]
    pub const fn origin(&self) -> &KeyName {
        &self.origin
    }

    /// Returns the keys that a verifier of this log may be told, the one in force first.
    #[must_use]
    pub fn keys(&self) -> Vec<VerifierKey> {
        let active = self.current(|current| current.signer.key.clone());
        let others = self.signers.iter().map(|signer| &signer.key).filter(|key| **key != active);
        [active.clone()].into_iter().chain(others.cloned()).collect()
    }

    /// Checks a stored checkpoint and takes the log up at it.
    async fn reopen(&self, note: &str) -> Result<Current, LogError> {
        let note = SignedNote::parse(note)?;
        let keys: Vec<_> = self.signers.iter().map(|signer| signer.key.clone()).collect();
        let head = LogHead::open(&note, &keys)?;
        let key = note.signer(&keys)?;
        let signer = self.signers.iter().find(|signer| signer.key == *key);
        let signer = signer.cloned().ok_or(LogError::NoSigner)?;
        let edge = self.take_up(head.tree()).await?;
        Ok(Current { signer, sealed: Some(Arc::new(Sealed::new(edge, note))) })
    }

    async fn extend(&self, through: u64) -> Result<Arc<Sealed>, LogError> {
        let mut promised = self.sealing.lock().await;
        let (signer, sealed) =
            self.current(|current| (current.signer.clone(), current.sealed.clone()));
        if let Some(sealed) = sealed.as_ref().filter(|sealed| sealed.edge.size() >= through) {
            return Ok(Arc::clone(sealed));
        }
        let edge = sealed.map(|sealed| sealed.edge.clone()).unwrap_or_default();
        // A head may have been signed and then not been kept. The tree must pass through it.
        let edge = match *promised {
            Some(head) => self.grow(edge, head.size, Some(&head)).await?,
            None => edge,
        };
        let edge = self.grow(edge, through, None).await?;
        let head = edge.head();
        *promised = Some(head);
        let note = self.sign(&signer, head).await?;
        let sealed = Arc::new(Sealed::new(edge, note));
        let note = sealed.checkpoint.note.clone();
        self.tiles.put_checkpoint(note).await.map_err(LogError::Tiles)?;
        self.replace(Current { signer, sealed: Some(Arc::clone(&sealed)) });
        Ok(sealed)
    }

    /// Signs a head, and checks the signature before anybody sees it.
    async fn sign(&self, signer: &LogSigner, head: TreeHead) -> Result<SignedNote, LogError> {
        let text = LogHead::new(&self.origin, head).to_text();
        let signature = signer
            .signer
            .sign(SignInput::Message(text.as_bytes()))
            .await
            .map_err(LogError::Sign)?;
        let line = NoteSignature::checked(&signer.key, &text, &signature)?;
        Ok(SignedNote::new(text, line)?)
    }

    async fn prove(&self, index: u64) -> Result<LogProof, LogError> {
        let sealed = self.sealed().filter(|sealed| index < sealed.edge.size());
        let sealed = sealed.ok_or(LogError::NotSealed { index })?;
        let head = sealed.head;
        let plan = ProofPlan::inclusion(index, head.size)?;
        let path = self.assemble(&sealed.edge, &plan).await?;
        let event = match self.recent.get(index) {
            Some(event) => Some(event),
            None => {
                let from = Position::new(index);
                let events = self.store.events(from, 1).await.map_err(LogError::Store)?;
                events.into_iter().next().filter(|event| event.position.value() == index)
            }
        };
        let event = event.ok_or(LogError::WrongEvent { index })?;
        verify_inclusion(&TreeHash::leaf(&event.bytes), index, &head, &path)
            .map_err(|_| LogError::WrongEvent { index })?;
        Ok(LogProof::new(event.bytes, index, path, sealed.note.clone()))
    }

    fn sealed(&self) -> Option<Arc<Sealed>> {
        self.current(|current| current.sealed.clone())
    }

    fn current<T>(&self, read: impl FnOnce(&Current) -> T) -> T {
        read(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, current: Current) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
    }
}

#[async_trait]
impl AuditLog for TileLog {
    async fn public_key(&self) -> PublicKey {
        self.current(|current| current.signer.key.public_key().clone())
    }

    async fn head(&self) -> Result<Option<Checkpoint>, AuditError> {
        Ok(self.sealed().map(|sealed| sealed.checkpoint.clone()))
    }

    async fn seal(&self, through: Position) -> Result<Checkpoint, AuditError> {
        let sealed = self.extend(through.value()).await;
        sealed.map(|sealed| sealed.checkpoint.clone()).map_err(|error| error.during("seal"))
    }

    async fn receipt(&self, index: Position) -> Result<Receipt, AuditError> {
        let proof = self.prove(index.value()).await.map_err(|error| error.during("prove"))?;
        let mut text = String::with_capacity(RECEIPT_BYTES);
        // Writing to a string cannot fail.
        let _ = write!(text, "{proof}");
        Ok(Receipt { index, proof: text })
    }

    async fn includes(&self, events: &[Event]) -> Result<(), AuditError> {
        let sealed = self.sealed();
        let edge = sealed.as_ref().map(|sealed| &sealed.edge);
        self.compare(edge, events).await.map_err(|error| error.during("compare"))
    }

    async fn has_signer(&self, key: &PublicKey) -> bool {
        self.signers.iter().any(|signer| signer.key.public_key() == key)
    }

    async fn rotate(&self, next: &PublicKey) -> Result<(), AuditError> {
        // No head is being signed while the key changes.
        let _promised = self.sealing.lock().await;
        let signer = self.signers.iter().find(|signer| signer.key.public_key() == next);
        let none = || AuditError::new(ErrorKind::NotFound, "rotate");
        let signer = signer.cloned().ok_or_else(none)?;
        self.replace(Current { signer, sealed: self.sealed() });
        Ok(())
    }
}

impl fmt::Debug for TileLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TileLog")
            .field("origin", &self.origin)
            .field("size", &self.sealed().map(|sealed| sealed.edge.size()))
            .finish_non_exhaustive()
    }
}

/// A signer under the name of the log.
#[derive(Clone, Debug)]
struct LogSigner {
    key: VerifierKey,
    signer: Arc<dyn Signer>,
}

impl LogSigner {
    fn new(origin: &KeyName, signer: Arc<dyn Signer>) -> Result<Self, LogError> {
        let key = VerifierKey::new(origin.clone(), signer.public_key().clone())?;
        Ok(Self { key, signer })
    }
}

/// What is in force now.
#[derive(Debug)]
struct Current {
    signer: LogSigner,
    sealed: Option<Arc<Sealed>>,
}

/// A signed head and the edge of the tree under it. What every receipt needs is worked out once.
#[derive(Debug)]
struct Sealed {
    edge: Edge,
    head: TreeHead,
    note: SignedNote,
    checkpoint: Checkpoint,
}

impl Sealed {
    fn new(edge: Edge, note: SignedNote) -> Self {
        let head = edge.head();
        let root = Digest::new(*head.root.as_bytes());
        let told = Head { size: Position::new(head.size), root };
        let checkpoint = Checkpoint { head: told, note: note.to_string() };
        Self { edge, head, note, checkpoint }
    }
}

/// Most receipts fit into the room that is made for them at once.
const RECEIPT_BYTES: usize = 3 * 1_024;
