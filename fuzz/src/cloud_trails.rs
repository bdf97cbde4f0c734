//! Records of AWS CloudTrail and the file that names the keys: each record has one place in the report,
//! and a signature that nobody asked for is always told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use custody_kms::cloud_trail::{
    Evidence, OrderLog, Period, Reconciliation, Trail, TrailError, TrailKeys, TrailKeysError,
    reconcile,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::Seed;
use crate::input::{choose, chosen, cut, flip, patched};
use crate::kms_texts::{WORD, is_plain_name, says_nothing};

const PARTS: [&str; 4] = ["records", "packed records", "changed file", "keys"];
const HOT: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd";
const KEK: &str = "arn:aws:kms:eu-central-1:111122223333:key/mrk-12";
const ROLE: &str = "arn:aws:iam::111122223333:role/custody";

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let (part, bytes) = choose(&PARTS, bytes)?;
    let taken = match *part {
        "records" => records(bytes).is_some(),
        "packed records" => packed(bytes),
        "changed file" => changed(bytes),
        _ => std::str::from_utf8(bytes).is_ok_and(keys),
    };
    taken.then_some(part)
}

fn read(bytes: &[u8]) -> Result<Trail, TrailError> {
    let mut trail = Trail::default();
    trail.read(bytes).inspect_err(|error| says_nothing(error))?;
    Ok(trail)
}

/// Records, and what is found in them where no order asked for anything.
fn records(bytes: &[u8]) -> Option<Reconciliation> {
    let trail = read(bytes).ok()?;
    let report = compare(&trail, &KEYS);
    let counts = &report.records;
    let placed = counts.duplicates + counts.other_services + counts.other_keys + counts.ours;
    assert_eq!(counts.read, placed + counts.outside, "each record has one place");
    assert_eq!((report.signatures.matched, report.signatures.perhaps), (0, 0));
    assert!(report.missing.is_empty() && report.unlisted.is_empty());
    assert_eq!(compare(&trail, &KEYS), report, "twice the same");
    let written = serde_json::to_vec(&report).unwrap();
    assert!(crate::json::has_unique_keys(&written));
    let verdict = if report.is_clean() { "result: clean\n" } else { "result: DIFFERENT\n" };
    assert!(report.to_string().ends_with(verdict));
    let told: BTreeSet<&str> = report.unexplained.iter().map(|one| one.event.as_str()).collect();
    let signed = signed(bytes);
    assert!(signed.iter().all(|event| told.contains(event.as_str())), "a signature is not told");
    read_again(bytes, &trail);
    Some(report)
}

/// What is read twice counts once.
fn read_again(bytes: &[u8], once: &Trail) {
    let mut twice = once.clone();
    assert_eq!(twice.read(bytes), Ok(()));
    let (first, second) = (compare(once, &KEYS), compare(&twice, &KEYS));
    assert_eq!(second.records.read, 2 * first.records.read);
    assert_eq!(second.records.other_services, 2 * first.records.other_services);
    assert_eq!(second.records.ours, first.records.ours);
    assert_eq!(second.unexplained, first.unexplained);
    assert_eq!((second.contexts, second.strangers), (first.contexts, first.strangers));
}

/// The signatures of the key that a second reader finds: calls of their own that name it first.
fn signed(bytes: &[u8]) -> BTreeSet<String> {
    let values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    let records = values.map_while(Result::ok).flat_map(|value| match &value["Records"] {
        Value::Array(records) => records.clone(),
        _ => vec![value],
    });
    let signatures = records.filter(|record| {
        record["eventSource"] == "kms.amazonaws.com"
            && record["eventName"] == "Sign"
            && record["errorCode"].is_null()
            && record["sharedEventID"].is_null()
            && record["resources"][0]["ARN"] == HOT
    });
    signatures.filter_map(|record| record["eventID"].as_str().map(str::to_owned)).collect()
}

/// A compressed file says what the plain one says.
fn packed(bytes: &[u8]) -> bool {
    let found = read(&pack(bytes)).map(|trail| compare(&trail, &KEYS));
    if !bytes.starts_with(&MAGIC) {
        assert_eq!(found, read(bytes).map(|trail| compare(&trail, &KEYS)));
    }
    found.is_ok()
}

/// A compressed file that is changed says the same, or is refused.
fn changed(changes: &[u8]) -> bool {
    static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| pack(&file(&[sign(1), decrypt(2)])));
    let file = patched(&GOOD, changes);
    if !file.starts_with(&MAGIC) {
        return false;
    }
    let Ok(trail) = read(&file) else { return false };
    assert_eq!(compare(&trail, &KEYS), compare(&read(&GOOD).unwrap(), &KEYS));
    true
}

fn keys(text: &str) -> bool {
    let keys = match TrailKeys::parse(text) {
        Ok(keys) => keys,
        Err(TrailKeysError::Malformed { field, .. }) => {
            is_plain_name(&field);
            return false;
        }
        Err(error) => {
            says_nothing(&error);
            return false;
        }
    };
    let again = TrailKeys::parse(&format!("{text}\n# the end")).unwrap();
    assert_eq!(again.custodian(), keys.custodian());
    static TRAIL: LazyLock<Trail> = LazyLock::new(|| read(&file(&day())).unwrap());
    let report = compare(&TRAIL, &keys);
    assert_eq!(compare(&TRAIL, &again), report);
    assert!(report.is_clean() || report.records.ours > 0, "a difference is about a key");
    true
}

/// Against a log without orders.
fn compare(trail: &Trail, keys: &TrailKeys) -> Reconciliation {
    let log = OrderLog::empty(keys.custodian());
    let tolerance = Duration::from_secs(60);
    reconcile(&Evidence { trail, log: &log, keys, tolerance, period: Period::ALL }).unwrap()
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn keys_text() -> String {
    format!(
        r#"custodian = "{}"
principals = ["{ROLE}"]
administrators = ["{ROLE}-admin"]
sealing = ["{KEK}"]
scopes = ["store"]
contexts = ["{}"]
elsewhere = ["cold-1"]
[signing]
hot-1 = ["{HOT}"]
"#,
        "cc".repeat(32),
        "07".repeat(32),
    )
}

fn record(name: &str, arn: &str, number: u32, parameters: &Value) -> Value {
    json!({
        "userIdentity": {
            "arn": "arn:aws:sts::111122223333:assumed-role/custody/i-0",
            "sessionContext": { "sessionIssuer": { "arn": ROLE } },
        },
        "eventTime": format!("2026-03-01T12:00:{number:02}Z"),
        "eventSource": "kms.amazonaws.com",
        "eventName": name,
        "awsRegion": "eu-central-1",
        "requestParameters": parameters,
        "eventID": format!("event-{number}"),
        "resources": [{ "accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": arn }],
        "eventType": "AwsApiCall",
        "recipientAccountId": "111122223333",
    })
}

fn sign(number: u32) -> Value {
    let parameters =
        json!({ "keyId": HOT, "messageType": "DIGEST", "signingAlgorithm": "ECDSA_SHA_256" });
    record("Sign", HOT, number, &parameters)
}

fn decrypt(number: u32) -> Value {
    let context = json!({
        "custody:purpose": "custody/soft/v1",
        "custody:custodian": "cc".repeat(32),
        "custody:wallet": "store",
    });
    record("Decrypt", KEK, number, &json!({ "encryptionContext": context }))
}

fn day() -> Vec<Value> {
    let context = json!({
        "custody:purpose": "custody/other/v1", "custody:context": "07".repeat(32),
    });
    let contexts =
        json!({ "sourceEncryptionContext": context, "destinationEncryptionContext": context });
    let mut moved = record("ReEncrypt", KEK, 3, &contexts);
    moved["resources"] = json!([{ "ARN": KEK }, { "ARN": HOT }]);
    let mut failed = sign(4);
    failed["errorCode"] = json!("AccessDenied");
    failed["resources"] = Value::Null;
    let mut copy = sign(5);
    copy["sharedEventID"] = json!("shared");
    let mut other = copy.clone();
    other["eventID"] = json!("event-6");
    other["userIdentity"] = json!({ "accountId": "444455556666" });
    let mut rotated = record("RotateKey", KEK, 7, &Value::Null);
    rotated["eventType"] = json!("AwsServiceEvent");
    let mut service = sign(8);
    service["eventSource"] = json!("s3.amazonaws.com");
    vec![sign(1), decrypt(2), moved, failed, copy, other, rotated, service]
}

fn file(records: &[Value]) -> Vec<u8> {
    serde_json::to_vec(&json!({ "Records": records })).unwrap()
}

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let lines = |records: &[Value]| -> String {
        records.iter().map(|record| format!("{record}\n")).collect()
    };
    let mut spoiled: BTreeMap<&str, Value> = BTreeMap::new();
    for (name, field, value) in [
        ("no-time", "eventTime", json!(WORD)),
        ("no-name", "eventName", json!(WORD)),
        ("no-caller", "userIdentity", json!({})),
        ("no-key", "resources", json!([])),
        ("another-copy", "sharedEventID", json!("shared")),
    ] {
        let mut record = sign(9);
        record[field] = value;
        spoiled.insert(name, record);
    }
    for (part, first) in [(0, "records"), (1, "packed")] {
        let mut add = |name: &str, bytes: &[u8]| {
            seeds.push((format!("{first}-{name}"), chosen(part, bytes)));
        };
        add("file", &file(&day()));
        add("lines", lines(&day()).as_bytes());
        add("empty", &file(&[]));
        add("twice", &[file(&[sign(1)]), file(&[sign(1)])].concat());
        add("halved", lines(&[sign(1)]).split_at(99).0.as_bytes());
        add("word", WORD.as_bytes());
        let twice = sign(1).to_string().replacen('{', r#"{"eventName":"Verify","#, 1);
        add("field-twice", twice.as_bytes());
        for (name, record) in &spoiled {
            add(name, &file(&[day(), vec![record.clone()]].concat()));
        }
    }
    seeds.push(("records-packed".to_owned(), chosen(0, &pack(&file(&[sign(1)])))));
    seeds.push(("records-packed-halved".to_owned(), chosen(0, &pack(&file(&day()))[..99])));
    let mut add = |name: &str, changes: &[u8]| {
        seeds.push((format!("changed-{name}"), chosen(2, changes)));
    };
    add("not", &[]);
    for at in [0, 2, 3, 4, 8, 10, 40, 200] {
        add(&format!("flipped-{at}"), &flip(at, 2));
    }
    add("cut", &cut(60));
    for (name, from, to) in [
        ("whole", "", ""),
        ("unknown", "scopes", "s3cret-input"),
        ("no-names", "scopes =", "s3cret input ="),
        ("no-digest", "cc", WORD),
        ("key-twice", KEK, HOT),
        ("in-both", "cold-1", "hot-1"),
        ("both-roles", "custody-admin", "custody"),
        ("replica", HOT, "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234"),
    ] {
        let text = keys_text().replacen(from, to, 1);
        seeds.push((format!("keys-{name}"), chosen(3, text.as_bytes())));
    }
    seeds
}

static KEYS: LazyLock<TrailKeys> = LazyLock::new(|| TrailKeys::parse(&keys_text()).unwrap());
/// How a file of gzip begins (RFC 1952, section 2.3.1).
const MAGIC: [u8; 2] = [0x1f, 0x8b];
