//! What is no trail, no log and no list of keys.

use super::*;

/// Where a record is changed, to what, and which field is named with which fault.
type Spoiled = (&'static str, Value, &'static str, FieldFault);

fn spoiled_events() -> Vec<Spoiled> {
    use FieldFault::{Missing, Type, Value as Wrong};
    vec![
        ("eventSource", Value::Null, "eventSource", Missing),
        ("eventSource", json!(7), "eventSource", Type),
        ("eventName", Value::Null, "eventName", Missing),
        ("eventName", json!(WORD), "eventName", Wrong),
        ("eventName", json!(""), "eventName", Wrong),
        ("eventName", json!([WORD]), "eventName", Type),
        ("eventTime", Value::Null, "eventTime", Missing),
        ("eventTime", json!(WORD), "eventTime", Wrong),
        ("eventTime", json!("2026-03-01"), "eventTime", Wrong),
        ("eventTime", json!(1_772_366_400), "eventTime", Type),
        ("eventID", Value::Null, "eventID", Missing),
        ("eventID", json!("a b"), "eventID", Wrong),
        ("eventID", json!("a".repeat(65)), "eventID", Wrong),
        ("sharedEventID", json!(""), "sharedEventID", Wrong),
        ("errorCode", json!(WORD.repeat(20)), "errorCode", Wrong),
        ("errorCode", json!({ WORD: 1 }), "errorCode", Type),
        ("eventType", json!(1), "eventType", Type),
    ]
}

fn spoiled_callers() -> Vec<Spoiled> {
    use FieldFault::{Missing, Type, Value as Wrong};
    let session = "userIdentity.sessionContext";
    let issuer = "userIdentity.sessionContext.sessionIssuer.arn";
    vec![
        ("userIdentity", Value::Null, "userIdentity", Missing),
        ("userIdentity", json!(WORD), "userIdentity", Type),
        ("userIdentity", json!({}), "userIdentity.arn", Missing),
        ("userIdentity/arn", json!("a\nb"), "userIdentity.arn", Wrong),
        ("userIdentity/arn", json!("ä"), "userIdentity.arn", Wrong),
        ("userIdentity/arn", json!("a".repeat(2_049)), "userIdentity.arn", Wrong),
        ("userIdentity/sessionContext", json!(WORD), session, Type),
        ("userIdentity/sessionContext/sessionIssuer/arn", json!(7), issuer, Type),
    ]
}

fn spoiled_requests() -> Vec<Spoiled> {
    use FieldFault::{Missing, Type, Value as Wrong};
    let (request, context) = ("requestParameters", "requestParameters/encryptionContext");
    let wallet = json!({ "custody:wallet": 7 });
    let alias = json!({ "keyId": "alias/hot", "signingAlgorithm": "ECDSA_SHA_256" });
    let algorithm = "requestParameters.signingAlgorithm";
    let key = |arn: Value| json!([{ "type": "AWS::KMS::Key", "ARN": arn }]);
    vec![
        (request, json!(WORD), request, Type),
        (request, Value::Null, algorithm, Missing),
        ("requestParameters/messageType", json!(1), "requestParameters.messageType", Type),
        (context, json!(WORD), "requestParameters.encryptionContext", Type),
        (context, wallet, "custody:wallet", Type),
        ("resources", json!(WORD), "resources", Type),
        ("resources", json!([WORD]), "resources", Type),
        ("resources", key(json!(WORD)), "resources.ARN", Wrong),
        ("resources", key(Value::Null), "resources.ARN", Missing),
        ("resources+", alias, "resources", Missing),
    ]
}

#[test]
fn a_malformed_record_is_named_by_number_and_field() {
    for (path, value, field, fault) in
        [spoiled_events(), spoiled_callers(), spoiled_requests()].concat()
    {
        let mut records = Records::default();
        records.sign(HOT, at(0));
        let record = records.sign(HOT, at(1));
        if path == "resources+" {
            // A key that is named by an alias alone.
            record["resources"] = json!([]);
            record["requestParameters"] = value;
        } else {
            *path.split('/').fold(record, |place, name| &mut place[name]) = value;
        }
        for bytes in [records.file(), records.lines()] {
            let error = Trail::default().read(&bytes).unwrap_err();
            assert_eq!(error, TrailError::Field { record: 2, field, fault }, "{path}");
            assert!(!format!("{error} {error:?}").contains(WORD), "{error}");
        }
    }
}

#[test]
fn a_field_that_stands_twice_is_not_chosen_from() {
    let record = sign(HOT, at(0)).to_string();
    for (field, extra) in [
        ("eventName", r#""eventName":"DescribeKey","#),
        ("errorCode", r#""errorCode":"A","errorCode":"B","#),
        ("resources", r#""resources":[],"#),
    ] {
        let text = record.replacen('{', &format!("{{{extra}"), 1);
        let error = Trail::default().read(text.as_bytes()).unwrap_err();
        let expected = TrailError::Field { record: 1, field, fault: FieldFault::Twice };
        assert_eq!(error, expected);
    }
    let nested = record.replacen("\"messageType\":", "\"messageType\":\"RAW\",\"messageType\":", 1);
    let field = "requestParameters.messageType";
    let expected = TrailError::Field { record: 1, field, fault: FieldFault::Twice };
    assert_eq!(Trail::default().read(nested.as_bytes()), Err(expected));
}

#[test]
fn what_is_no_json_is_named_by_its_place() {
    let good = sign(HOT, at(0)).to_string();
    for (name, text, line) in [
        ("a word", WORD.to_owned(), 1),
        ("cut off", good.split_at(good.len() / 2).0.to_owned(), 1),
        ("a line cut off", format!("{good}\n{}", good.split_at(40).0), 2),
        ("a word behind", format!("{good}\n\n{WORD}"), 3),
    ] {
        let error = Trail::default().read(text.as_bytes()).unwrap_err();
        let TrailError::Malformed { line: found, .. } = error else { panic!("{name}: {error}") };
        assert_eq!(found, line, "{name}");
        assert!(!error.to_string().contains(WORD), "{error}");
    }
    for (name, text) in [
        ("a list", format!("[{good}]")),
        ("a number", "7".to_owned()),
        ("null", "null".to_owned()),
        ("records that are none", r#"{"Records":7}"#.to_owned()),
        ("a record that is none", r#"{"Records":[7]}"#.to_owned()),
    ] {
        let error = Trail::default().read(text.as_bytes()).unwrap_err();
        let expected = TrailError::Field { record: 1, field: "Records", fault: FieldFault::Type };
        assert_eq!(error, expected, "{name}");
    }
    let error = Trail::default().read(br#"{"Records":null}"#).unwrap_err();
    let expected = TrailError::Field { record: 1, field: "Records", fault: FieldFault::Missing };
    assert_eq!(error, expected);
    assert!(Trail::default().read(b"\xff\xfe").is_err());
    assert_eq!(Trail::default().read(b""), Ok(()));
    assert_eq!(Trail::default().read(br#"{"Records":[]}"#), Ok(()));
}

#[test]
fn two_records_with_one_id_that_differ_are_refused() {
    let one = sign(HOT, at(0));
    for (field, value) in [
        ("eventTime", json!("2026-03-01T12:00:01Z")),
        ("eventName", json!("Verify")),
        ("errorCode", json!("AccessDenied")),
        ("userIdentity", user(MALLORY)),
        ("resources", json!([resource(WARM)])),
    ] {
        let mut other = one.clone();
        other[field] = value;
        let records = Records { all: vec![sign(WARM, at(9)), one.clone(), other] };
        let mut first = records.clone();
        first.all[0]["eventID"] = json!("another");
        let error = Trail::default().read(&first.file()).unwrap_err();
        assert_eq!(error, TrailError::Contradiction { record: 3, earlier: 2 }, "{field}");
    }
}

/// How a log is spoiled, and which event is named with which fault.
type SpoiledLog = (&'static str, fn(&mut House), u64, EventFault);

const NO_DOCUMENT: EventFault =
    EventFault::Document(DocumentError::Malformed { line: 1, column: 1 });

fn orders_out_of_turn() -> [SpoiledLog; 7] {
    [
        (
            "an order twice",
            |house| {
                let order = house.submit_tasks(at(0), &[]);
                let document = house.document(&order, &[]);
                house.submit(at(0), document);
            },
            5,
            EventFault::Order,
        ),
        (
            "decided and never submitted",
            |house| house.decide(at(0), &some_order(), Verdict::Denied),
            4,
            EventFault::Order,
        ),
        (
            "decided twice",
            |house| {
                let order = house.allow(at(0), &["hot-1"]);
                house.decide(at(0), &order, Verdict::Allowed);
            },
            6,
            EventFault::Order,
        ),
        (
            "closed after its decision",
            |house| {
                let order = house.allow(at(0), &["hot-1"]);
                house.close(at(0), &order);
            },
            6,
            EventFault::Order,
        ),
        (
            "concluded twice",
            |house| {
                let order = house.sign(at(0), at(0), &["hot-1"]);
                house.conclude(at(0), &order, signed());
            },
            7,
            EventFault::Order,
        ),
        (
            "unknown after its end",
            |house| {
                let order = house.sign(at(0), at(0), &["hot-1"]);
                house.conclude(at(0), &order, unknown());
            },
            7,
            EventFault::Order,
        ),
        (
            "resolved after its end",
            |house| {
                let order = house.sign(at(0), at(0), &["hot-1"]);
                house.resolve(at(0), &order, Resolution::Signed { signatures: Vec::new() });
            },
            9,
            EventFault::Order,
        ),
    ]
}

fn documents_that_are_others() -> [SpoiledLog; 6] {
    [
        (
            "not from the beginning",
            |house| {
                let first = house.events[0].clone();
                house.events.insert(0, first);
            },
            1,
            EventFault::Genesis,
        ),
        ("no event", |house| house.events.push(b"{".to_vec()), 4, NO_DOCUMENT),
        (
            "a document that is missing",
            |house| {
                house.allow(at(0), &["hot-1"]);
                house.documents.clear();
            },
            2,
            EventFault::Missing,
        ),
        (
            "a document that is another",
            |house| house.documents.values_mut().for_each(|bytes| bytes.push(b' ')),
            2,
            EventFault::Digest,
        ),
        ("no order document", |house| allow_with(house, b"[]".to_vec()), 5, NO_DOCUMENT),
        (
            "a document of another order",
            |house| {
                let document = house.document(&some_order(), &[]);
                allow_with(house, serde_json::to_vec(&document).unwrap());
            },
            5,
            EventFault::Other,
        ),
    ]
}

#[test]
fn a_log_that_does_not_follow_is_named_by_its_event() {
    for (name, spoil, index, fault) in
        orders_out_of_turn().into_iter().chain(documents_that_are_others())
    {
        let mut house = House::new();
        spoil(&mut house);
        let found = house.read().unwrap_err();
        let is_same = match (found, fault) {
            (OrderLogError::Event { index: at, source: EventFault::Document(_) }, NO_DOCUMENT) => {
                at == index
            }
            (found, source) => found == OrderLogError::Event { index, source },
        };
        assert!(is_same, "{name}: {found:?}");
    }
    let none: [&[u8]; 0] = [];
    let read = OrderLog::read(House::new().custodian(), none, &BTreeMap::new());
    assert_eq!(read.unwrap_err(), OrderLogError::Empty);
}

#[test]
fn a_log_of_another_genesis_event_is_refused() {
    let house = House::new();
    let other = CustodianId::new(Digest::of(b"another"));
    let read = OrderLog::read(other, &house.events, &house.documents);
    let expected = OrderLogError::Event { index: 0, source: EventFault::Genesis };
    assert_eq!(read.unwrap_err(), expected);
}

fn some_order() -> OrderId {
    OrderId::parse("019cb000-0000-7000-8000-ffffffffffff").unwrap()
}

/// An order that is allowed with a document that is not its own.
fn allow_with(house: &mut House, document: Vec<u8>) {
    let own = house.submit_tasks(at(0), &[("hot-1", Algorithm::EcdsaSecp256k1)]);
    let event = String::from_utf8(house.events.pop().unwrap()).unwrap();
    let written = house
        .documents
        .iter()
        .find(|(_, bytes)| String::from_utf8_lossy(bytes).contains(own.as_str()));
    let (digest, size) = written.map(|(digest, bytes)| (digest.to_string(), bytes.len())).unwrap();
    let other = house.keep(document);
    let event = event.replace(&digest, &other.sha256.to_string());
    let event = event.replace(&format!(":{size}}}"), &format!(":{}}}", other.size));
    house.events.push(event.into_bytes());
    house.decide(at(0), &own, Verdict::Allowed);
}

#[test]
fn keys_that_are_malformed_are_named_by_their_field() {
    let text = keys_text(&House::new());
    let field = |field| TrailKeysError::Field { field };
    let malformed = |line, name: &str| TrailKeysError::Malformed { line, field: name.to_owned() };
    for (from, to, error) in [
        ("custodian =", "owner =", malformed(2, "owner")),
        ("custodian = \"", "custodian = \"x", field("custodian")),
        ("scopes = [\"store\"]", "scopes = 7", malformed(6, "scopes")),
        ("scopes = [\"store\"]", "s3cret-input", malformed(6, "")),
        ("role/custody\"]", "role/*\"]", field("principals")),
        (&format!("[\"{ROLE}\"]"), "[]", TrailKeysError::Missing { field: "principals" }),
        ("role/custody-admin", "root", field("administrators")),
        ("role/custody-admin", "role/custody", field("administrators")),
        (NEW_KEK, "alias/custody/kek", field("sealing")),
        (NEW_KEK, HOT, TrailKeysError::Twice { field: "signing" }),
        (WARM, HOT, TrailKeysError::Twice { field: "signing" }),
        (WARM, WORD, field("signing")),
        ("warm-1", "WARM", field("signing")),
        (&"07".repeat(32), "07", field("contexts")),
        ("scopes =", "house = \"s3cret-input!\"\nscopes =", field("house")),
        ("sealed-1", "SEALED", field("elsewhere")),
        ("sealed-1", "hot-1", TrailKeysError::Twice { field: "elsewhere" }),
        ("sealed-1", "sealed-1\", \"sealed-1", TrailKeysError::Twice { field: "elsewhere" }),
    ] {
        let spoiled = text.replace(from, to);
        assert_ne!(spoiled, text, "{from}");
        let found = TrailKeys::parse(&spoiled).unwrap_err();
        assert_eq!(found, error, "{from} to {to}");
        assert!(!format!("{found} {found:?}").contains(WORD), "{found}");
    }
    let none = TrailKeys::parse("principals = [\"arn:aws:iam::111122223333:role/custody\"]");
    assert_eq!(none.unwrap_err(), TrailKeysError::Missing { field: "custodian" });
}
