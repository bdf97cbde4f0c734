//! An approval is of exactly these bytes: every field of an order document, changed in turn.

use std::time::Duration;

use custody_core::command::Command;
use custody_core::custodian::{Answer, Error, Outcome};
use custody_core::digest::Digest;
use custody_core::id::KeyId;
use custody_core::principal::{Statement, Verb};
use examples_start::house;
use serde_json::{Value, json};

use crate::world::work::{ETH, KNOWN, command};
use crate::world::{Kind, World};

/// The order document as it is stored.
fn document(world: &World, answer: &Answer) -> Vec<u8> {
    let bytes = world.tamper().value(&format!("document/{}/{}", answer.order, answer.digest));
    assert_eq!(Digest::of(&bytes), answer.digest);
    bytes
}

/// Every leaf of a document, as a JSON pointer.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, inner)| leaves(inner, &format!("{at}/{name}"), found));
        }
        Value::Array(items) if !items.is_empty() => {
            let numbered = items.iter().enumerate();
            numbered.for_each(|(index, inner)| leaves(inner, &format!("{at}/{index}"), found));
        }
        _ => found.push(at.to_owned()),
    }
}

/// Another value of the same type.
fn flipped(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let (head, last) = text.split_at(text.len() - 1);
            json!(format!("{head}{}", if last == "0" { "1" } else { "0" }))
        }
        Value::Number(number) => json!(number.as_u64().unwrap() + 1),
        Value::Bool(is_so) => json!(!is_so),
        Value::Array(_) => json!(["replayable"]),
        Value::Null | Value::Object(_) => panic!("no leaf of an order document"),
    }
}

/// The fields of the document of a payment.
const PAYMENT: [&str; 27] = [
    "/v",
    "/custodian",
    "/order",
    "/requester",
    "/request",
    "/wallet",
    "/chain",
    "/submitted",
    "/expires",
    "/work/payload/format",
    "/work/payload/size",
    "/work/payload/sha256",
    "/work/payload/decoder",
    "/work/payload/context/sha256",
    "/work/payload/context/size",
    "/effects/0/transfer/amount/asset",
    "/effects/0/transfer/amount/units",
    "/effects/0/transfer/from",
    "/effects/0/transfer/to",
    "/effects/1/pay_fee/amount/asset",
    "/effects/1/pay_fee/amount/units",
    "/facts",
    "/tasks/0/key",
    "/tasks/0/public_key/algorithm",
    "/tasks/0/public_key/bytes",
    "/tasks/0/algorithm",
    "/tasks/0/input_sha256",
];

/// The fields of the document of a command about the house.
const HOUSE: [&str; 14] = [
    "/v",
    "/custodian",
    "/order",
    "/requester",
    "/request",
    "/submitted",
    "/expires",
    "/work/command/action",
    "/work/command/size",
    "/work/command/sha256",
    "/effects/0/govern/action",
    "/effects/0/govern/target",
    "/facts",
    "/tasks",
];

/// The fields of the document of a command about a wallet's key.
const WALLET: [&str; 16] = [
    "/v",
    "/custodian",
    "/order",
    "/requester",
    "/request",
    "/wallet",
    "/chain",
    "/submitted",
    "/expires",
    "/work/command/action",
    "/work/command/size",
    "/work/command/sha256",
    "/effects/0/govern/action",
    "/effects/0/govern/target/wallet",
    "/facts",
    "/tasks",
];

/// An order that waits for treasurers has these fields, and an approval of a document in which any
/// of them is another does not count.
async fn assert_each_counts(world: &World, order: Answer, fields: &[&str]) {
    let (theo, id) = (&world.people.theo, world.custodian.id());
    let bytes = document(world, &order);
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    let mut places = Vec::new();
    leaves(&value, "", &mut places);
    assert_eq!(places, fields, "the document has other fields: list them, they are flipped then");
    let until = world.now().after(Duration::from_secs(3_600));
    let right = theo.statement(Verb::Approve, &order, until);
    for place in places {
        let mut other = value.clone();
        let leaf = other.pointer_mut(&place).unwrap();
        *leaf = flipped(leaf);
        let digest = Digest::of(&serde_json::to_vec(&other).unwrap());
        assert_ne!(digest, order.digest, "{place}");
        let wrong = theo.sign(&id, Statement { digest, ..right.clone() });
        let mut forged = wrong.clone();
        forged.statement.digest = order.digest;
        for approval in [wrong, forged] {
            let refused = world.custodian.approve(approval).await;
            assert!(matches!(refused, Err(Error::Ledger(_))), "{place}: {refused:?}");
        }
    }
    assert_eq!(world.story(&order.order).await, ["submitted"]);
    assert_eq!(world.sign_calls(), 0);
    let released = world.approve_all(order).await.unwrap();
    assert!(matches!(released.outcome, Outcome::Released(_)), "{released:?}");
    world.verify().await;
}

#[tokio::test]
async fn an_approval_of_a_payment_with_any_field_changed_does_not_count() {
    let world = World::new(Kind::Memory).await;
    let order = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
    assert_each_counts(&world, order, &PAYMENT).await;
}

#[tokio::test]
async fn an_approval_of_other_rules_with_any_field_changed_does_not_count() {
    let world = World::new(Kind::Memory).await;
    let mut policy = house::policy().unwrap();
    policy.rules.push_str("// reviewed\n");
    let policy = String::from_utf8(policy.to_bytes().unwrap()).unwrap();
    let update = command(&world.people.olivia, "update", Command::UpdatePolicy { policy });
    let order = world.submit(update).await.unwrap();
    assert_each_counts(&world, order, &HOUSE).await;
}

#[tokio::test]
async fn an_approval_of_a_key_command_with_any_field_changed_does_not_count() {
    let world = World::new(Kind::Memory).await;
    let key = KeyId::parse("hot.0").unwrap();
    let deactivate = Command::DeactivateKey { key };
    let order =
        world.submit(command(&world.people.olivia, "deactivate", deactivate)).await.unwrap();
    assert_each_counts(&world, order, &WALLET).await;
}
