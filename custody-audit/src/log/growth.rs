//! How the tree of a log grows, and how it is taken up again.

use custody_core::seam::{Event, Position};

use super::{LogError, TileLog};
use crate::tile::{ENTRY_BYTES_MAX, Edge, Tile, TileId};
use crate::tree::{TreeHash, TreeHead};

impl TileLog {
    /// Adds the events up to `size` to the tree, and keeps each tile that becomes full.
    ///
    /// What is kept lies beyond the signed head: if signing fails, the next growth writes it anew.
    pub(super) async fn grow(
        &self,
        mut edge: Edge,
        size: u64,
        expected: Option<&TreeHead>,
    ) -> Result<Edge, LogError> {
        while edge.size() < size {
            let full = self.append_page(&mut edge, size).await?;
            if !full.is_empty() {
                self.tiles.put_tiles(full).await.map_err(LogError::Tiles)?;
            }
        }
        match expected {
            Some(head) if *head != edge.head() => Err(LogError::WrongRoot { size: head.size }),
            _ => Ok(edge),
        }
    }

    /// Takes up the tree of a signed head, from its full tiles and its last events.
    pub(super) async fn take_up(&self, head: &TreeHead) -> Result<Edge, LogError> {
        let edge = match self.read_edge(head.size).await {
            Err(LogError::TileMissing { .. }) => return self.rebuild(head).await,
            edge => edge?,
        };
        if edge.head() == *head { Ok(edge) } else { Err(LogError::WrongRoot { size: head.size }) }
    }

    /// Makes all tiles again, after all events were seen to lead to the signed root.
    async fn rebuild(&self, head: &TreeHead) -> Result<Edge, LogError> {
        tracing::warn!(size = head.size, "tiles are missing and are made again from the events");
        let mut edge = Edge::default();
        while edge.size() < head.size {
            drop(self.append_page(&mut edge, head.size).await?);
        }
        if edge.head() != *head {
            return Err(LogError::WrongRoot { size: head.size });
        }
        self.grow(Edge::default(), head.size, Some(head)).await
    }

    async fn read_edge(&self, size: u64) -> Result<Edge, LogError> {
        let mut levels = vec![self.last_leaves(size).await?];
        for below in 0..Tile::HEIGHT.saturating_sub(1) {
            let tiles = size.checked_shr(bits(below.saturating_add(1))).unwrap_or(0);
            let first = tiles & !0xff;
            let mut hashes = Vec::new();
            for index in first..tiles {
                hashes.push(self.full_root(TileId { level: below, index }).await?);
            }
            levels.push(hashes);
        }
        Edge::from_partial_tiles(size, levels).ok_or(LogError::WrongRoot { size })
    }

    async fn last_leaves(&self, size: u64) -> Result<Vec<TreeHash>, LogError> {
        let mut leaves = Vec::new();
        let mut from = size & !0xff;
        while from < size {
            let events = self.page(from, size).await?;
            leaves.extend(events.iter().map(|event| TreeHash::leaf(&event.bytes)));
            from = from.saturating_add(u64::try_from(events.len()).unwrap_or(u64::MAX));
        }
        Ok(leaves)
    }

    async fn full_root(&self, id: TileId) -> Result<TreeHash, LogError> {
        let TileId { level, index } = id;
        let tile = self.tiles.tile(id).await.map_err(LogError::Tiles)?;
        let tile = tile.ok_or(LogError::TileMissing { level, index })?;
        tile.root().ok_or(LogError::WrongTile { level, index })
    }

    async fn append_page(
        &self,
        edge: &mut Edge,
        size: u64,
    ) -> Result<Vec<(TileId, Tile)>, LogError> {
        let mut full = Vec::new();
        for event in self.page(edge.size(), size).await? {
            full.extend(edge.append(TreeHash::leaf(&event.bytes))?);
            self.recent.add(event);
        }
        Ok(full)
    }

    /// Reads at least one event from `from` on, none at or beyond `end`.
    async fn page(&self, from: u64, end: u64) -> Result<Vec<Event>, LogError> {
        let limit = u16::try_from(end.saturating_sub(from)).unwrap_or(PAGE).min(PAGE);
        let events =
            self.store.events(Position::new(from), limit).await.map_err(LogError::Store)?;
        if events.is_empty() || events.len() > usize::from(limit) {
            return Err(LogError::EventMissing { index: from });
        }
        for (index, event) in (from..).zip(&events) {
            if event.position.value() != index {
                return Err(LogError::EventMissing { index });
            }
            if event.bytes.len() > ENTRY_BYTES_MAX {
                return Err(LogError::EventTooLong { index, bytes: event.bytes.len() });
            }
        }
        Ok(events)
    }
}

/// How many bits of an entry's index lie below a hash of this tile level.
fn bits(level: u8) -> u32 {
    u32::from(level).saturating_mul(Tile::HEIGHT.into())
}

const PAGE: u16 = 256;
