//! A state as lines: its head, then its parts in the order in which the head names them.

use std::collections::{BTreeMap, BTreeSet};

use custody_core::digest::Digest;
use custody_core::ledger::{Ledger, StateReader};
use custody_core::time::Timestamp;
use serde_json::{Value, json};

use crate::json::has_unique_keys;

/// The lines of a state.
pub(crate) fn lines(ledger: &Ledger) -> Vec<u8> {
    let documents = ledger.documents(&BTreeSet::new()).unwrap();
    let parts = documents.parts().iter().map(|(_, bytes)| bytes.as_slice());
    [documents.head()].into_iter().chain(parts).collect::<Vec<_>>().join(&b'\n')
}

/// The state in these lines, if it is one, of a custodian that began at `began`. The head names the parts that follow, whatever digests
/// stand in it: else nothing but what somebody wrote could ever be read.
///
/// # Panics
/// If a document is taken in which a key stands twice.
pub(crate) fn read(bytes: &[u8], began: Timestamp) -> Option<Ledger> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let head = lines.next()?;
    let parts: BTreeMap<_, _> = lines.clone().map(|part| (Digest::of(part), part)).collect();
    if StateReader::new(head).is_ok() {
        assert!(has_unique_keys(head), "a key stands twice in a head");
    }
    let mut named: Value = serde_json::from_slice(head).ok()?;
    let names = named.get_mut("parts")?.as_array_mut()?;
    if names.len() != lines.clone().count() {
        return None;
    }
    for (name, part) in names.iter_mut().zip(lines) {
        let name = name.as_object_mut()?;
        name.insert("sha256".to_owned(), json!(Digest::of(part)));
        name.insert("size".to_owned(), json!(part.len()));
    }
    let head = serde_json::to_vec(&named).unwrap();
    let find = |sha256: &Digest| parts.get(sha256).map(|part| part.to_vec());
    let ledger = Ledger::read(&head, began, find).ok()?;
    assert!(parts.values().all(|part| has_unique_keys(part)), "a key stands twice in a part");
    Some(ledger)
}
