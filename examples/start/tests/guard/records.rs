//! Records, handles and documents that somebody changed in the store: noticed before any key is
//! used.

use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Outcome};
use custody_core::document::Hold;
use custody_core::id::{KeyId, WalletId};
use custody_core::seam::{Exportability, RecordKey};
use custody_testkit::store::MemoryStore;

use crate::world::disk::Disk;
use crate::world::work::{ETH, KNOWN};
use crate::world::{Kind, World};

pub(crate) fn memory(world: &World) -> MemoryStore {
    let Disk::Memory(store) = world.store.inner() else { panic!("the world is on a disk") };
    store.clone()
}

fn record_key(text: &str) -> RecordKey {
    RecordKey::parse(text).unwrap()
}

fn value(store: &MemoryStore, key: &str) -> Vec<u8> {
    let mut records = store.records().into_iter();
    records.find(|record| record.key.as_str() == key).unwrap().value
}

/// The keys of all records below a prefix.
fn below(store: &MemoryStore, prefix: &str) -> Vec<String> {
    let keys = store.records().into_iter().map(|record| record.key.to_string());
    keys.filter(|key| key.starts_with(prefix)).collect()
}

/// A world with a second key in the wallet `hot`.
async fn two_keys() -> World {
    let world = World::new(Kind::Memory).await;
    let command = Command::CreateKey {
        wallet: WalletId::parse("hot").unwrap(),
        key: KeyId::parse("hot.1").unwrap(),
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    };
    world.done("second-key", command).await;
    world
}

#[tokio::test]
async fn the_bytes_of_records_are_pinned() {
    let world = World::new(Kind::Memory).await;
    let request = world.request(ETH / 2, KNOWN, "paid");
    let submission = world.custodian.submission_digest(&request).unwrap();
    let paid = world.submit(request).await.unwrap();
    let store = memory(&world);
    let (order, ended) = (&paid.order, store.snapshot().events().len() - 1);
    let submitted = ended - 2;
    let text = |key: &str| String::from_utf8(value(&store, key)).unwrap();
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
    type Tamper = fn(&MemoryStore);
    let first = || record_key("handle/hot.0");
    let tampers: [(&str, Tamper); 5] = [
        ("another key's", |store| {
            store.replace_record(&record_key("handle/hot.0"), value(store, "handle/hot.1"));
        }),
        ("a byte changed", |store| {
            let mut bytes = value(store, "handle/hot.0");
            *bytes.last_mut().unwrap() ^= 1;
            store.replace_record(&record_key("handle/hot.0"), bytes);
        }),
        ("a byte more", |store| {
            let mut bytes = value(store, "handle/hot.0");
            bytes.push(0);
            store.replace_record(&record_key("handle/hot.0"), bytes);
        }),
        ("empty", |store| store.replace_record(&record_key("handle/hot.0"), Vec::new())),
        ("gone", |store| store.remove_record(&record_key("handle/hot.0"))),
    ];
    for (name, tamper) in tampers {
        let world = two_keys().await;
        let before = memory(&world).snapshot();
        tamper(&memory(&world));
        let failed = world.pay(ETH / 2, KNOWN, "tampered").await.unwrap();
        assert_eq!(failed.outcome, Outcome::Failed { reason: Hold::Corrupt }, "{name}");
        assert_eq!(world.sign_calls(), 0, "{name}");
        let honest = before.records().into_iter().find(|record| record.key == first());
        memory(&world).replace_record(&first(), honest.unwrap().value);
        let paid = world.pay(ETH / 2, KNOWN, "restored").await.unwrap();
        assert!(matches!(paid.outcome, Outcome::Released(_)), "{name}: {paid:?}");
        world.verify().await;
    }
}

#[tokio::test]
async fn documents_that_were_changed_or_swapped_are_not_signed() {
    for (name, document, is_swapped) in [
        ("another order's payload", PAYLOAD, true),
        ("a payload with a byte more", PAYLOAD, false),
        ("a decode context with a byte more", CONTEXT, false),
    ] {
        let world = World::new(Kind::Memory).await;
        let order = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
        let larger = world.pay(30 * ETH, KNOWN, "larger").await.unwrap();
        let store = memory(&world);
        let mine = owned(&store, &order, document);
        let bytes = match is_swapped {
            true => value(&store, &owned(&store, &larger, document)),
            false => [value(&store, &mine), b" ".to_vec()].concat(),
        };
        store.replace_record(&record_key(&mine), bytes);
        let after = world.approve_all(order).await.unwrap();
        assert_eq!(after.outcome, Outcome::Failed { reason: Hold::Corrupt }, "{name}");
        assert_eq!(world.sign_calls(), 0, "{name}");
    }
}

#[tokio::test]
async fn an_order_whose_payload_is_gone_is_not_signed() {
    let world = World::new(Kind::Memory).await;
    let order = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
    let store = memory(&world);
    store.remove_record(&record_key(&owned(&store, &order, PAYLOAD)));
    let after = world.approve_all(order).await.unwrap();
    assert_eq!(after.outcome, Outcome::Failed { reason: Hold::Corrupt });
    assert_eq!(world.sign_calls(), 0);
}

const PAYLOAD: &str = "payload";
const CONTEXT: &str = "decode context";

/// The key of an order's document that holds its payload or its decode context.
fn owned(store: &MemoryStore, answer: &Answer, name: &str) -> String {
    let digest = answer.digest.to_string();
    let documents = below(store, &format!("document/{}/", answer.order));
    let is_context = |key: &String| value(store, key).starts_with(b"{\"v\":1,\"wallet\"");
    let mut others = documents.into_iter().filter(|key| !key.ends_with(&digest));
    others.find(|key| is_context(key) == (name == CONTEXT)).unwrap()
}

#[tokio::test]
async fn an_order_record_that_points_elsewhere_is_not_believed() {
    let world = World::new(Kind::Memory).await;
    let (first, second) = (
        world.pay(ETH / 2, KNOWN, "first").await.unwrap(),
        world.pay(ETH / 4, KNOWN, "second").await.unwrap(),
    );
    let store = memory(&world);
    let (mine, other) = (format!("order/{}", first.order), format!("order/{}", second.order));
    let honest: serde_json::Value = serde_json::from_slice(&value(&store, &mine)).unwrap();
    let theirs: serde_json::Value = serde_json::from_slice(&value(&store, &other)).unwrap();
    let with = |changes: &[(&str, &serde_json::Value)]| {
        let mut record = honest.clone();
        for (field, value) in changes {
            record[*field] = (*value).clone();
        }
        serde_json::to_vec(&record).unwrap()
    };
    // The events of a payment are submitted, decided, concluded, in this order.
    let decided = serde_json::json!(honest["ended"].as_u64().unwrap() - 1);
    let word = |text: &str| serde_json::json!(text);
    let (denied, failed, expired) = (word("denied"), word("failed"), word("expired"));
    for (name, bytes) in [
        ("the other order's", serde_json::to_vec(&theirs).unwrap()),
        ("the other's end", with(&[("ended", &theirs["ended"])])),
        ("the other's beginning", with(&[("submitted", &theirs["submitted"])])),
        ("both", with(&[("submitted", &theirs["submitted"]), ("ended", &theirs["ended"])])),
        ("denied", with(&[("state", &denied)])),
        ("failed", with(&[("state", &failed)])),
        ("expired", with(&[("state", &expired)])),
        ("rolled back to its decision", with(&[("ended", &decided)])),
        ("rolled back and denied", with(&[("ended", &decided), ("state", &denied)])),
        ("no record", b"{}".to_vec()),
    ] {
        store.replace_record(&record_key(&mine), bytes);
        let answer = world.custodian.order(&first.order).await;
        assert!(answer.is_err(), "{name}: {answer:?}");
        let again = world.pay(ETH / 2, KNOWN, "first").await;
        assert!(again.is_err(), "{name}: {again:?}");
    }
    store.remove_record(&record_key(&mine));
    assert!(world.custodian.order(&first.order).await.is_err());
    assert!(world.pay(ETH / 2, KNOWN, "first").await.is_err());
    store.replace_record(&record_key(&mine), serde_json::to_vec(&honest).unwrap());
    crate::assert_same(&world.order(&first.order).await.unwrap(), &first);
    assert_eq!(world.sign_calls(), 2);
}

#[tokio::test]
async fn a_request_record_that_names_another_order_is_not_believed() {
    let world = World::new(Kind::Memory).await;
    let (first, second) = (
        world.pay(ETH / 2, KNOWN, "first").await.unwrap(),
        world.pay(ETH / 4, KNOWN, "second").await.unwrap(),
    );
    let waiting = world.pay(20 * ETH, KNOWN, "waiting").await.unwrap();
    let store = memory(&world);
    let mine = "request/olivia/first".to_owned();
    let honest: serde_json::Value = serde_json::from_slice(&value(&store, &mine)).unwrap();
    for other in [&second, &waiting] {
        let mut record = honest.clone();
        record["order"] = serde_json::json!(other.order.as_str());
        store.replace_record(&record_key(&mine), serde_json::to_vec(&record).unwrap());
        let answer = world.pay(ETH / 2, KNOWN, "first").await;
        assert!(answer.is_err(), "another order is the answer: {answer:?}");
    }
    store.replace_record(&record_key(&mine), serde_json::to_vec(&honest).unwrap());
    crate::assert_same(&world.pay(ETH / 2, KNOWN, "first").await.unwrap(), &first);
    assert_eq!(world.sign_calls(), 2);
}

#[tokio::test]
async fn a_signature_set_that_was_changed_is_not_released() {
    let world = World::new(Kind::Memory).await;
    let (first, second) = (
        world.pay(ETH / 2, KNOWN, "first").await.unwrap(),
        world.pay(ETH / 4, KNOWN, "second").await.unwrap(),
    );
    let store = memory(&world);
    let set = |answer: &Answer| {
        let documents = below(&store, &format!("document/{}/", answer.order));
        let is_set = |key: &String| {
            String::from_utf8_lossy(&value(&store, key)).contains("\"signatures\":[")
        };
        documents.into_iter().find(|key| is_set(key)).unwrap()
    };
    store.replace_record(&record_key(&set(&first)), value(&store, &set(&second)));
    let answer = world.custodian.order(&first.order).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(world.sign_calls(), 2);
}
