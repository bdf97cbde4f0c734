//! Callers, contexts, and what else a trail tells.

use super::*;

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
