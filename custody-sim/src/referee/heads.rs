use std::collections::BTreeMap;

use custody_audit::note::{KeyName, VerifierKey};
use custody_audit::proof::LogProof;
use custody_audit::tree::{Frontier, TreeHash};
use custody_core::crypto::PublicKey;
use custody_core::digest::Digest;
use custody_core::seam::{Head, Position, Receipt};

use super::{Check, broken};

/// The name of the log.
pub(crate) const ORIGIN: &str = "custody.sim/log";

/// Every head that was signed, held against the tree over what is durable.
pub(super) struct Heads {
    keys: Vec<VerifierKey>,
    frontier: Frontier,
    leaves: Vec<TreeHash>,
    /// The root at each size.
    roots: Vec<Digest>,
    signed: BTreeMap<u64, Digest>,
    /// The events under the anchored head; none in a world without an anchor.
    anchored: Option<u64>,
}

impl Heads {
    pub(super) fn new(keys: Vec<PublicKey>, has_anchor: bool) -> Self {
        let name = KeyName::parse(ORIGIN).unwrap();
        let keys = keys.into_iter().map(|key| VerifierKey::new(name.clone(), key).unwrap());
        Self {
            keys: keys.collect(),
            frontier: Frontier::default(),
            leaves: Vec::new(),
            roots: vec![digest(Frontier::default().root())],
            signed: BTreeMap::new(),
            anchored: has_anchor.then_some(0),
        }
    }

    pub(super) fn event(&mut self, bytes: &[u8]) {
        let leaf = TreeHash::leaf(bytes);
        self.leaves.push(leaf);
        self.frontier.append(leaf, |_, _| ()).unwrap();
        self.roots.push(digest(self.frontier.root()));
    }

    /// What is durable begins anew and will have so many events.
    pub(super) fn rewind(&mut self, events: u64) {
        self.frontier = Frontier::default();
        self.leaves.clear();
        self.roots.truncate(1);
        self.signed.retain(|size, _| *size <= events);
    }

    pub(super) fn signed(&mut self, size: u64, root: Digest) -> Check {
        const RULE: &str = "the log only grows, and each head continues all earlier ones";
        if self.roots.get(size as usize) != Some(&root) {
            let detail = format_args!("the head over {size} events is not over what is durable");
            return broken(RULE, detail);
        }
        if *self.signed.entry(size).or_insert(root) != root {
            return broken(RULE, format_args!("two heads over {size} events"));
        }
        Ok(())
    }

    pub(super) fn anchored(&mut self, old: Option<Head>, new: Head) -> Check {
        const RULE: &str = "the anchored head only grows, and was signed";
        if old.is_some_and(|old| old.size > new.size) {
            return broken(RULE, format_args!("from {old:?} to {new:?}"));
        }
        if self.signed.get(&new.size.value()) != Some(&new.root) {
            return broken(RULE, format_args!("{new:?} was never signed"));
        }
        self.anchored = Some(new.size.value());
        Ok(())
    }

    pub(super) fn anchor_is(&mut self, size: u64) {
        self.anchored = self.anchored.map(|_| size);
    }

    /// How many events are durable.
    pub(super) fn events(&self) -> u64 {
        self.leaves.len() as u64
    }

    /// Whether these are the bytes of an event.
    pub(super) fn has_leaf(&self, index: u64, bytes: &[u8]) -> bool {
        self.leaves.get(index as usize) == Some(&TreeHash::leaf(bytes))
    }

    /// How many events the largest head covers.
    pub(super) fn size(&self) -> u64 {
        self.signed.keys().next_back().copied().unwrap_or_default()
    }

    /// The largest head.
    pub(super) fn newest(&self) -> Option<Head> {
        let (size, root) = self.signed.last_key_value()?;
        Some(Head { size: Position::new(*size), root: *root })
    }

    /// Whether an event is under a head that was signed, and anchored if there is an anchor.
    pub(super) fn covers(&self, index: u64) -> bool {
        index < self.size() && self.anchored.is_none_or(|size| index < size)
    }

    /// A receipt proves its event under a head that was signed.
    pub(super) fn check_receipt(&self, receipt: &Receipt) -> Check {
        const RULE: &str = "a receipt proves its event under a signed head";
        let index = receipt.index.value();
        let proof = LogProof::parse(&receipt.proof);
        let proved = proof.as_ref().map_err(ToString::to_string).and_then(|proof| {
            let (entry, head) = proof.verify(&self.keys).map_err(|error| error.to_string())?;
            Ok((proof.index(), TreeHash::leaf(entry), *head.tree()))
        });
        match proved {
            Err(error) => broken(RULE, format_args!("event {index}: {error}")),
            Ok((at, leaf, head)) => {
                let known = self.signed.get(&head.size) == Some(&digest(head.root));
                let same = at == index && self.leaves.get(index as usize) == Some(&leaf);
                if known && same { Ok(()) } else { broken(RULE, format_args!("event {index}")) }
            }
        }
    }
}

fn digest(hash: TreeHash) -> Digest {
    Digest::new(*hash.as_bytes())
}
