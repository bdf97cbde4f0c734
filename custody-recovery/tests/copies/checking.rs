//! What is found when copies are read again.

use custody_core::time::Timestamp;
use custody_recovery::object_store::ObjectStoreExt as _;
use custody_recovery::object_store::path::Path;
use custody_recovery::{Copies, CopyState};
use pollster::block_on;

use crate::lying::{DAMAGING, Lie, LyingStore};
use crate::support::{archive, place, states};

#[test]
fn a_place_without_any_archive_is_missing_one_and_one_with_others_is_stale() {
    let (empty, old, good) = (LyingStore::default(), LyingStore::default(), LyingStore::default());
    let (one, two, three) = (archive(1), archive(2), archive(3));
    block_on(async {
        let put = async |store: &LyingStore, archive: &crate::support::Archive| {
            let copies = Copies::new(vec![place("one", store)]).unwrap();
            assert!(copies.put(&archive.bytes, &archive.summary).await.unwrap().is_complete());
        };
        put(&old, &two).await;
        put(&old, &one).await;
        put(&good, &three).await;
        let copies =
            Copies::new(vec![place("empty", &empty), place("old", &old), place("good", &good)]);
        let copies = copies.unwrap();
        let report = copies.check(&three.summary).await;
        let newest = Timestamp::from_millis(1_000_002);
        let expected = [CopyState::Missing, CopyState::Stale { newest }, CopyState::Good];
        assert_eq!(states(&report), expected);
        let text = "empty: missing\n\
                    old: stale, the newest is of 1970-01-01T00:16:40.002Z\n\
                    good: good\n";
        assert_eq!(report.to_string(), text);
    });
}

#[test]
fn what_is_no_archive_by_its_name_makes_a_place_not_stale() {
    let store = LyingStore::default();
    block_on(async {
        let id = "ab".repeat(32);
        for file in [
            "notes.txt".to_owned(),
            format!("0000000001000001-{id}.zip"),
            format!("1000001-{id}.archive"),
            format!("000000000100000x-{id}.archive"),
            format!("0000000001000001-{}.archive", id.to_uppercase()),
            format!("0000000001000001-{}.archive", &id[1..]),
            format!("0000000001000001{id}.archive"),
        ] {
            let location = Path::from(format!("custody/archives/{file}"));
            store.inner.put(&location, vec![1].into()).await.unwrap();
        }
        let copies = Copies::new(vec![place("one", &store)]).unwrap();
        assert_eq!(states(&copies.check(&archive(1).summary).await), [CopyState::Missing]);
    });
}

#[test]
fn a_copy_that_changed_later_is_damaged() {
    let store = LyingStore::default();
    let copies = Copies::new(vec![place("one", &store)]).unwrap();
    let archive = archive(1);
    block_on(async {
        assert!(copies.put(&archive.bytes, &archive.summary).await.unwrap().is_complete());
        for lie in DAMAGING {
            store.tell(lie);
            assert_eq!(states(&copies.check(&archive.summary).await), [CopyState::Damaged]);
        }
        store.tell(None);
        let location = copies.places()[0].location(&archive.summary);
        for at in [0, 2_500, 4_999] {
            let mut bytes = archive.bytes.to_vec();
            bytes[at] ^= 1;
            store.inner.put(&location, bytes.into()).await.unwrap();
            assert_eq!(states(&copies.check(&archive.summary).await), [CopyState::Damaged]);
        }
        store.inner.put(&location, archive.bytes.to_vec().into()).await.unwrap();
        assert_eq!(states(&copies.check(&archive.summary).await), [CopyState::Good]);
    });
}

#[test]
fn a_place_that_does_not_answer_is_unreachable_and_not_missing() {
    let store = LyingStore::default();
    let copies = Copies::new(vec![place("one", &store)]).unwrap();
    let archive = archive(1);
    block_on(async {
        store.tell(Lie::List);
        assert_eq!(states(&copies.check(&archive.summary).await), [CopyState::Unreachable]);
        store.tell(None);
        assert!(copies.put(&archive.bytes, &archive.summary).await.unwrap().is_complete());
        for lie in [Lie::Get, Lie::GetBreaks] {
            store.tell(lie);
            let report = copies.check(&archive.summary).await;
            assert_eq!(states(&report), [CopyState::Unreachable], "{lie:?}");
        }
    });
}
