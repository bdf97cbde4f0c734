use super::directory::LogDirectory;
use super::{KeyHistory, ReplayError, VerifiedLog, VerifyError};
use crate::checkpoint::LogHead;
use crate::tile::{Edge, Entries, Tile, TileId, TilePath};
use crate::tree::{Frontier, TreeHash};

impl LogDirectory {
    /// Recomputes the whole tree and shows each entry to `visit`, with its index.
    ///
    /// First all tiles are recomputed from the lowest level up to the root of the checkpoint, then
    /// each entry is compared with its leaf before it is shown. On failure the error names the
    /// first wrong entry, where one can be told.
    ///
    /// # Errors
    /// Fails if a file is missing or malformed, if an entry or tile is not what the tree says, and
    /// with the first error of `visit`.
    ///
    /// # Security
    /// Until [`ReplayedLog::authenticate`] has succeeded, anybody may have made this log.
    pub fn replay<E>(
        self,
        mut visit: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<ReplayedLog, ReplayError<E>> {
        self.prove_tiles()?;
        let mut frontier = Frontier::default();
        for index in self.bundles() {
            self.replay_bundle(index, |index, leaf, entry| {
                frontier.append(leaf, |_, _| ()).map_err(VerifyError::from)?;
                visit(index, entry).map_err(|source| ReplayError::Entry { index, source })
            })?;
        }
        // What was shown is what was proved, even if a file changed in between.
        if frontier.head() != *self.unverified_head().tree() {
            return Err(VerifyError::WrongRoot { size: self.size() }.into());
        }
        Ok(ReplayedLog { directory: self })
    }

    /// Recomputes all tiles from those of the lowest level, up to the root of the checkpoint.
    fn prove_tiles(&self) -> Result<(), VerifyError> {
        let mut edge = Edge::default();
        for index in self.bundles() {
            let leaves = self.tile(TileId { level: 0, index })?;
            for leaf in leaves.hashes() {
                for (id, tile) in edge.append(*leaf)? {
                    self.compare_tile(id, &tile)?;
                }
            }
        }
        for (id, tile) in edge.partial_tiles() {
            self.compare_tile(id, &tile)?;
        }
        if edge.head() == *self.unverified_head().tree() {
            return Ok(());
        }
        let wrong = self.first_wrong_entry(0, self.size())?;
        Err(wrong.unwrap_or(VerifyError::WrongRoot { size: self.size() }))
    }

    /// Compares a tile above the lowest level with the hashes of the tiles below it.
    fn compare_tile(&self, id: TileId, computed: &Tile) -> Result<(), VerifyError> {
        if id.level == 0 {
            return Ok(());
        }
        let stored = self.tile(id)?;
        let mut hashes = (0_u64..).zip(computed.hashes().iter().zip(stored.hashes()));
        let Some((place, _)) = hashes.find(|(_, (computed, stored))| computed != stored) else {
            return Ok(());
        };
        let below = u32::from(id.level).saturating_mul(Tile::HEIGHT.into());
        let entries = 1_u64.checked_shl(below).unwrap_or(u64::MAX);
        let first_entry = id.first_entry().saturating_add(place.saturating_mul(entries));
        let end = first_entry.saturating_add(entries).min(self.size());
        let path = TilePath::hashes(id, self.size());
        let path = path.ok_or(VerifyError::WrongRoot { size: self.size() })?;
        let wrong = self.first_wrong_entry(first_entry, end)?;
        Err(wrong.unwrap_or(VerifyError::WrongTile { path, first_entry }))
    }

    /// Finds the first entry in a range of whole bundles that differs from its leaf.
    fn first_wrong_entry(&self, start: u64, end: u64) -> Result<Option<VerifyError>, VerifyError> {
        for index in (start >> 8)..end.div_ceil(Tile::WIDTH.into()) {
            match self.replay_bundle(index, |_, _, _| Ok::<(), VerifyError>(())) {
                Err(error @ VerifyError::WrongEntry { .. }) => return Ok(Some(error)),
                other => other?,
            }
        }
        Ok(None)
    }

    /// Compares each entry of a bundle with its leaf, then shows it.
    fn replay_bundle<E: From<VerifyError>>(
        &self,
        index: u64,
        mut show: impl FnMut(u64, TreeHash, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let id = TileId { level: 0, index };
        let leaves = self.tile(id)?;
        let bundle = self.bundle(index)?;
        let mut entries = Entries::new(&bundle);
        let mut index = id.first_entry();
        for leaf in leaves.hashes() {
            match entries.next() {
                Some(Ok(entry)) if TreeHash::leaf(entry) == *leaf => show(index, *leaf, entry)?,
                Some(_) | None => return Err(VerifyError::WrongEntry { index }.into()),
            }
            index = index.saturating_add(1);
        }
        // Bytes after the last entry would be an entry that no leaf speaks for.
        match entries.next() {
            None => Ok(()),
            Some(_) => Err(VerifyError::WrongEntry { index }.into()),
        }
    }

    /// Returns the indexes of all bundles, which are also those of the lowest tiles.
    fn bundles(&self) -> std::ops::Range<u64> {
        0..self.size().div_ceil(Tile::WIDTH.into())
    }
}

/// A log directory whose entries lead to its checkpoint, signed by nobody knows whom.
#[derive(Clone, Debug)]
#[must_use = "a replayed log is believable only once it is authenticated"]
pub struct ReplayedLog {
    directory: LogDirectory,
}

impl ReplayedLog {
    /// Checks that the key in force at its size has signed the checkpoint.
    ///
    /// # Errors
    /// Fails if it has not, or not in the name of the log.
    pub fn authenticate(self, keys: KeyHistory) -> Result<VerifiedLog, VerifyError> {
        let key = keys.at(self.directory.size()).clone();
        LogHead::open(self.directory.note(), &[key])?;
        Ok(VerifiedLog::new(self.directory, keys))
    }
}
