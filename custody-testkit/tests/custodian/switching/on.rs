//! Keys that are switched on, destroyed and brought back.

use super::*;

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
        make_unused(&custodian, 5).await;
        let destroy = Command::DestroyKey { key: key(5), wait_ms: 86_400_000 };
        done(&custodian, "destroy", destroy).await;
        done(&custodian, "cancel", Command::CancelDestroy { key: key(5) }).await;
        done(&custodian, "activate", Command::ActivateKey { key: key(5) }).await;
        assert_eq!(said(&pay_from(&custodian, &key(5), "signs").await), "released");
        let expected = [BackendCall::Destroy, BackendCall::CancelDestroy, BackendCall::Enable];
        assert_eq!(switched(&backend), expected);
    });
}
