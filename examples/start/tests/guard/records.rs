//! Records, handles and documents that somebody changed in the store: noticed before any key is
//! used.

use custody_core::caip::ChainId;
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Outcome};
use custody_core::document::Hold;
use custody_core::id::{BackendId, KeyId, TierId, WalletId};
use custody_core::seam::{DerivationPath, Exportability};
use custody_testkit::backend::BackendCall;

use crate::world::tamper::Tamper;
use crate::world::work::{ETH, KNOWN};
use crate::world::{Kind, World};

/// Every store, changed while the custodian runs and while it does not.
const WAYS: [(Kind, bool); 4] =
    [(Kind::Memory, false), (Kind::Memory, true), (Kind::Sqlite, false), (Kind::Sqlite, true)];

/// The world with its store changed, after a restart if it `stops` for that.
async fn tampered(world: World, stops: bool, tamper: impl FnOnce(&Tamper)) -> World {
    if stops {
        let remains = world.crash().await;
        tamper(&remains.tamper());
        return remains.open().await;
    }
    tamper(&world.tamper());
    world
}

fn create_key(id: &str) -> Command {
    Command::CreateKey {
        wallet: WalletId::parse("hot").unwrap(),
        key: KeyId::parse(id).unwrap(),
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    }
}

/// The command that makes a wallet `id` with the seed `id-seed`.
fn create_wallet(id: &str) -> Command {
    Command::CreateWallet {
        wallet: WalletId::parse(id).unwrap(),
        chain: ChainId::parse("eip155:1").unwrap(),
        tier: TierId::parse("hot").unwrap(),
        backend: BackendId::parse("software").unwrap(),
        seed: Some(KeyId::parse(&format!("{id}-seed")).unwrap()),
    }
}

#[tokio::test]
async fn the_bytes_of_records_are_pinned() {
    let world = World::new(Kind::Memory).await;
    let request = world.request(ETH / 2, KNOWN, "paid");
    let submission = world.custodian.submission_digest(&request).unwrap();
    let paid = world.submit(request).await.unwrap();
    let store = world.tamper();
    let (order, ended) = (&paid.order, store.events().len() - 1);
    let submitted = ended - 2;
    let text = |key: &str| String::from_utf8(store.value(key)).unwrap();
    let expected = format!(
        "{{\"v\":1,\"order\":\"{order}\",\"state\":\"signed\",\"submitted\":{submitted},\"ended\":{ended}}}"
    );
    assert_eq!(text(&format!("order/{order}")), expected);
    let record = text("request/olivia/paid");
    let prefix = format!("{{\"v\":1,\"order\":\"{order}\",\"submission\":\"");
    assert!(record.starts_with(&prefix) && record.len() == prefix.len() + 66, "{record}");
    assert!(!record.contains(&submission.to_string()), "what is signed is tagged");
}

#[tokio::test]
async fn a_handle_that_was_changed_opens_no_key() {
    const MINE: &str = "handle/hot.0";
    type Change = fn(&Tamper);
    let changes: [(&str, Change); 6] = [
        ("another key's", |store| store.replace(MINE, store.value("handle/hot.1"))),
        ("exchanged with another key's", |store| {
            let (mine, other) = (store.value(MINE), store.value("handle/hot.1"));
            store.replace(MINE, other);
            store.replace("handle/hot.1", mine);
        }),
        ("a byte changed", |store| {
            let mut bytes = store.value(MINE);
            *bytes.last_mut().unwrap() ^= 1;
            store.replace(MINE, bytes);
        }),
        ("a byte more", |store| store.replace(MINE, [store.value(MINE), vec![0]].concat())),
        ("empty", |store| store.replace(MINE, Vec::new())),
        ("gone", |store| store.remove(MINE)),
    ];
    for ((kind, stops), (name, change)) in
        WAYS.into_iter().flat_map(|way| changes.map(|change| (way, change)))
    {
        let name = format!("{name}, over {kind:?}, stopped: {stops}");
        let world = World::new(kind).await;
        world.done("second-key", create_key("hot.1")).await;
        let honest = world.tamper().value(MINE);
        let world = tampered(world, stops, change).await;
        let failed = world.pay(ETH / 2, KNOWN, "tampered").await.unwrap();
        assert_eq!(failed.outcome, Outcome::Failed { reason: Hold::Corrupt }, "{name}");
        assert_eq!(world.sign_calls(), 0, "{name}");
        world.tamper().replace(MINE, honest);
        let paid = world.pay(ETH / 2, KNOWN, "restored").await.unwrap();
        assert!(matches!(paid.outcome, Outcome::Released(_)), "{name}: {paid:?}");
        world.verify().await;
    }
}

#[tokio::test]
async fn a_seed_handle_that_was_changed_derives_no_key() {
    for (kind, stops) in WAYS {
        let world = World::new(kind).await;
        world.done("mine", create_wallet("mine")).await;
        world.done("theirs", create_wallet("theirs")).await;
        let honest = world.tamper().value("handle/mine-seed");
        let world = tampered(world, stops, |store| {
            store.replace("handle/mine-seed", store.value("handle/theirs-seed"));
        })
        .await;
        let derive = |key| Command::DeriveAccount {
            wallet: WalletId::parse("mine").unwrap(),
            key: KeyId::parse(key).unwrap(),
            path: DerivationPath::parse("m/44'/60'/0'/0/0").unwrap(),
            algorithm: Algorithm::EcdsaSecp256k1,
            start: KeyStart::Active,
        };
        let failed = world.govern("tampered", derive("tampered")).await.unwrap();
        assert_eq!(failed.outcome, Outcome::Failed { reason: Hold::Corrupt }, "{kind:?}");
        assert_eq!(world.backend.plan().count(BackendCall::Derive), 0, "{kind:?}");
        world.tamper().replace("handle/mine-seed", honest);
        world.done("restored", derive("restored")).await;
        world.verify().await;
    }
}

/// Where an order's document is that holds its payload or its decode context.
fn owned(store: &Tamper, answer: &Answer, name: &str) -> String {
    let digest = answer.digest.to_string();
    let documents = store.below(&format!("document/{}/", answer.order));
    let is_context = |key: &String| store.value(key).starts_with(b"{\"v\":1,\"wallet\"");
    let mut others = documents.into_iter().filter(|key| !key.ends_with(&digest));
    others.find(|key| is_context(key) == (name == CONTEXT)).unwrap()
}

const PAYLOAD: &str = "payload";
const CONTEXT: &str = "decode context";

#[tokio::test]
async fn documents_that_were_changed_or_swapped_are_not_signed() {
    type Change = fn(&Tamper, &str, &str);
    let exchanged: Change = |store, mine, other| {
        let (one, two) = (store.value(mine), store.value(other));
        store.replace(mine, two);
        store.replace(other, one);
    };
    let changes: [(&str, &str, Change); 7] = [
        ("another order's", PAYLOAD, |store, mine, other| store.replace(mine, store.value(other))),
        ("exchanged", PAYLOAD, exchanged),
        ("a byte more", PAYLOAD, |store, mine, _| {
            store.replace(mine, [store.value(mine), b" ".to_vec()].concat());
        }),
        ("gone", PAYLOAD, |store, mine, _| store.remove(mine)),
        ("the payload", CONTEXT, |store, mine, other| store.replace(mine, store.value(other))),
        ("a byte more", CONTEXT, |store, mine, _| {
            store.replace(mine, [store.value(mine), b" ".to_vec()].concat());
        }),
        ("gone", CONTEXT, |store, mine, _| store.remove(mine)),
    ];
    for ((kind, stops), (name, document, change)) in
        WAYS.into_iter().flat_map(|way| changes.map(|change| (way, change)))
    {
        let name = format!("{document} {name}, over {kind:?}, stopped: {stops}");
        let world = World::new(kind).await;
        let order = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
        let larger = world.pay(30 * ETH, KNOWN, "larger").await.unwrap();
        let world = tampered(world, stops, |store| {
            let mine = owned(store, &order, document);
            change(store, &mine, &owned(store, &larger, PAYLOAD));
        })
        .await;
        let after = world.approve_all(order).await.unwrap();
        assert_eq!(after.outcome, Outcome::Failed { reason: Hold::Corrupt }, "{name}");
        assert_eq!(world.sign_calls(), 0, "{name}");
    }
}

#[tokio::test]
async fn an_order_record_that_points_elsewhere_is_not_believed() {
    for (kind, stops) in WAYS {
        let mut world = World::new(kind).await;
        let (first, second) = (
            world.pay(ETH / 2, KNOWN, "first").await.unwrap(),
            world.pay(ETH / 4, KNOWN, "second").await.unwrap(),
        );
        let (mine, other) = (format!("order/{}", first.order), format!("order/{}", second.order));
        let parsed = |key: &str| serde_json::from_slice(&world.tamper().value(key)).unwrap();
        let honest: serde_json::Value = parsed(&mine);
        for (name, record) in false_records(&honest, &parsed(&other)) {
            let name = format!("{name}, over {kind:?}, stopped: {stops}");
            world = tampered(world, stops, |store| match record {
                Some(record) => store.replace(&mine, record),
                None => store.remove(&mine),
            })
            .await;
            let answer = world.custodian.order(&first.order).await;
            assert!(answer.is_err(), "{name}: {answer:?}");
            let again = world.pay(ETH / 2, KNOWN, "first").await;
            assert!(again.is_err(), "{name}: {again:?}");
        }
        world.tamper().replace(&mine, serde_json::to_vec(&honest).unwrap());
        crate::assert_same(&world.order(&first.order).await.unwrap(), &first);
        assert_eq!(world.sign_calls(), 2);
    }
}

/// What may stand in the place of an order's record; nothing if it is taken away.
fn false_records(
    honest: &serde_json::Value,
    theirs: &serde_json::Value,
) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let with = |changes: &[(&str, &serde_json::Value)]| {
        let mut record = honest.clone();
        for (field, value) in changes {
            record[*field] = (*value).clone();
        }
        Some(serde_json::to_vec(&record).unwrap())
    };
    // The events of a payment are submitted, decided, concluded, in this order.
    let decided = serde_json::json!(honest["ended"].as_u64().unwrap() - 1);
    let word = |text: &str| serde_json::json!(text);
    let (denied, failed, expired) = (word("denied"), word("failed"), word("expired"));
    vec![
        ("the other order's", Some(serde_json::to_vec(theirs).unwrap())),
        ("the other's end", with(&[("ended", &theirs["ended"])])),
        ("the other's beginning", with(&[("submitted", &theirs["submitted"])])),
        ("both", with(&[("submitted", &theirs["submitted"]), ("ended", &theirs["ended"])])),
        ("denied", with(&[("state", &denied)])),
        ("failed", with(&[("state", &failed)])),
        ("expired", with(&[("state", &expired)])),
        ("rolled back to its decision", with(&[("ended", &decided)])),
        ("rolled back and denied", with(&[("ended", &decided), ("state", &denied)])),
        ("no record", Some(b"{}".to_vec())),
        ("gone", None),
    ]
}

#[tokio::test]
async fn a_request_record_that_names_another_order_is_not_believed() {
    const MINE: &str = "request/olivia/first";
    for (kind, stops) in WAYS {
        let mut world = World::new(kind).await;
        let (first, second) = (
            world.pay(ETH / 2, KNOWN, "first").await.unwrap(),
            world.pay(ETH / 4, KNOWN, "second").await.unwrap(),
        );
        let waiting = world.pay(20 * ETH, KNOWN, "waiting").await.unwrap();
        let honest = world.tamper().value(MINE);
        for other in [&second, &waiting] {
            let mut record: serde_json::Value = serde_json::from_slice(&honest).unwrap();
            record["order"] = serde_json::json!(other.order.as_str());
            let record = serde_json::to_vec(&record).unwrap();
            world = tampered(world, stops, |store| store.replace(MINE, record)).await;
            let answer = world.pay(ETH / 2, KNOWN, "first").await;
            assert!(
                answer.is_err(),
                "{kind:?}, stopped: {stops}: another order is the answer: {answer:?}"
            );
        }
        world.tamper().replace(MINE, honest);
        crate::assert_same(&world.pay(ETH / 2, KNOWN, "first").await.unwrap(), &first);
        assert_eq!(world.sign_calls(), 2);
    }
}

#[tokio::test]
async fn a_signature_set_that_was_changed_is_not_released() {
    for (kind, stops) in WAYS {
        let world = World::new(kind).await;
        let (first, second) = (
            world.pay(ETH / 2, KNOWN, "first").await.unwrap(),
            world.pay(ETH / 4, KNOWN, "second").await.unwrap(),
        );
        let world = tampered(world, stops, |store| {
            let set = |answer: &Answer| {
                let documents = store.below(&format!("document/{}/", answer.order));
                let is_set = |key: &String| {
                    String::from_utf8_lossy(&store.value(key)).contains("\"signatures\":[")
                };
                documents.into_iter().find(|key| is_set(key)).unwrap()
            };
            store.replace(&set(&first), store.value(&set(&second)));
        })
        .await;
        let answer = world.custodian.order(&first.order).await;
        assert!(answer.is_err(), "{kind:?}: {answer:?}");
        assert_eq!(world.sign_calls(), 2);
    }
}
