//! What a log key alone must not be able to write, and the replay does not refuse yet.

use custody_core::command::{Command, FreezeScope};
use custody_core::digest::Digest;
use custody_core::document::SubmissionDocument;
use custody_core::principal::submission_signing_digest;
use serde_json::{Value, json};

use crate::support::{Forgery, Insider, Story, assert_refused};

#[test]
fn a_submission_that_was_signed_for_something_else_is_refused() {
    assert_refused(&[
        Forgery {
            name: "for another wallet",
            reason: "",
            make: |story, log| sign_submission(story, log, "wallet", json!("hot-2")),
        },
        Forgery {
            name: "for another key",
            reason: "",
            make: |story, log| sign_submission(story, log, "key", json!("hot-2-0")),
        },
        Forgery {
            name: "in another format",
            reason: "",
            make: |story, log| sign_submission(story, log, "format", json!("opaque")),
        },
        Forgery {
            name: "until another time",
            reason: "",
            make: |story, log| sign_submission(story, log, "expires", json!(1_767_225_612_000_u64)),
        },
    ]);
}

#[test]
fn a_release_after_the_house_was_frozen_is_refused() {
    assert_refused(&[Forgery {
        name: "frozen between decision and release",
        reason: "",
        make: |story, log| {
            let at = log.find("order_concluded", &story.late_small.order);
            freeze_before(story, log, at)
        },
    }]);
}

#[test]
fn an_account_that_its_key_does_not_control_is_refused() {
    assert_refused(&[Forgery {
        name: "the address of somebody else",
        reason: "",
        make: |_, log| {
            let thief = format!("eip155:1:0x{}", "ee".repeat(20));
            log.edit_body(7, |body| {
                body["outcome"]["executed"]["result"]["key"]["account"] = json!(thief);
            });
            7
        },
    }]);
}

#[test]
fn a_failure_that_gives_limits_back_although_a_key_may_have_signed_is_refused() {
    assert_refused(&[
        Forgery {
            name: "the backend may have signed",
            reason: "",
            make: |story, log| fail(story, log, "backend_indeterminate"),
        },
        Forgery {
            name: "the backend answered with a wrong signature",
            reason: "",
            make: |story, log| fail(story, log, "bad_signature"),
        },
        Forgery {
            name: "the backend did not answer in time",
            reason: "",
            make: |story, log| fail(story, log, "timed_out"),
        },
        Forgery {
            name: "the process stopped",
            reason: "",
            make: |story, log| fail(story, log, "interrupted"),
        },
    ]);
}

#[test]
fn an_order_with_times_that_the_custodian_never_gives_is_refused() {
    assert_refused(&[
        Forgery {
            name: "submitted years before its event, so that it is old enough for every rule",
            reason: "",
            make: |story, log| {
                log.edit_order(&story.late.order, |order| order["submitted"] = json!(1))
            },
        },
        Forgery {
            name: "expires in a hundred years",
            reason: "",
            make: |story, log| {
                log.edit_order(&story.late.order, |order| {
                    order["expires"] = json!(4_900_000_000_000_u64);
                })
            },
        },
    ]);
}

#[test]
fn a_reference_with_another_size_is_refused() {
    assert_refused(&[
        Forgery {
            name: "of signatures",
            reason: "",
            make: |story, log| {
                let index = log.find("order_concluded", &story.small.order);
                log.edit_body(index, |body| {
                    body["outcome"]["signed"]["signatures"]["size"] = json!(1);
                });
                index
            },
        },
        Forgery {
            name: "of a decode context",
            reason: "",
            make: |story, log| {
                log.edit_order(&story.late.order, |order| {
                    order["work"]["payload"]["context"]["size"] = json!(1);
                })
            },
        },
        Forgery {
            name: "of a snapshot",
            reason: "",
            make: |_, log| {
                let index = log.first("snapshot");
                log.edit_body(index, |body| body["size"] = json!(1));
                index
            },
        },
    ]);
}

#[test]
fn an_order_under_the_id_of_an_ended_one_is_refused() {
    assert_refused(&[Forgery {
        name: "another request under an old id",
        reason: "",
        make: |story, log| {
            let first = log.find("order_submitted", &story.small.order);
            let mut order = log.document(&log.body(first)["document"]);
            order["request"] = json!("another");
            let mut body = log.body(first);
            body["request"] = json!("another");
            body["document"] = log.add(&order);
            let last = log.events.len() as u64;
            log.insert_body(last, json!({ "order_submitted": body }));
            last
        },
    }]);
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

/// Puts a freeze of the house, with all that belongs to it, before an entry.
fn freeze_before(story: &Story, log: &mut Insider, index: u64) -> u64 {
    let freeze = Command::Freeze { scope: FreezeScope::House };
    let id = "019b76da-ffff-7a75-83f4-f08323229999";
    let at = log.event(index)["at"].clone();
    let command = log.add(&json!(freeze));
    let work = json!({ "command": {
        "action": "freeze", "size": command["size"], "sha256": command["sha256"],
    } });
    let order = json!({
        "v": 1, "custodian": log.genesis.to_string(), "order": id, "requester": "ada",
        "request": "freeze", "submitted": at, "expires": at, "work": work,
        "effects": [freeze.effect(None)], "facts": [], "tasks": [],
    });
    let document = log.add(&order);
    let mut submitted = log.body(log.find("order_submitted", &story.small.order));
    submitted["order"] = json!(id);
    submitted["requester"] = json!("ada");
    submitted["request"] = json!("freeze");
    submitted["document"] = document;
    let mut decided = log.body(log.find("order_decided", &story.small.order));
    decided["order"] = json!(id);
    decided["rules"] = json!(["emergency-stop"]);
    decided["windows"] = json!([]);
    let done = json!({ "executed": { "result": { "done": {} } } });
    log.insert_body(index, json!({ "order_submitted": submitted }));
    log.insert_body(index + 1, json!({ "order_decided": decided }));
    log.insert_body(index + 2, json!({ "order_concluded": { "order": id, "outcome": done } }));
    index + 3
}

fn fail(story: &Story, log: &mut Insider, reason: &str) -> u64 {
    let index = log.find("order_concluded", &story.late_small.order);
    log.edit_body(index, |body| body["outcome"] = json!({ "failed": { "reason": reason } }));
    index
}
