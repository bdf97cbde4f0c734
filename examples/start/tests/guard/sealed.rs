//! A whole house whose store is sealed: it works as over any other store, its files tell nothing of
//! its orders, and what somebody else wrote into them is not believed.

use std::path::Path;
use std::sync::Arc;

use custody_core::custodian::{Answer, Error, OpenError, RequestedWork};
use custody_core::digest::Digest;
use custody_core::seam::{ErrorKind, Position, RecordKey, Store};
use custody_store::{SealedStoreError, SqliteStore};
use custody_testkit::backend::MemoryKeyEncryption;

use crate::assert_same;
use crate::world::disk::{FILE, SEALED_BY, seal};
use crate::world::tamper::Tamper;
use crate::world::work::{ETH, FEE, KNOWN, STRANGER};
use crate::world::{Kind, Remains, Setup, World, words};

/// A house over SQLite in which a few things have happened, and what its callers heard.
async fn house(kind: Kind) -> (World, Vec<Answer>) {
    let setup = Setup::new(kind).in_process().config(|config| config.snapshot_interval = 8);
    let world = World::with(setup).await;
    let small = world.pay(ETH / 2, KNOWN, "small").await.unwrap();
    let large = world.pay(20 * ETH, STRANGER, "large").await.unwrap();
    let large = world.approve_all(large).await.unwrap();
    let denied = world.pay(1_000 * ETH, KNOWN, "hopeless").await.unwrap();
    let heard = [&small, &large, &denied].map(|answer| words::of_outcome(&answer.outcome));
    assert_eq!(heard[..2], ["released", "released"]);
    assert!(heard[2].starts_with("denied"), "{}", heard[2]);
    (world, vec![small, large, denied])
}

#[tokio::test]
async fn a_sealed_house_works_and_is_whole_when_it_is_opened_again() {
    let (world, given) = house(Kind::Sealed).await;
    let waits = world.pay(20 * ETH, KNOWN, "waits").await.unwrap();
    let world = world.reopen().await;
    for answer in &given {
        assert_same(&world.order(&answer.order).await.unwrap(), answer);
    }
    assert_eq!(words::of(&world.approve_all(waits).await), "released");
    assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, "small").await), "released");
    let probe = world.pay(ETH / 4, KNOWN, "probe").await.unwrap();
    let spent = 40 * ETH + ETH / 2 + ETH / 4 + 4 * FEE;
    assert_eq!(world.spent_at(&probe.order).await, spent.into());
    let snapshots = world.tamper().below("document/snapshot/").len();
    assert!(snapshots > 0, "the state was never kept");
    assert_eq!(world.verify().await.report.released, 4);
}

/// What only the values of records and the events of a house say.
fn telling() -> Vec<(&'static str, Vec<u8>)> {
    let address = |text: &str| text.strip_prefix("0x").unwrap().to_owned();
    let bytes = |text: &str| hex::decode(address(text)).unwrap();
    vec![
        ("an event", b"\"order_submitted\"".to_vec()),
        ("an order document", b"\"effects\":[".to_vec()),
        ("the address in an order document", address(STRANGER).into_bytes()),
        ("the address in a payload", bytes(STRANGER)),
        ("a decode context", b"\"accounts\":[".to_vec()),
        ("a rule", b"@id(\\\"transfer-small\\\")".to_vec()),
        ("a signature set", b"\"signatures\":[".to_vec()),
    ]
}

/// Which of them lie in the files of a directory.
fn lying_in(directory: &Path) -> Vec<&'static str> {
    let files = std::fs::read_dir(directory).unwrap();
    let contents: Vec<_> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    let total: usize = contents.iter().map(Vec::len).sum();
    assert!(total > 50_000, "only {total} bytes were searched");
    let lies = |wanted: &[u8]| {
        let mut windows = contents.iter().flat_map(|bytes| bytes.windows(wanted.len()));
        windows.any(|window| window == wanted)
    };
    telling().into_iter().filter(|(_, wanted)| lies(wanted)).map(|(name, _)| name).collect()
}

#[tokio::test]
async fn the_files_of_a_sealed_house_tell_nothing_of_its_orders() {
    let all: Vec<_> = telling().into_iter().map(|(name, _)| name).collect();
    for (kind, found) in [(Kind::Sqlite, all), (Kind::Sealed, Vec::new())] {
        let (world, _given) = house(kind).await;
        assert_eq!(lying_in(world.directory()), found, "{kind:?}, open");
        let remains = world.crash().await;
        assert_eq!(lying_in(remains.directory()), found, "{kind:?}, closed");
        let world = remains.open().await;
        assert_eq!(lying_in(world.directory()), found, "{kind:?}, opened again");
    }
}

/// The file of a house that nobody has open.
async fn file(kind: Kind) -> (Remains, Arc<SqliteStore>) {
    let remains = house(kind).await.0.crash().await;
    let store = SqliteStore::open(remains.directory().join(FILE)).unwrap();
    (remains, Arc::new(store))
}

#[tokio::test]
async fn another_key_a_house_that_is_not_sealed_and_no_key_open_nothing() {
    let (remains, below) = file(Kind::Sealed).await;
    let before = remains.tamper().records();
    let refused = seal(&below, MemoryKeyEncryption::seeded(SEALED_BY + 1));
    assert!(matches!(refused, Err(SealedStoreError::KeyEncryption { .. })), "{refused:?}");
    // Without its key encryption the store below has events, but none of a custodian.
    let genesis = below.events(Position::START, 1).await.unwrap();
    assert!(custody_core::document::EventDocument::read(&genesis[0].bytes).is_err());
    below.close();
    drop(below);
    assert_eq!(remains.tamper().records(), before, "nothing was written");
    assert_eq!(words::of(&remains.open().await.pay(ETH / 4, KNOWN, "next").await), "released");

    let (_remains, below) = file(Kind::Sqlite).await;
    let refused = seal(&below, MemoryKeyEncryption::seeded(SEALED_BY));
    assert!(matches!(refused, Err(SealedStoreError::NotSealed)), "{refused:?}");
}

/// What somebody does to a value; `mine` and `other` are keys of two records of one kind.
type Change = fn(&Tamper, &str, &str);

const CHANGES: [(&str, Change); 8] = [
    ("another record's", |disk, mine, other| disk.replace(mine, disk.value(other))),
    ("exchanged", |disk, mine, other| {
        let (one, two) = (disk.value(mine), disk.value(other));
        disk.replace(mine, two);
        disk.replace(other, one);
    }),
    ("a byte less", |disk, mine, _| {
        let mut value = disk.value(mine);
        value.pop();
        disk.replace(mine, value);
    }),
    ("half of it", |disk, mine, _| {
        let value = disk.value(mine);
        disk.replace(mine, value[..value.len() / 2].to_vec());
    }),
    ("its first bytes", |disk, mine, _| disk.replace(mine, disk.value(mine)[..4].to_vec())),
    ("nothing of it", |disk, mine, _| disk.replace(mine, Vec::new())),
    ("a bit changed", |disk, mine, _| {
        let mut value = disk.value(mine);
        let middle = value.len() / 2;
        value[middle] ^= 1;
        disk.replace(mine, value);
    }),
    ("a byte more", |disk, mine, _| disk.replace(mine, [disk.value(mine), vec![0]].concat())),
];

/// The key of the record that holds the payload of olivia's request.
fn payload_of(world: &World, answer: &Answer, wei: u128, id: &str) -> String {
    let RequestedWork::Payload { payload, .. } = world.request(wei, KNOWN, id).work else {
        panic!("a payment")
    };
    format!("document/{}/{}", answer.order, Digest::of(&payload.bytes))
}

#[tokio::test]
async fn swapped_and_cut_records_use_no_key() {
    for (name, change) in CHANGES {
        let world = World::with(Setup::new(Kind::Sealed)).await;
        let mine = world.pay(20 * ETH, KNOWN, "mine").await.unwrap();
        let other = world.pay(21 * ETH, KNOWN, "theirs").await.unwrap();
        let keys = [(&mine, 20 * ETH, "mine"), (&other, 21 * ETH, "theirs")]
            .map(|(answer, wei, id)| payload_of(&world, answer, wei, id));
        change(&world.tamper(), &keys[0], &keys[1]);
        let read = world.store.inner().get(&RecordKey::parse(&keys[0]).unwrap()).await;
        assert_eq!(read.unwrap_err().kind(), ErrorKind::Corrupt, "{name}");
        let failed = world.approve_all(mine).await;
        assert_eq!(words::of(&failed), "failed Corrupt", "{name}");
        assert_eq!(world.sign_calls(), 0, "{name}");
    }
}

#[tokio::test]
async fn swapped_and_cut_handles_open_no_key() {
    for (name, change) in CHANGES {
        let world = World::with(Setup::new(Kind::Sealed)).await;
        world.add_wallet("other").await;
        change(&world.tamper(), "handle/hot.0", "handle/other.0");
        let failed = words::of(&world.pay(ETH / 2, KNOWN, "paid").await);
        assert!(failed.starts_with("failed"), "{name}: {failed}");
        assert_eq!(world.sign_calls(), 0, "{name}");
    }
}

#[tokio::test]
async fn swapped_and_cut_events_are_not_opened() {
    type Change = fn(&Tamper, u64);
    let changes: [(&str, Change); 3] = [
        ("exchanged", |disk, last| {
            let events = disk.events();
            let at = |index: u64| events[usize::try_from(index).unwrap()].clone();
            disk.replace_event(last, at(last - 1));
            disk.replace_event(last - 1, at(last));
        }),
        ("a byte less", |disk, last| {
            let mut event = disk.events()[usize::try_from(last).unwrap()].clone();
            event.pop();
            disk.replace_event(last, event);
        }),
        ("nothing of it", |disk, last| disk.replace_event(last, vec![0])),
    ];
    for (name, change) in changes {
        let remains = World::with(Setup::new(Kind::Sealed)).await.crash().await;
        let last = remains.tamper().events().len() as u64 - 1;
        change(&remains.tamper(), last);
        let below = Arc::new(SqliteStore::open(remains.directory().join(FILE)).unwrap());
        let store = seal(&below, MemoryKeyEncryption::seeded(SEALED_BY)).unwrap();
        let read = store.events(Position::new(last), 1).await;
        assert_eq!(read.unwrap_err().kind(), ErrorKind::Corrupt, "{name}");
        below.close();
        drop((store, below));
        assert!(remains.try_open().await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_state_that_was_cut_or_swapped_is_not_opened() {
    for (name, change) in CHANGES {
        let remains = house(Kind::Sealed).await.0.crash().await;
        let disk = remains.tamper();
        change(&disk, "snapshot", "handle/hot.0");
        let refused = remains.try_open().await.map(drop);
        assert_eq!(refused.as_ref().err().and_then(kind_of), Some(ErrorKind::Corrupt), "{name}");
    }
}

/// The kind of a store's error inside an error of opening.
fn kind_of(error: &OpenError) -> Option<ErrorKind> {
    match error {
        OpenError::Store(error) | OpenError::Custodian(Error::Store(error)) => Some(error.kind()),
        OpenError::Audit(error) => Some(error.kind()),
        _ => None,
    }
}
