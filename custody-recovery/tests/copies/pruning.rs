//! What may be deleted.

use std::num::NonZeroUsize;

use custody_recovery::archive::Summary;
use custody_recovery::object_store::{ObjectStore as _, ObjectStoreExt as _};
use custody_recovery::{Copies, CopyState, Pruned};
use futures::TryStreamExt as _;
use pollster::block_on;

use crate::lying::{DAMAGING, Lie, LyingStore};
use crate::support::{Archive, archive, place, states};

struct World {
    store: LyingStore,
    copies: Copies,
    archives: Vec<Archive>,
}

impl World {
    /// A place with archives 1 to `count`.
    fn of(count: u8) -> Self {
        let store = LyingStore::default();
        let copies = Copies::new(vec![place("one", &store)]).unwrap();
        let archives: Vec<_> = (1..=count).map(archive).collect();
        for archive in &archives {
            let put = block_on(copies.put(&archive.bytes, &archive.summary));
            assert!(put.unwrap().is_complete());
        }
        Self { store, copies, archives }
    }

    fn summaries(&self) -> Vec<Summary> {
        self.archives.iter().map(|archive| archive.summary).collect()
    }

    fn prune(&self, keep: usize) -> Pruned {
        let keep = NonZeroUsize::new(keep).unwrap();
        let report = block_on(self.copies.prune(&self.summaries(), keep));
        let (_, pruned) = report.places().next().unwrap();
        pruned
    }

    /// Which archives are still there, by their numbers.
    fn left(&self) -> Vec<usize> {
        let there = |archive: &Archive| {
            let location = self.copies.places()[0].location(&archive.summary);
            block_on(self.store.inner.head(&location)).is_ok()
        };
        (1..).zip(&self.archives).filter(|(_, a)| there(a)).map(|(number, _)| number).collect()
    }

    fn damage(&self, number: usize) {
        let location = self.copies.places()[0].location(&self.archives[number - 1].summary);
        block_on(self.store.inner.put(&location, vec![0; 5_000].into())).unwrap();
    }
}

#[test]
fn the_newest_copies_stay_and_older_ones_go() {
    for keep in 1..=5 {
        let world = World::of(5);
        assert_eq!(world.prune(keep), Pruned::Deleted { copies: 5 - keep });
        assert_eq!(world.left(), (6 - keep..=5).collect::<Vec<_>>());
        assert_eq!(world.prune(keep), Pruned::Deleted { copies: 0 }, "nothing more goes");
        let newest = block_on(world.copies.check(&world.archives[4].summary));
        assert_eq!(states(&newest), [CopyState::Good]);
    }
}

#[test]
fn a_place_with_too_few_copies_keeps_all() {
    let world = World::of(3);
    assert_eq!(world.prune(4), Pruned::TooFew { good: 3 });
    assert_eq!(world.left(), [1, 2, 3]);
}

#[test]
fn a_damaged_copy_does_not_count_among_those_that_are_kept() {
    let world = World::of(4);
    world.damage(4);
    world.damage(3);
    assert_eq!(world.prune(1), Pruned::Deleted { copies: 1 });
    assert_eq!(world.left(), [2, 3, 4], "the newest good one stays");
    world.damage(2);
    assert_eq!(world.prune(1), Pruned::TooFew { good: 0 });
    assert_eq!(world.left(), [2, 3, 4]);
}

#[test]
fn where_everything_reads_back_otherwise_nothing_is_deleted() {
    for lie in DAMAGING {
        let world = World::of(3);
        world.store.tell(lie);
        assert_eq!(world.prune(1), Pruned::TooFew { good: 0 }, "{lie:?}");
        world.store.tell(None);
        assert_eq!(world.left(), [1, 2, 3], "{lie:?}");
    }
}

#[test]
fn a_place_that_fails_keeps_what_it_has() {
    for lie in [Lie::Get, Lie::GetBreaks, Lie::Delete] {
        let world = World::of(3);
        world.store.tell(lie);
        assert_eq!(world.prune(1), Pruned::Unreachable, "{lie:?}");
        world.store.tell(None);
        assert_eq!(world.left(), [1, 2, 3], "{lie:?}");
    }
}

#[test]
fn what_the_host_did_not_make_is_neither_counted_nor_touched() {
    let world = World::of(3);
    // Somebody who can write to the place puts newer things there.
    let forged = archive(200);
    let location = world.copies.places()[0].location(&forged.summary);
    block_on(world.store.inner.put(&location, forged.bytes.to_vec().into())).unwrap();
    let notes = custody_recovery::object_store::path::Path::from("custody/archives/notes");
    block_on(world.store.inner.put(&notes, vec![1].into())).unwrap();
    assert_eq!(world.prune(2), Pruned::Deleted { copies: 1 });
    assert_eq!(world.left(), [2, 3]);
    let all: Vec<_> = block_on(world.store.list(None).try_collect()).unwrap();
    assert_eq!(all.len(), 4);
}
