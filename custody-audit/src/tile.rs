//! Tiles of the C2SP `tlog-tiles` layout: where each stands, and the hashes in it.
//!
//! **Invariant:** a path has one text and a text one path; a tile has exactly the width its path
//! says. Nothing here reads or writes a file.

mod bundle;
mod edge;
mod path;

use crate::tree::{Node, TreeHash};

pub use bundle::{BundleError, ENTRY_BYTES_MAX, Entries, push_entry};
pub use edge::Edge;
pub use path::{PathError, Resource, TilePath};

/// A hash tile by its place: the `index`-th from the left at `level`.
///
/// Each of its hashes covers 256^level entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a tile is named by these two numbers")]
pub struct TileId {
    /// The tile level; level 0 holds the hashes of entries.
    pub level: u8,
    /// The place among the tiles of this level.
    pub index: u64,
}

impl TileId {
    /// Returns the tile that holds, or gives, the hash of `node`.
    #[must_use]
    pub fn of(node: Node) -> Self {
        let (level, height) = (node.level / Tile::HEIGHT, node.level % Tile::HEIGHT);
        let below_tile = Tile::HEIGHT.saturating_sub(height);
        let index = node.index.checked_shr(below_tile.into()).unwrap_or(0);
        Self { level, index }
    }

    /// Returns the tile above and where in it the hash of this tile stands.
    #[must_use]
    pub fn parent(self) -> (Self, u64) {
        let above = Self { level: self.level.saturating_add(1), index: self.index >> 8 };
        (above, self.index & 0xff)
    }

    /// Returns the index of the first entry that the tile covers.
    #[must_use]
    pub fn first_entry(self) -> u64 {
        let entries_bits = u32::from(self.level).saturating_add(1).saturating_mul(8);
        self.index.checked_shl(entries_bits).unwrap_or(0)
    }

    /// Returns how many hashes the tile has in a tree of `size` leaves, 0 to 256.
    #[must_use]
    pub fn width_in(self, size: u64) -> u16 {
        let hashes = size.checked_shr(u32::from(self.level).saturating_mul(8)).unwrap_or(0);
        let before = self.index.saturating_mul(Tile::WIDTH.into());
        let width = hashes.saturating_sub(before).min(Tile::WIDTH.into());
        u16::try_from(width).unwrap_or(Tile::WIDTH)
    }
}

/// The hashes of one tile, 1 to 256, from the left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile(Vec<TreeHash>);

impl Tile {
    /// Hashes in a full tile.
    pub const WIDTH: u16 = 256;
    /// Levels of the tree from the hashes of a tile to the hash of a full tile.
    pub const HEIGHT: u8 = 8;

    /// Takes 1 to 256 hashes.
    ///
    /// # Errors
    /// Fails on none and on more.
    pub fn new(hashes: Vec<TreeHash>) -> Result<Self, TileError> {
        let fits = !hashes.is_empty() && hashes.len() <= usize::from(Self::WIDTH);
        if fits { Ok(Self(hashes)) } else { Err(TileError::Width { hashes: hashes.len() }) }
    }

    /// Reads a tile of `width` hashes.
    ///
    /// # Errors
    /// Fails unless the bytes are exactly that many hashes.
    pub fn parse(bytes: &[u8], width: u16) -> Result<Self, TileError> {
        let (hashes, rest) = bytes.as_chunks::<{ TreeHash::LENGTH }>();
        if !rest.is_empty() || hashes.len() != usize::from(width) {
            return Err(TileError::Length { bytes: bytes.len(), width });
        }
        Self::new(hashes.iter().copied().map(TreeHash::from_bytes).collect())
    }

    /// Returns the bytes of the tile: its hashes one after the other.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|hash| hash.as_bytes()).copied().collect()
    }

    /// Returns the hashes.
    #[must_use]
    pub fn hashes(&self) -> &[TreeHash] {
        &self.0
    }

    /// Returns the hash over a full tile; a partial tile has none.
    #[must_use]
    pub fn root(&self) -> Option<TreeHash> {
        subtree(&self.0, Self::HEIGHT, 0)
    }

    /// Returns the hash of a node that this tile holds or gives, if it is complete here.
    #[must_use]
    pub fn node(&self, node: Node) -> Option<TreeHash> {
        node_in(&self.0, node)
    }
}

/// Why something is not a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// The bytes are not the hashes that the path promises.
    #[error("{bytes} bytes are not {width} hashes")]
    Length {
        /// The bytes found.
        bytes: usize,
        /// The hashes promised.
        width: u16,
    },
    /// A tile has 1 to 256 hashes.
    #[error("a tile cannot have {hashes} hashes")]
    Width {
        /// The hashes found.
        hashes: usize,
    },
}

/// Returns the hash of `node` from the hashes of its tile.
fn node_in(hashes: &[TreeHash], node: Node) -> Option<TreeHash> {
    let height = node.level % Tile::HEIGHT;
    let below_tile = Tile::HEIGHT.checked_sub(height)?;
    let mask = 1_u64.checked_shl(below_tile.into())?.checked_sub(1)?;
    subtree(hashes, height, usize::try_from(node.index & mask).ok()?)
}

/// Returns the hash over the `place`-th group of `2^height` hashes.
fn subtree(hashes: &[TreeHash], height: u8, place: usize) -> Option<TreeHash> {
    let width = 1_usize.checked_shl(height.into())?;
    let start = place.checked_mul(width)?;
    let mut row = hashes.get(start..start.checked_add(width)?)?.to_vec();
    while row.len() > 1 {
        let (pairs, _) = row.as_chunks::<2>();
        row = pairs.iter().map(|[left, right]| TreeHash::node(left, right)).collect();
    }
    row.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::Leaves;

    #[test]
    fn the_standards_example_of_seventy_thousand_leaves_has_its_tiles() {
        let width = |level, index| TileId { level, index }.width_in(70_000);
        assert_eq!((width(0, 0), width(0, 272), width(0, 273), width(0, 274)), (256, 256, 112, 0));
        assert_eq!((width(1, 0), width(1, 1), width(1, 2)), (256, 17, 0));
        assert_eq!((width(2, 0), width(2, 1), width(3, 0)), (1, 0, 0));
        let width = |level, index| TileId { level, index }.width_in(256);
        assert_eq!((width(0, 0), width(0, 1), width(1, 0)), (256, 0, 1));
    }

    #[test]
    fn a_node_belongs_to_the_tile_that_holds_the_hashes_below_it() {
        for (level, index, tile_level, tile_index) in [
            (0, 0, 0, 0),
            (0, 255, 0, 0),
            (0, 256, 0, 1),
            (7, 1, 0, 0),
            (7, 2, 0, 1),
            (8, 0, 1, 0),
            (8, 256, 1, 1),
            (63, 0, 7, 0),
        ] {
            let id = TileId { level: tile_level, index: tile_index };
            assert_eq!(TileId::of(Node { level, index }), id, "{level} {index}");
        }
    }

    #[test]
    fn a_tile_knows_its_parent_and_its_first_entry() {
        let id = TileId { level: 1, index: 515 };
        assert_eq!(id.parent(), (TileId { level: 2, index: 2 }, 3));
        assert_eq!(id.first_entry(), 515 * 65_536);
        assert_eq!(TileId { level: 7, index: 0 }.first_entry(), 0);
    }

    #[test]
    fn nodes_of_a_tile_are_those_of_the_tree() {
        let Leaves(leaves) = Leaves::counted(512);
        let tile = Tile::new(leaves[256..].to_vec()).unwrap();
        assert_eq!(tile.root(), Some(Leaves::root(&leaves[256..])));
        for level in 0..8_u8 {
            let width = 1_usize << level;
            for (place, group) in leaves[256..].chunks(width).enumerate() {
                let index = (256 / width + place) as u64;
                assert_eq!(tile.node(Node { level, index }), Some(Leaves::root(group)));
            }
        }
    }

    #[test]
    fn a_partial_tile_has_no_root_and_no_node_past_its_end() {
        let Leaves(leaves) = Leaves::counted(255);
        let tile = Tile::new(leaves).unwrap();
        assert_eq!(tile.root(), None);
        assert_eq!(tile.node(Node { level: 0, index: 255 }), None);
        assert_eq!(tile.node(Node { level: 7, index: 1 }), None);
        assert!(tile.node(Node { level: 6, index: 2 }).is_some());
    }

    #[test]
    fn bytes_that_are_not_the_promised_hashes_are_refused() {
        for (bytes, width) in [(0, 0), (0, 1), (31, 1), (33, 1), (64, 1), (32, 2), (8_191, 256)] {
            assert!(Tile::parse(&vec![0; bytes], width).is_err(), "{bytes} {width}");
        }
        assert_eq!(Tile::parse(&[0; 257 * 32], 257), Err(TileError::Width { hashes: 257 }));
        assert_eq!(Tile::new(Vec::new()), Err(TileError::Width { hashes: 0 }));
    }

    #[test]
    fn a_tile_written_and_read_is_the_same_tile() {
        for width in [1, 2, 255, 256] {
            let Leaves(leaves) = Leaves::counted(width.into());
            let tile = Tile::new(leaves).unwrap();
            assert_eq!(Tile::parse(&tile.to_bytes(), width), Ok(tile));
        }
    }
}
