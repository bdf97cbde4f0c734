//! For each step of the flow what goes wrong, whether it happened all the same, what is stored,
//! how often the backend was called, and what becomes of the order when it is asked for again.

use custody_core::seam::ErrorKind;
use custody_testkit::audit::LogCall;
use custody_testkit::backend::BackendCall;
use custody_testkit::fault::{Fault, Happened};
use custody_testkit::store::StoreCall;

use crate::world::work::{ETH, FEE, KNOWN};
use crate::world::{Kind, Setup, World, words};

struct Row {
    name: &'static str,
    wei: u128,
    plan: fn(&World),
    /// What the caller hears; nothing if the process dies first.
    hears: &'static str,
    stored: &'static [&'static str],
    calls: usize,
    /// Whether the process dies now.
    dies: bool,
    /// What is heard when the same request comes again, after a restart and `resume` if it died.
    again: &'static str,
    later: &'static [&'static str],
    calls_later: usize,
}

const SMALL: u128 = ETH / 2;
const LARGE: u128 = 20 * ETH;
const UNAVAILABLE: Fault = Fault::fail(ErrorKind::Unavailable);
const LOST: Fault = Fault::fail(ErrorKind::Indeterminate);
const LOST_AFTER: Fault = Fault::fail_after(ErrorKind::Indeterminate);
const DIES: Fault = Fault::Hang { happened: Happened::No };
const DIES_AFTER: Fault = Fault::Hang { happened: Happened::Yes };

const NOTHING: &[&str] = &[];
const SUBMITTED: &[&str] = &["submitted"];
const RESERVED: &[&str] = &["submitted", "allowed"];
const SIGNED: &[&str] = &["submitted", "allowed", "signed"];

/// Plans a fault for commit number `nth` from now on.
fn commit(world: &World, nth: usize, fault: Fault) {
    let plan = world.store.plan();
    plan.at(StoreCall::Commit, plan.count(StoreCall::Commit) + nth, fault);
}

/// Plans a fault for seal number `nth` from now on.
fn seal(world: &World, nth: usize, fault: Fault) {
    let plan = world.log.plan();
    plan.at(LogCall::Seal, plan.count(LogCall::Seal) + nth, fault);
}

fn sign(world: &World, fault: Fault) {
    world.backend.plan().next(BackendCall::Sign, fault);
}

fn open(world: &World, fault: Fault) {
    world.backend.plan().next(BackendCall::Signer, fault);
}

#[rustfmt::skip]
const SUBMIT: [Row; 5] = [
    Row { name: "submit, not committed", wei: LARGE, plan: |w| commit(w, 0, UNAVAILABLE),
        hears: "store Unavailable", stored: NOTHING, calls: 0, dies: false,
        again: "pending", later: SUBMITTED, calls_later: 0 },
    Row { name: "submit, lost and not committed", wei: LARGE, plan: |w| commit(w, 0, LOST),
        hears: "store Unavailable", stored: NOTHING, calls: 0, dies: false,
        again: "pending", later: SUBMITTED, calls_later: 0 },
    Row { name: "submit, lost and committed", wei: LARGE, plan: |w| commit(w, 0, LOST_AFTER),
        hears: "pending", stored: SUBMITTED, calls: 0, dies: false,
        again: "pending", later: SUBMITTED, calls_later: 0 },
    Row { name: "submit, dies before", wei: LARGE, plan: |w| commit(w, 0, DIES),
        hears: "", stored: NOTHING, calls: 0, dies: true,
        again: "pending", later: SUBMITTED, calls_later: 0 },
    Row { name: "submit, dies after", wei: LARGE, plan: |w| commit(w, 0, DIES_AFTER),
        hears: "", stored: SUBMITTED, calls: 0, dies: true,
        again: "pending", later: SUBMITTED, calls_later: 0 },
];

#[rustfmt::skip]
const RESERVE: [Row; 6] = [
    Row { name: "reserve, not committed", wei: SMALL, plan: |w| commit(w, 0, UNAVAILABLE),
        hears: "store Unavailable", stored: NOTHING, calls: 0, dies: false,
        again: "released", later: SIGNED, calls_later: 1 },
    Row { name: "reserve, lost and not committed", wei: SMALL, plan: |w| commit(w, 0, LOST),
        hears: "store Unavailable", stored: NOTHING, calls: 0, dies: false,
        again: "released", later: SIGNED, calls_later: 1 },
    Row { name: "reserve, lost and committed", wei: SMALL, plan: |w| commit(w, 0, LOST_AFTER),
        hears: "released", stored: SIGNED, calls: 1, dies: false,
        again: "released", later: SIGNED, calls_later: 1 },
    Row { name: "reserve, dies before", wei: SMALL, plan: |w| commit(w, 0, DIES),
        hears: "", stored: NOTHING, calls: 0, dies: true,
        again: "released", later: SIGNED, calls_later: 1 },
    Row { name: "reserve, dies after", wei: SMALL, plan: |w| commit(w, 0, DIES_AFTER),
        hears: "", stored: RESERVED, calls: 0, dies: true,
        again: "released", later: SIGNED, calls_later: 1 },
    Row { name: "reserve, another writer", wei: SMALL,
        plan: |w| commit(w, 0, Fault::fail(ErrorKind::Conflict)),
        hears: "released", stored: SIGNED, calls: 1, dies: false,
        again: "released", later: SIGNED, calls_later: 1 },
];

#[rustfmt::skip]
const CONCLUDE: [Row; 6] = [
    Row { name: "conclude, not committed", wei: SMALL, plan: |w| commit(w, 1, UNAVAILABLE),
        hears: "unavailable, ask later", stored: RESERVED, calls: 1, dies: false,
        again: "released", later: SIGNED, calls_later: 1 },
    Row { name: "conclude, lost and not committed", wei: SMALL, plan: |w| commit(w, 1, LOST),
        hears: "unavailable, ask later", stored: RESERVED, calls: 1, dies: false,
        again: "released", later: SIGNED, calls_later: 1 },
    Row { name: "conclude, lost and committed", wei: SMALL, plan: |w| commit(w, 1, LOST_AFTER),
        hears: "released", stored: SIGNED, calls: 1, dies: false,
        again: "released", later: SIGNED, calls_later: 1 },
    Row { name: "conclude, not committed and dies", wei: SMALL,
        plan: |w| commit(w, 1, UNAVAILABLE),
        hears: "unavailable, ask later", stored: RESERVED, calls: 1, dies: true,
        again: "released", later: SIGNED, calls_later: 2 },
    Row { name: "conclude, dies before", wei: SMALL, plan: |w| commit(w, 1, DIES),
        hears: "", stored: RESERVED, calls: 1, dies: true,
        again: "released", later: SIGNED, calls_later: 2 },
    Row { name: "conclude, dies after", wei: SMALL, plan: |w| commit(w, 1, DIES_AFTER),
        hears: "", stored: SIGNED, calls: 1, dies: true,
        again: "released", later: SIGNED, calls_later: 1 },
];

#[rustfmt::skip]
const SEAL: [Row; 9] = [
    Row { name: "seal of a submission, not signed", wei: LARGE, plan: |w| seal(w, 0, UNAVAILABLE),
        hears: "unavailable, ask later", stored: SUBMITTED, calls: 0, dies: false,
        again: "pending", later: SUBMITTED, calls_later: 0 },
    Row { name: "seal of a reservation, not signed", wei: SMALL, plan: |w| seal(w, 0, UNAVAILABLE),
        hears: "unavailable, ask later", stored: RESERVED, calls: 0, dies: false,
        again: "released", later: SIGNED, calls_later: 1 },
    Row { name: "seal of a reservation, signed and lost", wei: SMALL,
        plan: |w| seal(w, 0, LOST_AFTER),
        hears: "unavailable, ask later", stored: RESERVED, calls: 0, dies: false,
        again: "released", later: SIGNED, calls_later: 1 },
    Row { name: "seal of a reservation, not signed and dies", wei: SMALL,
        plan: |w| seal(w, 0, UNAVAILABLE),
        hears: "unavailable, ask later", stored: RESERVED, calls: 0, dies: true,
        again: "released", later: SIGNED, calls_later: 1 },
    Row { name: "seal of a reservation, dies before", wei: SMALL, plan: |w| seal(w, 0, DIES),
        hears: "", stored: RESERVED, calls: 0, dies: true,
        again: "released", later: SIGNED, calls_later: 1 },
    Row { name: "seal of an outcome, not signed", wei: SMALL, plan: |w| seal(w, 1, UNAVAILABLE),
        hears: "unavailable, ask later", stored: SIGNED, calls: 1, dies: false,
        again: "released", later: SIGNED, calls_later: 1 },
    Row { name: "seal of an outcome, signed and lost", wei: SMALL, plan: |w| seal(w, 1, LOST_AFTER),
        hears: "unavailable, ask later", stored: SIGNED, calls: 1, dies: false,
        again: "released", later: SIGNED, calls_later: 1 },
    Row { name: "seal of an outcome, dies before", wei: SMALL, plan: |w| seal(w, 1, DIES),
        hears: "", stored: SIGNED, calls: 1, dies: true,
        again: "released", later: SIGNED, calls_later: 1 },
    Row { name: "seal of an outcome, dies after", wei: SMALL, plan: |w| seal(w, 1, DIES_AFTER),
        hears: "", stored: SIGNED, calls: 1, dies: true,
        again: "released", later: SIGNED, calls_later: 1 },
];

async fn run(kind: Kind, row: &Row) {
    let name = format!("{}, over {kind:?}", row.name);
    let world = World::new(kind).await;
    (row.plan)(&world);
    let call = world.pay(row.wei, KNOWN, "once");
    let heard = match row.hears {
        "" => world.dies_at(call, "once", row.stored.len()).await,
        _ => words::of(&call.await),
    };
    assert_eq!(heard, row.hears, "{name}");
    let world = if row.dies {
        let remains = world.crash().await;
        remains.open().await
    } else {
        world
    };
    assert_eq!(world.story_of("once").await, row.stored, "{name}");
    assert_eq!(world.sign_calls(), row.calls, "{name}");
    if row.dies {
        let _resumed = world.resume().await.unwrap();
    }
    let again = world.drive(world.pay(row.wei, KNOWN, "once")).await;
    assert_eq!(words::of(&again), row.again, "{name}");
    assert_eq!(world.story_of("once").await, row.later, "{name}");
    assert_eq!(world.sign_calls(), row.calls_later, "{name}");
    let _oracle = world.verify().await;
}

async fn run_all(rows: &[Row]) {
    for kind in Kind::ALL {
        for row in rows {
            run(kind, row).await;
        }
    }
}

#[tokio::test]
async fn a_fault_while_a_submission_is_committed_leaves_all_of_it_or_nothing() {
    run_all(&SUBMIT).await;
}

#[tokio::test]
async fn a_fault_while_a_reservation_is_committed_never_signs_what_is_not_durable() {
    run_all(&RESERVE).await;
}

#[tokio::test]
async fn a_fault_while_an_outcome_is_committed_releases_nothing_before_it_is_durable() {
    run_all(&CONCLUDE).await;
}

#[tokio::test]
async fn a_head_that_is_not_signed_holds_back_what_it_would_cover() {
    run_all(&SEAL).await;
}

/// What a backend's answer makes of the order, and whether the reservation is returned.
#[tokio::test]
async fn a_backend_that_fails_ends_the_order_as_what_may_have_happened_demands() {
    let throttled = Fault::fail(ErrorKind::Throttled { retry_after: None });
    let fail = Fault::fail;
    type Plan = fn(&World, Fault);
    let rows: [(&str, Plan, Fault, &str, bool); 13] = [
        ("sign Unavailable", sign, UNAVAILABLE, "failed BackendUnavailable", true),
        ("sign Throttled", sign, throttled, "failed BackendUnavailable", true),
        ("sign Refused", sign, fail(ErrorKind::Refused), "failed BackendRefused", true),
        ("sign Unsupported", sign, fail(ErrorKind::Unsupported), "failed BackendRefused", true),
        ("sign NotFound", sign, fail(ErrorKind::NotFound), "failed BackendRefused", true),
        ("sign Indeterminate", sign, LOST, "unknown BackendIndeterminate", false),
        ("signed, Indeterminate", sign, LOST_AFTER, "unknown BackendIndeterminate", false),
        ("sign never answers", sign, DIES, "unknown TimedOut", false),
        ("signed, never answers", sign, DIES_AFTER, "unknown TimedOut", false),
        ("open Unavailable", open, UNAVAILABLE, "failed BackendUnavailable", true),
        ("open Corrupt", open, fail(ErrorKind::Corrupt), "failed Corrupt", true),
        ("open Indeterminate", open, LOST, "failed BackendUnavailable", true),
        ("open never answers", open, DIES, "failed BackendUnavailable", true),
    ];
    let cases = Kind::ALL.into_iter().flat_map(|kind| rows.clone().map(|row| (kind, row)));
    for (kind, (name, plan, fault, ends, returned)) in cases {
        let world = World::new(kind).await;
        plan(&world, fault);
        let answer = world.drive(world.pay(SMALL, KNOWN, "once")).await;
        assert_eq!(words::of(&answer), ends, "{name}");
        assert_eq!(world.story_of("once").await, ["submitted", "allowed", ends], "{name}");
        let calls = usize::from(name.starts_with("sign"));
        assert_eq!(world.sign_calls(), calls, "{name}");
        let again = world.pay(SMALL, KNOWN, "once").await;
        assert_eq!(words::of(&again), ends, "{name}");
        assert_eq!(world.sign_calls(), calls, "{name}: called again");
        let probe = world.pay(SMALL, KNOWN, "probe").await.unwrap();
        let orders = if returned { 1 } else { 2 };
        let expected = ((SMALL + FEE) * orders).into();
        assert_eq!(world.spent_at(&probe.order).await, expected, "{name}");
        let _oracle = world.verify().await;
        let world = world.reopen().await;
        assert_eq!(world.resume().await.unwrap(), [], "{name}");
        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "once").await), ends, "{name}");
    }
}

/// A backend's answer that comes after the time-out changes nothing any more.
#[tokio::test]
async fn a_signature_that_comes_too_late_is_not_released() {
    let world = World::with(Setup::new(Kind::Memory)).await;
    let gate = custody_testkit::fault::Gate::new();
    sign(&world, Fault::Hold(gate.clone()));
    let answer = world.drive(world.pay(SMALL, KNOWN, "late")).await;
    assert_eq!(words::of(&answer), "unknown TimedOut");
    gate.open();
    let order = world.order(&answer.unwrap().order).await;
    assert_eq!(words::of(&order), "unknown TimedOut");
    assert_eq!(world.verify().await.report.released, 0);
}
