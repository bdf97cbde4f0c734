use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::digest::Digest;
use custody_core::seam::{
    AuditError, AuditLog, Checkpoint, ErrorKind, Event, Head, Position, Receipt, Store,
};

use super::{ReceiptFile, inclusion_path, root, signed_note};
use crate::key::TestKey;

/// The name of every [`MemoryLog`].
const ORIGIN: &str = "custody.test/log";

/// A log in memory over the events of a store: real roots, real heads, real receipts, all computed
/// from scratch each time. Clones are one log. It can be told to lie.
#[derive(Clone, Debug)]
pub struct MemoryLog {
    store: Arc<dyn Store>,
    keys: Arc<Vec<TestKey>>,
    lie: Option<LogLie>,
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Debug)]
struct State {
    key: TestKey,
    /// The newest head, and the key that signed it.
    head: Option<(Checkpoint, TestKey)>,
    seals: u64,
    closed: bool,
}

/// How a log breaks the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogLie {
    /// A head over another root than the events'.
    AnotherRoot,
    /// A receipt of the next event.
    AnotherReceipt,
    /// A head that some other key has signed.
    AnotherSigner,
    /// Every event is called included.
    IncludesAnything,
    /// Each seal of the same events signs another root.
    NeverTheSameRoot,
    /// A receipt for an event that is not sealed, under a head that nobody has signed.
    ReceiptsForUnsealed,
    /// A seal answers with an older head than asked for.
    SealsTooFew,
    /// A rotation is acknowledged and the old key goes on signing.
    StaysWithItsKey,
}

impl MemoryLog {
    /// A log over `store` whose first key signs, and whose other keys can be rotated to.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, keys: Vec<TestKey>) -> Self {
        let all_ed25519 = keys.iter().all(|key| key.algorithm() == Algorithm::Ed25519);
        assert!(all_ed25519 && !keys.is_empty(), "a log signs with Ed25519");
        let state = State { key: keys[0].clone(), head: None, seals: 0, closed: false };
        Self { store, keys: Arc::new(keys), lie: None, state: Arc::new(Mutex::new(state)) }
    }

    /// The same log, lying from now on.
    #[must_use]
    pub const fn lying(mut self, lie: LogLie) -> Self {
        self.lie = Some(lie);
        self
    }

    /// Closes the log. A later seal panics: a head after close.
    pub fn close(&self) {
        self.state.lock().unwrap().closed = true;
    }

    /// How many heads it has signed.
    #[must_use]
    pub fn seals(&self) -> u64 {
        self.state.lock().unwrap().seals
    }

    /// Forgets the newest head, or goes back to `checkpoint`: a rollback.
    pub fn restore(&self, checkpoint: Option<Checkpoint>) {
        let mut state = self.state.lock().unwrap();
        state.head = checkpoint.map(|checkpoint| (checkpoint, state.key.clone()));
    }

    fn tells(&self, lie: LogLie) -> bool {
        self.lie == Some(lie)
    }

    fn sealed(&self) -> u64 {
        let state = self.state.lock().unwrap();
        state.head.as_ref().map_or(0, |(checkpoint, _)| checkpoint.head.size.value())
    }

    /// The bytes of the first `size` events.
    async fn leaves(&self, size: u64) -> Result<Vec<Vec<u8>>, AuditError> {
        let error = |source| AuditError::new(ErrorKind::Unavailable, "read").with_source(source);
        let mut leaves: Vec<Vec<u8>> = Vec::new();
        while (leaves.len() as u64) < size {
            let from = Position::new(leaves.len() as u64);
            let left = size - from.value();
            let limit = u16::try_from(left).unwrap_or(1_024);
            let page = self.store.events(from, limit).await.map_err(error)?;
            if page.is_empty() {
                return Err(AuditError::new(ErrorKind::NotFound, "read"));
            }
            leaves.extend(page.into_iter().map(|event| event.bytes));
        }
        Ok(leaves)
    }

    /// Signs `head` unless a head of at least its size is there. One step: no other seal between.
    fn sign(&self, head: Head, leaves: &[Vec<u8>]) -> Result<Checkpoint, AuditError> {
        let mut state = self.state.lock().unwrap();
        assert!(!state.closed, "a seal after the log was closed");
        if let Some((newest, _)) = &state.head {
            let size = newest.head.size.value() as usize;
            if size >= leaves.len() && !self.tells(LogLie::NeverTheSameRoot) {
                return Ok(newest.clone());
            }
            if self.lie.is_none() && root(&leaves[..size]) != newest.head.root {
                return Err(AuditError::new(ErrorKind::Corrupt, "seal"));
            }
        }
        let signer = match self.tells(LogLie::AnotherSigner) {
            true => TestKey::seeded(Algorithm::Ed25519, u64::MAX),
            false => state.key.clone(),
        };
        let checkpoint = Checkpoint { head, note: signed_note(ORIGIN, &head, &signer) };
        state.seals += 1;
        state.head = Some((checkpoint.clone(), signer));
        Ok(checkpoint)
    }
}

#[async_trait]
impl AuditLog for MemoryLog {
    async fn public_key(&self) -> PublicKey {
        self.state.lock().unwrap().key.public_key().clone()
    }

    async fn head(&self) -> Result<Option<Checkpoint>, AuditError> {
        Ok(self.state.lock().unwrap().head.as_ref().map(|(checkpoint, _)| checkpoint.clone()))
    }

    async fn seal(&self, through: Position) -> Result<Checkpoint, AuditError> {
        let mut size = through.value().max(self.sealed());
        if self.tells(LogLie::SealsTooFew) && size > 1 {
            size -= 1;
        }
        let leaves = self.leaves(size).await?;
        let mut head = Head { size: Position::new(size), root: root(&leaves) };
        if self.tells(LogLie::AnotherRoot) {
            head.root = Digest::of(b"another root");
        }
        if self.tells(LogLie::NeverTheSameRoot) {
            head.root = Digest::of(&self.seals().to_be_bytes());
        }
        self.sign(head, &leaves)
    }

    async fn receipt(&self, index: Position) -> Result<Receipt, AuditError> {
        let corrupt = || AuditError::new(ErrorKind::Corrupt, "prove");
        let sealed = self.state.lock().unwrap().head.clone();
        let sealed = sealed.filter(|(newest, _)| {
            index < newest.head.size || self.tells(LogLie::ReceiptsForUnsealed)
        });
        let (newest, _) = sealed.ok_or_else(|| AuditError::new(ErrorKind::NotFound, "prove"))?;
        let size = newest.head.size.value().max(index.plus(1).value());
        let leaves = self.leaves(size).await?;
        if self.lie.is_none() && root(&leaves) != newest.head.root {
            return Err(corrupt());
        }
        let mut at = usize::try_from(index.value()).map_err(|_| corrupt())?;
        if self.tells(LogLie::AnotherReceipt) {
            at = (at + 1) % leaves.len();
        }
        let path = inclusion_path(&leaves, at);
        let file = ReceiptFile::new(leaves[at].clone(), at as u64, path, newest.note);
        Ok(Receipt { index, proof: file.to_string() })
    }

    async fn includes(&self, events: &[Event]) -> Result<(), AuditError> {
        if self.tells(LogLie::IncludesAnything) {
            return Ok(());
        }
        // One look at the head: it may move while the events are read.
        let newest = self.head().await?.map(|newest| newest.head);
        let sealed = newest.map_or(0, |head| head.size.value());
        if events.iter().any(|event| event.position.value() >= sealed) {
            return Err(AuditError::new(ErrorKind::NotFound, "compare"));
        }
        let leaves = self.leaves(sealed).await?;
        let head = newest.map(|head| head.root);
        let holds = |event: &Event| leaves[event.position.value() as usize] == event.bytes;
        let same = head.is_none_or(|head| self.lie.is_some() || head == root(&leaves));
        if same && events.iter().all(holds) {
            return Ok(());
        }
        Err(AuditError::new(ErrorKind::Corrupt, "compare"))
    }

    async fn has_signer(&self, key: &PublicKey) -> bool {
        self.keys.iter().any(|own| own.public_key() == key)
    }

    async fn rotate(&self, next: &PublicKey) -> Result<(), AuditError> {
        let key = self.keys.iter().find(|key| key.public_key() == next);
        let key = key.ok_or_else(|| AuditError::new(ErrorKind::NotFound, "rotate"))?;
        if !self.tells(LogLie::StaysWithItsKey) {
            self.state.lock().unwrap().key = key.clone();
        }
        Ok(())
    }
}
