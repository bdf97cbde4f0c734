//! Destructions, what takes them back, and what their backends are told of both.

use custody_core::command::FreezeScope;

use super::*;

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
        let (store, parts) = house.faulty();
        let parts = Parts { backend: Arc::<FailingBackend>::clone(&backend), ..parts };
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
