use crate::tree::{Frontier, Node, TreeFull, TreeHash, TreeHead};

use super::{Tile, TileId, node_in};

/// The right edge of a tiled log: its frontier and, for each tile level, the tile being filled.
///
/// Invariant: it holds fewer than 256 hashes a level and at most eight levels, whatever the size
/// of the tree. A tile leaves it in the moment it is full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    frontier: Frontier,
    levels: Vec<Vec<TreeHash>>,
}

impl Edge {
    /// Takes up a tree of `size` leaves at its partial tiles, level 0 first.
    ///
    /// Returns `None` unless each level has exactly the hashes that a tree of that size leaves over.
    #[must_use]
    pub fn from_partial_tiles(size: u64, mut levels: Vec<Vec<TreeHash>>) -> Option<Self> {
        let mut peaks = Vec::new();
        for (level, hashes) in levels.iter().enumerate().rev() {
            let above = u32::try_from(level).ok()?.checked_mul(Tile::HEIGHT.into())?;
            let over = size.checked_shr(above)? & 0xff;
            if u64::try_from(hashes.len()).ok()? != over {
                return None;
            }
            let mut rest = hashes.as_slice();
            while let Some(bits) = rest.len().checked_ilog2() {
                let (peak, right) = rest.split_at_checked(1_usize.checked_shl(bits)?)?;
                peaks.push(super::subtree(peak, u8::try_from(bits).ok()?, 0)?);
                rest = right;
            }
        }
        while levels.last().is_some_and(Vec::is_empty) {
            levels.pop();
        }
        let frontier = Frontier::from_peaks(size, peaks)?;
        Some(Self { frontier, levels })
    }

    /// Adds a leaf, and returns the tiles that it fills, the lowest level first.
    ///
    /// # Errors
    /// Fails when the tree has as many leaves as can be counted.
    pub fn append(&mut self, leaf: TreeHash) -> Result<Vec<(TileId, Tile)>, TreeFull> {
        let mut full = Vec::new();
        let levels = &mut self.levels;
        self.frontier.append(leaf, |node, hash| {
            if node.level.is_multiple_of(Tile::HEIGHT) {
                full.extend(push(levels, node, hash));
            }
        })?;
        Ok(full)
    }

    /// Returns the number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Returns the size and the root.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        self.frontier.head()
    }

    /// Returns the partial tiles, the lowest level first.
    pub fn partial_tiles(&self) -> impl Iterator<Item = (TileId, Tile)> + '_ {
        (0_u8..).zip(&self.levels).filter_map(|(level, hashes)| {
            let id = TileId { level, index: self.partial_index(level) };
            Some((id, Tile::new(hashes.clone()).ok()?))
        })
    }

    /// Returns whether this tile is one that is being filled, or the next to be.
    #[must_use]
    pub fn fills(&self, id: TileId) -> bool {
        self.partial_index(id.level) == id.index
    }

    /// Returns the hash of a node in a partial tile, if it is complete.
    #[must_use]
    pub fn node(&self, node: Node) -> Option<TreeHash> {
        let id = TileId::of(node);
        let hashes = self.levels.get(usize::from(id.level))?;
        if self.fills(id) { node_in(hashes, node) } else { None }
    }

    fn partial_index(&self, level: u8) -> u64 {
        let bits = u32::from(level).saturating_add(1).saturating_mul(Tile::HEIGHT.into());
        self.size().checked_shr(bits).unwrap_or(0)
    }
}

/// Adds the hash of a node to the partial tile of its level; returns the tile once it is full.
fn push(levels: &mut Vec<Vec<TreeHash>>, node: Node, hash: TreeHash) -> Option<(TileId, Tile)> {
    let id = TileId::of(node);
    let level = usize::from(id.level);
    if levels.len() <= level {
        levels.resize_with(level.saturating_add(1), Vec::new);
    }
    let hashes = levels.get_mut(level)?;
    hashes.push(hash);
    if hashes.len() < usize::from(Tile::WIDTH) {
        return None;
    }
    Some((id, Tile::new(std::mem::take(hashes)).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::Leaves;

    fn grown(leaves: &[TreeHash]) -> (Edge, Vec<(TileId, Tile)>) {
        let mut edge = Edge::default();
        let full = leaves.iter().flat_map(|leaf| edge.append(*leaf).unwrap()).collect();
        (edge, full)
    }

    #[test]
    fn the_tiles_of_a_tree_are_its_nodes_at_every_eighth_level() {
        let Leaves(leaves) = Leaves::counted(70_000);
        let (edge, full) = grown(&leaves);
        assert_eq!(full.len(), 273 + 1);
        for (id, tile) in full.iter().chain(&edge.partial_tiles().collect::<Vec<_>>()) {
            assert_eq!(tile.hashes().len(), usize::from(id.width_in(70_000)), "{id:?}");
            let span = 256_usize.pow(id.level.into());
            for (place, hash) in tile.hashes().iter().enumerate() {
                let start = (usize::try_from(id.index).unwrap() * 256 + place) * span;
                assert_eq!(*hash, Leaves::root(&leaves[start..start + span]), "{id:?} {place}");
            }
        }
        let partial: Vec<_> = edge.partial_tiles().map(|(id, _)| (id.level, id.index)).collect();
        assert_eq!(partial, [(0, 273), (1, 1), (2, 0)]);
    }

    #[test]
    fn an_edge_taken_up_at_its_partial_tiles_is_the_same_edge() {
        for size in [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_793] {
            let (edge, _) = grown(&Leaves::counted(size).0);
            let taken = Edge::from_partial_tiles(size, edge.levels.clone()).unwrap();
            assert_eq!(taken.head(), edge.head(), "{size}");
            assert_eq!(taken.partial_tiles().count(), edge.partial_tiles().count(), "{size}");
        }
    }

    #[test]
    fn partial_tiles_that_do_not_fit_the_size_are_refused() {
        let hash = TreeHash::leaf(b"leaf");
        for (size, widths) in [
            (1, vec![]),
            (0, vec![1]),
            (1, vec![2]),
            (256, vec![0]),
            (256, vec![1]),
            (257, vec![1]),
            (257, vec![1, 2]),
            (256, vec![256, 0]),
        ] {
            let levels = widths.iter().map(|width| vec![hash; *width]).collect();
            assert_eq!(Edge::from_partial_tiles(size, levels), None, "{size} {widths:?}");
        }
    }

    #[test]
    fn an_edge_hands_out_only_nodes_of_its_partial_tiles() {
        let Leaves(leaves) = Leaves::counted(300);
        let (edge, _) = grown(&leaves);
        assert_eq!(edge.node(Node { level: 0, index: 299 }), Some(leaves[299]));
        let five = Leaves::root(&leaves[256..288]);
        assert_eq!(edge.node(Node { level: 5, index: 8 }), Some(five));
        assert_eq!(edge.node(Node { level: 8, index: 0 }), Some(Leaves::root(&leaves[..256])));
        for (level, index) in [(0, 255), (0, 300), (5, 9), (8, 1), (9, 0), (16, 0)] {
            assert_eq!(edge.node(Node { level, index }), None, "{level} {index}");
        }
    }
}
