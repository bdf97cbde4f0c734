//! Which nodes a proof is made of, and how it is put together from them.
//!
//! **Invariant:** a plan is a function of sizes and indexes alone. It holds at most 64 spans of at
//! most 64 nodes each, whatever the size of the tree.

use std::iter;
use std::ops::Range;

use super::frontier::fold;
use super::{HashSource, Node, TreeHash};

/// The spans of leaves whose hashes make a proof, in the order of the proof.
///
/// ```
/// # use custody_audit::tree::{Node, ProofPlan};
/// let plan = ProofPlan::inclusion(0, 3)?;
/// let nodes: Vec<Node> = plan.nodes().collect();
/// assert_eq!(nodes, [Node { level: 0, index: 1 }, Node { level: 0, index: 2 }]);
/// # Ok::<(), custody_audit::tree::PlanError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofPlan {
    spans: Vec<Span>,
}

impl ProofPlan {
    /// Plans the audit path of the leaf at `index` in the tree of `size` leaves.
    ///
    /// RFC 6962, section 2.1.1.
    ///
    /// # Errors
    /// Fails unless the leaf stands in the tree.
    pub fn inclusion(index: u64, size: u64) -> Result<Self, PlanError> {
        if index >= size {
            return Err(PlanError::IndexOutsideTree { index, size });
        }
        let mut spans = Vec::new();
        let mut rest = Span { start: 0, end: size };
        while let Some((left, right)) = rest.halves() {
            let (kept, taken) = if index < right.start { (left, right) } else { (right, left) };
            spans.push(taken);
            rest = kept;
        }
        spans.reverse();
        Ok(Self { spans })
    }

    /// Plans the proof that the tree of `new` leaves begins with the tree of `old` leaves.
    ///
    /// RFC 6962, section 2.1.2. From a size to itself the proof is empty.
    ///
    /// # Errors
    /// Fails if the old tree is empty or the larger one.
    pub fn consistency(old: u64, new: u64) -> Result<Self, PlanError> {
        if old > new {
            return Err(PlanError::OldTreeLarger { old, new });
        }
        if old == 0 {
            return Err(PlanError::OldTreeEmpty);
        }
        let mut spans = Vec::new();
        let mut rest = Span { start: 0, end: new };
        while rest.end != old {
            let Some((left, right)) = rest.halves() else { break };
            let (kept, taken) = if old <= right.start { (left, right) } else { (right, left) };
            spans.push(taken);
            rest = kept;
        }
        // Whoever checks the proof holds the old root; only a part of the old tree is news.
        if rest.start != 0 {
            spans.push(rest);
        }
        spans.reverse();
        Ok(Self { spans })
    }

    /// Plans the root of the tree of `size` leaves: one hash, or none for the empty tree.
    #[must_use]
    pub fn root(size: u64) -> Self {
        let whole = Span { start: 0, end: size };
        Self { spans: if size == 0 { Vec::new() } else { vec![whole] } }
    }

    /// Returns every node that [`assemble`](Self::assemble) asks for, in that order.
    pub fn nodes(&self) -> impl Iterator<Item = Node> + '_ {
        self.spans.iter().flat_map(|span| span.nodes())
    }

    /// Returns the plans of the single hashes of the proof, in order, each with the leaves that it
    /// is over.
    pub(crate) fn each(&self) -> impl Iterator<Item = (Range<u64>, Self)> + '_ {
        self.spans.iter().map(|span| (span.start..span.end, Self { spans: vec![*span] }))
    }

    /// Puts the proof together.
    ///
    /// # Errors
    /// Fails with the first error of the source.
    pub fn assemble<S: HashSource>(&self, source: &mut S) -> Result<Vec<TreeHash>, S::Error> {
        self.spans
            .iter()
            .map(|span| {
                let peaks: Vec<_> =
                    span.nodes().map(|node| source.hash(node)).collect::<Result<_, _>>()?;
                Ok(fold(&peaks).unwrap_or_else(TreeHash::empty_root))
            })
            .collect()
    }
}

/// Why there is no such proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The leaf is not in the tree.
    #[error("index {index} is outside a tree of {size} leaves")]
    IndexOutsideTree {
        /// The index asked for.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The empty tree is the beginning of every tree: there is nothing to prove.
    #[error("there is no proof from an empty tree")]
    OldTreeEmpty,
    /// Trees only grow.
    #[error("the old tree of {old} leaves is larger than the new one of {new}")]
    OldTreeLarger {
        /// The size said to be the old one.
        old: u64,
        /// The size said to be the new one.
        new: u64,
    },
}

/// The leaves from `start` up to `end`, a subtree that the recursion of RFC 6962 meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: u64,
    end: u64,
}

impl Span {
    /// Splits where RFC 6962 does: the left part is the largest power of two below the width.
    fn halves(self) -> Option<(Self, Self)> {
        let last = self.end.checked_sub(self.start)?.checked_sub(1)?;
        let width = 1_u64.checked_shl(last.checked_ilog2()?)?;
        let middle = self.start.checked_add(width)?;
        Some((Self { start: self.start, end: middle }, Self { start: middle, end: self.end }))
    }

    /// Returns the complete subtrees of the span, largest first.
    fn nodes(self) -> impl Iterator<Item = Node> {
        let mut start = self.start;
        iter::from_fn(move || {
            let level = self.end.checked_sub(start)?.checked_ilog2()?;
            let node = Node { level: u8::try_from(level).ok()?, index: start.checked_shr(level)? };
            start = start.checked_add(1_u64.checked_shl(level)?)?;
            Some(node)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Leaves;
    use super::*;

    #[test]
    fn the_audit_paths_of_the_standards_example_are_its_nodes() {
        // RFC 6962, section 2.1.3: the tree of seven leaves.
        let hash = |level, index| Node { level, index };
        for (index, nodes) in [
            (0, vec![hash(0, 1), hash(1, 1), hash(1, 2), hash(0, 6)]),
            (3, vec![hash(0, 2), hash(1, 0), hash(1, 2), hash(0, 6)]),
            (4, vec![hash(0, 5), hash(0, 6), hash(2, 0)]),
            (6, vec![hash(1, 2), hash(2, 0)]),
        ] {
            let plan = ProofPlan::inclusion(index, 7).unwrap();
            assert_eq!(plan.nodes().collect::<Vec<_>>(), nodes, "leaf {index}");
        }
    }

    #[test]
    fn the_consistency_proofs_of_the_standards_example_are_its_nodes() {
        let hash = |level, index| Node { level, index };
        for (old, nodes) in [
            (3, vec![hash(0, 2), hash(0, 3), hash(1, 0), hash(1, 2), hash(0, 6)]),
            (4, vec![hash(1, 2), hash(0, 6)]),
            (6, vec![hash(1, 2), hash(0, 6), hash(2, 0)]),
            (7, vec![]),
        ] {
            let plan = ProofPlan::consistency(old, 7).unwrap();
            assert_eq!(plan.nodes().collect::<Vec<_>>(), nodes, "from {old}");
        }
    }

    #[test]
    fn the_planned_root_is_that_of_the_standard() {
        for size in 1..130 {
            let mut leaves = Leaves::counted(size);
            let root = ProofPlan::root(size).assemble(&mut leaves).unwrap();
            assert_eq!(root, [Leaves::root(&leaves.0)], "size {size}");
        }
        assert_eq!(ProofPlan::root(0).nodes().count(), 0);
    }

    #[test]
    fn a_leaf_outside_the_tree_has_no_path() {
        for (index, size) in [(0, 0), (1, 1), (8, 7), (u64::MAX, u64::MAX)] {
            let refused = Err(PlanError::IndexOutsideTree { index, size });
            assert_eq!(ProofPlan::inclusion(index, size), refused);
        }
    }

    #[test]
    fn a_tree_is_not_consistent_with_a_smaller_later_one() {
        let refused = Err(PlanError::OldTreeLarger { old: 8, new: 7 });
        assert_eq!(ProofPlan::consistency(8, 7), refused);
        assert_eq!(ProofPlan::consistency(0, 7), Err(PlanError::OldTreeEmpty));
        assert_eq!(ProofPlan::consistency(0, 0), Err(PlanError::OldTreeEmpty));
    }

    #[test]
    fn the_single_hashes_of_a_proof_are_over_the_leaves_beside_the_proved_one() {
        for size in 1..40_u64 {
            for index in 0..size {
                let mut leaves = Leaves::counted(size);
                let plan = ProofPlan::inclusion(index, size).unwrap();
                let whole = plan.assemble(&mut leaves).unwrap();
                let mut over = vec![index];
                for ((range, one), hash) in plan.each().zip(&whole) {
                    assert_eq!(one.assemble(&mut leaves).unwrap(), [*hash], "{index} {size}");
                    let [start, end] =
                        [range.start, range.end].map(|leaf| usize::try_from(leaf).unwrap());
                    assert_eq!(Leaves::root(&leaves.0[start..end]), *hash, "{index} {size}");
                    over.extend(range);
                }
                assert_eq!(plan.each().count(), whole.len());
                over.sort_unstable();
                assert!(over.into_iter().eq(0..size), "{index} {size}");
            }
        }
    }

    #[test]
    fn plans_for_the_largest_trees_are_bounded() {
        let plan = ProofPlan::inclusion(0, u64::MAX).unwrap();
        assert_eq!(plan.spans.len(), 64);
        assert!(plan.nodes().count() <= 64 * 64);
        assert!(ProofPlan::consistency(u64::MAX - 1, u64::MAX).unwrap().spans.len() <= 65);
        assert_eq!(ProofPlan::root(u64::MAX).nodes().count(), 64);
    }

    #[test]
    fn a_source_without_the_node_fails_the_proof() {
        let mut leaves = Leaves::counted(5);
        let plan = ProofPlan::inclusion(0, 6).unwrap();
        assert_eq!(plan.assemble(&mut leaves), Err(Node { level: 1, index: 2 }));
    }
}
