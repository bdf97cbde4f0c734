//! The key of the log that the header of an archive names.

use custody_core::seam::{Checkpoint, Head, Position, Store as _};
use custody_core::tree::Tree;
use custody_recovery::archive::Pack;
use custody_recovery::restore::{NoFiles, RestoreError, read, restore};
use custody_testkit::store::MemoryStore;
use pollster::block_on;

use crate::house::{House, log_key, open};

/// The head over the first events of a house.
fn head(house: &House, size: usize) -> Head {
    let mut tree = Tree::default();
    for event in house.store.snapshot().events().iter().take(size) {
        tree.append(event);
    }
    tree.head()
}

#[test]
fn an_archive_whose_header_names_a_key_that_the_log_did_not_have_is_refused() {
    let house = House::rotated();
    let whole = house.store.snapshot().events().len();
    for (size, seed, is_restored) in [
        (1, 99, true),
        // The log was asked for its head, then the key changed, then it was asked for its key.
        (1, 98, true),
        (1, 97, false),
        (whole, 98, true),
        (whole, 99, false),
        (whole, 97, false),
    ] {
        let checkpoint = Checkpoint { head: head(&house, size), note: String::new() };
        let key = log_key(seed).public_key().clone();
        let pack = Pack::at(house.custodian, &house.store, key, checkpoint);
        let (bytes, _) = house.write(&pack).unwrap();
        let store = MemoryStore::new();
        let restored = block_on(restore(open(&bytes), &store, &mut NoFiles));
        assert_eq!(block_on(read(open(&bytes))).is_ok(), is_restored, "{size} {seed}");
        if is_restored {
            assert_eq!(restored.unwrap().folded().head, head(&house, whole), "{size} {seed}");
            assert_eq!(store.snapshot(), house.store.snapshot(), "{size} {seed}");
            continue;
        }
        let refused = restored.unwrap_err();
        let told = matches!(refused, RestoreError::LogKey { size: told } if told == size as u64);
        assert!(told && !refused.is_transient(), "{size} {seed}: {refused:?}");
        assert_eq!(block_on(store.head()).unwrap(), Position::START, "{size} {seed}");
    }
}
