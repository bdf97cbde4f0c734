//! For each word that people say about an order, each command that is done in a turn, and each
//! order that expires: what goes wrong while it is committed, whether it happened all the same,
//! what is stored, and what the same call finds later.

use std::time::Duration;

use custody_core::command::{Command, FreezeScope, Resolution};
use custody_core::custodian::{Answer, Error};
use custody_core::id::{KeyId, WalletId};
use custody_core::key::KeyState;
use custody_core::seam::{ErrorKind, PolicyDocument};
use custody_testkit::backend::BackendCall;
use custody_testkit::fault::{Fault, Happened};
use custody_testkit::store::StoreCall;
use examples_start::house;

use crate::world::work::{ETH, KNOWN, STRANGER, add_stranger, command};
use crate::world::{Kind, World, words};

const LARGE: u128 = 20 * ETH;

/// What is committed while the fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    AddAddress,
    Approve,
    Cancel,
    Freeze,
    Reject,
    ResolveOrder,
    SuspendKey,
    UpdatePolicy,
}

/// How the commit goes wrong, whether it happened all the same, and whether the process dies.
type Row = (Fault, &'static str, bool, bool);

const FAULTS: [Row; 6] = [
    (Fault::fail(ErrorKind::Unavailable), "not committed", false, false),
    (Fault::fail(ErrorKind::Indeterminate), "lost and not committed", false, false),
    (Fault::fail_after(ErrorKind::Indeterminate), "lost and committed", true, false),
    (Fault::fail(ErrorKind::Unavailable), "not committed and dies", false, true),
    (Fault::Hang { happened: Happened::No }, "dies before", false, true),
    (Fault::Hang { happened: Happened::Yes }, "dies after", true, true),
];

fn hot() -> KeyId {
    KeyId::parse("hot.0").unwrap()
}

fn wallet() -> WalletId {
    WalletId::parse("hot").unwrap()
}

impl Step {
    /// What is done before; the order that waits for the step, if there is one.
    async fn prepare(self, world: &World) -> Option<Answer> {
        let asked = |id, work| world.submit(command(&world.people.olivia, id, work));
        match self {
            Self::Freeze | Self::SuspendKey => None,
            Self::Approve | Self::Cancel | Self::Reject => {
                Some(world.pay(LARGE, KNOWN, "waits").await.unwrap())
            }
            Self::AddAddress => Some(asked("waits", add_stranger()).await.unwrap()),
            Self::UpdatePolicy => Some(asked("waits", update()).await.unwrap()),
            Self::ResolveOrder => {
                let lost = Fault::fail(ErrorKind::Indeterminate);
                world.backend.plan().next(BackendCall::Sign, lost);
                let lost = world.pay(ETH / 2, KNOWN, "lost").await.unwrap();
                let resolution = Resolution::Failed { reason: "no use was recorded".to_owned() };
                let work = Command::ResolveOrder { order: lost.order, resolution };
                Some(asked("waits", work).await.unwrap())
            }
        }
    }

    /// The step itself, the same each time it is called.
    async fn act(self, world: &World, waits: Option<&Answer>) -> Result<Answer, Error> {
        let people = &world.people;
        let stop = |work| world.submit(command(&people.olivia, "stop", work));
        match (self, waits) {
            (Self::Cancel, Some(waits)) => world.cancel(&people.olivia, waits).await,
            (Self::Reject, Some(waits)) => world.reject(&people.theo, waits).await,
            (_, Some(waits)) => world.approve(&people.theo, waits).await,
            (Self::SuspendKey, None) => stop(Command::SuspendKey { key: hot() }).await,
            (_, None) => stop(Command::Freeze { scope: FreezeScope::Wallet(wallet()) }).await,
        }
    }

    /// What is stored of the order before the step.
    const fn before(self) -> &'static [&'static str] {
        match self {
            Self::Freeze | Self::SuspendKey => &[],
            _ => &["submitted"],
        }
    }

    /// What is stored of the order after it.
    const fn after(self) -> &'static [&'static str] {
        match self {
            Self::AddAddress | Self::ResolveOrder | Self::UpdatePolicy => {
                &["submitted", "approved", "allowed", "executed"]
            }
            Self::Approve => &["submitted", "approved"],
            Self::Cancel => &["submitted", "cancelled"],
            Self::Freeze | Self::SuspendKey => &["submitted", "allowed", "executed"],
            Self::Reject => &["submitted", "rejected"],
        }
    }

    /// What the caller hears once it is done.
    const fn heard(self) -> &'static str {
        match self {
            Self::Approve => "pending",
            Self::Cancel => "cancelled",
            Self::Reject => "denied ",
            _ => "released",
        }
    }

    /// The request that the step's order came from.
    const fn request(self) -> &'static str {
        match self {
            Self::Freeze | Self::SuspendKey => "stop",
            _ => "waits",
        }
    }

    /// Whether the custodian says that what the step does is so.
    async fn holds(self, world: &World, waits: Option<&Answer>) -> bool {
        match self {
            Self::AddAddress => {
                let request = world.request(ETH / 2, STRANGER, "simulated");
                world.custodian.simulate(request).unwrap().allowed
            }
            Self::Approve | Self::Cancel | Self::Reject => {
                // Tara's approval would be the second.
                let order = &waits.unwrap().order;
                let explained = world.custodian.explain(order).await;
                explained.map_or(true, |told| told.missing[0].approvals.values().sum::<u32>() == 1)
            }
            Self::Freeze => world.custodian.wallet(&wallet()).unwrap().is_frozen(),
            Self::ResolveOrder => {
                let lost = world.order_of("lost").await.unwrap();
                words::of(&world.order(&lost).await) == "failed Resolved"
            }
            Self::SuspendKey => world.custodian.key(&hot()).unwrap().state() == KeyState::Suspended,
            Self::UpdatePolicy => {
                let Command::UpdatePolicy { policy } = update() else { panic!("an update") };
                world.custodian.policy() == PolicyDocument::id_of(policy.as_bytes())
            }
        }
    }
}

/// Rules that say the same in other words.
fn update() -> Command {
    let mut policy = house::policy().unwrap();
    policy.rules.push_str("// reviewed\n");
    Command::UpdatePolicy { policy: String::from_utf8(policy.to_bytes().unwrap()).unwrap() }
}

async fn run(kind: Kind, step: Step, (fault, name, happened, dies): &Row) {
    let name = format!("{step:?}, {name}, over {kind:?}");
    let world = World::new(kind).await;
    let waits = step.prepare(&world).await;
    let signed = world.sign_calls();
    world.store.plan().next(StoreCall::Commit, fault.clone());
    let stored = if *happened { step.after() } else { step.before() };
    let act = step.act(&world, waits.as_ref());
    let heard = match fault {
        Fault::Hang { .. } => world.dies_at(act, step.request(), stored.len()).await,
        _ => words::of(&act.await),
    };
    let expected = match (fault, happened) {
        (Fault::Hang { .. }, _) => "",
        (_, true) => step.heard(),
        (_, false) => "store Unavailable",
    };
    assert_eq!(heard, expected, "{name}");
    let world = if *dies { world.reopen().await } else { world };
    assert_eq!(world.story_of(step.request()).await, stored, "{name}");
    assert_eq!(step.holds(&world, waits.as_ref()).await, *happened, "{name}");
    if *dies {
        assert_eq!(world.resume().await.unwrap(), [], "{name}");
    }
    let again = step.act(&world, waits.as_ref()).await;
    assert_eq!(words::of(&again), step.heard(), "{name}");
    assert_eq!(world.story_of(step.request()).await, step.after(), "{name}");
    assert!(step.holds(&world, waits.as_ref()).await, "{name}");
    assert_eq!(world.sign_calls(), signed, "{name}");
    let oracle = world.verify().await;
    let world = world.reopen().await;
    assert!(step.holds(&world, waits.as_ref()).await, "{name}");
    assert_eq!(world.verify().await.report, oracle.report, "{name}");
}

async fn run_all(steps: &[Step]) {
    for kind in Kind::ALL {
        for step in steps {
            for fault in &FAULTS {
                run(kind, *step, fault).await;
            }
        }
    }
}

#[tokio::test]
async fn a_fault_while_a_word_about_an_order_is_committed_loses_it_or_keeps_it_once() {
    run_all(&[Step::Approve, Step::Cancel, Step::Reject]).await;
}

#[tokio::test]
async fn a_fault_while_a_stop_is_committed_leaves_it_done_or_not() {
    run_all(&[Step::Freeze, Step::SuspendKey]).await;
}

#[tokio::test]
async fn a_fault_while_a_command_is_done_in_a_turn_leaves_it_done_or_not() {
    run_all(&[Step::AddAddress, Step::ResolveOrder, Step::UpdatePolicy]).await;
}

#[tokio::test]
async fn a_fault_while_an_expiry_is_committed_leaves_the_order_pending_or_expired() {
    for kind in Kind::ALL {
        for (fault, name, happened, dies) in &FAULTS {
            let name = format!("{name}, over {kind:?}");
            let world = World::new(kind).await;
            let expires = world.now().after(Duration::from_secs(3_600));
            let request = world.request(LARGE, KNOWN, "waits").expiring(expires);
            let waits = world.submit(request.clone()).await.unwrap();
            let approved = world.approve(&world.people.theo, &waits).await.unwrap();
            let stored: &[&str] = &["submitted", "approved", "expired"];
            let stored = if *happened { stored } else { &stored[..2] };
            world.store.plan().next(StoreCall::Commit, fault.clone());
            world.clock.advance(Duration::from_secs(3_600));
            world.drive(world.struck("waits", stored.len())).await;
            let world = if *dies { world.reopen().await } else { world };
            assert_eq!(world.story_of("waits").await, stored, "{name}");
            world.drive(world.stored(&waits.order, 3)).await;
            let sealed = async {
                while words::of(&world.order(&waits.order).await) != "expired" {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            world.drive(sealed).await;
            for heard in [
                world.order(&waits.order).await,
                world.approve(&world.people.tara, &approved).await,
                world.submit(request).await,
            ] {
                assert_eq!(words::of(&heard), "expired", "{name}");
            }
            assert_eq!(world.story(&waits.order).await.len(), 3, "{name}");
            assert_eq!(world.sign_calls(), 0, "{name}");
            assert_eq!(world.verify().await.report.released, 0, "{name}");
        }
    }
}
