//! What an order explains, and what is left over or missing.

use super::*;

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
fn a_key_is_told_by_its_resource_whether_or_not_its_type_is() {
    // As in the examples of `Encrypt` and `GenerateDataKey` in the developer guide of AWS KMS.
    let untyped = |arn: &str| json!({ "ARN": arn, "accountId": "111122223333" });
    let alias = "arn:aws:kms:eu-central-1:111122223333:alias/custody/kek";
    for (name, resources, is_ours) in [
        ("of the type", json!([resource(KEK)]), true),
        ("without one", json!([untyped(KEK)]), true),
        ("behind an alias", json!([untyped(alias), untyped(KEK)]), true),
        ("of another", json!([{ "type": "AWS::KMS::Alias", "ARN": KEK }]), true),
        ("not ours", json!([untyped(FOREIGN)]), false),
    ] {
        for operation in ["Encrypt", "GenerateDataKey", "Decrypt"] {
            let house = House::new();
            let mut record = decrypt(KEK, at(0), &context(&house, "cold"));
            record["eventName"] = json!(operation);
            record["requestParameters"]["keyId"] = json!("alias/custody/kek");
            record["resources"] = resources.clone();
            let mut records = Records::default();
            records.push(record);
            let report = compare(&house, &records);
            assert_eq!(report.records.ours, u64::from(is_ours), "{name}, {operation}");
            assert_eq!(report.contexts.len(), usize::from(is_ours), "{name}, {operation}");
        }
    }
    let mut records = Records::default();
    records.sign(HOT, at(0))["resources"] = json!([untyped(alias)]);
    records.all[0]["requestParameters"]["keyId"] = json!("alias/custody/hot-1");
    let missing = TrailError::Field { record: 1, field: "resources", fault: FieldFault::Missing };
    assert_eq!(Trail::default().read(&records.file()), Err(missing));
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
