//! Proofs of inclusion and consistency: of all proofs of a place only the true one is believed.

use std::sync::LazyLock;

use custody_audit::tree::{
    HashSource, Node, ProofPlan, TreeHash, TreeHead, verify_consistency, verify_inclusion,
};
use custody_testkit::audit::{inclusion_path, root};

use crate::Seed;
use crate::input::{Input, flip, patched};

const PARTS: [&str; 2] = ["inclusion", "consistency"];

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    let part = *input.pick(&PARTS);
    let size = 1 + u64::from(input.short()) % SIZE_MAX;
    let small = u64::from(input.short()) % size;
    let shift = u64::from(input.byte());
    let taken = match part {
        "inclusion" => inclusion(small, size, shift, input.rest()),
        _ => consistency(small, size, shift, input.rest()),
    };
    taken.then_some(part)
}

/// The true path of a leaf, changed; the index, shifted.
fn inclusion(index: u64, size: u64, shift: u64, changes: &[u8]) -> bool {
    let leaves = &LEAVES[..size as usize];
    let head = head(size);
    let path = ProofPlan::inclusion(index, size).unwrap().assemble(&mut Tree).unwrap();
    let other: Vec<_> = inclusion_path(leaves, index as usize)
        .into_iter()
        .map(|digest| TreeHash::from_bytes(*digest.as_bytes()))
        .collect();
    assert_eq!(path, other, "a second implementation finds another path");
    let changed = hashes(&patched(&flat(&path), changes));
    let claimed = index.wrapping_add(shift);
    let leaf = TreeHash::leaf(&leaves[index as usize]);
    let believed = verify_inclusion(&leaf, claimed, &head, &changed).is_ok();
    assert_eq!(believed, changed == path && claimed == index, "{index} of {size}");
    let another = TreeHash::leaf(b"never there");
    assert!(verify_inclusion(&another, index, &head, &changed).is_err());
    assert!(verify_inclusion(&leaf, index, &self::head(size + 1), &changed).is_err());
    believed
}

/// The true proof that one tree begins with another, changed; the older size, shifted.
fn consistency(older: u64, size: u64, shift: u64, changes: &[u8]) -> bool {
    let older = older.max(1);
    let (old, new) = (head(older), head(size));
    let path = ProofPlan::consistency(older, size).unwrap().assemble(&mut Tree).unwrap();
    let changed = hashes(&patched(&flat(&path), changes));
    let claimed = TreeHead { size: older.wrapping_add(shift), ..old };
    let believed = verify_consistency(&claimed, &new, &changed).is_ok();
    assert_eq!(believed, changed == path && claimed == old, "{older} and {size}");
    let forked = TreeHead { root: TreeHash::leaf(b"another tree"), ..old };
    assert!(verify_consistency(&forked, &new, &changed).is_err());
    assert!(verify_consistency(&TreeHead { size: 0, ..old }, &new, &changed).is_err());
    believed
}

/// The hashes of the tree over [`LEAVES`], each computed from its leaves.
struct Tree;

impl HashSource for Tree {
    type Error = std::convert::Infallible;

    fn hash(&mut self, node: Node) -> Result<TreeHash, Self::Error> {
        let width = 1_usize << node.level;
        let start = node.index as usize * width;
        let digest = root(&LEAVES[start..start + width]);
        Ok(TreeHash::from_bytes(*digest.as_bytes()))
    }
}

fn head(size: u64) -> TreeHead {
    let digest = root(&LEAVES[..size as usize]);
    TreeHead { size, root: TreeHash::from_bytes(*digest.as_bytes()) }
}

fn flat(path: &[TreeHash]) -> Vec<u8> {
    path.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// Whole hashes; what is left over at the end is none.
fn hashes(bytes: &[u8]) -> Vec<TreeHash> {
    let (whole, _) = bytes.as_chunks::<32>();
    whole.iter().copied().map(TreeHash::from_bytes).collect()
}

static LEAVES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| (0..=SIZE_MAX).map(|number| number.to_be_bytes().to_vec()).collect());

const SIZE_MAX: u64 = 70;

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for part in 0..2_u8 {
        for (size, small) in [(1, 0), (2, 1), (7, 3), (8, 8), (33, 32), (64, 5), (70, 69)] {
            let input = |shift: u8, changes: &[u8]| {
                [&[part, 0, size - 1, 0, small, shift], changes].concat()
            };
            let name = format!("{}-{small}-{size}", PARTS[usize::from(part)]);
            seeds.push((format!("{name}-shifted"), input(1, &[])));
            seeds.push((format!("{name}-flipped"), input(0, &flip(0, 1))));
            seeds.push((format!("{name}-longer"), input(0, &[2, 0, 0, 7].repeat(32))));
            seeds.push((format!("{name}-shorter"), input(0, &[1, 0, 0, 0])));
            seeds.push((name, input(0, &[])));
        }
    }
    seeds
}
