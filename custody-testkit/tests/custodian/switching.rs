//! Keys that are off in the ledger are off at their backend too, and on only after it said so.

use std::sync::Arc;
use std::time::Duration;

use custody_core::command::{Command, KeyStart};
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::custodian::Custodian;
use custody_core::id::{CustodianId, WalletId};
use custody_core::key::KeyState;
use custody_core::seam::{Clock as _, ErrorKind, Exportability, KeyBackend, KeyHandle, KeyRecord};
use custody_testkit::backend::{BackendCall, FailingBackend, MemoryBackend};
use custody_testkit::fault::{Fault, Gate, Happened};
use custody_testkit::store::{FaultyStore, StoreCall};
use custody_testkit::suite::key_backend::Ability;
use futures::future::{Either, join, select};

use crate::house::{House, Parts, create_key, furnish, govern, key, pay, pay_from, said};

mod crossing;
mod destroying;
mod lapsing;
mod on;

const SWITCHES: [BackendCall; 4] =
    [BackendCall::CancelDestroy, BackendCall::Destroy, BackendCall::Disable, BackendCall::Enable];

/// What is heard about a payment by a key that is off: a decoder is shown the active keys.
const NOT_SHOWN: &str = "the payload was not decoded";

/// A backend that records its calls and fails as planned.
fn recording(house: &House) -> Arc<FailingBackend> {
    Arc::new(FailingBackend::new(Arc::new(house.keys.clone())))
}

fn parts(house: &House, backend: &Arc<FailingBackend>) -> Parts {
    Parts { backend: Arc::<FailingBackend>::clone(backend), ..house.parts() }
}

/// A custodian with the keys `hot.0` to `hot.4`, and its backend.
async fn five_keys(house: &House) -> (Custodian, Arc<FailingBackend>) {
    let backend = recording(house);
    let custodian = house.create(parts(house, &backend)).await.unwrap();
    furnish(&custodian).await;
    for number in 1..5 {
        let made = govern(&custodian, &format!("key-{number}"), create_key(number)).await;
        assert_eq!(said(&made), "released");
    }
    (custodian, backend)
}

async fn open(house: &House, id: CustodianId, backend: &Arc<FailingBackend>) -> Custodian {
    house.builder(parts(house, backend)).open(id).await.unwrap()
}

/// The calls that switch, in their order.
fn switched(backend: &FailingBackend) -> Vec<BackendCall> {
    let calls = backend.plan().calls().into_iter();
    calls.filter(|call| SWITCHES.contains(call)).collect()
}

async fn pass(house: &House, time: Duration) {
    house.clock.sleep_until(house.clock.monotonic().saturating_add(time)).await;
}

/// Waits until the backend was called so often to switch keys off.
async fn switched_off(house: &House, backend: &FailingBackend, times: usize) {
    for _ in 0..1_000 {
        if backend.plan().count(BackendCall::Disable) >= times {
            // The last call is answered, too.
            return pass(house, Duration::from_millis(10)).await;
        }
        pass(house, Duration::from_millis(100)).await;
    }
    panic!("not switched off {times} times: {:?}", switched(backend));
}

/// Whether the backend itself signs with a key, whoever asks.
async fn is_on(house: &House, custodian: &Custodian, number: u8) -> bool {
    let found = custodian.key(&key(number)).unwrap();
    let records = house.store.snapshot().records();
    let name = format!("handle/{}", key(number));
    let handle = records.into_iter().find(|record| record.key.as_str() == name).unwrap().value;
    let record = KeyRecord {
        custodian: custodian.id(),
        wallet: found.wallet().clone(),
        key: key(number),
        public_key: found.public_key().clone(),
        handle: KeyHandle::new(handle),
    };
    let signer = house.keys.signer(&record).await.unwrap();
    signer.sign(SignInput::Message(b"whoever asks")).await.is_ok()
}

fn state(custodian: &Custodian, number: u8) -> KeyState {
    custodian.key(&key(number)).unwrap().state()
}

async fn done(custodian: &Custodian, id: &str, command: Command) {
    assert_eq!(said(&govern(custodian, id, command).await), "released", "{id}");
}

/// Makes a key of the wallet `hot` that is not active yet.
async fn make_unused(custodian: &Custodian, number: u8) {
    let create = Command::CreateKey {
        wallet: WalletId::parse("hot").unwrap(),
        key: key(number),
        algorithm: Algorithm::Ed25519,
        exportability: Exportability::Never,
        start: KeyStart::PreActivation,
    };
    done(custodian, "unused", create).await;
}

fn suspend(number: u8) -> Command {
    Command::SuspendKey { key: key(number) }
}

fn resume(number: u8) -> Command {
    Command::ResumeKey { key: key(number) }
}

/// Every way in which a call fails.
fn faults() -> Vec<(Fault, &'static str)> {
    let throttled = ErrorKind::Throttled { retry_after: None };
    vec![
        (Fault::fail(ErrorKind::Unavailable), "failed BackendUnavailable"),
        (Fault::fail(throttled), "failed BackendUnavailable"),
        (Fault::fail(ErrorKind::Refused), "failed BackendRefused"),
        (Fault::fail(ErrorKind::Conflict), "failed BackendRefused"),
        (Fault::fail(ErrorKind::NotFound), "failed BackendRefused"),
        (Fault::fail(ErrorKind::Unsupported), "failed BackendRefused"),
        (Fault::fail(ErrorKind::Indeterminate), "Unknown { reason: BackendIndeterminate }"),
        (Fault::fail_after(ErrorKind::Indeterminate), "Unknown { reason: BackendIndeterminate }"),
        (Fault::fail(ErrorKind::Corrupt), "Unknown { reason: Corrupt }"),
        (Fault::Hang { happened: Happened::No }, "Unknown { reason: TimedOut }"),
        (Fault::Hang { happened: Happened::Yes }, "Unknown { reason: TimedOut }"),
    ]
}

#[test]
fn a_key_that_is_suspended_compromised_or_deactivated_is_switched_off() {
    for command in
        [suspend(1), Command::CompromiseKey { key: key(1) }, Command::DeactivateKey { key: key(1) }]
    {
        let house = House::new();
        house.run(async {
            let name = command.action();
            let (custodian, backend) = five_keys(&house).await;
            assert!(is_on(&house, &custodian, 1).await);
            done(&custodian, "off", command).await;
            switched_off(&house, &backend, 1).await;
            pass(&house, Duration::from_secs(60)).await;
            assert_eq!(switched(&backend), [BackendCall::Disable], "{name}: once is enough");
            assert!(!is_on(&house, &custodian, 1).await, "{name}");
            assert!(is_on(&house, &custodian, 0).await, "{name}: another key");
        });
    }
}

#[test]
fn what_was_not_committed_switches_nothing_off() {
    let house = House::new();
    house.run(async {
        let (custodian, _) = five_keys(&house).await;
        custodian.close().await.unwrap();
        let store = Arc::new(FaultyStore::new(house.store.clone()));
        store.fail(StoreCall::Commit, 0, Fault::fail(ErrorKind::Unavailable));
        let backend = recording(&house);
        let parts = Parts { store, ..parts(&house, &backend) };
        let custodian = house.builder(parts).open(custodian.id()).await.unwrap();
        assert_eq!(said(&govern(&custodian, "lost", suspend(1)).await), "store Unavailable");
        pass(&house, Duration::from_secs(60)).await;
        assert_eq!((switched(&backend), state(&custodian, 1)), (vec![], KeyState::Active));
        done(&custodian, "again", suspend(1)).await;
        switched_off(&house, &backend, 1).await;
    });
}

#[test]
fn a_suspension_stands_whatever_the_backend_answers_and_is_told_again_until_it_is_done() {
    for (fault, _) in faults() {
        let house = House::new();
        house.run(async {
            let (custodian, backend) = five_keys(&house).await;
            backend.plan().always(BackendCall::Disable, fault.clone());
            done(&custodian, "off", suspend(1)).await;
            assert_eq!(state(&custodian, 1), KeyState::Suspended, "{fault:?}");
            switched_off(&house, &backend, 3).await;
            let denied = pay_from(&custodian, &key(1), "denied").await;
            assert_eq!(said(&denied), NOT_SHOWN, "{fault:?}");
            assert_eq!(state(&custodian, 1), KeyState::Suspended, "{fault:?}");
            backend.plan().clear();
            let times = backend.plan().count(BackendCall::Disable);
            switched_off(&house, &backend, times + 1).await;
            assert!(!is_on(&house, &custodian, 1).await, "{fault:?}");
            let paid = pay(&custodian, "another").await;
            assert_eq!(said(&paid), "released", "{fault:?}: another key");
            custodian.close().await.unwrap();
        });
    }
}

/// Suspends, compromises, deactivates and schedules, but leaves `hot.4` as it is.
async fn put_off(custodian: &Custodian) {
    let last = key(3);
    for (id, command) in [
        ("suspend", suspend(0)),
        ("compromise", Command::CompromiseKey { key: key(1) }),
        ("deactivate", Command::DeactivateKey { key: key(2) }),
        ("retire", Command::DeactivateKey { key: last.clone() }),
        ("destroy", Command::DestroyKey { key: last, wait_ms: 86_400_000 }),
    ] {
        done(custodian, id, command).await;
    }
}

#[test]
fn what_is_off_is_switched_off_again_at_every_start_and_by_a_backend_that_did_not_answer_before() {
    let house = House::new();
    let id = house.run(async {
        let (custodian, backend) = five_keys(&house).await;
        backend.plan().always(BackendCall::Disable, Fault::fail(ErrorKind::Unavailable));
        put_off(&custodian).await;
        assert!(is_on(&house, &custodian, 0).await && is_on(&house, &custodian, 2).await);
        custodian.id()
    });
    let house = house.crashed();
    house.run(async {
        for start in 0..2 {
            let backend = recording(&house);
            let custodian = open(&house, id, &backend).await;
            switched_off(&house, &backend, 4).await;
            pass(&house, Duration::from_secs(60)).await;
            assert_eq!(switched(&backend), [BackendCall::Disable; 4], "start {start}");
            for number in 0..4 {
                assert!(!is_on(&house, &custodian, number).await, "start {start}: {number}");
            }
            assert!(is_on(&house, &custodian, 4).await, "start {start}");
            let paid = pay_from(&custodian, &key(4), &format!("start-{start}")).await;
            assert_eq!(said(&paid), "released", "start {start}");
            custodian.close().await.unwrap();
        }
    });
}

#[test]
fn a_backend_that_hangs_delays_neither_opening_nor_payments_and_closing_by_one_call_only() {
    let house = House::new();
    house.run(async {
        let (custodian, _) = five_keys(&house).await;
        put_off(&custodian).await;
        custodian.close().await.unwrap();
        let backend = recording(&house);
        backend.plan().always(BackendCall::Disable, Fault::Hang { happened: Happened::No });
        let before = house.clock.monotonic();
        let custodian = open(&house, custodian.id(), &backend).await;
        let paid = pay_from(&custodian, &key(4), "meanwhile").await;
        assert_eq!(said(&paid), "released");
        let passed = house.clock.monotonic().saturating_sub(before);
        assert!(passed < Duration::from_secs(5), "{passed:?}");
        let before = house.clock.monotonic();
        custodian.close().await.unwrap();
        let passed = house.clock.monotonic().saturating_sub(before);
        assert!(passed <= Duration::from_secs(11), "{passed:?}");
    });
}

#[test]
fn a_key_that_is_suspended_for_what_it_signed_is_switched_off() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = five_keys(&house).await;
        backend.plan().next(BackendCall::Sign, Fault::fail(ErrorKind::Corrupt));
        let answer = pay_from(&custodian, &key(1), "corrupt").await;
        assert_eq!(said(&answer), "Unknown { reason: Corrupt }");
        assert_eq!(state(&custodian, 1), KeyState::Suspended);
        switched_off(&house, &backend, 1).await;
        assert!(!is_on(&house, &custodian, 1).await);
    });
}

#[test]
fn a_key_is_not_switched_off_while_a_job_signs_with_it_and_is_right_after() {
    for command in [suspend(1), Command::CompromiseKey { key: key(1) }] {
        let house = House::new();
        house.run(async {
            let (custodian, backend) = five_keys(&house).await;
            let gate = Gate::new();
            backend.plan().next(BackendCall::Sign, Fault::Hold(gate.clone()));
            let key_1 = key(1);
            let (answer, ()) = join(pay_from(&custodian, &key_1, "held"), async {
                gate.reached_by(1).await;
                done(&custodian, "off", command).await;
                done(&custodian, "other", suspend(2)).await;
                switched_off(&house, &backend, 1).await;
                assert!(!is_on(&house, &custodian, 2).await, "no other key waits for it");
                assert!(is_on(&house, &custodian, 1).await);
                gate.open();
            })
            .await;
            assert_eq!(said(&answer), "Unknown { reason: KeyState }");
            switched_off(&house, &backend, 2).await;
            assert!(!is_on(&house, &custodian, 1).await);
            assert_eq!(switched(&backend), [BackendCall::Disable; 2]);
        });
    }
}

#[test]
fn a_backend_that_never_says_whether_it_signed_keeps_no_key_on() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = five_keys(&house).await;
        backend.plan().next(BackendCall::Sign, Fault::Hang { happened: Happened::Yes });
        let key_1 = key(1);
        let (answer, ()) = join(pay_from(&custodian, &key_1, "hangs"), async {
            while backend.plan().count(BackendCall::Sign) == 0 {
                pass(&house, Duration::from_millis(10)).await;
            }
            done(&custodian, "off", suspend(1)).await;
            switched_off(&house, &backend, 1).await;
        })
        .await;
        assert!(said(&answer).starts_with("Unknown"));
        assert!(!is_on(&house, &custodian, 1).await);
    });
}

#[test]
fn a_backend_that_cannot_switch_and_one_that_is_not_there_are_told_nothing() {
    let house = House::new();
    house.run(async {
        let others: Vec<_> =
            Ability::ALL.into_iter().filter(|ability| *ability != Ability::Switch).collect();
        let unable = Arc::new(house.keys.clone().with_abilities(&others));
        let backend = Arc::new(FailingBackend::new(unable));
        let custodian = house.furnished(parts(&house, &backend)).await;
        done(&custodian, "off", suspend(0)).await;
        done(&custodian, "on", resume(0)).await;
        assert_eq!(said(&pay(&custodian, "signs").await), "released");
        done(&custodian, "off-again", suspend(0)).await;
        custodian.close().await.unwrap();

        let other: Arc<dyn KeyBackend> = Arc::new(MemoryBackend::seeded("another", 7));
        let parts = Parts { backend: other, ..house.parts() };
        let custodian = house.builder(parts).open(custodian.id()).await.unwrap();
        done(&custodian, "on-again", resume(0)).await;
        assert_eq!(said(&pay(&custodian, "absent").await), "failed BackendUnavailable");
        done(&custodian, "retire", Command::DeactivateKey { key: key(0) }).await;
        let destroy = Command::DestroyKey { key: key(0), wait_ms: 86_400_000 };
        done(&custodian, "destroy", destroy).await;
        done(&custodian, "cancel", Command::CancelDestroy { key: key(0) }).await;
        pass(&house, Duration::from_secs(60)).await;
        assert_eq!(switched(&backend), []);
    });
}
