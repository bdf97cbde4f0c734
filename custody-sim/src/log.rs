//! What the log is made of: tiles that may be lost in a crash, and a signer of heads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use custody_audit::checkpoint::LogHead;
use custody_audit::storage::TileStorage;
use custody_audit::tile::{Tile, TileId};
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::seam::{
    AuditError, AuditLog, BackendError, Checkpoint, ErrorKind, Event, Position, Receipt, Signer,
};
use custody_testkit::key::TestKey;

use crate::referee::Referee;
use crate::sabotage::Sabotage;
use crate::weather::{Fate, Odds, Weather};

/// The files of a log. What was put last may be lost in a crash: tiles and checkpoint are written
/// behind the caller, the checkpoint last. Clones are the same files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    state: Arc<Mutex<FilesState>>,
}

#[derive(Debug, Default)]
struct FilesState {
    seen: Kept,
    durable: Kept,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    tiles: BTreeMap<TileId, Tile>,
    checkpoint: Option<String>,
}

impl Kept {
    /// The number of events under the checkpoint, which stands in its second line.
    pub(crate) fn size(&self) -> u64 {
        let size = self.checkpoint.as_ref().and_then(|note| note.lines().nth(1)?.parse().ok());
        size.unwrap_or_default()
    }
}

/// The files of a log in one life.
#[derive(Debug)]
pub(crate) struct WeatheredFiles {
    pub(crate) files: Files,
    pub(crate) weather: Weather,
}

impl Files {
    fn state(&self) -> MutexGuard<'_, FilesState> {
        self.state.lock().unwrap()
    }

    /// What a crash leaves: what was seen last, or only what had reached the disk.
    pub(crate) fn crash(&self, keeps_all: bool) {
        let mut state = self.state();
        if keeps_all {
            state.durable = state.seen.clone();
        } else {
            state.seen = state.durable.clone();
        }
    }

    pub(crate) fn snapshot(&self) -> Kept {
        self.state().seen.clone()
    }

    pub(crate) fn restore(&self, kept: Kept) {
        *self.state() = FilesState { seen: kept.clone(), durable: kept };
    }

    /// Takes all tiles away.
    pub(crate) fn lose_tiles(&self) {
        let mut state = self.state();
        state.seen.tiles.clear();
        state.durable.tiles.clear();
    }
}

impl WeatheredFiles {
    async fn put(&self, put: impl FnOnce(&mut FilesState) + Send) -> Result<(), AuditError> {
        let odds = self.weather.sky().tiles;
        self.weather.pass(&odds).await;
        let fate = self.weather.fate("put files", &odds);
        fate.strike_before().await;
        if fate == Fate::FailsBefore {
            return Err(AuditError::new(ErrorKind::Unavailable, "put"));
        }
        put(&mut self.files.state());
        if self.weather.dice.chance(500) {
            self.files.crash(true);
        }
        fate.strike_after().await;
        if fate == Fate::FailsAfter {
            return Err(AuditError::new(self.weather.doubt(), "put"));
        }
        Ok(())
    }
}

#[async_trait]
impl TileStorage for WeatheredFiles {
    async fn tile(&self, id: TileId) -> Result<Option<Tile>, AuditError> {
        Ok(self.files.state().seen.tiles.get(&id).cloned())
    }

    async fn put_tiles(&self, tiles: Vec<(TileId, Tile)>) -> Result<(), AuditError> {
        self.put(|state| state.seen.tiles.extend(tiles)).await
    }

    async fn checkpoint(&self) -> Result<Option<String>, AuditError> {
        Ok(self.files.state().seen.checkpoint.clone())
    }

    async fn put_checkpoint(&self, note: String) -> Result<(), AuditError> {
        self.put(|state| state.seen.checkpoint = Some(note)).await
    }
}

/// Signs heads and tells the referee of each.
#[derive(Debug)]
pub(crate) struct HeadSigner {
    pub(crate) key: TestKey,
    pub(crate) weather: Weather,
    pub(crate) referee: Referee,
    pub(crate) sabotage: Option<Sabotage>,
}

#[async_trait]
impl Signer for HeadSigner {
    fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        let odds: Odds = self.weather.sky().heads;
        let failed = |kind| BackendError::new(kind, "sign");
        self.referee.begins("a signature of a head");
        self.weather.pass(&odds).await;
        let fate = self.weather.fate("sign head", &odds);
        fate.strike_before().await;
        if fate == Fate::FailsBefore {
            return Err(failed(ErrorKind::Unavailable));
        }
        let text = std::str::from_utf8(input.as_bytes()).unwrap_or_default();
        let head = LogHead::parse(text).map_err(|_| failed(ErrorKind::Refused))?;
        let root = Digest::new(*head.tree().root.as_bytes());
        self.referee.head_signed(head.tree().size, root);
        if self.sabotage == Some(Sabotage::LogSignsTwoHeads) && self.weather.dice.chance(50) {
            self.referee.head_signed(head.tree().size, Digest::of(b"another root"));
        }
        let signature = self.key.sign(input).map_err(|_| failed(ErrorKind::Unsupported))?;
        self.weather.pass(&odds).await;
        fate.strike_after().await;
        if fate == Fate::FailsAfter {
            return Err(failed(self.weather.doubt()));
        }
        Ok(signature)
    }
}

/// A log that now and then hands out a receipt of another event.
#[derive(Debug)]
pub(crate) struct MixingLog {
    pub(crate) inner: Arc<dyn AuditLog>,
    pub(crate) weather: Weather,
}

#[async_trait]
impl AuditLog for MixingLog {
    async fn public_key(&self) -> PublicKey {
        self.inner.public_key().await
    }

    async fn head(&self) -> Result<Option<Checkpoint>, AuditError> {
        self.inner.head().await
    }

    async fn seal(&self, through: Position) -> Result<Checkpoint, AuditError> {
        self.inner.seal(through).await
    }

    async fn receipt(&self, index: Position) -> Result<Receipt, AuditError> {
        let other = Position::new(index.value().saturating_sub(1));
        let mixed = if self.weather.dice.chance(100) { other } else { index };
        Ok(Receipt { index, ..self.inner.receipt(mixed).await? })
    }

    async fn includes(&self, events: &[Event]) -> Result<(), AuditError> {
        self.inner.includes(events).await
    }

    async fn has_signer(&self, key: &PublicKey) -> bool {
        self.inner.has_signer(key).await
    }

    async fn rotate(&self, next: &PublicKey) -> Result<(), AuditError> {
        self.inner.rotate(next).await
    }
}
