//! The Merkle tree over the events of a log, without the events.
//!
//! Invariant: what is kept grows with the logarithm of the number of events.

use crate::digest::Digest;
use crate::seam::{Head, Position};

/// The Merkle tree hash over the events so far (RFC 6962, section 2.1).
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    /// The roots of the complete subtrees, largest first, with their sizes.
    peaks: Vec<(u64, Digest)>,
}

impl Tree {
    /// Adds the next event.
    pub fn append(&mut self, event: &[u8]) {
        let mut peak = (1_u64, Digest::of(&[&[LEAF], event].concat()));
        while let Some((size, left)) = self.peaks.pop_if(|(size, _)| *size == peak.0) {
            peak = (size.saturating_mul(2), join(&left, &peak.1));
        }
        self.peaks.push(peak);
        self.size = self.size.saturating_add(1);
    }

    /// How many events there are.
    #[must_use]
    pub const fn size(&self) -> Position {
        Position::new(self.size)
    }

    /// Size and root.
    #[must_use]
    pub fn head(&self) -> Head {
        let peaks = self.peaks.iter().rev().map(|(_, root)| *root);
        let root = peaks.reduce(|right, left| join(&left, &right));
        Head { size: Position::new(self.size), root: root.unwrap_or_else(|| Digest::of(&[])) }
    }
}

fn join(left: &Digest, right: &Digest) -> Digest {
    Digest::of(&[&[NODE][..], left.as_bytes(), right.as_bytes()].concat())
}

const LEAF: u8 = 0;
const NODE: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree of the standard, by its own recursion.
    fn root(leaves: &[Vec<u8>]) -> Digest {
        match leaves {
            [] => Digest::of(&[]),
            [leaf] => Digest::of(&[&[0], leaf.as_slice()].concat()),
            _ => {
                let half = leaves.len().next_power_of_two() / 2;
                join(&root(&leaves[..half]), &root(&leaves[half..]))
            }
        }
    }

    #[test]
    fn every_size_has_the_root_of_the_standard() {
        let mut tree = Tree::default();
        let leaves: Vec<Vec<u8>> = (0..70).map(|number| vec![number; 3]).collect();
        for size in 0..=leaves.len() {
            let head = Head { size: Position::new(size as u64), root: root(&leaves[..size]) };
            assert_eq!(tree.head(), head);
            leaves.get(size).into_iter().for_each(|leaf| tree.append(leaf));
        }
    }
}
