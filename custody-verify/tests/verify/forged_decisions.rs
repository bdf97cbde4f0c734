//! Decisions that the log key signed and the rules never made.

use serde_json::json;

use crate::support::{Forgery, Story, assert_refused};

const OTHERWISE: &str = "comes out otherwise when it is judged again";

#[test]
fn a_decision_that_the_rules_did_not_make_is_refused_where_it_stands() {
    assert_refused(&[
        Forgery {
            name: "another rule is said to have allowed it",
            reason: OTHERWISE,
            make: |story, log| decision(story, log, |body| body["rules"] = json!(["fee"])),
        },
        Forgery {
            name: "no rule is said to have allowed it",
            reason: OTHERWISE,
            make: |story, log| decision(story, log, |body| body["rules"] = json!([])),
        },
        Forgery {
            name: "a rule is said to have failed",
            reason: OTHERWISE,
            make: |story, log| decision(story, log, |body| body["errors"] = json!(["fee"])),
        },
        Forgery {
            name: "a window had less in it",
            reason: OTHERWISE,
            make: |story, log| {
                decision(story, log, |body| body["windows"][2]["sums"]["h24"] = json!("1"))
            },
        },
        Forgery {
            name: "a window overflowed",
            reason: OTHERWISE,
            make: |story, log| {
                decision(story, log, |body| body["windows"][0]["sums"] = json!(null))
            },
        },
        Forgery {
            name: "a window is missing",
            reason: OTHERWISE,
            make: |story, log| {
                decision(story, log, |body| {
                    body["windows"].as_array_mut().unwrap().pop();
                })
            },
        },
        Forgery {
            name: "what was allowed is said to be denied",
            reason: OTHERWISE,
            make: |story, log| decision(story, log, |body| body["verdict"] = json!("denied")),
        },
        Forgery {
            name: "what was denied is said to be allowed",
            reason: OTHERWISE,
            make: |story, log| {
                let index = log.find("order_decided", &story.denied.order);
                log.edit_body(index, |body| body["verdict"] = json!("allowed"));
                index
            },
        },
        Forgery {
            name: "what was denied is said to be allowed by the rules that allow",
            reason: OTHERWISE,
            make: |story, log| {
                let index = log.find("order_decided", &story.denied.order);
                log.edit_body(index, |body| {
                    body["verdict"] = json!("allowed");
                    body["rules"] = json!(["fee", "transfer-large"]);
                });
                index
            },
        },
        Forgery {
            name: "another rule set is said to have been in force",
            reason: "another rule set",
            make: |story, log| decision(story, log, |body| body["policy"] = json!("00".repeat(32))),
        },
        Forgery {
            name: "another engine is said to have judged",
            reason: "decisions not replayed: the first was made by lenient/1",
            make: |story, log| decision(story, log, |body| body["engine"] = json!("lenient/1")),
        },
        Forgery {
            name: "the order has another name",
            reason: "the order is not open",
            make: |story, log| {
                let ended = json!(story.small.order.as_str());
                let index = log.find("order_decided", &story.large.order);
                log.edit_body(index, |body| body["order"] = ended);
                index
            },
        },
    ]);
}

#[test]
fn a_decision_out_of_its_place_is_refused() {
    assert_refused(&[
        Forgery {
            name: "before the last approval",
            reason: OTHERWISE,
            make: |story, log| {
                let index = log.find("order_decided", &story.large.order);
                log.events.swap(index as usize, index as usize - 1);
                // The time of the batch stays in order.
                let at = log.event(index - 2)["at"].clone();
                log.edit(index - 1, |event| event["at"] = at);
                index - 1
            },
        },
        Forgery {
            name: "twice",
            reason: OTHERWISE,
            make: |story, log| {
                let index = log.find("order_decided", &story.large.order);
                let again = log.events[index as usize].clone();
                log.insert(index + 1, again);
                // Its own reservation counts by now.
                index + 1
            },
        },
        Forgery {
            name: "after it was denied",
            reason: "the order is not open",
            make: |story, log| {
                let index = log.find("order_decided", &story.denied.order);
                let again = log.events[index as usize].clone();
                log.insert(index + 1, again);
                index + 1
            },
        },
        Forgery {
            name: "about an order that waits for approvals",
            reason: OTHERWISE,
            make: |story, log| {
                let model = log.body(log.find("order_decided", &story.large.order));
                let index = log.find("order_submitted", &story.pending.order) + 1;
                let mut body = model;
                body["order"] = json!(story.pending.order.as_str());
                log.insert_body(index, json!({ "order_decided": body }));
                index
            },
        },
        Forgery {
            name: "before the order was submitted",
            reason: "the order is not open",
            make: |story, log| {
                let index = log.find("order_submitted", &story.small.order);
                log.events.swap(index as usize, index as usize + 1);
                index
            },
        },
        Forgery {
            name: "before the time of the event before it",
            reason: "ledger time went back",
            make: |story, log| {
                let index = log.find("order_decided", &story.small.order);
                log.edit(index, |event| event["at"] = json!(1));
                index
            },
        },
    ]);
}

#[test]
fn a_decision_is_not_replayed_without_replay_but_must_follow_from_the_log() {
    let story = Story::new();
    let mut log = story.insider();
    let index = log.find("order_decided", &story.small.order);
    log.edit_body(index, |body| body["rules"] = json!(["fee"]));
    log.verify().assert_failed_at(index, OTHERWISE);
    let answer = log.verify_with(|verifier| verifier.flag("--no-replay"));
    answer.assert_verified();
    assert_eq!(answer.line("decisions"), "decisions: decisions not replayed");
    log.edit_body(index, |body| body["policy"] = json!("00".repeat(32)));
    let answer = log.verify_with(|verifier| verifier.flag("--no-replay"));
    answer.assert_failed_at(index, "another rule set");
}

fn decision(
    story: &Story,
    log: &mut crate::support::Insider,
    change: impl FnOnce(&mut serde_json::Value),
) -> u64 {
    let index = log.find("order_decided", &story.large.order);
    log.edit_body(index, change);
    index
}
