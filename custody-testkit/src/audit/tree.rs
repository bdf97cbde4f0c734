use custody_core::digest::Digest;
use sha2::{Digest as _, Sha256};

/// The hash of a leaf (RFC 6962, section 2.1).
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(leaf);
    Digest::new(hash.finalize().into())
}

/// The root over these leaves (RFC 6962, section 2.1).
#[must_use]
pub fn root(leaves: &[Vec<u8>]) -> Digest {
    match leaves {
        [] => Digest::of(&[]),
        [leaf] => leaf_hash(leaf),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// The audit path of leaf `index`, from the leaf upwards (RFC 6962, section 2.1.1).
#[must_use]
pub fn inclusion_path(leaves: &[Vec<u8>], index: usize) -> Vec<Digest> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let middle = split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut path, sibling) = if index < middle {
        (inclusion_path(left, index), root(right))
    } else {
        (inclusion_path(right, index - middle), root(left))
    };
    path.push(sibling);
    path
}

/// The root that a leaf hash and an audit path lead to in a tree of `size` leaves; none if the path
/// has another length than such a leaf's (RFC 9162, section 2.1.3.2).
#[must_use]
pub fn root_of_path(leaf: Digest, index: u64, size: u64, path: &[Digest]) -> Option<Digest> {
    if index >= size {
        return None;
    }
    if size == 1 {
        return path.is_empty().then_some(leaf);
    }
    let (sibling, below) = path.split_last()?;
    let middle = split(usize::try_from(size).ok()?) as u64;
    if index < middle {
        return Some(node_hash(&root_of_path(leaf, index, middle, below)?, sibling));
    }
    Some(node_hash(sibling, &root_of_path(leaf, index - middle, size - middle, below)?))
}

/// The hash of a node over its two halves (RFC 6962, section 2.1).
pub(crate) fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut hash = Sha256::new();
    hash.update([1]);
    hash.update(left.as_bytes());
    hash.update(right.as_bytes());
    Digest::new(hash.finalize().into())
}

/// The largest power of two below `size`, which is at least 2.
const fn split(size: usize) -> usize {
    1 << (size - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_leads_to_the_root_and_no_other_leaf_does() {
        let leaves: Vec<Vec<u8>> = (0..20).map(|n| vec![n; 3]).collect();
        for size in 1..=leaves.len() {
            let tree = &leaves[..size];
            for index in 0..size {
                let path = inclusion_path(tree, index);
                let leads = |leaf: &[u8], index: usize| {
                    root_of_path(leaf_hash(leaf), index as u64, size as u64, &path)
                };
                assert_eq!(leads(&tree[index], index), Some(root(tree)), "{index} of {size}");
                assert_ne!(leads(b"other", index), Some(root(tree)));
                assert_ne!(leads(&tree[index], (index + 1) % (size + 1)), Some(root(tree)));
            }
        }
    }

    #[test]
    fn the_empty_tree_and_a_small_tree_have_their_published_roots() {
        // RFC 6962, section 2.1: the hash of an empty list is the hash of an empty string.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(root(&[]).to_string(), empty);
        // The leaf hash of the empty leaf, from the test data of Certificate Transparency.
        let leaf = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(root(&[Vec::new()]).to_string(), leaf);
    }
}
