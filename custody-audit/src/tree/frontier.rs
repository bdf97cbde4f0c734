//! The right edge of a growing tree: one hash for each complete subtree, largest first.
//!
//! **Invariant:** the frontier of a tree of size `n` holds one hash for each one-bit of `n`, so it
//! never has more than 64, and appending never looks at an older leaf.

use super::{Node, TreeHash, TreeHead};

/// The compact form of a tree that is appended to.
///
/// ```
/// use custody_audit::tree::{Frontier, TreeHash};
///
/// let mut frontier = Frontier::default();
/// frontier.append(TreeHash::leaf(b"first"), |_, _| ())?;
/// frontier.append(TreeHash::leaf(b"second"), |_, _| ())?;
/// let root = TreeHash::node(&TreeHash::leaf(b"first"), &TreeHash::leaf(b"second"));
/// assert_eq!((frontier.size(), frontier.root()), (2, root));
/// # Ok::<(), custody_audit::tree::TreeFull>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<TreeHash>,
}

impl Frontier {
    /// Takes up a tree at its complete subtrees, largest first.
    ///
    /// Returns `None` unless there is exactly one hash for each one-bit of `size`.
    #[must_use]
    pub fn from_peaks(size: u64, peaks: Vec<TreeHash>) -> Option<Self> {
        let wanted = usize::try_from(size.count_ones()).ok()?;
        (peaks.len() == wanted).then_some(Self { size, peaks })
    }

    /// Adds a leaf, and hands each node that becomes complete to `completed`, from the leaf up.
    ///
    /// # Errors
    /// Fails when the tree has as many leaves as can be counted.
    pub fn append(
        &mut self,
        leaf: TreeHash,
        mut completed: impl FnMut(Node, TreeHash),
    ) -> Result<(), TreeFull> {
        let size = self.size.checked_add(1).ok_or(TreeFull)?;
        let (mut node, mut hash) = (Node { level: 0, index: self.size }, leaf);
        completed(node, hash);
        while node.index & 1 == 1 {
            // An odd node has a complete left neighbour, and the last peak is that neighbour.
            let Some(left) = self.peaks.pop() else { break };
            hash = TreeHash::node(&left, &hash);
            node = Node { level: node.level.saturating_add(1), index: node.index >> 1 };
            completed(node, hash);
        }
        self.peaks.push(hash);
        self.size = size;
        Ok(())
    }

    /// Returns the number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root over all leaves so far.
    #[must_use]
    pub fn root(&self) -> TreeHash {
        fold(&self.peaks).unwrap_or_else(TreeHash::empty_root)
    }

    /// Returns the size and the root.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: self.root() }
    }
}

/// A tree has as many leaves as can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tree is full")]
#[expect(clippy::exhaustive_structs, reason = "there is one way to be full")]
pub struct TreeFull;

/// Joins neighbouring subtrees, largest first, into the hash over all of them.
pub(super) fn fold(peaks: &[TreeHash]) -> Option<TreeHash> {
    peaks.iter().rev().copied().reduce(|right, left| TreeHash::node(&left, &right))
}

#[cfg(test)]
mod tests {
    use super::super::tests::Leaves;
    use super::*;

    #[test]
    fn the_root_is_that_of_the_standard_at_every_size() {
        let Leaves(leaves) = Leaves::counted(300);
        let mut frontier = Frontier::default();
        assert_eq!(frontier.root(), TreeHash::empty_root());
        for (index, leaf) in leaves.iter().enumerate() {
            frontier.append(*leaf, |_, _| ()).unwrap();
            assert_eq!(frontier.root(), Leaves::root(&leaves[..=index]), "size {}", index + 1);
        }
    }

    #[test]
    fn every_complete_node_is_handed_out_once_with_its_hash() {
        let Leaves(leaves) = Leaves::counted(64);
        let mut frontier = Frontier::default();
        let mut nodes = std::collections::BTreeMap::new();
        for leaf in &leaves {
            frontier
                .append(*leaf, |node, hash| assert!(nodes.insert(node, hash).is_none()))
                .unwrap();
        }
        assert_eq!(nodes.len(), 127);
        for (node, hash) in nodes {
            let width = 1_usize << node.level;
            let start = usize::try_from(node.index).unwrap() * width;
            assert_eq!(hash, Leaves::root(&leaves[start..start + width]), "{node:?}");
        }
    }

    #[test]
    fn a_frontier_taken_up_at_its_peaks_grows_like_the_original() {
        let Leaves(leaves) = Leaves::counted(40);
        let mut original = Frontier::default();
        for leaf in &leaves[..21] {
            original.append(*leaf, |_, _| ()).unwrap();
        }
        let mut taken = Frontier::from_peaks(21, original.peaks.clone()).unwrap();
        for leaf in &leaves[21..] {
            original.append(*leaf, |_, _| ()).unwrap();
            taken.append(*leaf, |_, _| ()).unwrap();
        }
        assert_eq!(taken, original);
    }

    #[test]
    fn peaks_that_do_not_fit_the_size_are_refused() {
        let peak = TreeHash::leaf(b"peak");
        for (size, count) in [(0, 1), (1, 0), (1, 2), (3, 1), (4, 2), (u64::MAX, 63)] {
            assert!(Frontier::from_peaks(size, vec![peak; count]).is_none(), "{size} {count}");
        }
    }

    #[test]
    fn a_full_tree_takes_no_leaf_and_stays_as_it_is() {
        let peaks = vec![TreeHash::leaf(b"peak"); 64];
        let mut frontier = Frontier::from_peaks(u64::MAX, peaks).unwrap();
        let before = frontier.clone();
        assert_eq!(frontier.append(TreeHash::leaf(b"more"), |_, _| ()), Err(TreeFull));
        assert_eq!(frontier, before);
    }
}
