//! Software keys that move to another key-encrypting key while the house goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use custody_core::caip::ChainId;
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Outcome, RequestedWork};
use custody_core::id::{BackendId, KeyId, TierId, WalletId};
use custody_core::seam::{
    Authentication, DerivationPath, ErrorKind, KeyBackend, KeyEncryption, KeyHandle, KeyRecord,
};
use custody_soft::SoftBackend;
use custody_testkit::backend::MemoryKeyEncryption;
use custody_testkit::runtime::TestEntropy;
use examples_start::house::TREASURY;
use examples_start::reseal::{Passage, Progress, Resealing};

use crate::world::people::Person;
use crate::world::work::{ETH, KNOWN};
use crate::world::{Kind, Setup, World, words};

const SEEDED: &str = "seeded";
const KEYS: [&str; 4] = ["hot.0", "seeded.0", "seeded.1", "seeded.2"];

fn key(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

fn wallet(text: &str) -> WalletId {
    WalletId::parse(text).unwrap()
}

/// Software keys sealed under one key-encrypting key, with others as previous.
fn soft(setup: &Setup, kek: u64, previous: &[u64]) -> Arc<dyn KeyBackend> {
    let kek_of = |number| Arc::new(MemoryKeyEncryption::seeded(number)) as Arc<dyn KeyEncryption>;
    let entropy = TestEntropy::seeded(kek * 100 + previous.len() as u64);
    let (id, clock) = (BackendId::parse("software").unwrap(), Arc::new(setup.clock.clone()));
    let backend = SoftBackend::new(id, kek_of(kek), Arc::new(entropy), clock).unwrap();
    Arc::new(backend.with_previous(previous.iter().map(|number| kek_of(*number)).collect()))
}

/// A house with a wallet of one key and one of a seed with three accounts, all sealed under the first
/// key-encrypting key.
async fn house(setup: Setup) -> World {
    let keys = soft(&setup, 1, &[]);
    let world = World::with(setup.keys(keys)).await;
    let seeded = Command::CreateWallet {
        wallet: wallet(SEEDED),
        chain: ChainId::parse("eip155:1").unwrap(),
        tier: TierId::parse("hot").unwrap(),
        backend: BackendId::parse("software").unwrap(),
        seed: Some(key("seed")),
    };
    world.done("seeded", seeded).await;
    for index in 0..3 {
        let derive = Command::DeriveAccount {
            wallet: wallet(SEEDED),
            key: key(&format!("seeded.{index}")),
            path: DerivationPath::parse(&format!("m/44'/60'/0'/0/{index}")).unwrap(),
            algorithm: Algorithm::EcdsaSecp256k1,
            start: KeyStart::Active,
        };
        world.done(&format!("derive-{index}"), derive).await;
    }
    world
}

/// The house under the second key-encrypting key, registered, with the first as previous.
async fn rotated(world: World) -> World {
    let keys = soft(&world.setup, 2, &[1]);
    let world = world.crash().await.with_keys(Arc::clone(&keys)).open().await;
    let early = world.pay(ETH / 100, KNOWN, "early").await;
    assert_eq!(words::of(&early), "failed BackendUnavailable", "it is not registered yet");
    let (backend, identity) = (keys.id().clone(), keys.identity().clone());
    world.done("register", Command::RegisterBackend { backend, identity }).await;
    world
}

fn passage(person: &Person, name: &str, from: &str, limit: u16) -> Resealing {
    Resealing {
        requester: person.id.clone(),
        authentication: Authentication::default(),
        name: name.to_owned(),
        wallet: wallet(from),
        limit,
    }
}

/// Pays from every key.
async fn assert_all_pay(world: &World, name: &str) {
    for from in KEYS {
        let mut request = world.request(ETH / 100, KNOWN, &format!("{name}-{from}"));
        if let RequestedWork::Payload { wallet: its, key: by, .. } = &mut request.work {
            *its = wallet(from.split('.').next().unwrap());
            *by = Some(key(from));
        }
        assert_eq!(words::of(&world.submit(request).await), "released", "{name}, {from}");
    }
}

/// The keys with the handles that the store has now.
fn records(world: &World) -> Vec<KeyRecord> {
    let record = |id: &str| {
        let found = world.custodian.key(&key(id)).unwrap();
        KeyRecord {
            custodian: world.custodian.id(),
            wallet: found.wallet().clone(),
            key: key(id),
            public_key: found.public_key().clone(),
            handle: KeyHandle::new(world.tamper().value(&format!("handle/{id}"))),
        }
    };
    KEYS.map(record).to_vec()
}

fn accounts(world: &World) -> Vec<Option<String>> {
    let keys = KEYS.map(|id| world.custodian.key(&key(id)).unwrap());
    keys.map(|key| key.account().map(ToString::to_string)).to_vec()
}

#[tokio::test]
async fn keys_move_to_another_key_encrypting_key_through_a_crash_and_keep_their_addresses() {
    for kind in Kind::ALL {
        let world = house(Setup::new(kind)).await;
        assert_all_pay(&world, "before").await;
        let (old, told) = (records(&world), accounts(&world));
        let world = rotated(world).await;
        assert_all_pay(&world, "registered").await;

        let moves = passage(&world.people.olivia, "move", SEEDED, 1);
        let half = AtomicBool::new(false);
        let note = |done: &Progress| half.store(done.pages == 2, Ordering::SeqCst);
        let is_half = async {
            while !half.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = is_half => {}
            end = moves.run(&world.custodian, note) => panic!("{kind:?}: {end:?}"),
        }
        let world = world.reopen().await;
        let _left = world.resume().await.unwrap();
        assert_all_pay(&world, "half").await;
        let mut told_of = Vec::new();
        let end = moves.run(&world.custodian, |done| told_of.push(done.clone())).await.unwrap();
        assert!(matches!(end, Passage::Done), "{kind:?}: {end:?}");
        let last = ["seed", "seeded.0", "seeded.1"].map(|id| Some(key(id)));
        let expected = last.into_iter().chain([None]).enumerate();
        let expected: Vec<_> = expected
            .map(|(index, last)| Progress { pages: index + 1, sealed: index + 1, last })
            .collect();
        assert_eq!(told_of, expected, "{kind:?}");
        let hot = passage(&world.people.olivia, "move-hot", "hot", 128);
        let end = hot.run(&world.custodian, |_| ()).await.unwrap();
        assert!(matches!(end, Passage::Done), "{kind:?}: {end:?}");
        assert_all_pay(&world, "moved").await;

        let alone = soft(&world.setup, 2, &[]);
        for (old, new) in old.iter().zip(records(&world)) {
            let refused = alone.signer(old).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Corrupt, "{kind:?}: an old blob");
            assert!(alone.signer(&new).await.is_ok(), "{kind:?}: a new blob");
        }
        let world = world.crash().await.with_keys(alone).open().await;
        assert_all_pay(&world, "alone").await;
        assert_eq!(accounts(&world), told, "{kind:?}");
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn what_was_not_moved_in_time_pays_nothing_and_can_still_be_moved() {
    let world = rotated(house(Setup::new(Kind::Memory)).await).await;
    let alone = soft(&world.setup, 2, &[]);
    let world = world.crash().await.with_keys(alone).open().await;
    let paid = world.pay(ETH / 100, KNOWN, "alone").await;
    assert_eq!(words::of(&paid), "failed Corrupt");
    let end = passage(&world.people.olivia, "late", SEEDED, 9).run(&world.custodian, |_| ()).await;
    let Ok(Passage::Stopped(answer)) = end else { panic!("{end:?}") };
    assert_eq!(words::of_outcome(&answer.outcome), "failed Corrupt");
    let both = soft(&world.setup, 2, &[1]);
    let world = world.crash().await.with_keys(both).open().await;
    let end = passage(&world.people.olivia, "again", SEEDED, 9).run(&world.custodian, |_| ()).await;
    assert!(matches!(end, Ok(Passage::Done)), "{end:?}");
    assert_all_pay(&world, "both").await;
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn pages_wait_for_the_quorum_that_the_rules_ask_for() {
    const RULE: &str = r#"
@id("reseal-with-a-treasurer")
forbid (principal, action == Action::"reseal_keys", resource)
unless { context.approvals.treasurer >= 1 };
"#;
    let setup = Setup { rules: format!("{TREASURY}{RULE}"), ..Setup::new(Kind::Memory) };
    let world = house(setup).await;
    let before = records(&world);
    let denied = passage(&world.people.otto, "otto", SEEDED, 9).run(&world.custodian, |_| ()).await;
    let Ok(Passage::Stopped(answer)) = denied else { panic!("{denied:?}") };
    assert!(matches!(answer.outcome, Outcome::Denied { .. }), "{answer:?}");
    let moves = passage(&world.people.olivia, "move", SEEDED, 2);
    for pages in 0..2 {
        let mut done = 0;
        let end = moves.run(&world.custodian, |progress| done = progress.pages).await;
        let Ok(Passage::Waits(answer)) = end else { panic!("{end:?}") };
        assert_eq!(done, pages);
        let changed = before.iter().zip(records(&world));
        let changed = changed.filter(|(then, now)| then.handle != now.handle).count();
        assert_eq!(changed, pages, "of the first page one is the seed");
        assert_eq!(words::of(&world.approve(&world.people.theo, &answer).await), "released");
    }
    let end = moves.run(&world.custodian, |_| ()).await;
    assert!(matches!(end, Ok(Passage::Done)), "{end:?}");
    assert_all_pay(&world, "moved").await;
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_name_that_was_used_under_a_former_key_encrypting_key_begins_anew() {
    let world = rotated(house(Setup::new(Kind::Memory)).await).await;
    let yearly = passage(&world.people.olivia, "yearly", SEEDED, 2);
    let count = async |world: &World| {
        let mut sealed = 0;
        let end = yearly.run(&world.custodian, |progress| sealed = progress.sealed).await.unwrap();
        assert!(matches!(end, Passage::Done), "{end:?}");
        sealed
    };
    assert_eq!(count(&world).await, 4);
    let before = records(&world);
    assert_eq!(count(&world).await, 4, "told of, not done again");
    assert!(before.iter().zip(records(&world)).all(|(then, now)| then.handle == now.handle));

    let keys = soft(&world.setup, 3, &[1, 2]);
    let world = world.crash().await.with_keys(Arc::clone(&keys)).open().await;
    let (backend, identity) = (keys.id().clone(), keys.identity().clone());
    assert_ne!(world.custodian.registered(&backend), Some(identity.clone()));
    world.done("register-third", Command::RegisterBackend { backend, identity }).await;
    assert_eq!(count(&world).await, 4);
    let seeded = before.iter().zip(records(&world)).filter(|(_, now)| now.wallet == wallet(SEEDED));
    for (then, now) in seeded {
        assert_ne!(then.handle, now.handle, "{}", now.key);
    }
    let only = soft(&world.setup, 3, &[1]);
    let world = world.crash().await.with_keys(only).open().await;
    assert_all_pay(&world, "without-the-second").await;
    let _oracle = world.verify().await;
}
