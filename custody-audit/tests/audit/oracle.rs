//! Roots and proofs against ct-merkle.

use std::convert::Infallible;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use custody_audit::tree::{
    Frontier, HashSource, Node, ProofPlan, TreeHash, TreeHead, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;
use sha2::Sha256;

type Oracle = MemoryBackedTree<Sha256, Vec<u8>>;

/// Every complete node of a tree.
struct Nodes(std::collections::HashMap<Node, TreeHash>);

impl HashSource for Nodes {
    type Error = Infallible;

    fn hash(&mut self, node: Node) -> Result<TreeHash, Infallible> {
        Ok(self.0[&node])
    }
}

fn grow(entries: &[Vec<u8>]) -> (Oracle, Nodes, Vec<TreeHead>) {
    let (mut oracle, mut frontier) = (Oracle::new(), Frontier::default());
    let mut nodes = Nodes(std::collections::HashMap::new());
    let mut heads = vec![frontier.head()];
    for entry in entries {
        oracle.push(entry.clone());
        let keep = |node, hash| assert!(nodes.0.insert(node, hash).is_none());
        frontier.append(TreeHash::leaf(entry), keep).unwrap();
        heads.push(frontier.head());
    }
    (oracle, nodes, heads)
}

fn bytes(hashes: &[TreeHash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

fn check_inclusion(oracle: &Oracle, nodes: &mut Nodes, head: &TreeHead, index: u64) {
    let proof = ProofPlan::inclusion(index, head.size).unwrap().assemble(nodes).unwrap();
    let place = usize::try_from(index).unwrap();
    assert_eq!(bytes(&proof), oracle.prove_inclusion(place).as_bytes());
    let leaf = TreeHash::leaf(oracle.get(place).unwrap());
    assert_eq!(verify_inclusion(&leaf, index, head, &proof), Ok(()));
}

fn check_consistency(oracle: &Oracle, nodes: &mut Nodes, old: &TreeHead, new: &TreeHead) {
    let proof = ProofPlan::consistency(old.size, new.size).unwrap().assemble(nodes).unwrap();
    assert_eq!(verify_consistency(old, new, &proof), Ok(()));
    if old.size < new.size {
        let added = usize::try_from(new.size - old.size).unwrap();
        assert_eq!(bytes(&proof), oracle.prove_consistency(added).as_bytes());
    }
}

#[test]
fn roots_of_all_sizes_up_to_six_hundred_are_those_of_the_oracle() {
    let entries: Vec<_> = (0..600_u64).map(crate::support::event).collect();
    let mut oracle = Oracle::new();
    let (_, _, heads) = grow(&entries);
    for (head, entry) in heads.iter().zip(entries.into_iter().map(Some).chain([None])) {
        assert_eq!(head.root.as_bytes(), oracle.root().as_bytes().as_slice());
        entry.into_iter().for_each(|entry| oracle.push(entry));
    }
}

#[test]
fn all_proofs_of_the_tree_of_six_hundred_leaves_are_those_of_the_oracle() {
    let entries: Vec<_> = (0..600_u64).map(crate::support::event).collect();
    let (oracle, mut nodes, heads) = grow(&entries);
    let new = heads[600];
    for index in 0..600 {
        check_inclusion(&oracle, &mut nodes, &new, index);
    }
    for old in &heads[1..] {
        check_consistency(&oracle, &mut nodes, old, &new);
    }
}

fn arb_entries() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..48), 1..900)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_trees_have_the_roots_and_proofs_of_the_oracle(
        entries in arb_entries(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let (oracle, mut nodes, heads) = grow(&entries);
        let new = heads[entries.len()];
        let root = oracle.root();
        prop_assert_eq!(&new.root.as_bytes()[..], root.as_bytes().as_slice());
        for place in places {
            let index = place.index(entries.len());
            check_inclusion(&oracle, &mut nodes, &new, index as u64);
            check_consistency(&oracle, &mut nodes, &heads[index + 1], &new);
        }
    }

    #[test]
    fn no_proof_with_a_flipped_bit_or_another_number_of_hashes_holds(
        entries in arb_entries(),
        place in any::<prop::sample::Index>(),
        flip in any::<prop::sample::Index>(),
    ) {
        let (_, mut nodes, heads) = grow(&entries);
        let new = heads[entries.len()];
        let index = place.index(entries.len());
        let inclusion = ProofPlan::inclusion(index as u64, new.size).unwrap();
        let inclusion = inclusion.assemble(&mut nodes).unwrap();
        let leaf = TreeHash::leaf(&entries[index]);
        for wrong in wrong_proofs(&inclusion, flip) {
            prop_assert!(verify_inclusion(&leaf, index as u64, &new, &wrong).is_err());
        }
        let old = heads[index + 1];
        let consistency = ProofPlan::consistency(old.size, new.size).unwrap();
        let consistency = consistency.assemble(&mut nodes).unwrap();
        for wrong in wrong_proofs(&consistency, flip) {
            prop_assert!(verify_consistency(&old, &new, &wrong).is_err());
        }
    }
}

fn wrong_proofs(proof: &[TreeHash], flip: prop::sample::Index) -> Vec<Vec<TreeHash>> {
    let extra = TreeHash::leaf(b"extra");
    let mut wrong = vec![[proof, &[extra]].concat(), [&[extra], proof].concat()];
    if !proof.is_empty() {
        wrong.push(proof[1..].to_vec());
        wrong.push(proof[..proof.len() - 1].to_vec());
        let bit = flip.index(proof.len() * 256);
        let mut flipped = proof.to_vec();
        let mut bytes = *flipped[bit / 256].as_bytes();
        bytes[bit % 256 / 8] ^= 1 << (bit % 8);
        flipped[bit / 256] = TreeHash::from_bytes(bytes);
        wrong.push(flipped);
    }
    wrong
}
