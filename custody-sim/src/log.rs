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

use crate::dice::Dice;
use crate::referee::Referee;
use crate::sabotage::Sabotage;
use crate::trace::Trace;
use crate::weather::{Fate, Odds, Weather};

/// The files of a log. What was put last may be lost in a crash: tiles and checkpoint are written
/// behind the caller, the checkpoint last. Clones are the same files.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    state: Arc<Mutex<FilesState>>,
    /// What a crash leaves is drawn apart, so that nothing else in a world depends on it.
    dice: Dice,
    /// How often all that was put reaches the disk at once, in a thousand puts.
    syncs: u64,
}

#[derive(Debug, Default)]
struct FilesState {
    seen: Kept,
    durable: Kept,
    /// The tiles that were put and have not reached the disk, oldest first.
    on_the_way: Vec<(TileId, Vec<u8>)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    /// The bytes of each tile, fewer if it is cut.
    tiles: BTreeMap<TileId, Vec<u8>>,
    checkpoint: Option<String>,
}

impl FilesState {
    /// Everything that was put reaches the disk.
    fn sync(&mut self) {
        self.durable = self.seen.clone();
        self.on_the_way.clear();
    }

    /// Puts a tile; tells whether it takes the place of one that is cut.
    fn put_tile(&mut self, id: TileId, bytes: Vec<u8>) -> bool {
        let old = self.seen.tiles.insert(id, bytes.clone());
        let mends = old.is_some_and(|old| old.len() < bytes.len());
        self.on_the_way.push((id, bytes));
        mends
    }
}

impl Kept {
    /// Whether the checkpoint is over all that is under a tile.
    fn promises(&self, id: TileId) -> bool {
        id.width_in(self.size()) == Tile::WIDTH
    }

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
    /// The empty files of a world. In a long one the disk is often late.
    pub(crate) fn seeded(seed: u64, is_long: bool) -> Self {
        let dice = Dice::seeded(!seed);
        let syncs = if is_long { *dice.pick(&[20, 100, 500]) } else { 500 };
        Self { state: Arc::default(), dice, syncs }
    }

    fn state(&self) -> MutexGuard<'_, FilesState> {
        self.state.lock().unwrap()
    }

    /// What a crash leaves: what was seen last, or only what had reached the disk, with the first
    /// few of the tiles that were on their way and perhaps a part of the next one.
    ///
    /// Only a tile that no durable checkpoint is over, and that was not there before, is cut: the
    /// others, like the checkpoint, are replaced as a whole, as the contract of the storage says.
    pub(crate) fn crash(&self, keeps_all: bool, trace: &Trace) {
        let mut guard = self.state();
        let state = &mut *guard;
        if keeps_all {
            return state.sync();
        }
        let on_the_way = std::mem::take(&mut state.on_the_way);
        if !on_the_way.is_empty() {
            let whole = self.dice.below(on_the_way.len() as u64 + 1);
            let is_cut = self.leave(&mut state.durable, &on_the_way, whole as usize);
            let (of, cut) = (on_the_way.len(), if is_cut { ", the next one is cut" } else { "" });
            trace.note(format_args!("crash: {whole} of {of} tiles are left{cut}"));
            trace.count(if is_cut { "crashes that cut a tile" } else { "crashes between tiles" });
        }
        state.seen = state.durable.clone();
    }

    /// Leaves so many of the tiles, and perhaps a part of the next one; tells whether it is cut.
    fn leave(&self, durable: &mut Kept, tiles: &[(TileId, Vec<u8>)], whole: usize) -> bool {
        let (left, lost) = tiles.split_at(whole);
        durable.tiles.extend(left.iter().cloned());
        let Some((id, bytes)) = lost.first() else { return false };
        let may_be_cut = !durable.promises(*id) && !durable.tiles.contains_key(id);
        if !may_be_cut || !self.dice.chance(700) {
            return false;
        }
        let length = self.dice.between(1, bytes.len() as u64 - 1) as usize;
        durable.tiles.insert(*id, bytes[..length].to_vec());
        true
    }

    /// Cuts every tile, whatever was promised.
    pub(crate) fn cut_tiles(&self) {
        let mut guard = self.state();
        let FilesState { seen, durable, .. } = &mut *guard;
        for bytes in seen.tiles.values_mut().chain(durable.tiles.values_mut()) {
            bytes.truncate(bytes.len() / 2);
        }
    }

    pub(crate) fn snapshot(&self) -> Kept {
        self.state().seen.clone()
    }

    pub(crate) fn restore(&self, kept: Kept) {
        let (seen, on_the_way) = (kept.clone(), Vec::new());
        *self.state() = FilesState { seen, durable: kept, on_the_way };
    }

    /// Takes all tiles away.
    pub(crate) fn lose_tiles(&self) {
        let mut state = self.state();
        state.seen.tiles.clear();
        state.durable.tiles.clear();
        state.on_the_way.clear();
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
        if self.weather.dice.chance(self.files.syncs) {
            self.files.state().sync();
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
        let bytes = self.files.state().seen.tiles.get(&id).cloned();
        let corrupt = |error| AuditError::new(ErrorKind::Corrupt, "read a tile").with_source(error);
        bytes.map(|bytes| Tile::parse(&bytes, Tile::WIDTH).map_err(corrupt)).transpose()
    }

    async fn put_tiles(&self, tiles: Vec<(TileId, Tile)>) -> Result<(), AuditError> {
        let trace = &self.weather.trace;
        self.put(|state| {
            for (id, tile) in tiles {
                if state.put_tile(id, tile.to_bytes()) {
                    trace.note("log: a tile that was cut is put anew");
                }
            }
        })
        .await
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

#[cfg(test)]
mod tests {
    use custody_testkit::runtime::TestClock;

    use super::*;

    /// The lengths of three tiles after a crash in which they were on their way.
    fn left(files: &Files) -> [usize; 3] {
        let put = |index| {
            let id = TileId { level: 0, index };
            files.state().put_tile(id, vec![7; BYTES]);
            id
        };
        let ids = [0, 1, 2].map(put);
        files.crash(false, &Trace::new(TestClock::new()));
        let state = files.state();
        assert_eq!(state.seen.tiles, state.durable.tiles);
        assert!(state.on_the_way.is_empty());
        ids.map(|id| state.durable.tiles.get(&id).map_or(0, Vec::len))
    }

    #[test]
    fn a_crash_leaves_the_first_few_tiles_and_perhaps_a_part_of_the_next_one() {
        let (mut cut, mut none) = (0, 0);
        for seed in 0..300 {
            let left = left(&Files::seeded(seed, true));
            let whole = left.iter().take_while(|length| **length == BYTES).count();
            let rest = &left[whole..];
            assert!(rest.iter().skip(1).all(|length| *length == 0), "{seed}: {left:?}");
            cut += u64::from(rest.first().is_some_and(|length| *length > 0));
            none += u64::from(left == [0, 0, 0]);
        }
        assert!(cut > 100 && none > 5, "{cut} {none}");
    }

    #[test]
    fn a_tile_under_a_durable_checkpoint_or_in_the_place_of_another_is_left_whole_or_as_it_was() {
        for seed in 0..300 {
            let promised = Files::seeded(seed, true);
            promised.state().seen.checkpoint = Some("name\n768\nroot\n".to_owned());
            promised.state().sync();
            let left = left(&promised);
            assert!(left.iter().all(|length| [0, BYTES].contains(length)), "{seed}: {left:?}");
        }
        for seed in 0..300 {
            let replaced = Files::seeded(seed, true);
            for index in 0..3 {
                replaced.state().put_tile(TileId { level: 0, index }, vec![5; BYTES]);
            }
            replaced.state().sync();
            assert_eq!(left(&replaced), [BYTES; 3], "{seed}");
        }
    }

    #[test]
    fn a_tile_that_is_cut_is_put_anew_as_a_whole() {
        let mut state = FilesState::default();
        let id = TileId { level: 0, index: 0 };
        state.seen.tiles.insert(id, vec![7; BYTES - 1]);
        assert!(state.put_tile(id, vec![7; BYTES]));
        assert!(!state.put_tile(id, vec![7; BYTES]));
    }

    const BYTES: usize = 256 * 32;
}
