//! The Merkle tree of RFC 6962, section 2: hashes, nodes, heads, and where hashes come from.
//!
//! **Invariant:** everything here is arithmetic on its arguments. Nothing reads a file, a clock or
//! a key, and no function needs the whole tree in memory: a [`Frontier`] grows it, a [`ProofPlan`]
//! names the few nodes a proof is made of, and a [`HashSource`] hands them in.

mod frontier;
mod plan;
mod verify;

use std::fmt;

use sha2::{Digest, Sha256};

pub use frontier::{Frontier, TreeFull};
pub use plan::{PlanError, ProofPlan};
pub use verify::{ProofError, verify_consistency, verify_inclusion};

/// The SHA-256 hash of a leaf, of a node or of a whole tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TreeHash([u8; Self::LENGTH]);

impl TreeHash {
    /// Bytes in a hash.
    pub const LENGTH: usize = 32;

    /// Takes the 32 bytes of a hash that was made elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// Hashes an entry: SHA-256(0x00 ‖ entry).
    #[must_use]
    pub fn leaf(entry: &[u8]) -> Self {
        Self(Sha256::new().chain_update([LEAF_PREFIX]).chain_update(entry).finalize().into())
    }

    /// Hashes two neighbours into their parent: SHA-256(0x01 ‖ left ‖ right).
    #[must_use]
    pub fn node(left: &Self, right: &Self) -> Self {
        let hasher = Sha256::new().chain_update([NODE_PREFIX]);
        Self(hasher.chain_update(left.0).chain_update(right.0).finalize().into())
    }

    /// Returns the root of the tree without leaves: SHA-256 of nothing.
    #[must_use]
    pub fn empty_root() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// Returns the bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// A tree at one size: how many leaves it has and its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a head is these two numbers and nothing else")]
pub struct TreeHead {
    /// The number of leaves.
    pub size: u64,
    /// The root over exactly these leaves.
    pub root: TreeHash,
}

/// A complete subtree: the leaves from `index * 2^level` up to `(index + 1) * 2^level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a node is named by these two numbers")]
pub struct Node {
    /// The height over the leaves, which stand at level 0.
    pub level: u8,
    /// The place among the nodes of this level, from the left.
    pub index: u64,
}

/// Hands in the hash of a complete subtree.
///
/// An implementation must answer for every node that is complete in its tree, and must fail, not
/// invent, for any other.
pub trait HashSource {
    /// Why a hash could not be handed in.
    type Error;

    /// Returns the hash of `node`.
    ///
    /// # Errors
    /// Fails if the node is not complete in this tree or cannot be read.
    fn hash(&mut self, node: Node) -> Result<TreeHash, Self::Error>;
}

const LEAF_PREFIX: u8 = 0x00;
const NODE_PREFIX: u8 = 0x01;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "tests count small numbers")]
pub(crate) mod tests {
    use super::*;

    /// A whole tree in memory, the slow and obvious way: the oracle of the tests.
    pub(crate) struct Leaves(pub(crate) Vec<TreeHash>);

    impl Leaves {
        pub(crate) fn counted(size: u64) -> Self {
            Self((0..size).map(|index| TreeHash::leaf(&index.to_be_bytes())).collect())
        }

        /// RFC 6962, section 2.1, word for word.
        pub(crate) fn root(leaves: &[TreeHash]) -> TreeHash {
            match leaves {
                [] => TreeHash::empty_root(),
                [leaf] => *leaf,
                more => {
                    let half = more.len().next_power_of_two() / 2;
                    TreeHash::node(&Self::root(&more[..half]), &Self::root(&more[half..]))
                }
            }
        }
    }

    impl HashSource for Leaves {
        type Error = Node;

        fn hash(&mut self, node: Node) -> Result<TreeHash, Node> {
            let width = 1_usize << node.level;
            let start = usize::try_from(node.index).unwrap() * width;
            self.0.get(start..start + width).map(Self::root).ok_or(node)
        }
    }

    #[test]
    fn the_empty_tree_has_the_hash_of_nothing_as_its_root() {
        assert_eq!(
            format!("{:?}", TreeHash::empty_root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_leaf_and_a_node_over_the_same_bytes_have_different_hashes() {
        let (left, right) = (TreeHash::leaf(b"left"), TreeHash::leaf(b"right"));
        let joined = [*left.as_bytes(), *right.as_bytes()].concat();
        assert_ne!(TreeHash::node(&left, &right), TreeHash::leaf(&joined));
    }

    #[test]
    fn the_order_of_two_neighbours_is_part_of_their_parent() {
        let (left, right) = (TreeHash::leaf(b"left"), TreeHash::leaf(b"right"));
        assert_ne!(TreeHash::node(&left, &right), TreeHash::node(&right, &left));
    }
}
