//! Checks inclusion and consistency proofs, RFC 9162, sections 2.1.3.2 and 2.1.4.2.
//!
//! **Invariant:** a proof is believed only if it has exactly the hashes its sizes demand and leads
//! to every given root. Why it does not is not told: a wrong proof is a wrong proof.

use super::{TreeHash, TreeHead};

/// Checks that `leaf` stands at `index` in the tree of `head`.
///
/// # Errors
/// Fails unless the proof leads from the leaf to the root of the head.
pub fn verify_inclusion(
    leaf: &TreeHash,
    index: u64,
    head: &TreeHead,
    proof: &[TreeHash],
) -> Result<(), ProofError> {
    let last = head.size.checked_sub(1).ok_or(ProofError)?;
    if index > last {
        return Err(ProofError);
    }
    let mut place = Place { node: index, last };
    let mut root = *leaf;
    for hash in proof {
        match place.climb()? {
            Side::Left => root = TreeHash::node(hash, &root),
            Side::Right => root = TreeHash::node(&root, hash),
        }
    }
    (place.last == 0 && root == head.root).then_some(()).ok_or(ProofError)
}

/// Checks that the tree of `new` begins with exactly the leaves of the tree of `old`.
///
/// A tree is the beginning of itself, without any hashes.
///
/// # Errors
/// Fails unless the proof leads to both roots. From the empty tree there is no proof: it is the
/// beginning of every tree, so that such a proof would prove nothing.
pub fn verify_consistency(
    old: &TreeHead,
    new: &TreeHead,
    proof: &[TreeHash],
) -> Result<(), ProofError> {
    let old_last = old.size.checked_sub(1).ok_or(ProofError)?;
    if old.size > new.size {
        return Err(ProofError);
    }
    if old.size == new.size {
        return (proof.is_empty() && old.root == new.root).then_some(()).ok_or(ProofError);
    }
    // A complete old tree is itself the first node of the path; its hash is then left out.
    let whole = old.size.is_power_of_two();
    let (first, path) = match (whole, proof.split_first()) {
        (true, _) => (old.root, proof),
        (false, Some((first, path))) => (*first, path),
        (false, None) => return Err(ProofError),
    };
    let height = old_last.trailing_ones();
    let up = |number: u64| number.checked_shr(height).unwrap_or(0);
    let mut place = Place { node: up(old_last), last: up(new.size.saturating_sub(1)) };
    let (mut old_root, mut new_root) = (first, first);
    for hash in path {
        match place.climb()? {
            Side::Left => {
                old_root = TreeHash::node(hash, &old_root);
                new_root = TreeHash::node(hash, &new_root);
            }
            Side::Right => new_root = TreeHash::node(&new_root, hash),
        }
    }
    let proved = place.last == 0 && old_root == old.root && new_root == new.root;
    proved.then_some(()).ok_or(ProofError)
}

/// A proof that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proof does not hold")]
#[expect(clippy::exhaustive_structs, reason = "cryptographic failures are opaque")]
pub struct ProofError;

/// Where the next hash of a path stands: left or right of the node it is joined with.
enum Side {
    Left,
    Right,
}

/// A node on the way up, and the last node of its level.
struct Place {
    node: u64,
    last: u64,
}

impl Place {
    /// Goes up to the next node that has a sibling, and tells on which side it is.
    fn climb(&mut self) -> Result<Side, ProofError> {
        if self.last == 0 {
            return Err(ProofError);
        }
        let side = if self.node & 1 == 1 || self.node == self.last {
            // The last node of a level may have no sibling: it moves up as it is.
            while self.node & 1 == 0 && self.node != 0 {
                self.up();
            }
            Side::Left
        } else {
            Side::Right
        };
        self.up();
        Ok(side)
    }

    fn up(&mut self) {
        self.node >>= 1;
        self.last >>= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::ProofPlan;
    use super::super::tests::Leaves;
    use super::*;

    fn head(leaves: &Leaves, size: usize) -> TreeHead {
        TreeHead { size: size as u64, root: Leaves::root(&leaves.0[..size]) }
    }

    #[test]
    fn every_planned_inclusion_proof_of_small_trees_holds() {
        for size in 1..70 {
            let mut leaves = Leaves::counted(size);
            let head = head(&leaves, leaves.0.len());
            for index in 0..size {
                let plan = ProofPlan::inclusion(index, size).unwrap();
                let proof = plan.assemble(&mut leaves).unwrap();
                let leaf = TreeHash::leaf(&index.to_be_bytes());
                assert_eq!(verify_inclusion(&leaf, index, &head, &proof), Ok(()), "{index} {size}");
            }
        }
    }

    #[test]
    fn no_inclusion_proof_holds_for_another_index_size_leaf_or_length() {
        let mut leaves = Leaves::counted(33);
        let head = head(&leaves, 33);
        for index in 0..33 {
            let proof = ProofPlan::inclusion(index, 33).unwrap().assemble(&mut leaves).unwrap();
            let leaf = TreeHash::leaf(&index.to_be_bytes());
            let refuse = |leaf: &TreeHash, at: u64, head: &TreeHead, proof: &[TreeHash]| {
                assert_eq!(verify_inclusion(leaf, at, head, proof), Err(ProofError), "{index}");
            };
            for other in (0..40).filter(|other| *other != index) {
                refuse(&leaf, other, &head, &proof);
            }
            refuse(&TreeHash::leaf(b"other"), index, &head, &proof);
            refuse(&leaf, index, &TreeHead { root: leaf, ..head }, &proof);
            refuse(&leaf, index, &TreeHead { size: 0, ..head }, &proof);
            refuse(&leaf, index, &TreeHead { size: 65, ..head }, &proof);
            refuse(&leaf, index, &head, &proof[1..]);
            refuse(&leaf, index, &head, &proof[..proof.len() - 1]);
            refuse(&leaf, index, &head, &[&proof[..], &[leaf]].concat());
        }
    }

    #[test]
    fn nothing_proves_consistency_with_the_empty_tree() {
        let leaves = Leaves::counted(2);
        let (empty, two) = (head(&leaves, 0), head(&leaves, 2));
        for (old, new) in [(empty, empty), (empty, two), (two, empty)] {
            for proof in [&[][..], &[two.root]] {
                assert_eq!(verify_consistency(&old, &new, proof), Err(ProofError));
            }
        }
    }

    #[test]
    fn every_planned_consistency_proof_of_small_trees_holds_and_no_other_root_does() {
        let mut leaves = Leaves::counted(66);
        let wrong = TreeHash::leaf(b"wrong");
        for new in 0..=66_usize {
            for old in 1..=new {
                let plan = ProofPlan::consistency(old as u64, new as u64).unwrap();
                let proof = plan.assemble(&mut leaves).unwrap();
                let (first, second) = (head(&leaves, old), head(&leaves, new));
                assert_eq!(verify_consistency(&first, &second, &proof), Ok(()), "{old} {new}");
                let bad = TreeHead { root: wrong, ..first };
                assert_eq!(verify_consistency(&bad, &second, &proof), Err(ProofError));
                let longer = [&proof[..], &[wrong]].concat();
                assert_eq!(verify_consistency(&first, &second, &longer), Err(ProofError));
                let bad = TreeHead { root: wrong, ..second };
                assert_eq!(verify_consistency(&first, &bad, &proof), Err(ProofError));
                if old != new {
                    assert_eq!(verify_consistency(&second, &first, &proof), Err(ProofError));
                }
                if let Some((_, shorter)) = proof.split_last() {
                    assert_eq!(verify_consistency(&first, &second, shorter), Err(ProofError));
                }
            }
        }
    }
}
