//! Submissions that say they were signed, and were not, or not for this.

use custody_core::digest::Digest;
use custody_core::document::SubmissionDocument;
use custody_core::principal::submission_signing_digest;
use serde_json::{Value, json};

use crate::support::{Forgery, Insider, Story, assert_refused};

const WRONG: &str = "the submission's signature does not count";

#[test]
fn a_submission_that_its_requester_did_not_sign_is_refused() {
    assert_refused(&[
        Forgery {
            name: "signed, it says, by nobody",
            reason: WRONG,
            make: |story, log| {
                let index = log.find("order_submitted", &story.large.order);
                log.edit_body(index, |body| body["authentication"]["signed"] = json!(true));
                index
            },
        },
        Forgery {
            name: "the signature was taken away",
            reason: WRONG,
            make: |story, log| {
                signed(story, log, |body| {
                    body.as_object_mut().unwrap().remove("signature");
                })
            },
        },
        Forgery {
            name: "a signature that counts for nothing",
            reason: WRONG,
            make: |story, log| {
                signed(story, log, |body| body["authentication"]["signed"] = json!(false))
            },
        },
        Forgery {
            name: "another credential",
            reason: WRONG,
            make: |story, log| {
                signed(story, log, |body| body["signature"]["credential"] = json!("tom-1"))
            },
        },
        Forgery {
            name: "a signature of an approval",
            reason: WRONG,
            make: |story, log| {
                let other = log.find("order_closed", &story.cancelled.order);
                let other = log.body(other)["reason"]["cancelled"]["signature"].clone();
                signed(story, log, |body| body["signature"]["signature"] = other)
            },
        },
        Forgery {
            name: "a signature over another submission",
            reason: WRONG,
            make: |story, log| {
                let index = log.find("order_submitted", &story.signed.order);
                let digest = log.body(index)["submission"].clone();
                let mut submission = log.document(&json!({ "sha256": digest }));
                submission["request"] = json!("another");
                let other = log.add(&submission)["sha256"].clone();
                signed(story, log, |body| body["submission"] = other)
            },
        },
    ]);
}

#[test]
fn a_submission_that_was_signed_for_something_else_is_refused() {
    assert_refused(&[
        Forgery {
            name: "for another wallet",
            reason: WRONG,
            make: |story, log| sign_submission(story, log, "wallet", json!("hot-2")),
        },
        Forgery {
            name: "for another key",
            reason: WRONG,
            make: |story, log| sign_submission(story, log, "key", json!("hot-2-0")),
        },
        Forgery {
            name: "in another format",
            reason: WRONG,
            make: |story, log| sign_submission(story, log, "format", json!("opaque")),
        },
        Forgery {
            name: "until another time",
            reason: WRONG,
            make: |story, log| sign_submission(story, log, "expires", json!(1_767_225_612_000_u64)),
        },
    ]);
}

fn signed(story: &Story, log: &mut Insider, change: impl FnOnce(&mut Value)) -> u64 {
    let index = log.find("order_submitted", &story.signed.order);
    log.edit_body(index, change);
    index
}

/// The requester signs another submission than the one of her order.
fn sign_submission(story: &Story, log: &mut Insider, field: &str, value: Value) -> u64 {
    let index = log.find("order_submitted", &story.signed.order);
    let sha256 = log.body(index)["submission"].clone();
    let mut submission = log.document(&json!({ "sha256": sha256 }));
    submission[field] = value;
    let submission: SubmissionDocument = serde_json::from_value(submission).unwrap();
    let bytes = serde_json::to_vec(&submission).unwrap();
    let digest = Digest::of(&bytes);
    log.add_bytes(bytes);
    let signature = story.house.people.ann.sign(&submission_signing_digest(&log.genesis, &digest));
    log.edit_body(index, |body| {
        body["submission"] = json!(digest.to_string());
        body["signature"]["signature"] = json!(signature);
    });
    index
}
