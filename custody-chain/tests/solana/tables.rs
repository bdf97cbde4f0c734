//! Messages of version 0, with and without what their lookup tables hold.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_chain::SolanaError;
use serde_json::{Value, json};
use solana_address::Address;

use crate::support::{
    Parts, RESOLVED, assemble, context, decode, decode_as, facts, me, other, parts, pay, sign, sol,
    told,
};

const UNRESOLVED: &str = "opaque solana/unresolved";

fn v0(loaded: &[Address], list: &[crate::support::Ix]) -> Parts {
    Parts { version: Some(0), ..parts(&[me()], loaded, list) }
}

/// A payment to an account of a table, and one that needs no table.
fn sample() -> Parts {
    let list = [pay(me(), other(1), 5), pay(me(), other(2), 6)];
    Parts { lookups: vec![(other(50), vec![3], vec![])], ..v0(&[other(1)], &list) }
}

/// Two tables, with writable and read-only accounts of both.
fn two_tables() -> Parts {
    // Loaded are first the writable accounts of all tables, then the read-only ones.
    let loaded = [1, 3, 2, 4].map(other);
    let list = loaded.map(|to| pay(me(), to, 1));
    let lookups = vec![(other(50), vec![0], vec![1]), (other(51), vec![8], vec![9])];
    Parts { lookups, ..v0(&loaded, &list) }
}

fn document(message: &Parts, tables: &Value) -> Value {
    json!({ "v": 1, "message": STANDARD.encode(message.bytes()), "tables": tables })
}

/// In the one order that the document has.
fn written(document: &Value) -> Vec<u8> {
    let tables = document["tables"].as_array().unwrap().iter();
    let table =
        |it: &Value| format!(r#"{{"address":{},"accounts":{}}}"#, it["address"], it["accounts"]);
    let tables: Vec<_> = tables.map(table).collect();
    let (v, message) = (&document["v"], &document["message"]);
    format!(r#"{{"v":{v},"message":{message},"tables":[{}]}}"#, tables.join(",")).into_bytes()
}

fn table(address: Address, accounts: &[Address]) -> Value {
    let accounts: Vec<_> = accounts.iter().map(ToString::to_string).collect();
    json!({ "address": address.to_string(), "accounts": accounts })
}

fn resolved(message: &Parts, tables: &[Value]) -> Vec<u8> {
    written(&document(message, &Value::from(tables)))
}

fn decode_resolved(bytes: &[u8]) -> Result<custody_core::seam::Intent, SolanaError> {
    decode_as(RESOLVED, bytes, &context())
}

#[test]
fn version_0_without_tables_is_read_like_a_legacy_message() {
    let list = [pay(me(), other(1), 5)];
    let intent = decode(&v0(&[], &list).bytes()).unwrap();
    assert_eq!(told(&intent), [sol(5, me(), other(1)), "fee 5000".to_owned()]);
    assert!(intent.facts.is_empty());
}

#[test]
fn an_instruction_whose_accounts_are_not_known_is_opaque() {
    let intent = decode(&sample().bytes()).unwrap();
    assert_eq!(
        told(&intent),
        [UNRESOLVED.to_owned(), sol(6, me(), other(2)), "fee 5000".to_owned()]
    );
    assert_eq!(facts(&intent), ["unresolved"]);
}

#[test]
fn with_its_tables_every_instruction_is_told() {
    let message = sample();
    let bytes = resolved(&message, &[table(other(50), &[other(1)])]);
    let intent = decode_resolved(&bytes).unwrap();
    let lines = [sol(5, me(), other(1)), sol(6, me(), other(2)), "fee 5000".to_owned()];
    assert_eq!(told(&intent), lines);
    assert_eq!(facts(&intent), ["resolved_tables"]);
    assert_eq!(intent.tasks[0].input.as_input().as_bytes(), message.bytes());
    let wire = assemble(RESOLVED, &bytes, &sign(&intent)).unwrap();
    assert_eq!(wire[65..], message.bytes());
}

#[test]
fn writable_accounts_of_all_tables_come_before_the_read_only_ones() {
    let tables = [table(other(50), &[other(1), other(2)]), table(other(51), &[other(3), other(4)])];
    let intent = decode_resolved(&resolved(&two_tables(), &tables)).unwrap();
    let lines: Vec<_> = [1, 3, 2, 4].map(|to| sol(1, me(), other(to))).into();
    assert_eq!(told(&intent)[..4], lines);
}

#[test]
fn a_message_without_tables_may_stand_in_a_document() {
    let intent = decode_resolved(&resolved(&v0(&[], &[pay(me(), other(1), 5)]), &[])).unwrap();
    assert_eq!(told(&intent)[0], sol(5, me(), other(1)));
    assert!(intent.facts.is_empty());
}

#[test]
fn tables_that_are_not_the_messages_are_refused() {
    let first = table(other(50), &[other(1), other(2)]);
    let second = table(other(51), &[other(3), other(4)]);
    let swapped = vec![second.clone(), first.clone()];
    for (name, tables) in [
        ("none", vec![]),
        ("one of two", vec![first.clone()]),
        ("one twice", vec![first.clone(), first.clone()]),
        ("in another order", swapped),
        ("one more", vec![first.clone(), second.clone(), table(other(52), &[other(5)])]),
        ("another table", vec![first.clone(), table(other(52), &[other(3), other(4)])]),
        ("an account less", vec![first.clone(), table(other(51), &[other(3)])]),
        ("an account more", vec![first, table(other(51), &[other(3), other(4), other(5)])]),
    ] {
        let refused = decode_resolved(&resolved(&two_tables(), &tables)).unwrap_err();
        assert_eq!(refused, SolanaError::Tables, "{name}");
    }
}

#[test]
fn an_account_that_the_message_has_already_is_refused() {
    let tables =
        |account| [table(other(50), &[other(1), other(2)]), table(other(51), &[account, other(4)])];
    for (name, account, position) in [("of the message", me(), 0), ("of a table", other(1), 0)] {
        let refused = decode_resolved(&resolved(&two_tables(), &tables(account))).unwrap_err();
        let is_double =
            matches!(refused, SolanaError::DuplicateAccount { position: at } if at > position);
        assert!(is_double, "{name}: {refused}");
    }
}

#[test]
fn a_document_has_one_form() {
    let good = resolved(&sample(), &[table(other(50), &[other(1)])]);
    let text = String::from_utf8(good.clone()).unwrap();
    assert!(decode_resolved(&good).is_ok());
    let address = other(1).to_string();
    for (name, wrong) in [
        ("another version", text.replace(r#""v":1"#, r#""v":2"#)),
        ("no version", text.replace(r#""v":1,"#, "")),
        ("white space", text.replace(r#""v":1"#, r#""v": 1"#)),
        ("a line end", format!("{text}\n")),
        ("an unknown field", text.replace(r#""v":1"#, r#""v":1,"w":1"#)),
        ("a key twice", text.replace(r#""v":1"#, r#""v":1,"v":1"#)),
        ("a table's key twice", text.replace(r#","accounts""#, r#","accounts":[],"accounts""#)),
        ("a number in another form", text.replace(r#""v":1"#, r#""v":1.0"#)),
        ("an escape", text.replace(r#""message""#, r#""messag\u0065""#)),
        ("base64 without padding", text.replace("=\"", "\"")),
        ("no address", text.replace(&address, "")),
        ("an address cut", text.replace(&address, address.split_at(4).1)),
        ("a longer address", text.replace(&address, &format!("1{address}"))),
        (
            "a letter outside base58",
            text.replace(&address, &address.replace(address.chars().next().unwrap(), "0")),
        ),
        ("nothing", String::new()),
        ("a list", "[]".to_owned()),
    ] {
        if name == "base64 without padding" && wrong == text {
            continue;
        }
        assert_eq!(decode_resolved(wrong.as_bytes()).unwrap_err(), SolanaError::Document, "{name}");
    }
    let order =
        format!(r#"{{"message":{},"v":1,"tables":[]}}"#, json!(STANDARD.encode(sample().bytes())));
    assert_eq!(decode_resolved(order.as_bytes()).unwrap_err(), SolanaError::Document);
}

#[test]
fn lookups_that_the_network_refuses_are_refused() {
    let with = |lookups| Parts { lookups, ..sample() };
    for (name, parts, expected) in [
        (
            "a table without accounts",
            with(vec![(other(50), vec![], vec![])]),
            SolanaError::Sanitize,
        ),
        ("one too few", with(vec![]), SolanaError::Sanitize),
        (
            "a table twice",
            with(vec![(other(50), vec![3], vec![]), (other(50), vec![4], vec![])]),
            SolanaError::Tables,
        ),
        ("an index twice", with(vec![(other(50), vec![3, 3], vec![])]), SolanaError::Tables),
        ("an index as both", with(vec![(other(50), vec![3], vec![3])]), SolanaError::Tables),
        (
            "more than 256 accounts",
            with(vec![(other(50), (0..=253).collect(), vec![254])]),
            SolanaError::Sanitize,
        ),
    ] {
        assert_eq!(decode(&parts.bytes()).unwrap_err(), expected, "{name}");
    }
}

#[test]
fn a_program_does_not_come_from_a_table() {
    let program = other(9);
    let list = [crate::support::Ix { program, accounts: vec![me()], data: vec![] }];
    let parts = Parts { lookups: vec![(other(50), vec![0], vec![])], ..v0(&[program], &list) };
    assert_eq!(decode(&parts.bytes()).unwrap_err(), SolanaError::Sanitize);
}
