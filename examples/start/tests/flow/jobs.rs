//! Commands that call a backend or a handler: keys, seeds, accounts and extensions. For each what
//! goes wrong with the call or with a commit around it, whether it happened all the same, what is
//! stored, and what exists in the end.

mod job;

use std::time::Duration;

use custody_core::command::{Command, Resolution};
use custody_core::id::OrderId;
use custody_core::seam::ErrorKind;
use custody_testkit::fault::{Fault, Happened};
use custody_testkit::store::StoreCall;

use crate::world::{Kind, Setup, words};
use job::{Job, Office};

const UNAVAILABLE: Fault = Fault::fail(ErrorKind::Unavailable);
const LOST: Fault = Fault::fail(ErrorKind::Indeterminate);
const LOST_AFTER: Fault = Fault::fail_after(ErrorKind::Indeterminate);
const DIES: Fault = Fault::Hang { happened: Happened::No };
const DIES_AFTER: Fault = Fault::Hang { happened: Happened::Yes };

/// How the call goes wrong, and how the order ends.
#[rustfmt::skip]
const CALLS: [(&str, Fault, &str); 12] = [
    ("Unavailable", UNAVAILABLE, "failed BackendUnavailable"),
    ("Throttled", Fault::fail(ErrorKind::Throttled { retry_after: None }), "failed BackendUnavailable"),
    ("Refused", Fault::fail(ErrorKind::Refused), "failed BackendRefused"),
    ("Unsupported", Fault::fail(ErrorKind::Unsupported), "failed BackendRefused"),
    ("NotFound", Fault::fail(ErrorKind::NotFound), "failed BackendRefused"),
    ("Conflict", Fault::fail(ErrorKind::Conflict), "failed BackendRefused"),
    ("Indeterminate", LOST, "unknown BackendIndeterminate"),
    ("done, Indeterminate", LOST_AFTER, "unknown BackendIndeterminate"),
    ("Corrupt", Fault::fail(ErrorKind::Corrupt), "unknown Corrupt"),
    ("done, Corrupt", Fault::fail_after(ErrorKind::Corrupt), "unknown Corrupt"),
    ("never answers", DIES, "unknown TimedOut"),
    ("done, never answers", DIES_AFTER, "unknown TimedOut"),
];

/// What is stored of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Asked,
    Allowed,
    Done,
}

impl Job {
    const fn story(self, stage: Stage) -> &'static [&'static str] {
        let [asked, allowed, done] = self.stories();
        match stage {
            Stage::Asked => asked,
            Stage::Allowed => allowed,
            Stage::Done => done,
        }
    }
}

/// What goes wrong with commit number `nth` of the last step.
struct Row {
    name: &'static str,
    nth: usize,
    fault: Fault,
    /// What the caller hears; nothing if the process dies first.
    hears: &'static str,
    stored: Stage,
    calls: usize,
    dies: bool,
    /// How often the backend or handler was called in the end.
    calls_later: usize,
}

#[rustfmt::skip]
const COMMITS: [Row; 12] = [
    Row { name: "reserve, not committed", nth: 0, fault: UNAVAILABLE,
        hears: "store Unavailable", stored: Stage::Asked, calls: 0, dies: false, calls_later: 1 },
    Row { name: "reserve, lost and not committed", nth: 0, fault: LOST,
        hears: "store Unavailable", stored: Stage::Asked, calls: 0, dies: false, calls_later: 1 },
    Row { name: "reserve, lost and committed", nth: 0, fault: LOST_AFTER,
        hears: "released", stored: Stage::Done, calls: 1, dies: false, calls_later: 1 },
    Row { name: "reserve, not committed and dies", nth: 0, fault: UNAVAILABLE,
        hears: "store Unavailable", stored: Stage::Asked, calls: 0, dies: true, calls_later: 1 },
    Row { name: "reserve, dies before", nth: 0, fault: DIES,
        hears: "", stored: Stage::Asked, calls: 0, dies: true, calls_later: 1 },
    Row { name: "reserve, dies after", nth: 0, fault: DIES_AFTER,
        hears: "", stored: Stage::Allowed, calls: 0, dies: true, calls_later: 1 },
    Row { name: "conclude, not committed", nth: 1, fault: UNAVAILABLE,
        hears: "unavailable, ask later", stored: Stage::Allowed, calls: 1, dies: false, calls_later: 1 },
    Row { name: "conclude, lost and not committed", nth: 1, fault: LOST,
        hears: "unavailable, ask later", stored: Stage::Allowed, calls: 1, dies: false, calls_later: 1 },
    Row { name: "conclude, lost and committed", nth: 1, fault: LOST_AFTER,
        hears: "released", stored: Stage::Done, calls: 1, dies: false, calls_later: 1 },
    Row { name: "conclude, not committed and dies", nth: 1, fault: UNAVAILABLE,
        hears: "unavailable, ask later", stored: Stage::Allowed, calls: 1, dies: true, calls_later: 2 },
    Row { name: "conclude, dies before", nth: 1, fault: DIES,
        hears: "", stored: Stage::Allowed, calls: 1, dies: true, calls_later: 2 },
    Row { name: "conclude, dies after", nth: 1, fault: DIES_AFTER,
        hears: "", stored: Stage::Done, calls: 1, dies: true, calls_later: 1 },
];

async fn run(kind: Kind, job: Job, row: &Row) {
    let name = format!("{job:?}, {}, over {kind:?}", row.name);
    let office = Office::new(kind, job).await;
    let plan = office.world.store.plan();
    plan.at(StoreCall::Commit, plan.count(StoreCall::Commit) + row.nth, row.fault.clone());
    let stored = job.story(row.stored);
    let heard = match row.hears {
        "" => office.world.dies_at(office.act("job"), "job", stored.len()).await,
        _ => words::of(&office.act("job").await),
    };
    assert_eq!(heard, row.hears, "{name}");
    let office = if row.dies { office.reopen().await } else { office };
    assert_eq!(office.world.story_of("job").await, stored, "{name}");
    assert_eq!(office.calls(), row.calls, "{name}");
    let is_made = row.stored == Stage::Done && job != Job::Extension;
    assert_eq!(office.has_made(), is_made, "{name}");
    if row.dies {
        let _resumed = office.world.resume().await.unwrap();
    }
    let again = office.world.drive(office.act("job")).await;
    assert_eq!(words::of(&again), "released", "{name}");
    assert_eq!(office.world.story_of("job").await, job.story(Stage::Done), "{name}");
    assert_eq!(office.calls(), row.calls_later, "{name}");
    Box::pin(end(office, &again.unwrap().order, &name)).await;
}

/// What was made is of use, before and after a restart, and the log replays.
async fn end(office: Office, order: &OrderId, name: &str) {
    office.assert_useful(order, name).await;
    let report = office.world.verify().await.report;
    let office = office.reopen().await;
    assert_eq!(office.world.resume().await.unwrap(), [], "{name}");
    office.assert_useful(order, name).await;
    assert_eq!(office.world.verify().await.report, report, "{name}");
}

async fn run_all(job: Job) {
    for kind in Kind::ALL {
        for row in &COMMITS {
            Box::pin(run(kind, job, row)).await;
        }
    }
}

#[tokio::test]
async fn a_fault_while_a_key_is_committed_makes_it_once() {
    run_all(Job::CreateKey).await;
}

#[tokio::test]
async fn a_fault_while_a_seed_is_committed_makes_it_once() {
    run_all(Job::CreateSeed).await;
}

#[tokio::test]
async fn a_fault_while_an_account_is_committed_makes_it_once() {
    run_all(Job::DeriveAccount).await;
}

#[tokio::test]
async fn a_fault_while_an_extension_command_is_committed_does_it_once() {
    run_all(Job::Extension).await;
}

/// What a backend's or handler's answer makes of the order; nothing exists that is not certain.
#[tokio::test]
async fn a_call_that_fails_makes_nothing_and_ends_as_what_may_have_happened_demands() {
    for (kind, job) in Kind::ALL.into_iter().flat_map(|kind| Job::ALL.map(|job| (kind, job))) {
        for (name, fault, ends) in &CALLS {
            let name = format!("{job:?}, {name}, over {kind:?}");
            let office = Office::new(kind, job).await;
            office.plan(fault.clone());
            let answer = office.world.drive(office.act("job")).await;
            assert_eq!(words::of(&answer), *ends, "{name}");
            let story = [job.story(Stage::Allowed), &[*ends]].concat();
            let office = office.reopen().await;
            assert_eq!(office.world.resume().await.unwrap(), [], "{name}");
            assert_eq!(words::of(&office.act("job").await), *ends, "{name}");
            assert_eq!(office.world.story_of("job").await, story, "{name}");
            assert_eq!((office.calls(), office.has_made()), (1, false), "{name}");
            let order = &answer.unwrap().order;
            if ends.starts_with("unknown") && job != Job::CreateSeed {
                resolve(&office, order, &name).await;
            }
            let retry = office.world.drive(office.act("retry")).await;
            assert_eq!(words::of(&retry), "released", "{name}");
            assert_eq!(office.calls(), 2, "{name}");
            Box::pin(end(office, &retry.unwrap().order, &name)).await;
        }
    }
}

/// An unknown command can be resolved to failed, and to signed never.
async fn resolve(office: &Office, order: &OrderId, name: &str) {
    let resolve = |resolution| Command::ResolveOrder { order: order.clone(), resolution };
    let signed = resolve(Resolution::Signed { signatures: Vec::new() });
    let refused = office.world.govern("signed", signed).await;
    assert!(refused.is_err(), "{name}: {refused:?}");
    let reason = "the backend's own log shows no use".to_owned();
    office.world.done("failed", resolve(Resolution::Failed { reason })).await;
    let settled = office.world.order(order).await;
    assert_eq!(words::of(&settled), "failed Resolved", "{name}");
    assert!(!office.has_made(), "{name}");
}

/// An office whose process died in the call.
async fn died(setup: Setup, job: Job, fault: Fault) -> Office {
    let office = Office::with(setup, job).await;
    office.plan(fault);
    let struck = async {
        while office.is_waiting() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        biased;
        heard = office.act("job") => panic!("{job:?}: {heard:?}"),
        () = struck => {}
    }
    let office = office.reopen().await;
    assert_eq!(office.world.story_of("job").await, job.story(Stage::Allowed), "{job:?}");
    assert_eq!((office.calls(), office.has_made()), (1, false), "{job:?}");
    office
}

#[tokio::test]
async fn a_process_that_dies_in_a_call_goes_on_with_it_when_it_is_resumed() {
    for (kind, job) in Kind::ALL.into_iter().flat_map(|kind| Job::ALL.map(|job| (kind, job))) {
        for (fault, software) in [(DIES, false), (DIES_AFTER, false), (DIES_AFTER, true)] {
            let name = format!("{job:?}, {fault:?}, over {kind:?}, software: {software}");
            let setup = Setup::new(kind);
            let setup = if software { setup.software(4) } else { setup };
            let office = died(setup, job, fault).await;
            assert_eq!(words::of(&office.act("job").await), "pending", "{name}: by itself");
            assert_eq!(office.calls(), 1, "{name}");
            let resumed = office.world.resume().await.unwrap();
            let [answer] = &resumed[..] else { panic!("{name}: {resumed:?}") };
            assert_eq!(words::of_outcome(&answer.outcome), "released", "{name}");
            assert_eq!(office.world.story_of("job").await, job.story(Stage::Done), "{name}");
            assert_eq!(office.calls(), 2, "{name}");
            Box::pin(end(office, &answer.order, &name)).await;
        }
    }
}

#[tokio::test]
async fn a_resumed_call_that_fails_leaves_the_order_unknown_and_makes_nothing() {
    for (job, fault) in Job::ALL.into_iter().flat_map(|job| [(job, DIES), (job, DIES_AFTER)]) {
        for (again, ends) in [
            (UNAVAILABLE, "unknown BackendUnavailable"),
            (Fault::fail(ErrorKind::Refused), "unknown BackendRefused"),
            (LOST_AFTER, "unknown BackendIndeterminate"),
        ] {
            let name = format!("{job:?}, {fault:?}, then {again:?}");
            let office = died(Setup::new(Kind::Sqlite), job, fault.clone()).await;
            office.plan(again);
            let resumed = office.world.resume().await.unwrap();
            let [answer] = &resumed[..] else { panic!("{name}: {resumed:?}") };
            assert_eq!(words::of_outcome(&answer.outcome), ends, "{name}");
            assert_eq!((office.calls(), office.has_made()), (2, false), "{name}");
            if job != Job::CreateSeed {
                resolve(&office, &answer.order, &name).await;
            }
            let retry = office.act("retry").await;
            assert_eq!(words::of(&retry), "released", "{name}");
            Box::pin(end(office, &retry.unwrap().order, &name)).await;
        }
    }
}

#[tokio::test]
async fn an_unknown_wallet_with_a_seed_is_resolved_to_failed() {
    for kind in Kind::ALL {
        let office = Office::new(kind, Job::CreateSeed).await;
        office.plan(LOST);
        let lost = office.act("job").await.unwrap();
        assert_eq!(words::of_outcome(&lost.outcome), "unknown BackendIndeterminate");
        resolve(&office, &lost.order, "seed").await;
        let _oracle = office.world.verify().await;
    }
}
