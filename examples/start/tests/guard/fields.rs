//! An approval is of exactly these bytes: every field of an order document, changed in turn.

use std::time::Duration;

use custody_core::custodian::{Answer, Error, Outcome};
use custody_core::digest::Digest;
use custody_core::principal::{Statement, Verb};
use custody_core::seam::RecordKey;
use serde_json::{Value, json};

use crate::world::disk::Disk;
use crate::world::work::{ETH, KNOWN};
use crate::world::{Kind, World};

/// The order document as it is stored.
async fn document(world: &World, answer: &Answer) -> Vec<u8> {
    let Disk::Memory(store) = world.store.inner() else { panic!("the world is on a disk") };
    let key = RecordKey::parse(&format!("document/{}/{}", answer.order, answer.digest)).unwrap();
    let mut records = store.records().into_iter();
    let found = records.find(|record| record.key == key).unwrap();
    assert_eq!(Digest::of(&found.value), answer.digest);
    found.value
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

#[tokio::test]
async fn an_approval_of_an_order_with_any_field_changed_does_not_count() {
    let world = World::new(Kind::Memory).await;
    let order = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
    let (theo, id) = (&world.people.theo, world.custodian.id());
    let bytes = document(&world, &order).await;
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    let mut places = Vec::new();
    leaves(&value, "", &mut places);
    for required in ["/custodian", "/requester", "/expires", "/effects/0/transfer/amount/units"] {
        assert!(places.iter().any(|place| place == required), "{required} is in no document");
    }
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
    assert!(matches!(released.outcome, Outcome::Released(_)));
    world.verify().await;
}
