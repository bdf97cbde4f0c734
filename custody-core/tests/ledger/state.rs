//! The state as documents: what is written is read again, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use custody_core::command::{Command, CommandResult};
use custody_core::digest::Digest;
use custody_core::id::BookId;
use custody_core::ledger::{Ledger, StateDocuments, StateError, StateReader};
use custody_core::order::OrderState;
use serde_json::{Value, json};

use crate::house::{House, START, account, credential_id, principal};
use crate::steps::{in_state, unknown};

/// The state that these documents are.
pub(crate) fn read(documents: &StateDocuments) -> Ledger {
    let parts: Vec<_> = documents.parts().iter().map(|(_, bytes)| bytes.clone()).collect();
    read_parts(documents.head(), &parts).unwrap()
}

/// The state with this head, whose parts are among `parts`.
pub(crate) fn read_parts(head: &[u8], parts: &[Vec<u8>]) -> Result<Ledger, StateError> {
    let parts: BTreeMap<_, _> = parts.iter().map(|bytes| (Digest::of(bytes), bytes)).collect();
    Ledger::read(head, START, |name| parts.get(name).map(|bytes| bytes.to_vec()))
}

/// A house in which every kind of part has something in it.
fn filled() -> House {
    let (mut house, order) = in_state(OrderState::Reserved);
    house.conclude(&order, unknown()).unwrap();
    house.pay(7);
    let order = house.pay(8);
    house.approve(&order, "tara").unwrap();
    let command = Command::EnrollCredential {
        principal: principal("tara"),
        credential: credential_id(33),
        key: crate::house::credential(33),
    };
    house.execute(command, CommandResult::Done {});
    let book = BookId::parse("suppliers").unwrap();
    let address = Command::AddAddress { book, account: account(7) };
    house.execute(address, CommandResult::Done {});
    house
}

fn documents(house: &House) -> (Value, Vec<Value>) {
    let documents = house.ledger.documents(&BTreeSet::new()).unwrap();
    let parts = documents.parts().iter();
    let parts = parts.map(|(_, bytes)| serde_json::from_slice(bytes).unwrap()).collect();
    (serde_json::from_slice(documents.head()).unwrap(), parts)
}

/// The head with its parts named anew.
fn renamed(head: &Value, parts: &[Value]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let parts: Vec<_> = parts.iter().map(|part| serde_json::to_vec(part).unwrap()).collect();
    let mut head = head.clone();
    let names = head["parts"].as_array_mut().unwrap();
    for (name, part) in names.iter_mut().zip(&parts) {
        name["sha256"] = json!(Digest::of(part));
        name["size"] = json!(part.len());
    }
    (serde_json::to_vec(&head).unwrap(), parts)
}

fn read_changed(head: &Value, parts: &[Value]) -> Result<Ledger, StateError> {
    let (head, parts) = renamed(head, parts);
    read_parts(&head, &parts)
}

#[test]
fn the_bytes_of_a_state_that_is_kept_are_pinned() {
    let written = filled().ledger.documents(&BTreeSet::new()).unwrap();
    let parts = written.parts().iter().map(|(_, bytes)| bytes.as_slice());
    let texts = [written.head()].into_iter().chain(parts);
    let texts: Vec<_> = texts.map(|bytes| std::str::from_utf8(bytes).unwrap()).collect();
    insta::assert_snapshot!("state", texts.join("\n"));
}

#[test]
fn every_kind_of_part_is_written_and_read() {
    let house = filled();
    let (head, parts) = documents(&house);
    let kinds: BTreeSet<_> = parts.iter().map(|part| part["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["addresses", "keys", "orders", "wallets", "windows"]));
    assert_eq!(read_changed(&head, &parts).as_ref(), Ok(&house.ledger));
}

#[test]
fn a_head_with_a_field_more_or_less_is_refused() {
    let (head, parts) = documents(&filled());
    for name in head.as_object().unwrap().keys() {
        let mut less = head.clone();
        less.as_object_mut().unwrap().remove(name);
        let less = serde_json::to_vec(&less).unwrap();
        assert!(StateReader::new(&less).is_err(), "without {name:?}");
    }
    for place in ["", "/policy", "/members/ada", "/parts/0"] {
        let mut more = head.clone();
        more.pointer_mut(place).unwrap()["unknown"] = json!(1);
        assert!(read_changed(&more, &parts).is_err(), "more in {place:?}");
    }
    let mut other = head;
    other["v"] = json!(2);
    assert!(read_changed(&other, &parts).is_err());
}

#[test]
fn a_part_with_a_field_more_or_less_is_refused() {
    let (head, parts) = documents(&filled());
    for (index, part) in parts.iter().enumerate() {
        let with = |changed: Value| {
            let mut parts = parts.clone();
            parts[index] = changed;
            read_changed(&head, &parts)
        };
        assert!(with(part.clone()).is_ok());
        for name in part.as_object().unwrap().keys() {
            let mut less = part.clone();
            less.as_object_mut().unwrap().remove(name);
            assert!(with(less).is_err(), "part {index} without {name:?}");
        }
        for place in ["", "/entries/0/1"] {
            let mut more = part.clone();
            let Some(object) = more.pointer_mut(place).unwrap().as_object_mut() else { continue };
            object.insert("unknown".to_owned(), json!(1));
            // Addresses are maps from books to times: one more entry there is no book's time.
            assert!(with(more).is_err() || part["kind"] == "addresses", "part {index}, {place:?}");
        }
    }
}

#[test]
fn a_part_that_holds_what_does_not_belong_into_it_is_refused() {
    let (head, parts) = documents(&filled());
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 6] = [
        ("another number", |part| part["number"] = json!(part["number"].as_u64().unwrap() ^ 1)),
        ("another kind", |part| {
            let is_keys = part["kind"] == "keys";
            part["kind"] = json!(if is_keys { "wallets" } else { "keys" });
        }),
        ("another version", |part| part["v"] = json!(2)),
        ("an entry twice", |part| {
            let entries = part["entries"].as_array_mut().unwrap();
            entries.push(entries[0].clone());
        }),
        ("no entries", |part| part["entries"] = json!([])),
        ("an entry of another part", |part| {
            let key = &mut part["entries"][0][0];
            match key.as_str() {
                Some(text) => *key = json!(format!("{text}0")),
                None => key["asset"] = json!("eip155:1/slip44:61"),
            }
        }),
    ];
    for (index, part) in parts.iter().enumerate() {
        for (name, change) in changes {
            let mut parts = parts.clone();
            parts[index] = part.clone();
            change(&mut parts[index]);
            assert!(read_changed(&head, &parts).is_err(), "part {index}: {name}");
        }
    }
}

#[test]
fn parts_that_are_missing_damaged_or_foreign_are_refused() {
    let house = filled();
    let written = house.ledger.documents(&BTreeSet::new()).unwrap();
    let parts: Vec<_> = written.parts().iter().map(|(_, bytes)| bytes.clone()).collect();
    for index in 0..parts.len() {
        let mut some = parts.clone();
        let part = some.remove(index);
        assert_eq!(read_parts(written.head(), &some), Err(StateError::Missing));
        let mut damaged = part.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let mut reader = StateReader::new(written.head()).unwrap();
        assert_eq!(reader.part(&damaged), Err(StateError::Stranger));
        reader.part(&part).unwrap();
        assert_eq!(reader.part(&part), Err(StateError::Stranger));
        assert_eq!(reader.finish(START).unwrap_err(), StateError::Missing);
    }
}

#[test]
fn a_head_that_names_a_part_twice_or_out_of_order_is_refused() {
    let (head, parts) = documents(&filled());
    type Change = fn(&mut Vec<Value>);
    let changes: [(&str, Change); 3] = [
        ("twice", |names| names.insert(0, names[0].clone())),
        ("out of order", |names| names.swap(0, 1)),
        ("one document twice", |names| names[1]["sha256"] = names[0]["sha256"].clone()),
    ];
    for (name, change) in changes {
        let (head, _) = renamed(&head, &parts);
        let mut head: Value = serde_json::from_slice(&head).unwrap();
        change(head["parts"].as_array_mut().unwrap());
        let head = serde_json::to_vec(&head).unwrap();
        assert_eq!(StateReader::new(&head).unwrap_err(), StateError::Names, "{name}");
    }
}

#[test]
fn a_part_of_another_size_than_its_name_says_is_refused() {
    let (head, parts) = documents(&filled());
    let (head, parts) = renamed(&head, &parts);
    let mut head: Value = serde_json::from_slice(&head).unwrap();
    let size = head["parts"][0]["size"].as_u64().unwrap();
    head["parts"][0]["size"] = json!(size + 1);
    let read = read_parts(&serde_json::to_vec(&head).unwrap(), &parts);
    assert_eq!(read, Err(StateError::Part));
}

/// `text` with the first entry of each map called `name` written twice.
fn doubled(text: &str, name: &str, value: &Value) -> String {
    let (key, entry) = value.as_object().unwrap().iter().next().unwrap();
    let start = format!("\"{name}\":{{\"{key}\":");
    assert_eq!(text.matches(&start).count(), 1, "{start}");
    text.replacen(&start, &format!("\"{name}\":{{\"{key}\":{entry},\"{key}\":"), 1)
}

#[test]
fn a_head_in_which_a_key_stands_twice_is_refused() {
    let documents = filled().ledger.documents(&BTreeSet::new()).unwrap();
    let text = std::str::from_utf8(documents.head()).unwrap();
    let head: Value = serde_json::from_str(text).unwrap();
    for name in ["members", "assets", "backends"] {
        let twice = doubled(text, name, &head[name]);
        assert!(StateReader::new(twice.as_bytes()).is_err(), "in {name}");
    }
    let (role, organisations) = head["roles"].as_object().unwrap().iter().next().unwrap();
    let twice = doubled(text, role, organisations);
    assert!(StateReader::new(twice.as_bytes()).is_err(), "in a role");
    let twice = text.replacen("\"roles\":{", &format!("\"roles\":{{\"{role}\":{{}},"), 1);
    assert!(StateReader::new(twice.as_bytes()).is_err(), "in roles");
}

#[test]
fn an_address_that_stands_in_a_book_twice_is_refused() {
    let documents = filled().ledger.documents(&BTreeSet::new()).unwrap();
    let mut head: Value = serde_json::from_slice(documents.head()).unwrap();
    let mut parts: Vec<_> = documents.parts().iter().map(|(_, bytes)| bytes.clone()).collect();
    assert_eq!(head["parts"][0]["kind"], "addresses");
    let text = String::from_utf8(parts[0].clone()).unwrap();
    let twice = text.replacen("{\"suppliers\":", "{\"suppliers\":1,\"suppliers\":", 1);
    assert_ne!(twice, text);
    head["parts"][0]["sha256"] = json!(Digest::of(twice.as_bytes()));
    head["parts"][0]["size"] = json!(twice.len());
    parts[0] = twice.into_bytes();
    let read = read_parts(&serde_json::to_vec(&head).unwrap(), &parts);
    assert!(matches!(read, Err(StateError::Document(_))), "{read:?}");
}
