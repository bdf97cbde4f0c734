//! Receipts: a file has one meaning, and one that verifies proves its own entry at its own place.

use std::sync::LazyLock;

use custody_audit::checkpoint::LogHead;
use custody_audit::note::KeyName;
use custody_audit::proof::LogProof;
use custody_audit::tree::{TreeHash, TreeHead};
use custody_core::crypto::Algorithm;
use custody_testkit::audit::{ReceiptFile, inclusion_path, root};
use custody_testkit::key::TestKey;

use crate::Seed;
use crate::input::{choose, chosen, cut, flip, patched};
use crate::notes::{ORIGIN, signed, verifier_key};

const PARTS: [&str; 2] = ["read", "verified"];

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let (part, bytes) = choose(&PARTS, bytes)?;
    let text = std::str::from_utf8(bytes).ok()?;
    let proof = LogProof::parse(text).ok()?;
    assert_eq!(proof.to_string(), text, "a receipt is written as it was read");
    let verified = verified(&proof, text);
    (*part == "read" || verified).then_some(part)
}

fn verified(proof: &LogProof, text: &str) -> bool {
    let keys = [verifier_key(ORIGIN, 1)];
    let known = LEAVES.iter().position(|leaf| {
        let proved = proof.verify_leaf(&TreeHash::leaf(leaf), &keys).is_ok();
        assert!(!proved || leaf == &LEAVES[proof.index() as usize], "another leaf is proved");
        proved
    });
    assert!(proof.verify_leaf(&TreeHash::leaf(b"never there"), &keys).is_err());
    let Ok((entry, head)) = proof.verify(&keys) else { return false };
    let index = usize::try_from(proof.index()).unwrap();
    assert_eq!(LEAVES.get(index).map(Vec::as_slice), Some(entry), "another entry is proved");
    assert_eq!(known, Some(index));
    assert!(SIZES.contains(&head.tree().size) && proof.index() < head.tree().size);
    assert!(proof.verify(&[verifier_key(ORIGIN, 2)]).is_err());
    if proof.checkpoint().signatures().len() > 1 {
        return true;
    }
    // A second reader, which knows no other signatures, believes it too.
    let public = TestKey::seeded(Algorithm::Ed25519, 1).public_key().clone();
    let second = ReceiptFile::parse(text).unwrap();
    let (proved, bytes, _) = second.verify(&public).unwrap();
    assert_eq!((proved, bytes), (proof.index(), entry));
    true
}

static LEAVES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| (0_u8..9).map(|number| vec![b'a' + number; usize::from(number)]).collect());

const SIZES: [u64; 4] = [1, 2, 5, 9];

/// The receipt of an entry in the tree of the first `size` leaves.
fn receipt(index: u64, size: u64) -> String {
    let leaves = &LEAVES[..size as usize];
    let hash = |digest: custody_core::digest::Digest| TreeHash::from_bytes(*digest.as_bytes());
    let tree = TreeHead { size, root: hash(root(leaves)) };
    let head = LogHead::new(&KeyName::parse(ORIGIN).unwrap(), tree);
    let path = inclusion_path(leaves, index as usize).into_iter().map(hash).collect();
    let entry = leaves[index as usize].clone();
    LogProof::new(entry, index, path, signed(&head.to_text(), ORIGIN, 1)).to_string()
}

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for size in SIZES {
        for index in 0..size {
            let name = format!("{index}-of-{size}");
            let good = receipt(index, size);
            seeds.push((format!("verified-{name}"), chosen(1, good.as_bytes())));
            if index + 1 < size {
                continue;
            }
            for (what, text) in [
                ("read", good.clone()),
                ("another-index", good.replacen("index ", "index 1", 1)),
                ("another-version", good.replacen("@v1", "@v2", 1)),
                ("without-entry", without_entry(&good)),
                ("crlf", good.replace('\n', "\r\n")),
            ] {
                let part = usize::from(what != "read");
                seeds.push((format!("{what}-{name}"), chosen(part, text.as_bytes())));
            }
            let bytes = good.as_bytes();
            for (what, change) in [("flipped", flip(40, 1)), ("cut", cut(100))] {
                seeds.push((format!("{what}-{name}"), chosen(1, &patched(bytes, &change))));
            }
        }
    }
    let (five, nine) = (receipt(2, 5), receipt(2, 9));
    let mixed = format!("{}\n\n{}", head_of(&five), note_of(&nine));
    seeds.push(("path-of-another-size".to_owned(), chosen(1, mixed.as_bytes())));
    seeds
}

fn without_entry(file: &str) -> String {
    file.lines()
        .filter(|line| !line.starts_with("extra "))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn head_of(file: &str) -> &str {
    file.split_once("\n\n").unwrap().0
}

fn note_of(file: &str) -> &str {
    file.split_once("\n\n").unwrap().1
}
