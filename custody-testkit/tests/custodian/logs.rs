//! Logs and head anchors that deny.

use std::sync::Arc;
use std::time::Duration;

use custody_core::command::Command;
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::custodian::{Custodian, Outcome};
use custody_core::principal::rotation_signing_digest;
use custody_testkit::audit::{AnchorCall, DenyingAnchor, DenyingLog, LogCall, MemoryLog};
use custody_testkit::key::TestKey;

use crate::house::{House, Parts, approve, furnish, govern, pay, refusal, ruled, said};

fn log(house: &House) -> (Parts, Arc<DenyingLog>) {
    let log = Arc::new(DenyingLog::new(Arc::new(house.log.clone())));
    (Parts { log: Arc::<DenyingLog>::clone(&log), ..house.parts() }, log)
}

fn anchor(house: &House) -> (Parts, Arc<DenyingAnchor>) {
    let anchor = Arc::new(DenyingAnchor::new(Arc::new(house.anchor.clone())));
    (Parts { anchor: Arc::<DenyingAnchor>::clone(&anchor), ..house.parts() }, anchor)
}

/// A custodian with a key, over a log that allows as yet, and that log.
async fn over_log(house: &House) -> (Custodian, Arc<DenyingLog>) {
    let (parts, log) = log(house);
    log.denial().allow();
    (house.furnished(parts).await, log)
}

#[test]
fn over_a_log_that_denies_no_custodian_begins_or_goes_on() {
    let house = House::new();
    house.run(async {
        let id = house.closed().await;
        for call in [LogCall::Head, LogCall::Includes, LogCall::Seal] {
            let (parts, log) = log(&house);
            log.denial().deny_only(&[call]);
            let opened = house.builder(parts).open(id).await;
            assert_eq!(refusal(opened), "log Refused", "{call:?}");
            assert_eq!(log.denial().denied(), [call]);
        }
        house.assert_unused();
    });
    let house = House::new();
    house.run(async {
        let (parts, log) = log(&house);
        assert_eq!(refusal(house.create(parts).await), "log Refused");
        assert_eq!((log.denial().denied(), house.log.seals()), (vec![LogCall::Head], 0));
    });
}

#[test]
fn a_log_that_denies_to_seal_lets_no_key_be_used() {
    let house = House::new();
    house.run(async {
        let (custodian, log) = over_log(&house).await;
        log.denial().deny_only(&[LogCall::Seal]);
        for _ in 0..2 {
            assert_eq!(said(&pay(&custodian, "once").await), "unavailable, ask later");
        }
        assert!(log.denial().denied().len() >= 2);
        house.assert_unused();
        log.denial().allow();
        assert_eq!(said(&pay(&custodian, "once").await), "released");
        assert_eq!((house.keys.sign_calls(), house.signed()), (1, 1));
    });
}

#[test]
fn a_log_that_denies_receipts_hands_out_nothing_of_what_was_signed() {
    let house = House::new();
    house.run(async {
        let (custodian, log) = over_log(&house).await;
        log.denial().deny_only(&[LogCall::Receipt]);
        for _ in 0..2 {
            assert_eq!(said(&pay(&custodian, "once").await), "unavailable, ask later");
        }
        assert_eq!(log.denial().denied(), [LogCall::Receipt; 2]);
        assert_eq!((house.keys.sign_calls(), house.signed()), (1, 1));
        log.denial().allow();
        assert_eq!(said(&pay(&custodian, "once").await), "released");
        assert_eq!(house.keys.sign_calls(), 1);
    });
}

#[test]
fn over_an_anchor_that_denies_no_custodian_begins_or_goes_on() {
    let house = House::new();
    house.run(async {
        let (parts, anchor) = anchor(&house);
        assert_eq!(refusal(house.create(parts).await), "anchor Refused");
        assert_eq!(anchor.denial().denied(), [AnchorCall::Load]);
    });
    let house = House::new();
    house.run(async {
        let (parts, anchor) = anchor(&house);
        anchor.denial().deny_only(&[AnchorCall::Advance]);
        assert_eq!(refusal(house.create(parts).await), "anchor Refused");
        assert_eq!(anchor.denial().denied(), [AnchorCall::Advance]);
    });
}

#[test]
fn an_anchor_that_denies_to_advance_lets_no_key_be_used() {
    let house = House::new();
    house.run(async {
        let (parts, anchor) = anchor(&house);
        anchor.denial().allow();
        let custodian = house.furnished(parts).await;
        anchor.denial().deny_all();
        for _ in 0..2 {
            assert_eq!(said(&pay(&custodian, "once").await), "unavailable, ask later");
        }
        house.assert_unused();
        anchor.denial().allow();
        assert_eq!(said(&pay(&custodian, "once").await), "released");
        assert_eq!((house.keys.sign_calls(), house.signed()), (1, 1));
    });
}

/// A rotation that was submitted to a process whose log had the new key is allowed in one whose log
/// has it or has not, by an approval or by time.
#[test]
fn the_log_key_is_rotated_only_to_one_that_the_log_has_when_that_is_allowed() {
    const RULES: &str = "allow create_wallet\nallow create_key\nallow update_policy\n\
                         allow transfer\n";
    let keys = [99, 98].map(|seed| TestKey::seeded(Algorithm::Ed25519, seed));
    for (rule, is_approved) in [
        ("need treasurer 1 rotate_log_key", true),
        ("allow rotate_log_key\nwait 60 rotate_log_key", false),
    ] {
        for (left, expected) in [(1, "failed Conflict"), (2, "released")] {
            let house = House::new();
            house.run(async {
                let over = |count: usize| {
                    let log = MemoryLog::new(Arc::new(house.store.clone()), keys[..count].to_vec());
                    house.builder(Parts { log: Arc::new(log), ..house.parts() })
                };
                let genesis = ruled(&format!("{RULES}{rule}"));
                let custodian = over(2).create(genesis).await.unwrap();
                let id = custodian.id();
                furnish(&custodian).await;
                let waits = govern(&custodian, "rotate", rotation(&custodian, &keys)).await;
                let waits = waits.unwrap();
                assert!(matches!(waits.outcome, Outcome::Pending { .. }), "{waits:?}");
                custodian.close().await.unwrap();
                let custodian = over(left).open(id).await.unwrap();
                let rotated = match is_approved {
                    true => approve(&custodian, &waits).await,
                    false => {
                        house.pass(Duration::from_secs(61)).await;
                        custodian.judge_again(&waits.order).await
                    }
                };
                assert_eq!(said(&rotated), expected, "{rule}");
                assert_eq!(said(&pay(&custodian, "after").await), "released", "{rule}: {left}");
                house.replays(&custodian).await;
                custodian.close().await.unwrap();
                let custodian = over(left).open(id).await.unwrap();
                assert_eq!(said(&pay(&custodian, "opened").await), "released", "{rule}: {left}");
            });
        }
    }
}

/// The rotation from the first of two keys to the second, signed by both.
fn rotation(custodian: &Custodian, [old, next]: &[TestKey; 2]) -> Command {
    let digest = rotation_signing_digest(&custodian.id(), old.public_key(), next.public_key());
    let sign = |key: &TestKey| key.sign(SignInput::Message(digest.as_bytes())).unwrap();
    let (old_signature, new_signature) = (sign(old), sign(next));
    Command::RotateLogKey { next: next.public_key().clone(), old_signature, new_signature }
}
