//! Orders that cross: what stops a key comes while it is switched on, and time while it is brought
//! back.

use std::pin::pin;

use custody_core::command::FreezeScope;
use custody_core::custodian::Request;
use custody_core::id::{BackendId, BackendIdentity, PrincipalId, RequestId};
use custody_core::principal::Principal;
use custody_testkit::audit::{FailingLog, LogCall};
use custody_testkit::people::People;
use custody_testkit::store::MemoryStore;

use super::*;

/// The principal bob, who may do what ann may.
fn bob() -> Principal {
    People::new(&[("bob", &["treasurer"])]).principals().remove(0)
}

#[test]
fn a_key_that_is_suspended_while_it_is_switched_on_stays_suspended() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = five_keys(&house).await;
        done(&custodian, "off", suspend(1)).await;
        switched_off(&house, &backend, 1).await;
        let refused = said(&govern(&custodian, "twice", suspend(1)).await);
        assert_eq!(refused, "the command cannot be done", "nothing switches it on");
        let gate = Gate::new();
        backend.plan().next(BackendCall::Enable, Fault::Hold(gate.clone()));
        let both = pin!(join(govern(&custodian, "on", resume(1)), async {
            gate.reached_by(1).await;
            done(&custodian, "alarm", suspend(1)).await;
            pass(&house, Duration::from_secs(1)).await;
            gate.open();
        }));
        let late = pin!(pass(&house, Duration::from_secs(600)));
        let both = select(both, late).await;
        let Either::Left(((answer, ()), _)) = both else { panic!("nobody was answered") };
        assert_eq!(said(&answer), "failed Conflict");
        pass(&house, Duration::from_secs(60)).await;
        assert_eq!(state(&custodian, 1), KeyState::Suspended);
        let (off, on) = (BackendCall::Disable, BackendCall::Enable);
        assert_eq!(switched(&backend), [off, on, off]);
        assert!(!is_on(&house, &custodian, 1).await);
        assert_eq!(custodian.owed_switches(), []);
        done(&custodian, "on-again", resume(1)).await;
        assert_eq!(said(&pay_from(&custodian, &key(1), "signs").await), "released");
        custodian.close().await.unwrap();
        let custodian = open(&house, custodian.id(), &backend).await;
        assert_eq!(state(&custodian, 1), KeyState::Active, "the log says the same");
    });
}

#[test]
fn a_suspension_calls_off_a_resumption_that_waits_for_its_turn() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = five_keys(&house).await;
        done(&custodian, "off", suspend(1)).await;
        switched_off(&house, &backend, 1).await;
        let gate = Gate::new();
        backend.plan().next(BackendCall::Disable, Fault::Hold(gate.clone()));
        done(&custodian, "other", suspend(2)).await;
        gate.reached_by(1).await;
        let (answer, ()) = join(govern(&custodian, "on", resume(1)), async {
            pass(&house, Duration::from_secs(1)).await;
            done(&custodian, "alarm", suspend(1)).await;
            gate.open();
        })
        .await;
        assert_eq!(said(&answer), "failed Conflict");
        pass(&house, Duration::from_secs(60)).await;
        assert_eq!(backend.plan().count(BackendCall::Enable), 0, "it was not told");
        assert!(!is_on(&house, &custodian, 1).await);
        custodian.close().await.unwrap();
    });
}

#[test]
fn a_key_that_signed_wrongly_is_not_resumed_by_an_order_that_is_under_way() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = five_keys(&house).await;
        let (signing, enabling) = (Gate::new(), Gate::new());
        let corrupt = Fault::HoldThenFail {
            gate: signing.clone(),
            kind: ErrorKind::Corrupt,
            happened: Happened::Yes,
        };
        backend.plan().next(BackendCall::Sign, corrupt);
        backend.plan().next(BackendCall::Enable, Fault::Hold(enabling.clone()));
        let key_1 = key(1);
        let paying = pay_from(&custodian, &key_1, "held");
        let (paid, resumed) = join(paying, async {
            signing.reached_by(1).await;
            done(&custodian, "off", suspend(1)).await;
            let (resumed, ()) = join(govern(&custodian, "on", resume(1)), async {
                enabling.reached_by(1).await;
                signing.open();
                pass(&house, Duration::from_secs(1)).await;
                enabling.open();
            })
            .await;
            resumed
        })
        .await;
        assert_eq!(said(&paid), "Unknown { reason: Corrupt }");
        assert_eq!(said(&resumed), "failed Conflict");
        pass(&house, Duration::from_secs(60)).await;
        assert_eq!(state(&custodian, 1), KeyState::Suspended);
        assert!(!is_on(&house, &custodian, 1).await);
    });
}

#[test]
fn of_two_resumptions_a_suspension_between_them_calls_off_the_second() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = five_keys(&house).await;
        done(&custodian, "off", suspend(1)).await;
        switched_off(&house, &backend, 1).await;
        let (first, second) = (Gate::new(), Gate::new());
        backend.plan().at(BackendCall::Enable, 0, Fault::Hold(first.clone()));
        backend.plan().at(BackendCall::Enable, 1, Fault::Hold(second.clone()));
        let (on, too) = (govern(&custodian, "on", resume(1)), govern(&custodian, "too", resume(1)));
        let ons = Box::pin(join(on, too));
        let ((one, two), ()) = join(ons, async {
            first.reached_by(1).await;
            first.open();
            second.reached_by(1).await;
            pass(&house, Duration::from_secs(1)).await;
            assert_eq!(state(&custodian, 1), KeyState::Active);
            done(&custodian, "alarm", suspend(1)).await;
            second.open();
        })
        .await;
        let mut answers = [said(&one), said(&two)];
        answers.sort();
        assert_eq!(answers, ["failed Conflict", "released"]);
        pass(&house, Duration::from_secs(60)).await;
        assert_eq!(state(&custodian, 1), KeyState::Suspended);
        assert!(!is_on(&house, &custodian, 1).await);
    });
}

#[test]
fn a_key_whose_resumption_lost_an_approver_meanwhile_stays_suspended() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = five_keys(&house).await;
        done(&custodian, "bob", Command::EnrollPrincipal { principal: bob() }).await;
        done(&custodian, "off", suspend(1)).await;
        switched_off(&house, &backend, 1).await;
        let gate = Gate::new();
        backend.plan().next(BackendCall::Enable, Fault::Hold(gate.clone()));
        let id = RequestId::parse("on").unwrap();
        let (answer, ()) =
            join(custodian.submit(Request::command(bob().id, id, resume(1))), async {
                gate.reached_by(1).await;
                let principal = PrincipalId::parse("bob").unwrap();
                done(&custodian, "gone", Command::RemovePrincipal { principal }).await;
                gate.open();
            })
            .await;
        assert_eq!(said(&answer), "failed ApproverRemoved");
        switched_off(&house, &backend, 2).await;
        assert_eq!(state(&custodian, 1), KeyState::Suspended);
        assert!(!is_on(&house, &custodian, 1).await);
    });
}

#[test]
fn a_destruction_does_not_come_due_while_it_is_taken_back() {
    for (fault, expected) in [
        (None, "released"),
        (Some(ErrorKind::Indeterminate), "Unknown { reason: BackendIndeterminate }"),
    ] {
        let house = House::new();
        house.run(async {
            let (custodian, backend) = five_keys(&house).await;
            done(&custodian, "retire", Command::DeactivateKey { key: key(1) }).await;
            done(&custodian, "destroy", Command::DestroyKey { key: key(1), wait_ms: 60_000 }).await;
            pass(&house, Duration::from_secs(55)).await;
            let gate = Gate::new();
            let held = match fault {
                None => Fault::Hold(gate.clone()),
                Some(kind) => {
                    Fault::HoldThenFail { gate: gate.clone(), kind, happened: Happened::Yes }
                }
            };
            backend.plan().next(BackendCall::CancelDestroy, held);
            let cancel = Command::CancelDestroy { key: key(1) };
            let (answer, ()) = join(govern(&custodian, "cancel", cancel), async {
                gate.reached_by(1).await;
                pass(&house, Duration::from_secs(8)).await;
                assert_eq!(state(&custodian, 1), KeyState::Deactivated, "it was due");
                gate.open();
            })
            .await;
            assert_eq!(said(&answer), expected);
            pass(&house, Duration::from_secs(600)).await;
            assert_eq!(state(&custodian, 1), KeyState::Deactivated, "{fault:?}");
            let scheduled = custodian.key(&key(1)).unwrap().destruction();
            assert_eq!(scheduled.is_some(), fault.is_some());
        });
    }
}

/// The house is being frozen, which stops no command, when the backend has come to the order.
#[test]
fn a_freeze_does_not_keep_a_destruction_from_being_taken_back() {
    let house = House::new();
    house.run(async {
        let backend = recording(&house);
        let store = Arc::new(FaultyStore::new(house.store.clone()));
        let parts = Parts {
            store: Arc::<FaultyStore<MemoryStore>>::clone(&store),
            ..parts(&house, &backend)
        };
        let custodian = house.furnished(parts).await;
        done(&custodian, "key-1", create_key(1)).await;
        done(&custodian, "retire", Command::DeactivateKey { key: key(0) }).await;
        done(&custodian, "destroy", Command::DestroyKey { key: key(0), wait_ms: 60_000 }).await;
        switched_off(&house, &backend, 1).await;
        let (switching, freezing) = (Gate::new(), Gate::new());
        backend.plan().next(BackendCall::Disable, Fault::Hold(switching.clone()));
        done(&custodian, "other", suspend(1)).await;
        switching.reached_by(1).await;
        let meanwhile = async {
            // The order waits for its turn behind the other key.
            pass(&house, Duration::from_secs(1)).await;
            store.plan().next(StoreCall::Commit, Fault::Hold(freezing.clone()));
            let freeze = Command::Freeze { scope: FreezeScope::House };
            let letting_go = async {
                freezing.reached_by(1).await;
                assert_eq!(backend.plan().count(BackendCall::CancelDestroy), 0);
                switching.open();
                pass(&house, Duration::from_secs(1)).await;
                freezing.open();
            };
            join(govern(&custodian, "freeze", freeze), letting_go).await.0
        };
        let cancel = Command::CancelDestroy { key: key(0) };
        let cancelling = Box::pin(govern(&custodian, "cancel", cancel));
        let (cancelled, frozen) = join(cancelling, Box::pin(meanwhile)).await;
        assert_eq!((said(&cancelled).as_str(), said(&frozen).as_str()), ("released", "released"));
        pass(&house, Duration::from_secs(600)).await;
        assert_eq!(state(&custodian, 0), KeyState::Deactivated, "it was not destroyed");
        assert_eq!(custodian.key(&key(0)).unwrap().destruction(), None);
        house.replays(&custodian).await;
    });
}

#[test]
fn a_destruction_that_is_half_taken_back_is_no_failure() {
    for (fault, expected) in faults() {
        let house = House::new();
        house.run(async {
            let (custodian, backend) = five_keys(&house).await;
            make_unused(&custodian, 7).await;
            done(&custodian, "destroy", Command::DestroyKey { key: key(7), wait_ms: 60_000 }).await;
            backend.plan().next(BackendCall::Enable, fault.clone());
            let cancel = Command::CancelDestroy { key: key(7) };
            let answer = said(&govern(&custodian, "cancel", cancel.clone()).await);
            let reason = expected.trim_start_matches("failed ");
            let unknown = match reason {
                unknown if unknown.starts_with("Unknown") => unknown.to_owned(),
                reason => format!("Unknown {{ reason: {reason} }}"),
            };
            assert_eq!(answer, unknown, "{fault:?}");
            pass(&house, Duration::from_secs(600)).await;
            assert_eq!(
                state(&custodian, 7),
                KeyState::PreActivation,
                "{fault:?}: its backend keeps it"
            );
            assert!(!is_on(&house, &custodian, 7).await, "{fault:?}: off until it is known");
            done(&custodian, "again", cancel).await;
            assert_eq!(custodian.key(&key(7)).unwrap().destruction(), None, "{fault:?}");
            done(&custodian, "first-use", Command::ActivateKey { key: key(7) }).await;
            assert_eq!(
                said(&pay_from(&custodian, &key(7), "signs").await),
                "released",
                "{fault:?}"
            );
        });
    }
}

#[test]
fn a_key_to_be_destroyed_is_told_again_of_what_may_pass() {
    let throttled = ErrorKind::Throttled { retry_after: None };
    for (kind, times) in [
        (ErrorKind::Unavailable, 2),
        (throttled, 2),
        (ErrorKind::Indeterminate, 2),
        (ErrorKind::Corrupt, 2),
        (ErrorKind::Refused, 1),
        (ErrorKind::Conflict, 1),
        (ErrorKind::NotFound, 1),
        (ErrorKind::Unsupported, 1),
    ] {
        let house = House::new();
        house.run(async {
            let (custodian, _) = five_keys(&house).await;
            custodian.close().await.unwrap();
            let other: Arc<dyn KeyBackend> = Arc::new(MemoryBackend::seeded("another", 7));
            let parts = Parts { backend: other, ..house.parts() };
            let custodian = house.builder(parts).open(custodian.id()).await.unwrap();
            done(&custodian, "retire", Command::DeactivateKey { key: key(1) }).await;
            let destroy = Command::DestroyKey { key: key(1), wait_ms: 86_400_000 };
            done(&custodian, "destroy", destroy).await;
            custodian.close().await.unwrap();
            let backend = recording(&house);
            backend.plan().next(BackendCall::Disable, Fault::fail(kind));
            let custodian = open(&house, custodian.id(), &backend).await;
            pass(&house, Duration::from_secs(60)).await;
            assert_eq!(backend.plan().count(BackendCall::Disable), times, "{kind:?}");
            assert_eq!(is_on(&house, &custodian, 1).await, times == 1, "{kind:?}");
        });
    }
}

#[test]
fn a_resumption_that_a_stopped_process_left_keeps_no_key_on() {
    let house = House::new();
    let id = house.run(async {
        let (custodian, backend) = five_keys(&house).await;
        done(&custodian, "off", suspend(1)).await;
        switched_off(&house, &backend, 1).await;
        backend.plan().next(BackendCall::Enable, Fault::Hang { happened: Happened::Yes });
        let asked = Box::pin(govern(&custodian, "on", resume(1)));
        let dies = Box::pin(async {
            while backend.plan().count(BackendCall::Enable) == 0 {
                pass(&house, Duration::from_millis(10)).await;
            }
        });
        assert!(matches!(select(asked, dies).await, Either::Right(_)), "it hangs");
        assert!(is_on(&house, &custodian, 1).await);
        custodian.id()
    });
    let house = house.crashed();
    house.run(async {
        let backend = recording(&house);
        let custodian = open(&house, id, &backend).await;
        switched_off(&house, &backend, 1).await;
        assert!(!is_on(&house, &custodian, 1).await, "though the order is reserved still");
        let resumed = custodian.resume().await.unwrap();
        assert_eq!(resumed.len(), 1);
        assert_eq!(state(&custodian, 1), KeyState::Active);
        assert_eq!(said(&pay_from(&custodian, &key(1), "signs").await), "released");
    });
}

#[test]
fn orders_that_wait_for_the_log_keep_no_key_on() {
    let house = House::new();
    house.run(async {
        let backend = recording(&house);
        let log = Arc::new(FailingLog::new(Arc::new(house.log.clone())));
        let parts = Parts { log: Arc::<FailingLog>::clone(&log), ..parts(&house, &backend) };
        let custodian = house.furnished(parts).await;
        log.plan().always(LogCall::Seal, Fault::fail(ErrorKind::Unavailable));
        assert_eq!(said(&pay(&custodian, "waits").await), "unavailable, ask later");
        drop(govern(&custodian, "off", suspend(0)).await);
        switched_off(&house, &backend, 1).await;
        assert!(!is_on(&house, &custodian, 0).await);
    });
}

#[test]
fn whoever_asks_hears_which_keys_may_be_on() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = five_keys(&house).await;
        backend.plan().always(BackendCall::Disable, Fault::fail(ErrorKind::Unavailable));
        done(&custodian, "off", suspend(1)).await;
        pass(&house, Duration::from_secs(20)).await;
        let owed = custodian.owed_switches();
        assert_eq!(owed.len(), 1);
        assert_eq!((&owed[0].key, owed[0].backend.as_str()), (&key(1), "memory"));
        assert!(owed[0].failures >= 2, "{owed:?}");
        backend.plan().clear();
        pass(&house, Duration::from_secs(60)).await;
        assert_eq!(custodian.owed_switches(), []);
    });
}

#[test]
fn a_backend_that_is_registered_anew_is_told_at_once() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = five_keys(&house).await;
        let other = BackendIdentity::parse("another-place").unwrap();
        let register = |identity: &BackendIdentity| Command::RegisterBackend {
            backend: BackendId::parse("memory").unwrap(),
            identity: identity.clone(),
        };
        done(&custodian, "moves", register(&other)).await;
        done(&custodian, "off", suspend(1)).await;
        pass(&house, Duration::from_secs(7_200)).await;
        assert_eq!(switched(&backend), [], "it is not what is registered");
        assert!(custodian.owed_switches()[0].failures > 8);
        done(&custodian, "back", register(house.keys.identity())).await;
        pass(&house, Duration::from_secs(1)).await;
        assert_eq!(switched(&backend), [BackendCall::Disable]);
        assert_eq!(custodian.owed_switches(), []);
    });
}
