//! CloudTrail against the custodian's log: what one side has and the other has not.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests, which fail by panicking"
)]

#[path = "cloud_trail/callers.rs"]
mod callers;
#[path = "cloud_trail/drawn.rs"]
mod drawn;
#[path = "cloud_trail/house.rs"]
mod house;
#[path = "cloud_trail/malformed.rs"]
mod malformed;
#[path = "cloud_trail/packed.rs"]
mod packed;
#[path = "cloud_trail/records.rs"]
mod records;
#[path = "cloud_trail/signatures.rs"]
mod signatures;
#[path = "cloud_trail/unlisted.rs"]
mod unlisted;

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
    ContextFault, CustodianMismatch, EventFault, Evidence, FieldFault, KeyPlace, OrderLog,
    OrderLogError, Period, Reason, Reconciliation, Trail, TrailError, TrailKeys, TrailKeysError,
    Unexplained, reconcile,
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
        contexts = ["{}"]
        elsewhere = ["sealed-1"]
        [signing]
        hot-1 = ["{HOT}"]
        warm-1 = ["{WARM}"]
        "#,
        house.custodian(),
        "07".repeat(32),
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

fn compare_by(house: &House, records: &Records, keys: &TrailKeys) -> Reconciliation {
    let (trail, log) = (trail(&records.file()), house.log());
    let tolerance = Duration::from_secs(60);
    let evidence = Evidence { trail: &trail, log: &log, keys, tolerance, period: Period::ALL };
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

/// A word that no error may repeat.
const WORD: &str = "s3cret-input";

/// Compares with a committed file.
fn assert_pinned(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cloud_trail").join(name);
    let pinned = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(pinned == text, "{name} is not as pinned, but:\n{text}");
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

#[cfg(feature = "cli")]
#[path = "cloud_trail/command.rs"]
mod command;
