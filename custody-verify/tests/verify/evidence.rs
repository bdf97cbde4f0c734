//! What the user kept: checkpoints and receipts.

use std::fs;
use std::path::Path;

use crate::support::{Answer, ETHER, House, Insider, Story, Verifier, released};

#[test]
fn an_older_checkpoint_of_the_log_is_its_beginning() {
    let story = Story::new();
    let kept = story.house.file("kept", &story.older);
    let answer = verify_with(&story.house, "--checkpoint", &kept);
    answer.assert_verified();
    let complete = "completeness: nothing is missing from the 26 entries that your checkpoint";
    assert!(answer.line("completeness").starts_with(complete), "{answer:?}");
}

#[test]
fn the_checkpoint_of_the_log_itself_is_of_the_log() {
    let house = House::new(10_000);
    let kept = house.file("kept", &house.checkpoint());
    verify_with(&house, "--checkpoint", &kept).assert_verified();
}

#[test]
fn a_newer_checkpoint_shows_that_entries_are_missing() {
    let house = House::new(10_000);
    let log = house.export("log");
    house.wallet("hot-1");
    let kept = house.file("kept", &house.checkpoint());
    let answer = verifier(&house, &log).with("--checkpoint", &kept).run();
    answer.assert_failed("the log ends at 1 entries, the checkpoint that you kept covers 8");
}

#[test]
fn a_log_that_was_written_anew_contradicts_a_checkpoint_from_before() {
    let story = Story::new();
    let kept = story.house.file("kept", &story.older);
    let mut log = story.insider();
    // The same event in other bytes: nothing but the tree can tell.
    log.respell(3);
    log.verify().assert_verified();
    let answer = log.verify_with(|verifier| verifier.with("--checkpoint", &kept));
    answer.assert_failed("another root was signed for size 26");
}

#[test]
fn a_log_that_was_cut_off_is_right_in_itself_and_says_that_completeness_was_not_checked() {
    let story = Story::new();
    let mut log = story.insider();
    log.events.truncate(20);
    let answer = log.verify();
    answer.assert_verified();
    let unchecked = "completeness: not checked beyond the 20 entries seen";
    assert!(answer.line("completeness").starts_with(unchecked), "{answer:?}");
    let kept = story.house.file("kept", &story.older);
    let answer = log.verify_with(|verifier| verifier.with("--checkpoint", &kept));
    answer.assert_failed("the log ends at 20 entries, the checkpoint that you kept covers 26");
}

#[test]
fn a_checkpoint_of_another_log_is_refused() {
    let (house, other) = (House::new(10_000), House::new(10_000));
    other.wallet("hot-1");
    house.wallet("hot-2");
    let kept = house.file("kept", &other.checkpoint());
    let answer = verify_with(&house, "--checkpoint", &kept);
    answer.assert_failed("the checkpoint that you kept is not of this log");
}

#[test]
fn no_flipped_byte_of_a_kept_checkpoint_is_believed() {
    let house = House::new(10_000);
    let log = house.export("log");
    let good = house.checkpoint().into_bytes();
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 1;
        let kept = house.folder.path().join("kept");
        fs::write(&kept, bad).unwrap();
        let answer = verifier(&house, &log).with("--checkpoint", &kept).run();
        assert_eq!(answer.code, 1, "byte {place}: {answer:?}");
    }
}

#[test]
fn receipts_hold_and_their_entries_are_in_the_log() {
    let story = Story::new();
    let mut verifier = verifier(&story.house, &story.house.export("log"));
    for (number, order) in [&story.small, &story.signed, &story.large].into_iter().enumerate() {
        let receipt = &released(order).receipt.proof;
        let kept = story.house.file(&format!("receipt-{number}"), receipt);
        verifier = verifier.with("--receipt", &kept);
    }
    let answer = verifier.run();
    answer.assert_verified();
    assert_eq!(answer.line("receipts"), "receipts: 3 hold, 0 of them beyond the end of this log");
}

#[test]
fn a_receipt_beyond_the_log_is_checked_under_its_key() {
    let house = paying_house();
    let log = house.export("log");
    let receipt = released(&house.transfer("hot-1", ETHER / 2)).receipt.proof.clone();
    let kept = house.file("receipt", &receipt);
    let answer = verifier(&house, &log).with("--receipt", &kept).run();
    answer.assert_verified();
    assert_eq!(answer.line("receipts"), "receipts: 1 hold, 1 of them beyond the end of this log");
    let forged = receipt.replacen("extra ", "extra AA", 1);
    let kept = house.file("forged", &forged);
    assert_eq!(verifier(&house, &log).with("--receipt", &kept).run().code, 1);
}

#[test]
fn no_flipped_byte_of_a_receipt_is_believed() {
    let house = paying_house();
    let release = house.transfer("hot-1", ETHER / 2);
    let log = house.export("log");
    let good = released(&release).receipt.proof.clone().into_bytes();
    let kept = house.folder.path().join("receipt");
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 1;
        fs::write(&kept, bad).unwrap();
        let run = verifier(&house, &log).flag("--no-replay").with("--receipt", &kept).run();
        assert_eq!(run.code, 1, "byte {place}: {run:?}");
    }
}

#[test]
fn a_receipt_of_a_log_that_was_written_anew_is_refused() {
    let story = Story::new();
    let kept = story.house.file("receipt", &released(&story.small).receipt.proof);
    let mut log = story.insider();
    log.respell(log.find("order_concluded", &story.small.order));
    log.verify().assert_verified();
    let answer = log.verify_with(|verifier| verifier.with("--receipt", &kept));
    let index = log.find("order_concluded", &story.small.order);
    answer.assert_failed_at(index, "proves another entry");
    // Another entry was changed: the receipt's own is there, its tree is not.
    let mut log = story.insider();
    log.respell(3);
    let answer = log.verify_with(|verifier| verifier.with("--receipt", &kept));
    answer.assert_failed("another root was signed for size");
}

#[test]
fn a_receipt_with_a_newer_head_still_binds_the_entry_it_proves() {
    let house = paying_house();
    let release = house.transfer("hot-1", ETHER / 2);
    let mut log = Insider::new(&house);
    released(&house.transfer("hot-1", ETHER / 4));
    // Asked for again, the receipt is under the newest head.
    let again = house.again(&release);
    let kept = house.file("receipt", &released(&again).receipt.proof);
    log.verify_with(|verifier| verifier.with("--receipt", &kept)).assert_verified();
    let index = log.find("order_concluded", &release.order);
    log.respell(index);
    let answer = log.verify_with(|verifier| verifier.with("--receipt", &kept));
    answer.assert_failed_at(index, "proves another entry");
}

/// Whoever has the log's key changed an entry, cut the log below the receipt's head and signed it.
#[test]
fn a_receipt_with_a_newer_head_contradicts_a_log_in_which_any_entry_below_its_own_was_changed() {
    let house = paying_house();
    let release = house.transfer("hot-1", ETHER / 2);
    let honest = Insider::new(&house);
    released(&house.transfer("hot-1", ETHER / 4));
    let again = house.again(&release);
    let kept = house.file("receipt", &released(&again).receipt.proof);
    let own = honest.find("order_concluded", &release.order);
    for changed in [1, own / 2, own - 1] {
        let mut log = honest.clone();
        log.respell(changed);
        log.verify().assert_verified();
        let answer = log.verify_with(|verifier| verifier.with("--receipt", &kept));
        answer.assert_failed("had other entries from");
        answer.assert_failed(kept.to_str().unwrap());
    }
}

/// The hashes of its proof that end within the log are held against it, without its entry.
#[test]
fn a_receipt_beyond_a_log_that_was_cut_contradicts_what_was_changed_before_the_cut() {
    let house = paying_house();
    let release = house.transfer("hot-1", ETHER / 2);
    let kept = house.file("receipt", &released(&release).receipt.proof);
    let mut log = Insider::new(&house);
    let own = log.find("order_concluded", &release.order);
    log.events.truncate(own as usize);
    let with_receipt =
        |log: &Insider| log.verify_with(|verifier| verifier.with("--receipt", &kept));
    let answer = with_receipt(&log);
    answer.assert_verified();
    assert_eq!(answer.line("receipts"), "receipts: 1 hold, 1 of them beyond the end of this log");
    log.respell(1);
    log.verify().assert_verified();
    with_receipt(&log).assert_failed("had other entries from 0 on");
}

#[test]
fn one_bad_receipt_among_good_ones_is_named() {
    let story = Story::new();
    let good = story.house.file("good", &released(&story.small).receipt.proof);
    let bad = released(&story.large).receipt.proof.replacen("index 3", "index 2", 1);
    let bad = story.house.file("bad", &bad);
    let answer = verifier(&story.house, &story.house.export("log"))
        .with("--receipt", &good)
        .with("--receipt", &bad)
        .run();
    answer.assert_failed(bad.to_str().unwrap());
}

fn paying_house() -> House {
    let house = House::new(10_000);
    house.wallet("hot-1");
    house.know_payee();
    house
}

fn verifier(house: &House, log: &Path) -> Verifier {
    Verifier::new(log, &house.custodian.id(), &house.verifier_key(0))
}

fn verify_with(house: &House, name: &str, file: &Path) -> Answer {
    verifier(house, &house.export("log")).with(name, file).run()
}
