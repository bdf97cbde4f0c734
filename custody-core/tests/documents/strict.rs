//! Every document, changed in every place in every way that must be refused.

use std::collections::BTreeSet;

use custody_core::command::Command;
use custody_core::document::{
    EventDocument, OrderDocument, SignatureSet, SubmissionDocument, parse,
};
use custody_core::seam::{DecodeContext, PolicyDocument};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::{commands, fixtures};

/// A document: its name, its bytes, and whether other bytes are such a document.
struct Case {
    name: String,
    value: Value,
    reads: fn(&[u8]) -> bool,
}

fn reads<T: DeserializeOwned>(bytes: &[u8]) -> bool {
    parse::<T>(bytes).is_ok()
}

fn case<T: DeserializeOwned>(name: &str, document: &impl serde::Serialize) -> Case {
    let value = serde_json::to_value(document).unwrap();
    Case { name: name.to_owned(), value, reads: reads::<T> }
}

fn cases() -> Vec<Case> {
    let mut cases = vec![
        case::<SubmissionDocument>("submission", &fixtures::submission()),
        case::<OrderDocument>("order of a payload", &fixtures::payload_order()),
        case::<OrderDocument>("order of a command", &fixtures::command_order()),
        case::<SignatureSet>("signature set", &fixtures::signature_set()),
        case::<DecodeContext>("decode context", &fixtures::context()),
        case::<PolicyDocument>("policy", &fixtures::policy()),
    ];
    for (name, event) in fixtures::events() {
        cases.push(case::<EventDocument>(name, &event));
    }
    for command in commands::commands() {
        cases.push(case::<Command>(command.action().as_str(), &command));
    }
    cases
}

/// Fields that may be left out, each with the object it stands in.
const OPTIONAL: [(&str, &str); 23] = [
    ("accounts", "path"),
    ("authentication", "ip"),
    ("authentication", "signed"),
    ("call", "arguments"),
    ("create_wallet", "seed"),
    ("decode context", "descriptors"),
    ("govern", "extension"),
    ("govern", "loosens"),
    ("key", "account"),
    ("order of a payload", "chain"),
    ("order of a payload", "wallet"),
    ("order_decided", "errors"),
    ("order_submitted", "signature"),
    ("pay_fee", "rate"),
    ("recovered", "behind"),
    ("reseal_keys", "after"),
    ("resealed", "next"),
    ("sign_message", "arguments"),
    ("signature", "recovery"),
    ("submission", "expires"),
    ("submission", "key"),
    ("submission", "wallet"),
    ("unknown", "suspends"),
];
/// Texts that may be empty, as documents go.
const EMPTY: [&str; 10] = [
    "arguments/amount",
    "arguments/to",
    "document",
    "facts/0",
    "kind",
    "nonce",
    "policy",
    "reason",
    "rules",
    "selector",
];
/// Objects whose keys are ids, not fields.
const MAPS: [&str; 3] = ["arguments", "backends", "credentials"];

/// Every place in a document, as a JSON pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                places(
                    inner,
                    &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")),
                    found,
                );
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                places(inner, &format!("{at}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn all_places(case: &Case) -> Vec<String> {
    let mut found = Vec::new();
    places(&case.value, "", &mut found);
    found
}

/// Every object in a document: where it is, and its fields.
fn objects(case: &Case) -> Vec<(String, Map<String, Value>)> {
    let at = |place: String| {
        let fields = case.value.pointer(&place)?.as_object()?.clone();
        Some((place, fields))
    };
    all_places(case).into_iter().filter_map(at).collect()
}

/// The field that holds an object or the list it is in; of a whole document its name.
fn object_name<'a>(case: &'a Case, place: &'a str) -> &'a str {
    let mut fields = place.rsplit('/').filter(|part| part.parse::<usize>().is_err());
    fields.next().filter(|field| !field.is_empty()).unwrap_or(&case.name)
}

fn is_map(place: &str) -> bool {
    MAPS.iter().any(|name| place.ends_with(&format!("/{name}")))
}

fn changed(case: &Case, place: &str, value: Value) -> Vec<u8> {
    let mut whole = case.value.clone();
    *whole.pointer_mut(place).unwrap() = value;
    serde_json::to_vec(&whole).unwrap()
}

/// The document without each field in turn: where it stands, its name, and the bytes.
fn shortened(case: &Case) -> Vec<(String, String, Vec<u8>)> {
    let mut found = Vec::new();
    for (place, fields) in objects(case).into_iter().filter(|(place, _)| !is_map(place)) {
        for name in fields.keys() {
            let mut less = fields.clone();
            less.remove(name);
            found.push((place.clone(), name.clone(), changed(case, &place, Value::Object(less))));
        }
    }
    found
}

#[track_caller]
fn assert_refused(case: &Case, what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(!(case.reads)(bytes), "{}: {what} is accepted: {text}", case.name);
}

#[test]
fn every_document_reads_as_written() {
    for case in cases() {
        assert!((case.reads)(&serde_json::to_vec(&case.value).unwrap()), "{}", case.name);
    }
}

#[test]
fn an_unknown_field_is_refused_in_every_object() {
    for case in cases() {
        for (place, mut fields) in objects(&case) {
            fields.insert("unknown".to_owned(), json!(1));
            let bytes = changed(&case, &place, Value::Object(fields));
            assert_refused(&case, &format!("an unknown field in {place:?}"), &bytes);
        }
    }
}

#[test]
fn a_duplicate_key_is_refused_in_every_object() {
    const MARK: &str = "\"the place of the object\"";
    for case in cases() {
        for (place, fields) in objects(&case) {
            let whole = changed(&case, &place, json!("the place of the object"));
            let whole = String::from_utf8(whole).unwrap();
            for (name, value) in &fields {
                let object = serde_json::to_string(&fields).unwrap();
                let doubled = object.replacen('{', &format!("{{\"{name}\":{value},"), 1);
                let bytes = whole.replace(MARK, &doubled).into_bytes();
                assert_refused(&case, &format!("{name:?} twice in {place:?}"), &bytes);
            }
        }
    }
}

#[test]
fn a_missing_field_is_refused_in_every_object() {
    for case in cases() {
        for (place, name, bytes) in shortened(&case) {
            if !OPTIONAL.contains(&(object_name(&case, &place), name.as_str())) {
                assert_refused(&case, &format!("no {name:?} in {place:?}"), &bytes);
            }
        }
    }
}

#[test]
fn each_optional_field_stands_in_a_document_and_may_be_left_out_there() {
    let mut met = BTreeSet::new();
    for case in cases() {
        for (place, name, bytes) in shortened(&case) {
            let field = (object_name(&case, &place), name.as_str());
            if let Some(optional) = OPTIONAL.into_iter().find(|optional| *optional == field) {
                assert!((case.reads)(&bytes), "{}: no {name:?} in {place:?} is refused", case.name);
                met.insert(optional);
            }
        }
    }
    assert_eq!(met, BTreeSet::from(OPTIONAL));
}

#[test]
fn a_value_of_a_wrong_type_is_refused_in_every_place() {
    for case in cases() {
        for place in all_places(&case) {
            let wrong = match case.value.pointer(&place).unwrap() {
                Value::Object(fields) if fields.is_empty() => vec![json!(1), json!("text")],
                Value::Object(_) => vec![json!([]), json!(1), json!("text")],
                Value::Array(_) => vec![json!({}), json!(1), json!("text")],
                Value::String(_) => vec![json!(1), json!(true), json!({}), json!([]), json!("")],
                Value::Number(_) => vec![json!("1"), json!(-1), json!(1.5), json!(true), json!([])],
                Value::Bool(_) => vec![json!(1), json!("true"), json!({})],
                Value::Null => vec![json!(1), json!("text")],
            };
            for value in wrong {
                if value == json!("") && EMPTY.iter().any(|name| place.ends_with(name)) {
                    continue;
                }
                let what = format!("{value} in {place:?}");
                assert_refused(&case, &what, &changed(&case, &place, value));
            }
        }
    }
}

#[test]
fn an_unknown_version_is_refused() {
    for case in cases().iter().filter(|case| case.value.get("v").is_some()) {
        for version in [json!(0), json!(2), json!("1"), json!(1.0), json!(null)] {
            let names_its_version = !["decode context", "policy"].contains(&case.name.as_str());
            let is_other_number = version == json!(0) || version == json!(2);
            if names_its_version || !is_other_number {
                let bytes = changed(case, "/v", version.clone());
                assert_refused(case, &format!("version {version}"), &bytes);
            }
        }
    }
}

#[test]
fn an_unknown_variant_is_refused() {
    let cases = cases();
    for (name, place) in [
        ("order of a payload", "/effects/0"),
        ("order of a payload", "/effects/5/govern/action"),
        ("order of a payload", "/effects/5/govern/target"),
        ("order of a payload", "/work"),
        ("order of a payload", "/tasks/0/algorithm"),
        ("order decided, denied", "/event/order_decided/verdict"),
        ("order decided, denied", "/event/order_decided/windows/0/window/scope"),
        ("order closed, rejected", "/event/order_closed/reason"),
        ("approval added", "/event/approval_added/statement/verb"),
        ("order concluded, failed", "/event/order_concluded/outcome"),
        ("order concluded, failed", "/event/order_concluded/outcome/failed/reason"),
        ("order concluded, done", "/event/order_concluded/outcome/executed/result"),
        ("snapshot", "/event"),
        ("freeze", "/freeze/scope"),
        ("create_key", "/create_key/start"),
        ("create_key", "/create_key/exportability"),
        ("thaw", ""),
    ] {
        let case = cases.iter().find(|case| case.name == name).unwrap();
        assert!(case.value.pointer(place).is_some(), "{name} has no {place}");
        for value in [json!("steal"), json!({ "steal": {} }), json!({})] {
            assert_refused(case, &format!("{value} in {place:?}"), &changed(case, place, value));
        }
    }
}

#[test]
fn bytes_around_a_document_are_refused() {
    for case in cases() {
        let bytes = serde_json::to_vec(&case.value).unwrap();
        assert_refused(&case, "a second document", &[&bytes[..], b"{}"].concat());
        assert_refused(&case, "a byte order mark", &[b"\xef\xbb\xbf", &bytes[..]].concat());
        for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            assert_refused(&case, "a part of the document", &bytes[..cut]);
        }
    }
}

#[test]
fn upper_case_hex_is_refused_in_digests_and_bytes() {
    let case = case::<SubmissionDocument>("submission", &fixtures::submission());
    let upper = "AB".repeat(32);
    assert_refused(&case, "an upper-case digest", &changed(&case, "/sha256", json!(upper)));
    let command = Command::Extension {
        name: custody_core::id::ExtensionName::parse("a/b").unwrap(),
        document: custody_core::bytes::HexBytes::new(vec![0xab]),
    };
    let case = self::case::<Command>("extension", &command);
    assert_refused(&case, "upper-case bytes", &changed(&case, "/extension/document", json!("AB")));
}

#[test]
fn a_requirement_in_which_a_role_stands_twice_is_refused() {
    let reads = |text: &str| reads::<custody_core::seam::Requirement>(text.as_bytes());
    assert!(reads(r#"{"approvals":{"a":1,"b":2},"organisations":{"a":1},"not_before":5}"#));
    for text in [
        r#"{"approvals":{"a":1,"a":2},"organisations":{},"not_before":null}"#,
        r#"{"approvals":{},"organisations":{"a":1,"b":1,"a":1},"not_before":null}"#,
    ] {
        assert!(!reads(text), "{text}");
    }
}
