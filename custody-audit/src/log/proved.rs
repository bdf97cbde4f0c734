//! Full tiles of a log, each proved under the signed head before it is used.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use custody_core::seam::Event;

use super::{LogError, TileLog};
use crate::tile::{Edge, Tile, TileId};
use crate::tree::{HashSource, Node, ProofPlan, TreeHash};

impl TileLog {
    /// Puts a proof together from the edge and from proved tiles.
    pub(super) async fn assemble(
        &self,
        edge: &Edge,
        plan: &ProofPlan,
    ) -> Result<Vec<TreeHash>, LogError> {
        let mut hashes = VecDeque::with_capacity(NODES);
        for node in plan.nodes() {
            hashes.push_back((node, self.hash(edge, node).await?));
        }
        plan.assemble(&mut Known(hashes))
    }

    /// Compares events with the leaves at their positions.
    pub(super) async fn compare(
        &self,
        edge: Option<&Edge>,
        events: &[Event],
    ) -> Result<(), LogError> {
        for event in events {
            let index = event.position.value();
            let edge = edge.filter(|edge| index < edge.size());
            let edge = edge.ok_or(LogError::NotSealed { index })?;
            let leaf = self.hash(edge, Node { level: 0, index }).await?;
            if leaf != TreeHash::leaf(&event.bytes) {
                return Err(LogError::WrongEvent { index });
            }
        }
        Ok(())
    }

    /// Returns the hash of a complete node of the signed tree. Such a hash never changes, so it is
    /// worked out once, from the two below it.
    async fn hash(&self, edge: &Edge, node: Node) -> Result<TreeHash, LogError> {
        if let Some(hash) = self.known.hash(edge, node) {
            return Ok(hash);
        }
        let id = TileId::of(node);
        let tile = self.tile(edge, id).await?;
        let hash = tile.node(node);
        let hash = hash.ok_or(LogError::TileMissing { level: id.level, index: id.index })?;
        self.known.insert(node, hash);
        Ok(hash)
    }

    /// Returns a full tile, proved under the edge: upwards to a tile that is known to be right,
    /// then down again, each tile by its hash in the one above.
    async fn tile(&self, edge: &Edge, id: TileId) -> Result<Arc<Tile>, LogError> {
        if let Some(tile) = self.cache.get(id) {
            return Ok(tile);
        }
        let mut way = vec![id];
        let mut above = id;
        let mut hash = loop {
            let root = root_of(above);
            let (parent, _) = above.parent();
            let known = self.cache.get(parent).and_then(|tile| tile.node(root));
            if let Some(hash) = edge.node(root).or(known) {
                break hash;
            }
            // A tree has at most eight tile levels; this one does not have the tile.
            if parent.level >= Tile::HEIGHT {
                return Err(LogError::TileMissing { level: id.level, index: id.index });
            }
            way.push(parent);
            above = parent;
        };
        let mut proved = None;
        while let Some(next) = way.pop() {
            let tile = Arc::new(self.checked(next, hash).await?);
            self.cache.insert(next, Arc::clone(&tile));
            if let Some(child) = way.last() {
                let missing = LogError::TileMissing { level: child.level, index: child.index };
                hash = tile.node(root_of(*child)).ok_or(missing)?;
            }
            proved = Some(tile);
        }
        proved.ok_or(LogError::TileMissing { level: id.level, index: id.index })
    }

    async fn checked(&self, id: TileId, root: TreeHash) -> Result<Tile, LogError> {
        let TileId { level, index } = id;
        let tile = self.tiles.tile(id).await.map_err(LogError::Tiles)?;
        let tile = tile.ok_or(LogError::TileMissing { level, index })?;
        let right = tile.root() == Some(root);
        if right { Ok(tile) } else { Err(LogError::WrongTile { level, index }) }
    }
}

/// The tiles that were proved last.
#[derive(Debug, Default)]
pub(super) struct TileCache {
    /// The one used last stands at the back.
    tiles: Mutex<VecDeque<(TileId, Arc<Tile>)>>,
}

impl TileCache {
    fn get(&self, id: TileId) -> Option<Arc<Tile>> {
        let mut tiles = self.tiles.lock().unwrap_or_else(PoisonError::into_inner);
        let place = tiles.iter().position(|(kept, _)| *kept == id)?;
        let entry = tiles.remove(place)?;
        let tile = Arc::clone(&entry.1);
        tiles.push_back(entry);
        Some(tile)
    }

    fn insert(&self, id: TileId, tile: Arc<Tile>) {
        let mut tiles = self.tiles.lock().unwrap_or_else(PoisonError::into_inner);
        if tiles.len() >= CACHE_TILES {
            tiles.pop_front();
        }
        tiles.push_back((id, tile));
    }
}

/// The events that were added to the tree last: the ones that receipts are asked for.
#[derive(Debug, Default)]
pub(super) struct RecentEvents(Mutex<VecDeque<Event>>);

impl RecentEvents {
    pub(super) fn add(&self, event: Event) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.back().is_some_and(|last| last.position.plus(1) != event.position) {
            events.clear();
        }
        if events.len() >= RECENT_EVENTS {
            events.pop_front();
        }
        events.push_back(event);
    }

    pub(super) fn get(&self, index: u64) -> Option<Event> {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = events.front()?.position.value();
        let place = usize::try_from(index.checked_sub(first)?).ok()?;
        events.get(place).cloned()
    }
}

/// Hashes of complete nodes of the signed tree that were worked out before.
#[derive(Debug, Default)]
pub(super) struct KnownNodes(Mutex<HashMap<Node, TreeHash>>);

impl KnownNodes {
    /// A hash known before, or worked out from the partial tiles of the edge.
    fn hash(&self, edge: &Edge, node: Node) -> Option<TreeHash> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Self::find(&mut known, edge, node)
    }

    fn insert(&self, node: Node, hash: TreeHash) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Self::keep(&mut known, node, hash);
    }

    /// Goes down at most the eight levels of a tile.
    fn find(known: &mut HashMap<Node, TreeHash>, edge: &Edge, node: Node) -> Option<TreeHash> {
        let Node { level, index } = node;
        if level % Tile::HEIGHT == 0 {
            return edge.node(node);
        }
        if let Some(hash) = known.get(&node) {
            return Some(*hash);
        }
        let (below, first) = (level.checked_sub(1)?, index.checked_mul(2)?);
        let left = Self::find(known, edge, Node { level: below, index: first })?;
        let right = Node { level: below, index: first.checked_add(1)? };
        let hash = TreeHash::node(&left, &Self::find(known, edge, right)?);
        Self::keep(known, node, hash);
        Some(hash)
    }

    fn keep(known: &mut HashMap<Node, TreeHash>, node: Node, hash: TreeHash) {
        if known.len() >= KNOWN_NODES {
            known.clear();
        }
        known.insert(node, hash);
    }
}

/// The hashes a plan asks for, in its order.
struct Known(VecDeque<(Node, TreeHash)>);

impl HashSource for Known {
    type Error = LogError;

    fn hash(&mut self, node: Node) -> Result<TreeHash, LogError> {
        let TileId { level, index } = TileId::of(node);
        let next = self.0.pop_front().filter(|(known, _)| *known == node);
        next.map(|(_, hash)| hash).ok_or(LogError::TileMissing { level, index })
    }
}

/// The node whose hash is the hash of a full tile.
fn root_of(id: TileId) -> Node {
    let level = id.level.saturating_add(1).saturating_mul(Tile::HEIGHT);
    Node { level, index: id.index }
}

/// The audit path of most logs has no more nodes.
const NODES: usize = 40;
/// Half a mebibyte of tiles.
const CACHE_TILES: usize = 64;
/// At most 64 MiB of events, as a rule about one.
const RECENT_EVENTS: usize = 2_048;
/// Two and a half mebibytes of hashes.
const KNOWN_NODES: usize = 65_536;
