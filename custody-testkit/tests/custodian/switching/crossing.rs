//! Orders that cross: what stops a key comes while it is switched on.

use std::pin::pin;

use custody_core::custodian::Request;
use custody_core::id::{BackendId, BackendIdentity, PrincipalId, RequestId};
use custody_core::principal::Principal;
use custody_testkit::audit::{FailingLog, LogCall};
use custody_testkit::people::People;

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
