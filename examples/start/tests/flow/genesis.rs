//! The beginning: what goes wrong while the genesis event is committed and sealed, and whether a
//! host that never heard the custodian's id can begin again or must open what is there.

use std::time::Duration;

use custody_core::custodian::{Custodian, OpenError};
use custody_core::digest::Digest;
use custody_core::id::CustodianId;
use custody_core::seam::{ErrorKind, Position, Store};
use custody_testkit::audit::LogCall;
use custody_testkit::fault::{Fault, Happened};
use custody_testkit::store::StoreCall;

use crate::world::setup::LogKind;
use crate::world::work::{ETH, KNOWN};
use crate::world::{GivenOut, Ground, Kind, Setup, World, words};

/// What goes wrong, and whether the genesis event is there all the same.
struct Row {
    name: &'static str,
    plan: fn(&Ground),
    happened: bool,
    hangs: bool,
}

fn commit(ground: &Ground, fault: Fault) {
    ground.store.plan().next(StoreCall::Commit, fault);
}

fn seal(ground: &Ground, fault: Fault) {
    ground.log.plan().next(LogCall::Seal, fault);
}

const UNAVAILABLE: Fault = Fault::fail(ErrorKind::Unavailable);
const LOST: Fault = Fault::fail(ErrorKind::Indeterminate);
const LOST_AFTER: Fault = Fault::fail_after(ErrorKind::Indeterminate);
const DIES: Fault = Fault::Hang { happened: Happened::No };
const DIES_AFTER: Fault = Fault::Hang { happened: Happened::Yes };

#[rustfmt::skip]
const ROWS: [Row; 9] = [
    Row { name: "not committed", plan: |g| commit(g, UNAVAILABLE), happened: false, hangs: false },
    Row { name: "lost and not committed", plan: |g| commit(g, LOST), happened: false, hangs: false },
    Row { name: "lost and committed", plan: |g| commit(g, LOST_AFTER), happened: true, hangs: false },
    Row { name: "dies before", plan: |g| commit(g, DIES), happened: false, hangs: true },
    Row { name: "dies after", plan: |g| commit(g, DIES_AFTER), happened: true, hangs: true },
    Row { name: "not sealed", plan: |g| seal(g, UNAVAILABLE), happened: true, hangs: false },
    Row { name: "sealed and lost", plan: |g| seal(g, LOST_AFTER), happened: true, hangs: false },
    Row { name: "dies before the seal", plan: |g| seal(g, DIES), happened: true, hangs: true },
    Row { name: "dies after the seal", plan: |g| seal(g, DIES_AFTER), happened: true, hangs: true },
];

/// The beginning that goes wrong; an error, or nothing if the process dies.
async fn begin(ground: &Ground, hangs: bool, events: u64) -> Option<Result<Custodian, OpenError>> {
    let struck = async {
        while ground.store.plan().is_waiting()
            || ground.log.plan().is_waiting()
            || ground.store.inner().head().await.unwrap() != Position::new(events)
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    if !hangs {
        return Some(ground.create().await);
    }
    tokio::select! {
        biased;
        created = ground.create() => Some(created),
        () = struck => None,
    }
}

/// The id of the custodian whose genesis event is stored; any if there is none.
async fn stored_id(ground: &Ground) -> CustodianId {
    let events = ground.store.inner().events(Position::START, 1).await.unwrap();
    CustodianId::new(Digest::of(events.first().map_or(&b"none"[..], |event| &event.bytes)))
}

/// A custodian that began works, and works after a restart.
async fn assert_works(world: World, name: &str) {
    world.furnish().await;
    assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, "paid").await), "released", "{name}");
    let world = world.reopen().await;
    assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, "paid").await), "released", "{name}");
    assert_eq!((world.sign_calls(), world.verify().await.report.released), (1, 1), "{name}");
}

async fn run(setup: Setup, row: &Row) {
    let name = format!("{}, over {:?} and {:?}", row.name, setup.kind, setup.log);
    let ground = Ground::new(setup).await;
    (row.plan)(&ground);
    let events = u64::from(row.happened);
    let began = begin(&ground, row.hangs, events).await;
    match began {
        None => assert!(row.hangs, "{name}"),
        Some(Err(OpenError::Store(_) | OpenError::Audit(_))) => assert!(!row.hangs, "{name}"),
        Some(other) => panic!("{name}: {other:?}"),
    }
    let head = ground.store.inner().head().await.unwrap();
    assert_eq!(head, Position::new(events), "{name}");
    let id = stored_id(&ground).await;
    if !row.happened {
        let nothing = ground.open(id).await;
        let is_empty = OpenError::Corrupt { what: "the store is empty" }.to_string();
        assert_eq!(nothing.unwrap_err().to_string(), is_empty, "{name}");
        let custodian = ground.create().await.unwrap();
        return assert_works(ground.world(custodian, GivenOut::new()), &name).await;
    }
    let twice = ground.create().await;
    assert!(matches!(twice, Err(OpenError::Corrupt { .. })), "{name}: {twice:?}");
    assert_eq!(ground.store.inner().head().await.unwrap(), Position::new(1), "{name}");
    assert_works(ground.crash(id).await.open().await, &name).await;
}

#[tokio::test]
async fn a_fault_while_a_custodian_begins_leaves_it_begun_or_not_and_never_twice() {
    for kind in Kind::ALL {
        for log in [LogKind::Memory, LogKind::Tiles] {
            for row in &ROWS {
                run(Setup { log, ..Setup::new(kind) }, row).await;
            }
        }
    }
}
