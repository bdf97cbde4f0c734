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
fn other_contexts_are_those_that_are_listed_and_no_others() {
    let house = House::new();
    let text = keys_text(&house);
    let mut records = Records::default();
    records.push(decrypt(KEK, at(0), &other_context()));
    let listed = format!("[\"{}\"]", "07".repeat(32));
    for (digests, is_clean) in [
        (listed.clone(), true),
        (listed.replace("07", "08"), false),
        (format!("[\"{}\", {}", "08".repeat(32), listed.split_at(1).1), true),
        // None are listed: none are known.
        ("[]".to_owned(), false),
    ] {
        let text = text.replace(&listed, &digests);
        let (trail, log, keys) =
            (trail(&records.file()), house.log(), TrailKeys::parse(&text).unwrap());
        let tolerance = Duration::ZERO;
        let evidence =
            Evidence { trail: &trail, log: &log, keys: &keys, tolerance, period: Period::ALL };
        let report = reconcile(&evidence).unwrap();
        assert_eq!(report.is_clean(), is_clean, "{digests}");
        let found = report.contexts.first().map(|one| one.fault);
        assert_eq!(found, (!is_clean).then_some(ContextFault::UnknownContext), "{digests}");
        let told = report.contexts.first().and_then(|one| one.context);
        assert_eq!(told.is_some(), !is_clean, "{digests}");
        assert_eq!(report.to_string().contains(&"07".repeat(32)), !is_clean, "{digests}");
    }
    let unlisted = text.replace("contexts", "# contexts");
    let keys = TrailKeys::parse(&unlisted).unwrap();
    let report = compare_by(&house, &records, &keys);
    assert_eq!(report.contexts[0].fault, ContextFault::UnknownContext);
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
fn copies_of_a_call_that_differ_are_refused() {
    let mut one = sign(HOT, at(0));
    one["sharedEventID"] = json!("bed75623-31d1-4dcb-b0a0-c9d5f4a4c2e5");
    for (field, value) in [
        ("eventTime", json!("2026-03-01T12:00:01Z")),
        ("eventName", json!("Verify")),
        ("errorCode", json!("AccessDenied")),
        ("eventType", json!("AwsServiceEvent")),
        ("resources", json!([resource(WARM)])),
        ("resources", json!([resource(HOT), resource(WARM)])),
    ] {
        for is_named in [true, false] {
            let mut other = one.clone();
            other["eventID"] = json!("another");
            other[field] = value.clone();
            if !is_named {
                other = by(other, json!({ "type": "AWSAccount", "accountId": "444455556666" }));
            }
            for all in [vec![one.clone(), other.clone()], vec![other, one.clone()]] {
                let error = Trail::default().read(&Records { all }.file()).unwrap_err();
                assert_eq!(error, TrailError::Contradiction { record: 2, earlier: 1 }, "{field}");
            }
        }
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
fn what_a_replica_of_a_key_signs_is_another_use() {
    let mut house = House::new();
    house.sign(at(0), at(1), &["hot-1"]);
    let several = KEK.replace("mrk-1234", "mrk-5678");
    let replica = several.replace("eu-central-1", "us-east-1");
    let text = keys_text(&house).replace(HOT, &several);
    let keys = TrailKeys::parse(&text).unwrap();
    let mut records = Records::default();
    records.sign(&several, at(0));
    // It is ours all the same: the custodian may look at it.
    records.push(call("DescribeKey", &replica, at(0), Value::Null));
    let report = compare_by(&house, &records, &keys);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.records.ours, 2);
    let mut records = Records::default();
    records.sign(&replica, at(0));
    let report = compare_by(&house, &records, &keys);
    assert_eq!((report.unexplained.len(), report.missing.len()), (1, 1));
    let Unexplained { reason, arn, key, .. } = &report.unexplained[0];
    assert_eq!((*reason, arn.as_str()), (Reason::OtherUse, replica.as_str()));
    assert_eq!(key.as_ref().unwrap().as_str(), "hot-1");
    // Two homes are none.
    let both = text.replace(&several, &format!("{several}\", \"{replica}"));
    let error = TrailKeys::parse(&both).unwrap_err();
    assert_eq!(error, TrailKeysError::Twice { field: "signing" });
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

#[test]
fn what_is_of_no_wallet_names_the_house_of_the_keys() {
    let house = House::new();
    let mut of_one = other_context();
    of_one["custody:house"] = json!("one");
    let mut wallet = context(&house, "hot");
    wallet["custody:house"] = json!("one");
    for (name, context, expected) in [
        (None, other_context(), None),
        (None, of_one.clone(), Some(ContextFault::OtherHouse)),
        (Some("one"), of_one.clone(), None),
        (Some("one"), other_context(), Some(ContextFault::OtherHouse)),
        (Some("two"), of_one, Some(ContextFault::OtherHouse)),
        (Some("one"), context(&house, "hot"), None),
        (Some("one"), wallet, Some(ContextFault::Incomplete)),
    ] {
        let named = name.map(|name| format!("house = \"{name}\"\n")).unwrap_or_default();
        let keys = TrailKeys::parse(&format!("{named}{}", keys_text(&house))).unwrap();
        let mut records = Records::default();
        records.push(decrypt(KEK, at(0), &context));
        let (trail, log) = (trail(&records.file()), house.log());
        let tolerance = Duration::ZERO;
        let evidence =
            Evidence { trail: &trail, log: &log, keys: &keys, tolerance, period: Period::ALL };
        let report = reconcile(&evidence).unwrap();
        let found = report.contexts.first().map(|one| one.fault);
        assert_eq!(found, expected, "{name:?}, {context}");
    }
}
