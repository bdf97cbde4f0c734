//! Logs and head anchors that deny.

use std::sync::Arc;

use custody_core::custodian::Custodian;
use custody_testkit::audit::{AnchorCall, DenyingAnchor, DenyingLog, LogCall};

use crate::house::{House, Parts, pay, refusal, said};

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
