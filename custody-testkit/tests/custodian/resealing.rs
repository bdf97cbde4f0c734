//! Keys that are sealed anew: page by page, while they sign, and whatever fails in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use custody_core::command::{Command, CommandResult, FreezeScope, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Custodian, Error, Outcome};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
use custody_core::key::KeyState;
use custody_core::ledger::CommandRefusal;
use custody_core::seam::{
    Batch, Clock as _, DerivationPath, ErrorKind, Event, KeyBackend, Position, Record, RecordKey,
    Store, StoreError,
};
use custody_testkit::backend::{
    BackendCall, BackendLie, FailingBackend, LyingBackend, MemoryBackend,
};
use custody_testkit::decoder::{TestDecoder, TestTransfer};
use custody_testkit::fault::{Fault, Gate, Happened};
use custody_testkit::oracle::{Oracle, Promises};
use custody_testkit::policy::TestRules;
use custody_testkit::runtime::TestClock;
use custody_testkit::store::{FaultyStore, MemoryStore, StoreCall};
use custody_testkit::suite::key_backend::Ability;
use futures::future::{Either, join, join_all, select};

use crate::house::{
    House, Parts, create_key, create_wallet, furnish, govern, key, pay, pay_from, said,
};
use crate::swapping::{Swap, Swapping};

mod failing;
mod meanwhile;

/// Seed and keys of the wallet of [`seeded`], in their order.
const ALL: [&str; 6] = ["seed", "hot.0", "hot.1", "hot.2", "hot.3", "hot.4"];

fn hot() -> WalletId {
    WalletId::parse("hot").unwrap()
}

fn id(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

fn reseal(after: Option<&str>, limit: u16) -> Command {
    Command::ResealKeys { wallet: hot(), after: after.map(id), limit }
}

fn register(backend: &dyn KeyBackend) -> Command {
    Command::RegisterBackend {
        backend: BackendId::parse("memory").unwrap(),
        identity: backend.identity().clone(),
    }
}

/// A custodian whose wallet has a seed, a derived key and four others.
async fn seeded(house: &House, parts: Parts) -> Custodian {
    let custodian = house.create(parts).await.unwrap();
    let derive = Command::DeriveAccount {
        wallet: hot(),
        key: key(0),
        path: DerivationPath::parse("m/0'").unwrap(),
        algorithm: Algorithm::Ed25519,
        start: KeyStart::Active,
    };
    let keys = (1..5).map(create_key);
    let commands = [create_wallet(Some(id("seed"))), derive].into_iter().chain(keys);
    for (number, command) in commands.enumerate() {
        let answer = govern(&custodian, &format!("make-{number}"), command).await;
        assert_eq!(said(&answer), "released", "{number}");
    }
    custodian
}

async fn open(house: &House, custodian: CustodianId, backend: Arc<dyn KeyBackend>) -> Custodian {
    house.builder(Parts { backend, ..house.parts() }).open(custodian).await.unwrap()
}

/// What a page did: which keys, and where to go on.
fn page(answer: &Result<Answer, Error>) -> (Vec<KeyId>, Option<KeyId>) {
    let Ok(Answer { outcome: Outcome::Released(release), .. }) = answer else {
        panic!("{answer:?}")
    };
    let Some(CommandResult::Resealed { handles, next }) = &release.result else {
        panic!("{release:?}")
    };
    (handles.iter().map(|resealed| resealed.key.clone()).collect(), next.clone())
}

/// Seals the whole wallet anew as a host does: page after page, until none follows.
async fn reseal_all(custodian: &Custodian, name: &str, limit: u16) -> Vec<Vec<KeyId>> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let command = Command::ResealKeys { wallet: hot(), after, limit };
        let answer = govern(custodian, &format!("{name}-{}", pages.len()), command).await;
        let (keys, next) = page(&answer);
        pages.push(keys);
        match next {
            Some(next) => after = Some(next),
            None => return pages,
        }
    }
}

/// SHA-256 of the handles of seed and keys as the custodian has them; each is that of its record.
fn handles(house: &House, custodian: &Custodian) -> Vec<Digest> {
    let wallet = custodian.wallet(&hot()).unwrap();
    let keys = wallet.keys().iter().map(|id| {
        let key = custodian.key(id).unwrap();
        (id.clone(), *key.handle())
    });
    let seed = wallet.seed().cloned().zip(wallet.seed_handle().copied());
    let all: Vec<_> = seed.into_iter().chain(keys).collect();
    let records = house.store.snapshot().records();
    for (id, digest) in &all {
        let name = format!("handle/{id}");
        let record = records.iter().find(|record| record.key.as_str() == name).unwrap();
        assert_eq!(Digest::of(&record.value), *digest, "{name}");
    }
    all.into_iter().map(|(_, digest)| digest).collect()
}

/// Public keys and accounts, which never change.
fn addresses(custodian: &Custodian) -> Vec<String> {
    let keys = custodian.wallet(&hot()).unwrap().keys().to_vec();
    let keys = keys.iter().map(|id| custodian.key(id).unwrap());
    keys.map(|key| format!("{:?} {:?} {:?}", key.public_key(), key.account(), key.path())).collect()
}

/// The whole log replays, and says the same as the custodian.
async fn assert_replays(house: &House, custodian: &Custodian) {
    let decoder = Arc::new(TestDecoder::new());
    let (rules, promises) = (Arc::new(TestRules::new()), Promises::default());
    let mut oracle = Oracle::new(custodian.id(), rules, vec![decoder], promises);
    oracle.follow(&house.store).await.unwrap();
    let ledger = oracle.ledger().unwrap();
    assert_eq!(ledger.wallet(&hot()), custodian.wallet(&hot()).as_ref());
    for id in custodian.wallet(&hot()).unwrap().keys() {
        assert_eq!(ledger.key(id), custodian.key(id).as_ref());
    }
}

/// Each key of [`seeded`] signs a payment of this name.
async fn assert_all_sign(custodian: &Custodian, name: &str) {
    for number in 0..5 {
        let answer = pay_from(custodian, &key(number), &format!("{name}-{number}")).await;
        assert_eq!(said(&answer), "released", "{name}, {number}");
    }
}

/// A custodian over a backend that fails as planned, and that backend.
async fn failing(house: &House) -> (Custodian, Arc<FailingBackend>) {
    let backend = Arc::new(FailingBackend::new(Arc::new(house.keys.clone())));
    let parts = Parts { backend: Arc::<FailingBackend>::clone(&backend), ..house.parts() };
    (seeded(house, parts).await, backend)
}

#[test]
fn a_wallet_moves_to_another_key_encrypting_key_page_by_page_and_keeps_its_addresses() {
    let house = House::new();
    house.run(async {
        let custodian = seeded(&house, house.parts()).await;
        let (custody, before) = (custodian.id(), handles(&house, &custodian));
        let told = addresses(&custodian);
        assert_all_sign(&custodian, "before").await;
        custodian.close().await.unwrap();

        let rotated = house.keys.rotated();
        let custodian = open(&house, custody, Arc::new(rotated.clone())).await;
        let early = pay(&custodian, "early").await;
        assert_eq!(said(&early), "failed BackendUnavailable", "before it is registered");
        let sealed = govern(&custodian, "too-early", reseal(None, 9)).await;
        assert_eq!(said(&sealed), "failed BackendUnavailable", "before it is registered");
        assert_eq!(said(&govern(&custodian, "register", register(&rotated)).await), "released");
        assert_all_sign(&custodian, "registered").await;
        let pages = reseal_all(&custodian, "page", 2).await;
        assert_eq!(pages.concat(), ALL.map(id));
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2]);
        let after = handles(&house, &custodian);
        assert!(after.iter().all(|handle| !before.contains(handle)), "a handle stayed");
        assert_eq!(addresses(&custodian), told);
        assert_all_sign(&custodian, "resealed").await;
        assert_replays(&house, &custodian).await;
        custodian.close().await.unwrap();

        let alone = open(&house, custody, Arc::new(rotated.without_previous())).await;
        assert_all_sign(&alone, "alone").await;
        let account = DerivationPath::parse("m/84'/0'/0'").unwrap();
        assert!(alone.account_key(&hot(), &account).await.is_ok(), "the seed opens, too");
        assert_replays(&house, &alone).await;
    });
}

#[test]
fn what_was_not_sealed_anew_is_refused_once_the_old_key_encrypting_key_is_gone() {
    let house = House::new();
    house.run(async {
        let custodian = seeded(&house, house.parts()).await;
        let (custody, rotated) = (custodian.id(), house.keys.rotated());
        custodian.close().await.unwrap();
        let custodian = open(&house, custody, Arc::new(rotated.clone())).await;
        assert_eq!(said(&govern(&custodian, "register", register(&rotated)).await), "released");
        let (keys, next) = page(&govern(&custodian, "page", reseal(None, 3)).await);
        assert_eq!((keys.len(), next), (3, Some(key(1))));
        custodian.close().await.unwrap();
        let alone = open(&house, custody, Arc::new(rotated.without_previous())).await;
        for number in 0..5 {
            let answer = pay_from(&alone, &key(number), &format!("alone-{number}")).await;
            let expected = if number < 2 { "released" } else { "failed Corrupt" };
            assert_eq!(said(&answer), expected, "{number}");
        }
        let more = govern(&alone, "more", reseal(Some("hot.1"), 9)).await;
        assert_eq!(said(&more), "failed Corrupt");
    });
}

/// Why a command was refused before there was an order.
fn refusal(answer: Result<Answer, Error>) -> CommandRefusal {
    match answer {
        Err(Error::Command(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_sealed_anew_is_refused_before_there_is_an_order() {
    let house = House::new();
    house.run(async {
        let custodian = seeded(&house, house.parts()).await;
        let events = house.events();
        let missing = |what| CommandRefusal::NotFound { what };
        let elsewhere = WalletId::parse("cold").unwrap();
        let foreign = Command::ResealKeys { wallet: elsewhere, after: None, limit: 1 };
        let most = Command::RESEAL_MAX;
        for (name, command, expected) in [
            ("no-keys", reseal(None, 0), CommandRefusal::Malformed { what: "limit" }),
            ("many", reseal(None, most + 1), CommandRefusal::Malformed { what: "limit" }),
            ("wallet", foreign, missing("wallet")),
            ("after", reseal(Some("hot.9"), 1), missing("key of the wallet")),
        ] {
            assert_eq!(refusal(govern(&custodian, name, command).await), expected, "{name}");
        }
        custodian.close().await.unwrap();
        let others: Vec<_> =
            Ability::ALL.into_iter().filter(|ability| *ability != Ability::Resealing).collect();
        let unable = Arc::new(house.keys.clone().with_abilities(&others));
        let custodian = open(&house, custodian.id(), unable).await;
        let refused = refusal(govern(&custodian, "unable", reseal(None, 1)).await);
        assert_eq!(refused, missing("re-sealing by the wallet's backend"));
        custodian.close().await.unwrap();
        let other = Arc::new(MemoryBackend::seeded("another", 7));
        let custodian = open(&house, custodian.id(), other).await;
        let refused = refusal(govern(&custodian, "absent", reseal(None, 1)).await);
        assert_eq!(refused, missing("backend"));
        assert_eq!(house.events(), events);
    });
}

/// Destroys a key of the wallet at once.
async fn destroy(custodian: &Custodian, number: u8) {
    let commands = [
        Command::DeactivateKey { key: key(number) },
        Command::DestroyKey { key: key(number), wait_ms: 0 },
        Command::ConfirmClock {},
    ];
    for (step, command) in commands.into_iter().enumerate() {
        let answer = govern(custodian, &format!("destroy-{number}-{step}"), command).await;
        assert_eq!(said(&answer), "released");
    }
    assert_eq!(custodian.key(&key(number)).unwrap().state(), KeyState::Destroyed);
}

#[test]
fn compromised_suspended_and_deactivated_keys_are_sealed_anew_too() {
    let house = House::new();
    house.run(async {
        let custodian = seeded(&house, house.parts()).await;
        for (name, command) in [
            ("suspend", Command::SuspendKey { key: key(1) }),
            ("compromise", Command::CompromiseKey { key: key(2) }),
            ("deactivate", Command::DeactivateKey { key: key(3) }),
        ] {
            assert_eq!(said(&govern(&custodian, name, command).await), "released", "{name}");
        }
        assert_eq!(reseal_all(&custodian, "page", 9).await.concat(), ALL.map(id));
        let resume = govern(&custodian, "resume", Command::ResumeKey { key: key(1) }).await;
        assert_eq!(said(&resume), "released");
        assert_eq!(said(&pay_from(&custodian, &key(1), "resumed").await), "released");
        assert_replays(&house, &custodian).await;
    });
}

#[test]
fn a_handle_that_was_put_back_into_the_store_is_not_used() {
    let house = House::new();
    house.run(async {
        let custodian = seeded(&house, house.parts()).await;
        let record = RecordKey::parse("handle/hot.0").unwrap();
        let old = house.store.get(&record).await.unwrap().unwrap().value;
        reseal_all(&custodian, "page", 9).await;
        custodian.close().await.unwrap();
        house.store.replace_record(&record, old);
        let custodian = open(&house, custodian.id(), Arc::new(house.keys.clone())).await;
        assert_eq!(said(&pay(&custodian, "old").await), "failed Corrupt");
        house.assert_unused();
        assert_eq!(said(&pay_from(&custodian, &key(1), "new").await), "released");
    });
}
