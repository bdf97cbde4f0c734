use custody_core::digest::Digest;

use crate::audit::{join, leaf_hash};

/// The roots of the tree over the events, one for each size (RFC 6962, section 2.1).
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The roots of the complete subtrees, largest first, with their sizes.
    peaks: Vec<(u64, Digest)>,
    /// The root of size `n` stands at `n - 1`.
    roots: Vec<Digest>,
}

impl Tree {
    pub(super) fn append(&mut self, leaf: &[u8]) {
        let mut peak = (1, leaf_hash(leaf));
        while let Some((size, left)) = self.peaks.pop_if(|(size, _)| *size == peak.0) {
            peak = (size + peak.0, join(&left, &peak.1));
        }
        self.peaks.push(peak);
        let roots = self.peaks.iter().rev().map(|(_, root)| *root);
        self.roots.extend(roots.reduce(|right, left| join(&left, &right)));
    }

    pub(super) const fn size(&self) -> u64 {
        self.roots.len() as u64
    }

    /// The root over the first `size` events; none if there are not so many.
    pub(super) fn root(&self, size: u64) -> Option<Digest> {
        match usize::try_from(size).ok()?.checked_sub(1) {
            None => Some(Digest::of(&[])),
            Some(place) => self.roots.get(place).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::root;

    #[test]
    fn every_size_has_the_root_of_the_standard() {
        let mut tree = Tree::default();
        let leaves: Vec<Vec<u8>> = (0..70).map(|n| vec![n; 3]).collect();
        leaves.iter().for_each(|leaf| tree.append(leaf));
        for size in 0..=leaves.len() {
            assert_eq!(tree.root(size as u64), Some(root(&leaves[..size])), "{size}");
        }
        assert_eq!(tree.root(71), None);
    }
}
