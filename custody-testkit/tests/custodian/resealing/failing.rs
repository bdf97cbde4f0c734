//! What fails, lies or dies while keys are sealed anew.

use super::*;

#[test]
fn a_call_that_fails_changes_nothing_and_the_page_can_be_asked_for_again() {
    let calls = [
        (BackendCall::ResealSeed, 0),
        (BackendCall::Derive, 1),
        (BackendCall::ResealKey, 0),
        (BackendCall::ResealKey, 4),
        (BackendCall::Signer, 3),
    ];
    let throttled = ErrorKind::Throttled { retry_after: None };
    let hangs = |happened| Fault::Hang { happened };
    let faults = [
        (Fault::fail(ErrorKind::Unavailable), "failed BackendUnavailable"),
        (Fault::fail(throttled), "failed BackendUnavailable"),
        (Fault::fail(ErrorKind::Refused), "failed BackendRefused"),
        (Fault::fail(ErrorKind::Unsupported), "failed BackendRefused"),
        (Fault::fail(ErrorKind::NotFound), "failed BackendRefused"),
        (Fault::fail(ErrorKind::Corrupt), "failed Corrupt"),
        (Fault::fail(ErrorKind::Indeterminate), "failed BackendUnavailable"),
        (Fault::fail_after(ErrorKind::Indeterminate), "failed BackendUnavailable"),
        (hangs(Happened::No), "failed BackendUnavailable"),
        (hangs(Happened::Yes), "failed BackendUnavailable"),
    ];
    for (call, nth) in calls {
        for (fault, expected) in &faults {
            let house = House::new();
            house.run(async {
                let name = format!("{call:?} {nth}, {fault:?}");
                let (custodian, backend) = failing(&house).await;
                let before = handles(&house, &custodian);
                let plan = backend.plan();
                let nth = if call == BackendCall::Derive { nth } else { plan.count(call) + nth };
                plan.at(call, nth, fault.clone());
                let failed = govern(&custodian, "page", reseal(None, 9)).await;
                assert_eq!(said(&failed), *expected, "{name}");
                assert_eq!(handles(&house, &custodian), before, "{name}");
                assert_all_sign(&custodian, "after").await;
                assert_eq!(
                    reseal_all(&custodian, "again", 9).await.concat(),
                    ALL.map(id),
                    "{name}"
                );
                assert_all_sign(&custodian, "resealed").await;
                assert_replays(&house, &custodian).await;
            });
        }
    }
}

#[test]
fn a_freeze_stops_payloads_and_no_re_sealing() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = failing(&house).await;
        let before = handles(&house, &custodian);
        let gate = Gate::new();
        backend.plan().next(BackendCall::ResealKey, Fault::Hold(gate.clone()));
        let asked = govern(&custodian, "page", reseal(None, 9));
        let (answer, ()) = join(asked, async {
            gate.reached_by(1).await;
            let freeze = Command::Freeze { scope: FreezeScope::House };
            assert_eq!(said(&govern(&custodian, "freeze", freeze).await), "released");
            gate.open();
        })
        .await;
        assert_eq!(said(&answer), "released");
        assert_ne!(handles(&house, &custodian), before);
        let frozen = pay(&custodian, "frozen").await;
        assert_ne!(said(&frozen), "released");
    });
}

#[test]
fn a_commit_that_fails_leaves_the_old_handles_or_the_new_ones() {
    let dies = |happened| Fault::Hang { happened };
    let faults = [
        Fault::fail(ErrorKind::Unavailable),
        Fault::fail(ErrorKind::Indeterminate),
        Fault::fail_after(ErrorKind::Indeterminate),
        dies(Happened::No),
        dies(Happened::Yes),
    ];
    for (nth, fault) in (0..2).flat_map(|nth| faults.iter().map(move |fault| (nth, fault))) {
        let name = format!("commit {nth}, {fault:?}");
        let house = House::new();
        let (custody, before) = house.run(async {
            let custodian = seeded(&house, house.parts()).await;
            let before = handles(&house, &custodian);
            custodian.close().await.unwrap();
            let store = Arc::new(FaultyStore::new(house.store.clone()));
            store.fail(StoreCall::Commit, nth, fault.clone());
            let parts = Parts { store, ..house.parts() };
            let custodian = house.builder(parts).open(custodian.id()).await.unwrap();
            let asked = Box::pin(govern(&custodian, "page", reseal(None, 3)));
            let patience = house.clock.monotonic().saturating_add(Duration::from_secs(60));
            let heard = select(asked, Box::pin(house.clock.sleep_until(patience))).await;
            assert!(matches!(heard, Either::Left(_)), "{name}: nobody said anything");
            (custodian.id(), before)
        });
        let house = house.crashed();
        house.run(async {
            let custodian = open(&house, custody, Arc::new(house.keys.clone())).await;
            let left = handles(&house, &custodian);
            let changed = left.iter().zip(&before).filter(|(now, then)| now != then).count();
            assert!([0, 3].contains(&changed), "{name}: {changed} of a page are new");
            assert_all_sign(&custodian, "crashed").await;
            let resumed = custodian.resume().await.unwrap();
            for answer in resumed {
                assert_eq!(said(&Ok(answer)), "released", "{name}");
            }
            let (keys, next) = page(&govern(&custodian, "page", reseal(None, 3)).await);
            assert_eq!((keys, next), (ALL.map(id)[..3].to_vec(), Some(key(1))), "{name}");
            let (keys, next) = page(&govern(&custodian, "next", reseal(Some("hot.1"), 9)).await);
            assert_eq!((keys, next), (ALL.map(id)[3..].to_vec(), None), "{name}");
            let after = handles(&house, &custodian);
            assert!(after.iter().all(|handle| !before.contains(handle)), "{name}");
            assert_all_sign(&custodian, "done").await;
            assert_replays(&house, &custodian).await;
        });
    }
}

#[test]
fn a_process_that_dies_in_a_page_goes_on_with_it_and_one_that_fails_then_has_failed() {
    for (again, expected) in [
        (None, "released"),
        (Some(ErrorKind::Unavailable), "failed BackendUnavailable"),
        (Some(ErrorKind::Indeterminate), "failed BackendUnavailable"),
        (Some(ErrorKind::Refused), "failed BackendRefused"),
    ] {
        let house = House::new();
        let custody = house.run(async {
            let (custodian, backend) = failing(&house).await;
            let gate = Gate::new();
            let nth = backend.plan().count(BackendCall::ResealKey) + 1;
            backend.plan().at(BackendCall::ResealKey, nth, Fault::Hold(gate.clone()));
            let asked = Box::pin(govern(&custodian, "page", reseal(None, 9)));
            let first = select(asked, Box::pin(gate.reached_by(1))).await;
            assert!(matches!(first, Either::Right(_)));
            custodian.id()
        });
        let house = house.crashed();
        house.run(async {
            let backend = Arc::new(FailingBackend::new(Arc::new(house.keys.clone())));
            if let Some(kind) = again {
                backend.plan().next(BackendCall::ResealKey, Fault::fail(kind));
            }
            let custodian = open(&house, custody, backend).await;
            let before = handles(&house, &custodian);
            let resumed = custodian.resume().await.unwrap();
            let heard: Vec<_> = resumed.into_iter().map(|answer| said(&Ok(answer))).collect();
            assert_eq!(heard, [expected]);
            assert_eq!(handles(&house, &custodian) == before, again.is_some());
            assert_all_sign(&custodian, "after").await;
            assert_eq!(reseal_all(&custodian, "again", 4).await.concat(), ALL.map(id));
            assert_replays(&house, &custodian).await;
        });
    }
}

#[test]
fn a_backend_that_lies_about_a_new_handle_is_not_believed() {
    for lie in [BackendLie::ResealsAnotherKey, BackendLie::ResealsInPlace] {
        let house = House::new();
        house.run(async {
            let lying = Arc::new(LyingBackend::new("memory", 7, lie));
            let backend: Arc<dyn KeyBackend> = Arc::<LyingBackend>::clone(&lying);
            let custodian = house.create(Parts { backend, ..house.parts() }).await.unwrap();
            furnish(&custodian).await;
            let before = handles(&house, &custodian);
            let failed = govern(&custodian, "page", reseal(None, 9)).await;
            assert_eq!(said(&failed), "failed Corrupt", "{lie:?}");
            assert_eq!(handles(&house, &custodian), before, "{lie:?}");
            assert_eq!(lying.sign_calls(), 0, "{lie:?}");
        });
    }
}

#[test]
fn a_handle_of_another_key_or_seed_is_not_taken_for_a_new_one() {
    let house = House::new();
    house.run(async {
        let custodian = seeded(&house, house.parts()).await;
        let other = create_other_seed();
        assert_eq!(said(&govern(&custodian, "other", other).await), "released");
        custodian.close().await.unwrap();
        for swap in [Swap::Keys, Swap::Seeds] {
            let swapping = Arc::new(Swapping::new(house.keys.clone(), swap));
            let custodian = open(&house, custodian.id(), swapping).await;
            let before = handles(&house, &custodian);
            let name = format!("{swap:?}").to_lowercase();
            let failed = govern(&custodian, &name, reseal(None, 9)).await;
            assert_eq!(said(&failed), "failed Corrupt", "{swap:?}");
            assert_eq!(handles(&house, &custodian), before, "{swap:?}");
            assert_all_sign(&custodian, &name).await;
            custodian.close().await.unwrap();
        }
    });
}

#[test]
fn a_seed_without_keys_is_compared_by_its_account() {
    for swap in [None, Some(Swap::Seeds)] {
        let house = House::new();
        house.run(async {
            let backend: Arc<dyn KeyBackend> = match swap {
                None => Arc::new(house.keys.clone()),
                Some(swap) => Arc::new(Swapping::new(house.keys.clone(), swap)),
            };
            let custodian = house.create(Parts { backend, ..house.parts() }).await.unwrap();
            let wallets = [create_wallet(Some(id("seed"))), create_other_seed()];
            for (number, wallet) in wallets.into_iter().enumerate() {
                let made = govern(&custodian, &format!("wallet-{number}"), wallet).await;
                assert_eq!(said(&made), "released");
            }
            let answer = govern(&custodian, "page", reseal(None, 1)).await;
            let expected = if swap.is_some() { "failed Corrupt" } else { "released" };
            assert_eq!(said(&answer), expected);
        });
    }
}

/// The command that makes the wallet `cold`, whose seed is `other`.
fn create_other_seed() -> Command {
    Command::CreateWallet {
        wallet: WalletId::parse("cold").unwrap(),
        chain: TestTransfer::chain(),
        tier: custody_core::id::TierId::parse("hot").unwrap(),
        backend: BackendId::parse("memory").unwrap(),
        seed: Some(id("other")),
    }
}
