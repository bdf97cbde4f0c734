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
use futures::future::join;

use crate::house::{House, Parts, create_key, furnish, govern, key, pay, pay_from, said};

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
fn a_key_is_active_only_after_its_backend_said_that_it_is_on() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = five_keys(&house).await;
        done(&custodian, "off", suspend(1)).await;
        switched_off(&house, &backend, 1).await;
        let gate = Gate::new();
        backend.plan().next(BackendCall::Enable, Fault::Hold(gate.clone()));
        let (answer, ()) = join(govern(&custodian, "on", resume(1)), async {
            gate.reached_by(1).await;
            assert_eq!(state(&custodian, 1), KeyState::Suspended);
            let early = pay_from(&custodian, &key(1), "early").await;
            assert_eq!(said(&early), NOT_SHOWN);
            gate.open();
        })
        .await;
        assert_eq!(said(&answer), "released");
        assert_eq!(state(&custodian, 1), KeyState::Active);
        assert_eq!(said(&pay_from(&custodian, &key(1), "signs").await), "released");
        assert_eq!(switched(&backend), [BackendCall::Disable, BackendCall::Enable]);
    });
}

#[test]
fn a_key_that_its_backend_does_not_switch_on_stays_suspended_and_is_switched_off_again() {
    for (fault, expected) in faults() {
        let house = House::new();
        house.run(async {
            let (custodian, backend) = five_keys(&house).await;
            done(&custodian, "off", suspend(1)).await;
            switched_off(&house, &backend, 1).await;
            backend.plan().next(BackendCall::Enable, fault.clone());
            let answer = said(&govern(&custodian, "on", resume(1)).await);
            let failed = match expected {
                "Unknown { reason: Corrupt }" => "failed Corrupt",
                unknown if unknown.starts_with("Unknown") => "failed BackendUnavailable",
                failed => failed,
            };
            assert_eq!(answer, failed, "{fault:?}");
            assert_eq!(state(&custodian, 1), KeyState::Suspended, "{fault:?}");
            switched_off(&house, &backend, 2).await;
            assert!(!is_on(&house, &custodian, 1).await, "{fault:?}");
            done(&custodian, "again", resume(1)).await;
            assert_eq!(
                said(&pay_from(&custodian, &key(1), "signs").await),
                "released",
                "{fault:?}"
            );
        });
    }
}

#[test]
fn a_late_switching_off_does_not_come_after_a_resumption() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = five_keys(&house).await;
        let gate = Gate::new();
        backend.plan().next(BackendCall::Disable, Fault::Hold(gate.clone()));
        done(&custodian, "off", suspend(1)).await;
        gate.reached_by(1).await;
        let (answer, ()) = join(govern(&custodian, "on", resume(1)), async {
            pass(&house, Duration::from_secs(3)).await;
            assert_eq!(state(&custodian, 1), KeyState::Suspended);
            gate.open();
        })
        .await;
        assert_eq!(said(&answer), "released");
        pass(&house, Duration::from_secs(60)).await;
        assert_eq!(switched(&backend), [BackendCall::Disable, BackendCall::Enable]);
        assert_eq!(said(&pay_from(&custodian, &key(1), "signs").await), "released");
    });
}

#[test]
fn what_is_owed_waits_while_a_key_is_switched_on_and_is_forgotten_once_it_is() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = five_keys(&house).await;
        backend.plan().next(BackendCall::Disable, Fault::fail(ErrorKind::Unavailable));
        done(&custodian, "off", suspend(1)).await;
        let gate = Gate::new();
        backend.plan().next(BackendCall::Enable, Fault::Hold(gate.clone()));
        let (answer, ()) = join(govern(&custodian, "on", resume(1)), async {
            gate.reached_by(1).await;
            pass(&house, Duration::from_secs(8)).await;
            gate.open();
        })
        .await;
        assert_eq!(said(&answer), "released");
        pass(&house, Duration::from_secs(60)).await;
        assert_eq!(switched(&backend), [BackendCall::Disable, BackendCall::Enable]);
        assert_eq!(said(&pay_from(&custodian, &key(1), "signs").await), "released");
    });
}

#[test]
fn a_destruction_is_told_to_the_backend_before_it_is_scheduled() {
    for (fault, expected) in faults() {
        let house = House::new();
        house.run(async {
            let (custodian, backend) = five_keys(&house).await;
            done(&custodian, "retire", Command::DeactivateKey { key: key(1) }).await;
            let destroy = || Command::DestroyKey { key: key(1), wait_ms: 60_000 };
            backend.plan().next(BackendCall::Destroy, fault.clone());
            assert_eq!(said(&govern(&custodian, "lost", destroy()).await), expected, "{fault:?}");
            let scheduled = || custodian.key(&key(1)).unwrap().destruction();
            assert_eq!(scheduled(), None, "{fault:?}");
            done(&custodian, "again", destroy()).await;
            assert!(scheduled().is_some(), "{fault:?}");
            assert_eq!(backend.plan().count(BackendCall::Destroy), 2, "{fault:?}");
            assert!(!is_on(&house, &custodian, 1).await, "{fault:?}");
            pass(&house, Duration::from_secs(70)).await;
            assert_eq!(state(&custodian, 1), KeyState::Destroyed, "{fault:?}");
            assert_eq!(backend.plan().count(BackendCall::Destroy), 2, "{fault:?}");
        });
    }
}

#[test]
fn a_destruction_is_taken_back_only_if_the_backend_takes_it_back() {
    for (fault, expected) in faults() {
        let house = House::new();
        house.run(async {
            let (custodian, backend) = five_keys(&house).await;
            done(&custodian, "retire", Command::DeactivateKey { key: key(1) }).await;
            let destroy = Command::DestroyKey { key: key(1), wait_ms: 86_400_000 };
            done(&custodian, "destroy", destroy).await;
            let cancel = || Command::CancelDestroy { key: key(1) };
            backend.plan().next(BackendCall::CancelDestroy, fault.clone());
            assert_eq!(said(&govern(&custodian, "lost", cancel()).await), expected, "{fault:?}");
            let scheduled = || custodian.key(&key(1)).unwrap().destruction();
            assert!(scheduled().is_some(), "{fault:?}");
            done(&custodian, "again", cancel()).await;
            assert_eq!(scheduled(), None, "{fault:?}");
            pass(&house, Duration::from_secs(60)).await;
            assert!(!is_on(&house, &custodian, 1).await, "{fault:?}: it is deactivated still");
        });
    }
}

#[test]
fn a_key_that_was_never_used_signs_once_its_destruction_was_taken_back_and_it_is_activated() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = five_keys(&house).await;
        let create = Command::CreateKey {
            wallet: WalletId::parse("hot").unwrap(),
            key: key(5),
            algorithm: Algorithm::Ed25519,
            exportability: Exportability::Never,
            start: KeyStart::PreActivation,
        };
        done(&custodian, "new", create).await;
        let destroy = Command::DestroyKey { key: key(5), wait_ms: 86_400_000 };
        done(&custodian, "destroy", destroy).await;
        done(&custodian, "cancel", Command::CancelDestroy { key: key(5) }).await;
        done(&custodian, "activate", Command::ActivateKey { key: key(5) }).await;
        assert_eq!(said(&pay_from(&custodian, &key(5), "signs").await), "released");
        let expected = [BackendCall::Destroy, BackendCall::CancelDestroy, BackendCall::Enable];
        assert_eq!(switched(&backend), expected);
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
