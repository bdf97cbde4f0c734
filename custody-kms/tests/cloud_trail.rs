//! CloudTrail against the custodian's log: what one side has and the other has not.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests, which fail by panicking"
)]

#[path = "cloud_trail/house.rs"]
mod house;
#[path = "cloud_trail/records.rs"]
mod records;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use custody_core::command::Resolution;
use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::document::{DocumentError, Verdict};
use custody_core::id::{CustodianId, OrderId};
use custody_core::time::Timestamp;
use custody_kms::cloud_trail::{
    ContextFault, CustodianMismatch, EventFault, Evidence, FieldFault, OrderLog, OrderLogError,
    Period, Reason, Reconciliation, Trail, TrailError, TrailKeys, TrailKeysError, reconcile,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use house::{House, NOON, failed, signed, unknown};
use records::{
    ADMIN, FOREIGN, HOT, KEK, MALLORY, NEW_KEK, ROLE, Records, WARM, by, call, decrypt, failing,
    re_encrypt, resource, rotate_key, session, sign, user,
};

/// Seconds after noon.
const fn at(seconds: u64) -> u64 {
    NOON + seconds * 1_000
}

fn keys_text(house: &House) -> String {
    format!(
        r#"
        custodian = "{}"
        principals = ["{ROLE}"]
        administrators = ["{ADMIN}"]
        sealing = ["{KEK}", "{NEW_KEK}"]
        scopes = ["store"]
        [signing]
        hot-1 = ["{HOT}"]
        warm-1 = ["{WARM}"]
        "#,
        house.custodian()
    )
}

fn keys(house: &House) -> TrailKeys {
    TrailKeys::parse(&keys_text(house)).unwrap()
}

fn trail(bytes: &[u8]) -> Trail {
    let mut trail = Trail::default();
    trail.read(bytes).unwrap();
    trail
}

fn compare_within(house: &House, records: &Records, seconds: u64) -> Reconciliation {
    let (trail, log, keys) = (trail(&records.file()), house.log(), keys(house));
    let tolerance = Duration::from_secs(seconds);
    let evidence =
        Evidence { trail: &trail, log: &log, keys: &keys, tolerance, period: Period::ALL };
    reconcile(&evidence).unwrap()
}

fn compare(house: &House, records: &Records) -> Reconciliation {
    compare_within(house, records, 60)
}

fn context(house: &House, wallet: &str) -> Value {
    json!({
        "custody:purpose": "custody/soft/v1",
        "custody:custodian": house.custodian().to_string(),
        "custody:wallet": wallet,
    })
}

fn other_context() -> Value {
    json!({ "custody:purpose": "custody/other/v1", "custody:context": "07".repeat(32) })
}

/// A day in which everything is as it should be.
fn good_day() -> (House, Records) {
    let (mut house, mut records) = (House::new(), Records::default());
    for minute in 0..3 {
        house.sign(at(60 * minute), at(60 * minute + 2), &["hot-1"]);
        records.sign(HOT, at(60 * minute + 1));
    }
    house.sign(at(300), at(304), &["hot-1", "warm-1"]);
    records.sign(WARM, at(302));
    records.sign(HOT, at(301));
    house.sign(at(400), at(401), &["sealed-1"]);
    let hot = context(&house, "hot");
    records.push(decrypt(KEK, at(400), &hot));
    records.push(call("GenerateDataKey", KEK, at(500), json!({ "encryptionContext": hot })));
    records.push(re_encrypt(KEK, NEW_KEK, at(600), [&hot, &hot]));
    records.push(decrypt(NEW_KEK, at(700), &other_context()));
    records.push(decrypt(NEW_KEK, at(701), &context(&house, "store")));
    records.push(call("DescribeKey", HOT, at(800), json!({ "keyId": HOT })));
    records.push(rotate_key(KEK, at(900)));
    let admin = session(ADMIN);
    records.push(by(call("PutKeyPolicy", HOT, at(901), json!({ "keyId": HOT })), admin));
    records.push(failing(sign(HOT, at(902)), "ThrottlingException"));
    records.push(sign(FOREIGN, at(903)));
    let mut other = call("GetObject", HOT, at(904), Value::Null);
    other["eventSource"] = json!("s3.amazonaws.com");
    records.push(other);
    (house, records)
}

/// The same day with one of each difference.
fn bad_day() -> (House, Records) {
    let (mut house, mut records) = good_day();
    house.sign(at(1_000), at(1_002), &["warm-1"]);
    records.sign(HOT, at(1_100));
    let refused = house.allow(at(1_200), &["hot-1"]);
    house.conclude(at(1_201), &refused, failed());
    records.sign(HOT, at(1_200));
    let mut raw = sign(HOT, at(1_300));
    raw["requestParameters"]["messageType"] = json!("RAW");
    records.push(raw);
    records.push(call("DeriveSharedSecret", WARM, at(1_301), json!({ "keyId": WARM })));
    records.push(by(decrypt(KEK, at(1_302), &context(&house, "hot")), user(MALLORY)));
    records.push(decrypt(KEK, at(1_303), &context(&house, "cold")));
    records.push(decrypt(KEK, at(1_304), &Value::Null));
    let hot = context(&house, "hot");
    records.push(re_encrypt(KEK, FOREIGN, at(1_305), [&hot, &hot]));
    let denied = failing(sign(HOT, at(1_306)), "AccessDenied");
    records.push(by(denied, user(MALLORY)));
    records.push(by(call("DescribeKey", HOT, at(1_307), Value::Null), user(MALLORY)));
    (house, records)
}

/// Compares with a committed file.
fn assert_pinned(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cloud_trail").join(name);
    let pinned = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(pinned == text, "{name} is not as pinned, but:\n{text}");
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

#[test]
fn a_day_that_both_sides_tell_alike_is_clean() {
    let (house, records) = good_day();
    let report = compare(&house, &records);
    assert!(report.is_clean(), "{report}");
    assert_pinned("good_day.txt", &report.to_string());
    assert_pinned("good_day.json", &pretty(&report));
}

#[test]
fn each_difference_of_a_bad_day_is_told() {
    let (house, records) = bad_day();
    let report = compare(&house, &records);
    assert!(!report.is_clean());
    assert_pinned("bad_day.txt", &report.to_string());
    assert_pinned("bad_day.json", &pretty(&report));
}

#[test]
fn a_log_file_as_aws_writes_it_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cloud_trail/log_file.json");
    let mut house = House::new();
    house.sign(at(0), at(2), &["hot-1"]);
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.replace("CUSTODIAN", &house.custodian().to_string());
    let (trail, log, keys) = (trail(text.as_bytes()), house.log(), keys(&house));
    let tolerance = Duration::from_secs(1);
    let evidence =
        Evidence { trail: &trail, log: &log, keys: &keys, tolerance, period: Period::ALL };
    let report = reconcile(&evidence).unwrap();
    assert!(report.is_clean(), "{report}");
    let counts = (report.records.read, report.records.ours, report.records.other_keys);
    assert_eq!(counts, (9, 7, 2), "{report}");
    assert_eq!((report.signatures.matched, report.signatures.sealed), (1, 3));
    assert_eq!(report.failures[0].error.as_str(), "InvalidCiphertextException");
    assert_eq!(report.service[0].name.as_str(), "RotateKey");
}

#[test]
fn records_in_any_order_twice_and_line_by_line_say_the_same() {
    let (house, records) = bad_day();
    let expected = compare(&house, &records);
    let (log, keys) = (house.log(), keys(&house));
    let mut reversed = records.clone();
    reversed.all.reverse();
    let of_kms = records.all.len() - 1;
    for (name, files, duplicates) in [
        ("reversed", vec![reversed.file()], 0),
        ("on lines", vec![records.lines()], 0),
        ("twice", vec![records.file(), reversed.lines()], of_kms),
        ("in one file", vec![[records.lines(), reversed.file()].concat()], of_kms),
    ] {
        let mut trail = Trail::default();
        files.iter().for_each(|file| trail.read(file).unwrap());
        assert_eq!(trail.duplicate_count(), u64::try_from(duplicates).unwrap(), "{name}");
        let tolerance = Duration::from_secs(60);
        let evidence =
            Evidence { trail: &trail, log: &log, keys: &keys, tolerance, period: Period::ALL };
        let mut report = reconcile(&evidence).unwrap();
        report.records = expected.records;
        assert_eq!(report, expected, "{name}");
    }
}

#[test]
fn one_signature_too_many_in_a_busy_minute_is_found_by_counting() {
    let (mut house, mut records) = (House::new(), Records::default());
    for second in 0..60 {
        house.sign(at(second), at(second + 1), &["hot-1"]);
        records.sign(HOT, at(second));
    }
    assert!(compare(&house, &records).is_clean());
    records.sign(HOT, at(30));
    let report = compare(&house, &records);
    assert_eq!((report.unexplained.len(), report.missing.len()), (1, 0));
    assert_eq!(report.unexplained[0].reason, Reason::NoOrder);
    assert_eq!(report.signatures.matched, 60);
    house.sign(at(20), at(21), &["hot-1"]);
    assert!(compare(&house, &records).is_clean());
    house.sign(at(21), at(22), &["hot-1"]);
    let report = compare(&house, &records);
    assert_eq!((report.unexplained.len(), report.missing.len()), (0, 1));
}

#[test]
fn a_signature_of_one_key_does_not_stand_for_one_of_another() {
    let (mut house, mut records) = (House::new(), Records::default());
    let order = house.sign(at(0), at(1), &["hot-1"]);
    records.sign(WARM, at(0));
    let report = compare(&house, &records);
    assert_eq!(report.unexplained[0].arn.as_str(), WARM);
    assert_eq!(report.unexplained[0].key.as_ref().unwrap().as_str(), "warm-1");
    assert_eq!(report.missing[0].order, order);
    assert_eq!(report.missing[0].from, Timestamp::from_millis(at(0)));
}

/// What an order came to; then, without and with a signature of KMS: how many are unexplained, how many
/// are missing, and how many may be.
type Came = (&'static str, fn(&mut House), [(usize, usize, u64); 2]);

fn allowed_orders() -> [Came; 6] {
    [
        (
            "signed",
            |house| {
                house.sign(at(0), at(1), &["hot-1"]);
            },
            [(0, 1, 0), (0, 0, 0)],
        ),
        (
            "failed",
            |house| {
                let order = house.allow(at(0), &["hot-1"]);
                house.conclude(at(1), &order, failed());
            },
            [(0, 0, 0), (1, 0, 0)],
        ),
        (
            "unknown",
            |house| {
                let order = house.allow(at(0), &["hot-1"]);
                house.conclude(at(1), &order, unknown());
            },
            [(0, 0, 0), (0, 0, 1)],
        ),
        (
            "open",
            |house| {
                house.allow(at(0), &["hot-1"]);
            },
            [(0, 0, 0), (0, 0, 1)],
        ),
        (
            "resolved as signed",
            |house| {
                let order = house.allow(at(0), &["hot-1"]);
                house.conclude(at(1), &order, unknown());
                house.resolve(at(900), &order, Resolution::Signed { signatures: Vec::new() });
            },
            [(0, 1, 0), (0, 0, 0)],
        ),
        (
            "resolved as failed",
            |house| {
                let order = house.allow(at(0), &["hot-1"]);
                house.conclude(at(1), &order, unknown());
                let reason = "nothing in CloudTrail".to_owned();
                house.resolve(at(900), &order, Resolution::Failed { reason });
            },
            [(0, 0, 0), (1, 0, 0)],
        ),
    ]
}

fn other_orders() -> [Came; 3] {
    let unexplained = [(0, 0, 0), (1, 0, 0)];
    [
        (
            "denied",
            |house| {
                let order = house.submit_tasks(at(0), &[("hot-1", Algorithm::EcdsaSecp256k1)]);
                house.decide(at(1), &order, Verdict::Denied);
            },
            unexplained,
        ),
        (
            "expired",
            |house| {
                let order = house.submit_tasks(at(0), &[("hot-1", Algorithm::EcdsaSecp256k1)]);
                house.close(at(1), &order);
            },
            unexplained,
        ),
        ("none", |_| {}, unexplained),
    ]
}

#[test]
fn what_an_order_came_to_says_what_may_have_been_signed() {
    for (name, make, expected) in allowed_orders().into_iter().chain(other_orders()) {
        for (count, expected) in expected.into_iter().enumerate() {
            let (mut house, mut records) = (House::new(), Records::default());
            make(&mut house);
            for _ in 0..count {
                records.sign(HOT, at(0));
            }
            let report = compare(&house, &records);
            let found = (report.unexplained.len(), report.missing.len(), report.signatures.perhaps);
            assert_eq!(found, expected, "{name}, {count} signatures of KMS");
        }
    }
}

#[test]
fn an_order_that_was_to_end_without_a_signature_is_named_beside_it() {
    let (mut house, mut records) = (House::new(), Records::default());
    let order = house.allow(at(0), &["hot-1"]);
    house.conclude(at(1), &order, failed());
    records.sign(HOT, at(0));
    records.sign(HOT, at(500));
    let report = compare(&house, &records);
    let orders: Vec<_> = report.unexplained.iter().map(|one| one.order.clone()).collect();
    assert_eq!(orders, [Some(order), None]);
}

#[test]
fn the_tolerance_reaches_to_its_second_and_no_further() {
    for (name, time, is_clean) in [
        ("at the decision", at(100), true),
        ("in the second before it", at(99), true),
        ("in the second of the early edge", at(90), true),
        ("a second earlier", at(89), false),
        ("at the late edge", at(113), true),
        ("a second later", at(114), false),
    ] {
        let (mut house, mut records) = (House::new(), Records::default());
        house.sign(at(100) + 500, at(103), &["hot-1"]);
        records.sign(HOT, time);
        assert_eq!(compare_within(&house, &records, 10).is_clean(), is_clean, "{name}");
    }
}

#[test]
fn a_call_that_failed_signed_nothing() {
    let (mut house, mut records) = (House::new(), Records::default());
    house.sign(at(0), at(5), &["hot-1"]);
    for code in ["ThrottlingException", "ThrottlingException", "DisabledException"] {
        records.push(failing(sign(HOT, at(1)), code));
    }
    let report = compare(&house, &records);
    assert_eq!((report.unexplained.len(), report.missing.len()), (0, 1));
    let failures: Vec<_> =
        report.failures.iter().map(|one| (one.error.as_str(), one.count)).collect();
    assert_eq!(failures, [("DisabledException", 1), ("ThrottlingException", 2)]);
    records.sign(HOT, at(2));
    assert!(compare(&house, &records).is_clean());
}

#[test]
fn a_call_that_failed_is_ours_by_what_it_asked_for() {
    let id = HOT.rsplit('/').next().unwrap();
    let alias = "alias/custody/hot-1";
    for (asked, resources, is_ours) in [
        (HOT, json!([resource(HOT)]), true),
        (HOT, Value::Null, true),
        (id, Value::Null, true),
        (alias, Value::Null, false),
        (FOREIGN, Value::Null, false),
        ("no key at all", Value::Null, false),
    ] {
        let mut record = failing(sign(HOT, at(1)), "AccessDenied");
        record["requestParameters"]["keyId"] = json!(asked);
        record["resources"] = resources;
        let mut records = Records::default();
        records.push(record);
        let report = compare(&House::new(), &records);
        assert_eq!(report.records.ours, u64::from(is_ours), "{asked}");
        assert_eq!(report.records.other_keys, u64::from(!is_ours), "{asked}");
    }
}

#[test]
fn a_form_that_no_order_asks_for_is_not_explained() {
    let ecdsa = Algorithm::EcdsaSecp256k1;
    for (algorithm, scheme, form, reason) in [
        (ecdsa, "ECDSA_SHA_256", json!("DIGEST"), None),
        (ecdsa, "ECDSA_SHA_256", json!("RAW"), Some(Reason::OtherForm)),
        (ecdsa, "ECDSA_SHA_256", Value::Null, Some(Reason::OtherForm)),
        (ecdsa, "ECDSA_SHA_384", json!("DIGEST"), Some(Reason::OtherForm)),
        (Algorithm::EcdsaP256, "ECDSA_SHA_256", json!("DIGEST"), None),
        (Algorithm::Ed25519, "ED25519_SHA_512", json!("RAW"), None),
        (Algorithm::Ed25519, "ED25519_SHA_512", Value::Null, None),
        (Algorithm::Ed25519, "ED25519_PH_SHA_512", json!("DIGEST"), Some(Reason::OtherForm)),
    ] {
        let (mut house, mut records) = (House::new(), Records::default());
        let order = house.allow_tasks(at(0), &[("hot-1", algorithm)]);
        house.conclude(at(1), &order, signed());
        let record = records.sign(HOT, at(0));
        record["requestParameters"]["signingAlgorithm"] = json!(scheme);
        record["requestParameters"]["messageType"] = form.clone();
        let report = compare(&house, &records);
        let found = report.unexplained.first().map(|one| one.reason);
        assert_eq!(found, reason, "{scheme} {form}");
    }
}

#[test]
fn a_key_that_is_used_for_something_else_is_told() {
    for (name, arn) in [
        ("DeriveSharedSecret", HOT),
        ("GenerateMac", HOT),
        ("Decrypt", HOT),
        ("Encrypt", HOT),
        ("GenerateDataKey", HOT),
        ("Sign", KEK),
        ("GenerateMac", KEK),
    ] {
        let mut records = Records::default();
        let parameters = json!({ "keyId": arn, "signingAlgorithm": "ECDSA_SHA_256" });
        records.push(call(name, arn, at(0), parameters));
        let report = compare(&House::new(), &records);
        assert_eq!(report.unexplained.len(), 1, "{name}");
        assert_eq!(report.unexplained[0].reason, Reason::OtherUse, "{name}");
    }
}

#[test]
fn callers_are_told_apart() {
    let account = json!({
        "type": "AWSAccount", "principalId": "AIDAEXAMPLE", "accountId": "444455556666",
    });
    let service = json!({ "type": "AWSService", "invokedBy": "s3.amazonaws.com" });
    let role_as_user = user("arn:aws:iam::111122223333:user/custody");
    let other_role = session("arn:aws:iam::444455556666:role/custody");
    let mut nobody = session(ROLE);
    nobody["sessionContext"] = Value::Null;
    for (name, identity, operation, is_known) in [
        ("the role", session(ROLE), "Sign", true),
        ("the role, switching", session(ROLE), "DisableKey", true),
        ("the role, reading", session(ROLE), "GetPublicKey", true),
        ("the role, administering", session(ROLE), "PutKeyPolicy", false),
        ("the role, granting", session(ROLE), "CreateGrant", false),
        ("the administrator", session(ADMIN), "PutKeyPolicy", true),
        ("the administrator, reading", session(ADMIN), "DescribeKey", true),
        ("the administrator, signing", session(ADMIN), "Sign", false),
        ("a user", user(MALLORY), "Sign", false),
        ("a user, administering", user(MALLORY), "ScheduleKeyDeletion", false),
        ("a user, with an operation that is new", user(MALLORY), "CloneKey", false),
        ("a user of the role's name", role_as_user, "Sign", false),
        ("a role of that name elsewhere", other_role, "Sign", false),
        ("a session of no role", nobody, "Sign", false),
        ("another account", account, "Sign", false),
        ("a service", service, "Sign", false),
    ] {
        let (mut house, mut records) = (House::new(), Records::default());
        if operation == "Sign" {
            house.sign(at(0), at(1), &["hot-1"]);
        }
        let mut record = by(sign(HOT, at(0)), identity);
        record["eventName"] = json!(operation);
        records.push(record);
        let report = compare(&house, &records);
        assert_eq!(report.is_clean(), is_known, "{name}: {report}");
        assert_eq!(report.strangers.len(), usize::from(!is_known), "{name}");
        assert!(report.unexplained.is_empty(), "{name}");
    }
}

#[test]
fn a_stranger_who_only_looks_is_named_and_is_no_difference() {
    let mut records = Records::default();
    let look = call("DescribeKey", HOT, at(7), Value::Null);
    records.push(by(look.clone(), user(MALLORY)));
    records.push(by(failing(look, "AccessDenied"), user(MALLORY)));
    let report = compare(&House::new(), &records);
    assert!(report.is_clean());
    let calls = &report.strangers[0];
    assert_eq!((calls.done, calls.failed, calls.reads), (1, 1, true));
    assert_eq!(calls.caller.as_str(), MALLORY);
}

#[test]
fn a_stranger_who_was_turned_away_is_a_difference() {
    let mut records = Records::default();
    records.push(by(failing(sign(HOT, at(0)), "AccessDenied"), user(MALLORY)));
    let report = compare(&House::new(), &records);
    assert!(!report.is_clean());
    assert_eq!((report.strangers[0].done, report.strangers[0].failed), (0, 1));
}

#[test]
fn contexts_are_checked_against_the_log() {
    let house = House::new();
    let good = context(&house, "hot");
    let with = |field: &str, value: Value| {
        let mut context = good.clone();
        context[field] = value;
        context
    };
    let other = "custody:context";
    let mut both = other_context();
    both["custody:wallet"] = json!("hot");
    let mut purpose = other_context();
    purpose["custody:purpose"] = json!("custody/soft/v1");
    let custodian = json!("cc".repeat(32));
    for (name, context, fault) in [
        ("a wallet", good.clone(), None),
        ("another scope", context(&house, "store"), None),
        ("something else", other_context(), None),
        ("none", Value::Null, Some(ContextFault::Missing)),
        ("an empty one", json!({}), Some(ContextFault::Incomplete)),
        ("foreign keys", json!({ "Project": "Alpha" }), Some(ContextFault::Incomplete)),
        ("no custodian", with("custody:custodian", Value::Null), Some(ContextFault::Incomplete)),
        ("no purpose", with("custody:purpose", Value::Null), Some(ContextFault::Incomplete)),
        ("no wallet", with("custody:wallet", Value::Null), Some(ContextFault::Incomplete)),
        ("a wallet and a digest", with(other, json!("07")), Some(ContextFault::Incomplete)),
        ("a digest and a wallet", both, Some(ContextFault::Incomplete)),
        ("a digest of a wallet's purpose", purpose, Some(ContextFault::Incomplete)),
        (
            "another custodian",
            with("custody:custodian", custodian),
            Some(ContextFault::OtherCustodian),
        ),
        ("an unknown wallet", context(&house, "cold"), Some(ContextFault::UnknownWallet)),
        ("no name of a wallet", context(&house, "h t"), Some(ContextFault::UnknownWallet)),
        (
            "no digest",
            json!({ "custody:purpose": "custody/other/v1", "custody:context": "07" }),
            Some(ContextFault::UnknownContext),
        ),
    ] {
        for operation in ["Decrypt", "GenerateDataKey", "GenerateDataKeyPair", "Encrypt"] {
            let mut record = decrypt(KEK, at(0), &context);
            record["eventName"] = json!(operation);
            let mut records = Records::default();
            records.push(record);
            let report = compare(&house, &records);
            let found = report.contexts.first().map(|one| one.fault);
            assert_eq!(found, fault, "{name}, {operation}");
            assert_eq!(report.is_clean(), fault.is_none(), "{name}, {operation}");
        }
    }
}

#[test]
fn a_wallet_counts_once_its_order_is_executed() {
    let mut house = House::without_wallet();
    let mut records = Records::default();
    records.push(decrypt(KEK, at(0), &context(&house, "hot")));
    let report = compare(&house, &records);
    assert_eq!(report.contexts[0].fault, ContextFault::UnknownWallet);
    assert_eq!(report.contexts[0].wallet.as_ref().unwrap().as_str(), "hot");
    house.make_wallet("hot", at(0));
    assert!(compare(&house, &records).is_clean());
}

#[test]
fn other_contexts_can_be_named_and_then_there_are_no_others() {
    let house = House::new();
    let text = keys_text(&house);
    let mut records = Records::default();
    records.push(decrypt(KEK, at(0), &other_context()));
    for (digest, is_clean) in [("07".repeat(32), true), ("08".repeat(32), false)] {
        let text = text.replace("scopes", &format!("contexts = [\"{digest}\"]\nscopes"));
        let (trail, log, keys) =
            (trail(&records.file()), house.log(), TrailKeys::parse(&text).unwrap());
        let tolerance = Duration::ZERO;
        let evidence =
            Evidence { trail: &trail, log: &log, keys: &keys, tolerance, period: Period::ALL };
        assert_eq!(reconcile(&evidence).unwrap().is_clean(), is_clean, "{digest}");
    }
}

#[test]
fn nothing_sealed_moves_to_a_key_outside() {
    let house = House::new();
    let (hot, cold) = (context(&house, "hot"), context(&house, "cold"));
    let none = &Value::Null;
    for (name, from, to, contexts, faults) in [
        ("to the new key", KEK, NEW_KEK, [&hot, &hot], vec![]),
        ("to itself", KEK, KEK, [&hot, &hot], vec![]),
        ("outside", KEK, FOREIGN, [&hot, &hot], vec![ContextFault::OtherKey]),
        ("from outside", FOREIGN, KEK, [&hot, &hot], vec![ContextFault::OtherKey]),
        ("to another wallet", KEK, NEW_KEK, [&hot, &cold], vec![ContextFault::UnknownWallet]),
        ("from another wallet", KEK, NEW_KEK, [&cold, &hot], vec![ContextFault::UnknownWallet]),
        ("to no context", KEK, NEW_KEK, [&hot, none], vec![ContextFault::Missing]),
        ("without any", KEK, KEK, [none, none], vec![ContextFault::Missing; 2]),
    ] {
        let mut records = Records::default();
        records.push(re_encrypt(from, to, at(0), contexts));
        let report = compare(&house, &records);
        let found: Vec<_> = report.contexts.iter().map(|one| one.fault).collect();
        assert_eq!(found, faults, "{name}");
        assert_eq!(report.signatures.sealed, u64::from(faults.is_empty()), "{name}");
    }
}

#[test]
fn copies_of_a_call_in_two_accounts_count_once_and_name_the_caller() {
    let mut house = House::new();
    house.sign(at(0), at(1), &["hot-1"]);
    let shared = json!("bed75623-31d1-4dcb-b0a0-c9d5f4a4c2e5");
    let mut own = sign(HOT, at(0));
    own["eventID"] = json!("own");
    own["sharedEventID"] = shared.clone();
    let account = json!({ "type": "AWSAccount", "accountId": "444455556666" });
    let mut copy = by(own.clone(), account);
    copy["eventID"] = json!("copy");
    for all in [
        vec![own.clone(), copy.clone()],
        vec![copy.clone(), own.clone()],
        vec![copy.clone(), own.clone(), copy, own],
    ] {
        let report = compare(&house, &Records { all });
        assert!(report.is_clean(), "{report}");
        assert_eq!(report.signatures.matched, 1);
    }
}

#[test]
fn a_replica_is_the_same_key() {
    let house = House::new();
    let replica = KEK.replace("eu-central-1", "us-east-1");
    let mut records = Records::default();
    records.push(decrypt(&replica, at(0), &context(&house, "cold")));
    let report = compare(&house, &records);
    assert_eq!(report.contexts[0].arn.as_str(), replica);
    let elsewhere = HOT.replace("eu-central-1", "us-east-1");
    let mut records = Records::default();
    records.sign(&elsewhere, at(0));
    assert_eq!(compare(&house, &records).records.other_keys, 1);
}

#[test]
fn outside_the_period_nothing_is_expected_and_nothing_counts() {
    let mut house = House::new();
    for second in [0, 100, 200, 300, 400] {
        house.sign(at(second), at(second + 1), &["hot-1"]);
    }
    let mut records = Records::default();
    for second in [50, 200, 350] {
        records.sign(HOT, at(second));
    }
    let (trail, log, keys) = (trail(&records.file()), house.log(), keys(&house));
    let period = |from, until| {
        Period::new(Timestamp::from_millis(at(from)), Timestamp::from_millis(at(until)))
    };
    for (name, period, tolerance, expected) in [
        ("all", Period::ALL, 10, (2, 4, 0, 0)),
        ("the middle", period(150, 250), 10, (0, 0, 0, 2)),
        ("an end within a signature's time", period(150, 305), 10, (0, 0, 0, 2)),
        ("one second too short", period(150, 311), 10, (0, 0, 0, 2)),
        ("just long enough", period(150, 312), 10, (0, 1, 0, 2)),
        ("a beginning within it", period(195, 250), 10, (0, 0, 1, 2)),
    ] {
        let tolerance = Duration::from_secs(tolerance);
        let evidence = Evidence { trail: &trail, log: &log, keys: &keys, tolerance, period };
        let report = reconcile(&evidence).unwrap();
        let found = (
            report.unexplained.len(),
            report.missing.len(),
            report.signatures.perhaps,
            report.records.outside,
        );
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_log_of_another_custodian_is_not_compared() {
    let (house, mut other) = (House::new(), House::new());
    other.events.clear();
    let log = OrderLog::empty(CustodianId::new(Digest::of(b"another")));
    let (trail, keys) = (Trail::default(), keys(&house));
    let tolerance = Duration::ZERO;
    let evidence =
        Evidence { trail: &trail, log: &log, keys: &keys, tolerance, period: Period::ALL };
    assert!(matches!(reconcile(&evidence), Err(CustodianMismatch { .. })));
}

/// A word that no error may repeat.
const WORD: &str = "s3cret-input";

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
        ("scopes =", "contexts = [\"07\"]\nscopes =", field("contexts")),
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

/// Orders with one signature each: key, when allowed, how long it took, and when within its time and
/// tolerance KMS signed.
fn arb_orders() -> impl Strategy<Value = Vec<(bool, u64, u64, f64)>> {
    let order = (any::<bool>(), 60_000_u64..120_000, 0_u64..5_000, 0.0..=1.0);
    proptest::collection::vec(order, 0..40)
}

const TOLERANCE: u64 = 7_000;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    reason = "a share of a time that is far below what a float is exact for"
)]
fn signed_at(allowed: u64, took: u64, share: f64) -> u64 {
    let (from, until) = (allowed - TOLERANCE, allowed + took + TOLERANCE);
    from + ((until - from) as f64 * share) as u64
}

/// Both sides of these orders, which say the same.
fn both_sides(orders: &[(bool, u64, u64, f64)]) -> (House, Records) {
    let (mut house, mut records) = (House::new(), Records::default());
    for (is_hot, allowed, took, share) in orders {
        let (key, arn) = if *is_hot { ("hot-1", HOT) } else { ("warm-1", WARM) };
        house.sign(NOON + allowed, NOON + allowed + took, &[key]);
        records.sign(arn, NOON + signed_at(*allowed, *took, *share));
    }
    (house, records)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn sides_that_say_the_same_never_differ(orders in arb_orders()) {
        let (house, mut records) = both_sides(&orders);
        records.all.sort_by_key(|record| record["eventTime"].as_str().map(str::to_owned));
        let report = compare_within(&house, &records, TOLERANCE / 1_000);
        prop_assert!(report.is_clean(), "{report}");
        prop_assert_eq!(report.signatures.matched, u64::try_from(orders.len()).unwrap());
    }

    #[test]
    fn exactly_the_planted_extras_are_left_over(
        orders in arb_orders(),
        extras in proptest::collection::vec((any::<bool>(), 50_000_u64..130_000), 1..6),
    ) {
        let (house, mut records) = both_sides(&orders);
        for (is_hot, time) in &extras {
            records.sign(if *is_hot { HOT } else { WARM }, NOON + time);
        }
        let report = compare_within(&house, &records, TOLERANCE / 1_000);
        prop_assert!(report.missing.is_empty(), "{report}");
        prop_assert_eq!(report.signatures.matched, u64::try_from(orders.len()).unwrap());
        for (key, is_hot) in [("hot-1", true), ("warm-1", false)] {
            let found = report.unexplained.iter().filter(|one| {
                one.key.as_ref().is_some_and(|id| id.as_str() == key)
            });
            let planted = extras.iter().filter(|(of_hot, _)| *of_hot == is_hot);
            prop_assert_eq!(found.count(), planted.count());
        }
    }

    #[test]
    fn exactly_the_taken_signatures_are_missing(orders in arb_orders(), taken in 1_usize..6) {
        let (house, mut records) = both_sides(&orders);
        let taken = taken.min(orders.len());
        records.all.drain(..taken);
        let report = compare_within(&house, &records, TOLERANCE / 1_000);
        prop_assert!(report.unexplained.is_empty(), "{report}");
        prop_assert_eq!(report.missing.len(), taken);
    }

    #[test]
    fn foreign_bytes_are_refused_or_read_and_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        cut in 0_usize..2_000,
        flip in any::<(prop::sample::Index, u8)>(),
    ) {
        let _ = Trail::default().read(&bytes);
        let (_, records) = good_day();
        let mut file = records.file();
        let place = flip.0.index(file.len());
        file[place] ^= flip.1;
        let _ = Trail::default().read(&file);
        file.truncate(cut);
        let _ = Trail::default().read(&file);
    }
}

#[cfg(feature = "cli")]
mod command {
    use std::path::PathBuf;
    use std::process::{Command, Output};

    use tempfile::TempDir;

    use super::*;

    /// What the command is given.
    struct Files(TempDir);

    impl Files {
        fn new(house: &House, records: &Records) -> Self {
            let files = Self(tempfile::tempdir().unwrap());
            let lines: Vec<u8> =
                house.events.iter().flat_map(|event| [event, &b"\n"[..]].concat()).collect();
            files.write("events", &lines);
            files.write("keys.toml", keys_text(house).as_bytes());
            let half = Records { all: records.all[..records.all.len() / 2].to_vec() };
            files.write("one.json", &half.file());
            files.write("two.json", &records.lines());
            for (digest, bytes) in &house.documents {
                files.write(&digest.to_string(), bytes);
            }
            files
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, bytes: &[u8]) {
            std::fs::write(self.path(name), bytes).unwrap();
        }

        /// The log as it is exported.
        fn export(&self, house: &House) {
            let size = house.events.len();
            let bundles = self.path("log/tile/entries/000.p");
            std::fs::create_dir_all(&bundles).unwrap();
            std::fs::create_dir_all(self.path("log/documents")).unwrap();
            let entry = |event: &Vec<u8>| {
                let length = u16::try_from(event.len()).unwrap().to_be_bytes();
                [&length[..], event].concat()
            };
            let bundle: Vec<u8> = house.events.iter().flat_map(entry).collect();
            std::fs::write(bundles.join(size.to_string()), bundle).unwrap();
            self.write("log/checkpoint", format!("custody.example/log\n{size}\n").as_bytes());
            for (digest, bytes) in &house.documents {
                self.write(&format!("log/documents/{digest}"), bytes);
            }
        }

        fn run(&self, more: &[&str]) -> Output {
            let documents = self.0.path().to_str().unwrap();
            self.run_with("events", &[&["--documents", documents], more].concat())
        }

        fn run_with(&self, events: &str, more: &[&str]) -> Output {
            Command::new(env!("CARGO_BIN_EXE_custody-kms"))
                .args(["reconcile", "--tolerance", "1m", "--trail"])
                .args([self.path("one.json"), self.path("two.json")])
                .arg("--events")
                .arg(self.path(events))
                .arg("--keys")
                .arg(self.path("keys.toml"))
                .args(more)
                .output()
                .unwrap()
        }
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn the_command_says_clean_and_exits_with_0() {
        let (house, records) = good_day();
        let output = Files::new(&house, &records).run(&[]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stdout).ends_with("result: clean\n"));
    }

    #[test]
    fn the_command_says_different_and_exits_with_1() {
        let (house, records) = bad_day();
        let files = Files::new(&house, &records);
        let output = files.run(&[]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        assert!(text(&output.stdout).ends_with("result: DIFFERENT\n"));
        let output = files.run(&["--json"]);
        assert_eq!(output.status.code(), Some(1));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let expected = serde_json::to_value(compare(&house, &records)).unwrap();
        assert_eq!(report["unexplained"], expected["unexplained"]);
    }

    #[test]
    fn an_exported_log_is_read_as_it_is() {
        let (house, records) = bad_day();
        let files = Files::new(&house, &records);
        files.export(&house);
        let output = files.run_with("log", &[]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        assert_eq!(output.stdout, files.run(&[]).stdout);
        let size = house.events.len();
        let bundle = format!("log/tile/entries/000.p/{size}");
        let whole = std::fs::read(files.path(&bundle)).unwrap();
        let next = format!("custody.example/log\n{}\n", size + 1);
        for (name, bytes) in [
            (bundle.as_str(), &whole[..whole.len() - 1]),
            (bundle.as_str(), &whole[..1]),
            ("log/checkpoint", b"custody.example/log\n"),
            ("log/checkpoint", next.as_bytes()),
        ] {
            files.export(&house);
            files.write(name, bytes);
            assert_eq!(files.run_with("log", &[]).status.code(), Some(2), "{name}");
        }
    }

    #[test]
    fn the_command_looks_at_the_period_it_is_told() {
        let (house, records) = bad_day();
        let files = Files::new(&house, &records);
        let output = files.run(&["--until", "2026-03-01T12:15:00Z"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        let output = files.run(&["--from", "2026-03-01T12:15:00Z"]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(files.run(&["--from", "yesterday"]).status.code(), Some(2));
    }

    #[test]
    fn what_cannot_be_read_exits_with_2_and_is_not_repeated() {
        let (house, records) = good_day();
        for (name, bytes, said) in [
            ("one.json", WORD.as_bytes(), "record 1 is no JSON"),
            (
                "two.json",
                br#"{"eventSource":"kms.amazonaws.com"}"#,
                "the field eventName is missing",
            ),
            ("keys.toml", b"s3cret-input", "the keys are malformed at line 1"),
            ("keys.toml", b"\xff", "cannot be read"),
            ("events", b"", "the log has no events"),
            (
                "events",
                b"s3cret-input",
                "event 0 is not taken: the event or its document is malformed",
            ),
        ] {
            let files = Files::new(&house, &records);
            files.write(name, bytes);
            let output = files.run(&[]);
            assert_eq!(output.status.code(), Some(2), "{name}");
            assert!(output.stdout.is_empty(), "{name}");
            let error = text(&output.stderr);
            assert!(error.contains(said), "{name}: {error}");
            assert!(!error.contains(WORD), "{name}: {error}");
        }
        let files = Files::new(&house, &records);
        for digest in house.documents.keys() {
            std::fs::remove_file(files.path(&digest.to_string())).unwrap();
        }
        let output = files.run(&[]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("a document that the event names is missing"));
        std::fs::remove_file(files.path("one.json")).unwrap();
        assert_eq!(files.run(&[]).status.code(), Some(2));
    }
}
