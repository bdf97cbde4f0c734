//! Which log, and whose key.

use std::sync::Arc;

use custody_audit::note::{KeyName, VerifierKey};
use custody_core::digest::Digest;
use custody_core::id::CustodianId;

use crate::support::{ETHER, House, Insider, Verifier, released, verifier_key};

const NEITHER: &str = "the key that you trust is neither the key in force nor the genesis key";

#[test]
fn a_log_of_another_custodian_is_refused_at_its_first_entry() {
    let house = House::new(10_000);
    let log = house.export("log");
    let other = CustodianId::new(Digest::of(b"another"));
    let answer = Verifier::new(&log, &other, &house.verifier_key(0)).run();
    answer.assert_failed_at(0, "not the genesis event of this custodian");
    assert_eq!(answer.line("genesis"), "");
}

#[test]
fn a_log_under_another_key_is_refused() {
    let house = House::new(10_000);
    let log = house.export("log");
    let answer = Verifier::new(&log, &house.custodian.id(), &house.verifier_key(1)).run();
    answer.assert_failed(NEITHER);
}

#[test]
fn a_log_under_another_name_is_refused() {
    let house = House::new(10_000);
    let log = house.export("log");
    let name = KeyName::parse("custody.example/other").unwrap();
    let key = VerifierKey::new(name, house.log_keys[0].public_key().clone()).unwrap();
    let answer = Verifier::new(&log, &house.custodian.id(), &key).run();
    answer.assert_failed("the log is not what its checkpoint says");
}

#[test]
fn a_log_signed_by_somebody_else_is_refused_though_its_entries_are_right() {
    let house = House::new(10_000);
    let mut log = Insider::new(&house);
    log.signer = Arc::clone(&house.log_keys[1]);
    log.verify().assert_failed("the log is not what its checkpoint says");
    log.key = verifier_key(log.signer.public_key());
    log.verify().assert_failed("the log is not what its checkpoint says");
}

#[test]
fn an_empty_log_is_refused() {
    let house = House::new(10_000);
    let mut log = Insider::new(&house);
    log.events.clear();
    log.verify().assert_failed("the log is empty");
}

#[test]
fn changes_of_the_log_key_are_followed() {
    let house = rotated_house();
    let log = house.export("log");
    let id = house.custodian.id();
    let answer = Verifier::new(&log, &id, &house.verifier_key(2)).run();
    answer.assert_verified();
    assert!(answer.line("key").ends_with("signed, 2 rotations, you trust it"), "{answer:?}");
    let answer = Verifier::new(&log, &id, &house.verifier_key(0)).run();
    answer.assert_verified();
    let trusted = "signed, 2 rotations, you trust the genesis key";
    assert!(answer.line("key").ends_with(trusted), "{answer:?}");
    assert!(answer.line("key").contains(&house.verifier_key(2).to_string()), "{answer:?}");
}

#[test]
fn a_key_that_was_in_force_between_is_not_trusted() {
    let house = rotated_house();
    let log = house.export("log");
    let answer = Verifier::new(&log, &house.custodian.id(), &house.verifier_key(1)).run();
    answer.assert_failed(NEITHER);
}

#[test]
fn a_key_that_was_replaced_cannot_sign_the_log_any_more() {
    let house = rotated_house();
    let mut log = Insider::new(&house);
    for (old, code) in [(0, 1), (1, 1), (2, 0)] {
        log.signer = Arc::clone(&house.log_keys[old]);
        for trusted in [0, 2] {
            log.key = house.verifier_key(trusted);
            assert_eq!(log.verify().code, code, "signed by {old}, trusted {trusted}");
        }
    }
}

#[test]
fn a_new_key_cannot_sign_what_came_before_it() {
    let house = rotated_house();
    let mut log = Insider::new(&house);
    let rotation = log.first("order_submitted");
    // Everything up to the first rotation.
    log.events.truncate(rotation as usize + 2);
    log.key = house.verifier_key(0);
    log.verify().assert_verified();
    log.signer = Arc::clone(&house.log_keys[1]);
    log.verify().assert_failed("the log is not what its checkpoint says");
}

#[test]
fn checkpoints_and_receipts_from_before_a_change_count_under_the_old_key() {
    let house = House::new(10_000);
    house.wallet("hot-1");
    house.know_payee();
    let release = house.transfer("hot-1", ETHER / 2);
    let receipt = house.file("receipt", &released(&release).receipt.proof);
    let checkpoint = house.file("checkpoint", &house.checkpoint());
    house.rotate(0, 1);
    let log = house.export("log");
    let verifier = Verifier::new(&log, &house.custodian.id(), &house.verifier_key(1))
        .with("--checkpoint", &checkpoint)
        .with("--receipt", &receipt);
    verifier.run().assert_verified();
}

#[test]
fn a_checkpoint_from_before_a_change_does_not_count_under_the_new_key() {
    let house = House::new(10_000);
    house.rotate(0, 1);
    let mut past = Insider::new(&house);
    past.events.truncate(1);
    past.signer = Arc::clone(&house.log_keys[1]);
    let folder = house.folder.path().join("past");
    past.write(&folder);
    let log = house.export("log");
    let answer = Verifier::new(&log, &house.custodian.id(), &house.verifier_key(1))
        .with("--checkpoint", folder.join("checkpoint"))
        .run();
    answer.assert_failed("the checkpoint that you kept is not of this log");
}

fn rotated_house() -> House {
    let house = House::new(10_000);
    house.rotate(0, 1);
    house.wallet("hot-1");
    house.rotate(1, 2);
    house.know_payee();
    house
}
