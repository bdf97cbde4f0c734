//! Where a log keeps its full tiles and its newest checkpoint.
//!
//! **Invariant:** what is kept here can be lost and made again from the events, except the
//! checkpoint, which is the only promise. Nothing that is read back is believed before it is
//! proved under the checkpoint.

mod directory;
pub(crate) mod file;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use custody_core::seam::AuditError;

use crate::tile::{Tile, TileId};

pub use directory::DirectoryTiles;

/// Keeps the full tiles and the newest checkpoint of one log.
///
/// Partial tiles are not kept: a log makes them again from its last events when it is opened.
#[async_trait]
pub trait TileStorage: Debug + Send + Sync {
    /// Returns a full tile; none if it was never put.
    ///
    /// # Errors
    /// `Corrupt` if what is kept is not a full tile, `Unavailable` if it cannot be read.
    async fn tile(&self, id: TileId) -> Result<Option<Tile>, AuditError>;

    /// Keeps full tiles. They must be durable before any checkpoint put after them is, and readable
    /// at once. A tile that was put before is replaced as a whole.
    ///
    /// # Errors
    /// `Unavailable` or `Indeterminate`; some of the tiles may then be kept and others not.
    async fn put_tiles(&self, tiles: Vec<(TileId, Tile)>) -> Result<(), AuditError>;

    /// Returns the newest checkpoint; none if none was put.
    ///
    /// # Errors
    /// `Corrupt` if it is not text, `Unavailable` if it cannot be read.
    async fn checkpoint(&self) -> Result<Option<String>, AuditError>;

    /// Replaces the checkpoint as a whole, durable on return. Must not happen before the tiles
    /// that were put earlier are durable.
    ///
    /// # Errors
    /// `Unavailable` if the old one still stands, `Indeterminate` if it may be either.
    async fn put_checkpoint(&self, note: String) -> Result<(), AuditError>;
}

/// Keeps tiles in memory, for tests and for hosts that seal anew after each start.
///
/// ```
/// # use custody_audit::storage::{MemoryTiles, TileStorage};
/// # pollster::block_on(async {
/// let tiles = MemoryTiles::default();
/// assert_eq!(tiles.checkpoint().await?, None);
/// # Ok::<(), custody_core::seam::AuditError>(())
/// # })?;
/// # Ok::<(), custody_core::seam::AuditError>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryTiles {
    kept: Mutex<Kept>,
}

#[async_trait]
impl TileStorage for MemoryTiles {
    async fn tile(&self, id: TileId) -> Result<Option<Tile>, AuditError> {
        Ok(self.with(|kept| kept.tiles.get(&id).cloned()))
    }

    async fn put_tiles(&self, tiles: Vec<(TileId, Tile)>) -> Result<(), AuditError> {
        self.with(|kept| kept.tiles.extend(tiles));
        Ok(())
    }

    async fn checkpoint(&self) -> Result<Option<String>, AuditError> {
        Ok(self.with(|kept| kept.checkpoint.clone()))
    }

    async fn put_checkpoint(&self, note: String) -> Result<(), AuditError> {
        self.with(|kept| kept.checkpoint = Some(note));
        Ok(())
    }
}

impl MemoryTiles {
    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        work(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug, Default)]
struct Kept {
    tiles: BTreeMap<TileId, Tile>,
    checkpoint: Option<String>,
}
