//! Keys of the log that the file does not name: nothing can be said of what KMS signed with them.

use custody_core::command::Command;
use custody_core::effect::Action;
use custody_kms::cloud_trail::OtherKey;

use super::*;

const KMS: &str = "kms:111122223333:eu-central-1";
const OTHER_ACCOUNT: &str = "kms:444455556666:eu-central-1";

/// A custodian with a wallet in KMS, one in KMS of another account, and one in process.
fn house() -> House {
    let backends = [("aws", KMS), ("other", OTHER_ACCOUNT), ("soft", "soft:0011aabb")];
    let mut house = House::with_backends(&backends);
    for (wallet, backend) in [("hot", "aws"), ("far", "other"), ("cold", "soft")] {
        house.make_wallet_at(wallet, backend, at(0));
    }
    house
}

/// Compares with a file that says of these keys that they are not in KMS.
fn compare_listing(house: &House, records: &Records, elsewhere: &str) -> Reconciliation {
    let text = keys_text(house).replace("[\"sealed-1\"]", elsewhere);
    compare_by(house, records, &TrailKeys::parse(&text).unwrap())
}

fn found(keys: &[OtherKey]) -> Vec<(&str, KeyPlace, u64)> {
    keys.iter().map(|one| (one.key.as_str(), one.place, one.signatures)).collect()
}

#[test]
fn signatures_of_a_new_key_that_the_file_misses_are_never_clean() {
    let mut house = house();
    let mut records = Records::default();
    assert!(compare(&house, &records).is_clean());
    // Nobody asked for a signature of this key, and KMS made some.
    house.make_key("hot", "hot-2", at(10));
    for second in 20..30 {
        records.sign(FOREIGN, at(second));
    }
    let report = compare(&house, &records);
    assert_eq!(found(&report.unlisted), [("hot-2", KeyPlace::Kms, 0)]);
    assert_eq!(report.unlisted[0].wallet.as_ref().unwrap().as_str(), "hot");
    assert_eq!((report.records.other_keys, report.elsewhere.len()), (10, 0));
    assert!(!report.is_clean());
    // With orders it is no better.
    house.sign(at(20), at(21), &["hot-2"]);
    let report = compare(&house, &records);
    assert_eq!(found(&report.unlisted), [("hot-2", KeyPlace::Kms, 1)]);
    assert_eq!(report.signatures.elsewhere, 1);
    assert!(!report.is_clean());
    // Once it is listed, each of them is compared.
    let listed = keys_text(&house).replace("hot-1 =", &format!("hot-2 = [\"{FOREIGN}\"]\nhot-1 ="));
    let report = compare_by(&house, &records, &TrailKeys::parse(&listed).unwrap());
    assert!(report.unlisted.is_empty());
    assert_eq!((report.unexplained.len(), report.signatures.matched), (9, 1));
}

#[test]
fn where_a_key_is_says_the_log_and_then_the_file() {
    let (in_kms, none) = (KeyPlace::Kms, "[]");
    for (name, wallet, elsewhere, place, is_clean) in [
        ("in KMS", "hot", none, in_kms, false),
        ("in KMS, and the file says no", "hot", "[\"key\"]", in_kms, false),
        ("in another account", "far", none, in_kms, false),
        ("in another account, and listed", "far", "[\"key\"]", KeyPlace::Elsewhere, true),
        ("in process", "cold", none, KeyPlace::OtherBackend, true),
        ("in process, and listed", "cold", "[\"key\"]", KeyPlace::Elsewhere, true),
        ("in a wallet that nobody made", "lost", none, KeyPlace::Unknown, false),
        ("in such a wallet, and listed", "lost", "[\"key\"]", KeyPlace::Elsewhere, true),
    ] {
        let mut house = house();
        house.end_in(wallet, "key", at(0), signed());
        let report = compare_listing(&house, &Records::default(), elsewhere);
        assert_eq!(report.is_clean(), is_clean, "{name}: {report}");
        let (named, other) = if is_clean {
            (&report.elsewhere, &report.unlisted)
        } else {
            (&report.unlisted, &report.elsewhere)
        };
        assert_eq!(found(named), [("key", place, 1)], "{name}");
        assert!(other.is_empty(), "{name}");
        assert_eq!(report.signatures.elsewhere, 1, "{name}");
        assert!(report.to_string().contains("key key  wallet "), "{name}: {report}");
    }
}

#[test]
fn an_order_that_ended_without_a_signature_names_its_key_too() {
    for (outcome, signatures) in [(failed(), 0), (unknown(), 0), (signed(), 1)] {
        let mut house = house();
        house.end_in("lost", "key", at(0), outcome);
        let report = compare_listing(&house, &Records::default(), "[]");
        assert_eq!(found(&report.unlisted), [("key", KeyPlace::Unknown, signatures)]);
    }
}

#[test]
fn a_backend_that_an_order_registered_is_known() {
    for (identity, is_clean) in [(KMS, false), ("soft:0011aabb", true)] {
        let mut house = House::new();
        house.end_in("hot", "key", at(0), signed());
        let before = compare_listing(&house, &Records::default(), "[]");
        assert_eq!(found(&before.unlisted), [("key", KeyPlace::Unknown, 1)]);
        let command: Command = serde_json::from_value(json!({ "register_backend": {
            "backend": "aws", "identity": identity,
        }}))
        .unwrap();
        house.execute(at(0), &command, None);
        let report = compare_listing(&house, &Records::default(), "[]");
        assert_eq!(report.is_clean(), is_clean, "{identity}");
    }
}

#[test]
fn a_key_that_is_neither_in_kms_nor_signs_is_not_named() {
    let mut house = house();
    house.make_key("cold", "cold-1", at(0));
    let report = compare(&house, &Records::default());
    assert!(report.is_clean() && report.elsewhere.is_empty(), "{report}");
}

#[test]
fn a_command_that_is_missing_or_another_is_refused() {
    let register = json!({ "register_backend": { "backend": "aws", "identity": KMS } });
    let register: Command = serde_json::from_value(register).unwrap();
    for (action, fault) in [
        (Action::RegisterBackend, None),
        (Action::CreateKey, Some(EventFault::Other)),
        (Action::ResolveOrder, Some(EventFault::Other)),
    ] {
        let mut house = house();
        house.execute_as(at(0), action, &register, None);
        let found = house.read().err();
        let index = u64::try_from(house.events.len()).unwrap() - 1;
        let expected = fault.map(|source| OrderLogError::Event { index, source });
        assert_eq!(found, expected, "{action:?}");
        house.documents.retain(|_, bytes| !bytes.starts_with(b"{\"register_backend"));
        let expected = OrderLogError::Event { index, source: EventFault::Missing };
        assert_eq!(house.read().unwrap_err(), expected, "{action:?}");
    }
}

#[test]
fn what_the_trail_shows_of_an_account_is_not_elsewhere() {
    let mut house = house();
    house.make_key("far", "key", at(10));
    let report = compare_listing(&house, &Records::default(), "[\"key\"]");
    assert!(report.is_clean(), "nothing of that account is told: {report}");
    let mut records = Records::default();
    let there = "arn:aws:kms:eu-central-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    records.sign(there, at(20));
    let report = compare_listing(&house, &records, "[\"key\"]");
    assert_eq!(found(&report.unlisted), [("key", KeyPlace::Kms, 0)]);
    assert!(!report.is_clean());
}
