//! Releases that the log key signed and no order allows.

use custody_core::command::{Command, FreezeScope};
use custody_core::crypto::{Algorithm, SignInput};
use custody_testkit::key::TestKey;
use serde_json::{Value, json};

use crate::support::{Forgery, Insider, Story, assert_refused};

const GIVEN_BACK: &str = "limits were given back although a key was called";
const UNVERIFIED: &str = "does not verify over what was decoded again";

#[test]
fn a_release_without_what_must_come_before_it_is_refused() {
    assert_refused(&[
        Forgery {
            name: "without a decision",
            reason: "an order cannot take this step",
            make: |story, log| {
                let decided = log.find("order_decided", &story.small.order);
                log.remove(decided);
                log.find("order_concluded", &story.small.order)
            },
        },
        Forgery {
            name: "without an order",
            reason: "the order is not open",
            make: |story, log| {
                let submitted = log.find("order_submitted", &story.small.order);
                log.remove(submitted);
                let decided = log.find("order_decided", &story.small.order);
                log.remove(decided);
                log.find("order_concluded", &story.small.order)
            },
        },
        Forgery {
            name: "of an order that was denied",
            reason: "the order is not open",
            make: |story, log| {
                let after = log.find("order_decided", &story.denied.order);
                release_after(story, log, after, story.denied.order.as_str())
            },
        },
        Forgery {
            name: "of an order that waits",
            reason: "the signatures are of another order",
            make: |story, log| {
                let after = log.find("order_submitted", &story.pending.order);
                release_after(story, log, after, story.pending.order.as_str())
            },
        },
        Forgery {
            name: "of an order that was taken back",
            reason: "the order is not open",
            make: |story, log| {
                let after = log.find("order_closed", &story.cancelled.order);
                release_after(story, log, after, story.cancelled.order.as_str())
            },
        },
        Forgery {
            name: "a second time",
            reason: "the order is not open",
            make: |story, log| {
                let index = log.find("order_concluded", &story.small.order);
                let again = log.events[index as usize].clone();
                log.insert(index + 1, again);
                index + 1
            },
        },
        Forgery {
            name: "as a command",
            reason: "a payload was executed",
            make: |story, log| {
                let index = log.find("order_concluded", &story.small.order);
                log.edit_body(index, |body| {
                    body["outcome"] = json!({ "executed": { "result": { "done": {} } } });
                });
                index
            },
        },
    ]);
}

#[test]
fn a_release_with_other_signatures_is_refused() {
    assert_refused(&[
        Forgery {
            name: "the signature of another order",
            reason: UNVERIFIED,
            make: |story, log| {
                let other = log.find("order_concluded", &story.second.order);
                let other = log.body(other)["outcome"]["signed"]["signatures"].clone();
                let other = log.document(&other)["signatures"].clone();
                log.edit_signatures(&story.small.order, |set| set["signatures"] = other)
            },
        },
        Forgery {
            name: "the whole set of another order",
            reason: "the signatures are of another order",
            make: |story, log| {
                let other = log.find("order_concluded", &story.second.order);
                let other = log.body(other)["outcome"].clone();
                let index = log.find("order_concluded", &story.small.order);
                log.edit_body(index, |body| body["outcome"] = other);
                index
            },
        },
        Forgery {
            name: "a flipped bit",
            reason: UNVERIFIED,
            make: |story, log| {
                log.edit_signatures(&story.small.order, |set| {
                    let bytes = &mut set["signatures"][0]["signature"]["bytes"];
                    let mut text = bytes.as_str().unwrap().to_owned();
                    let last = if text.ends_with('0') { "1" } else { "0" };
                    text.replace_range(127.., last);
                    *bytes = json!(text);
                })
            },
        },
        Forgery {
            name: "a signature by a key outside the wallet",
            reason: UNVERIFIED,
            make: |story, log| {
                let thief = TestKey::seeded(Algorithm::EcdsaSecp256k1, 666);
                let signature = thief.sign(SignInput::Prehash(&[7; 32])).unwrap();
                log.edit_signatures(&story.small.order, |set| {
                    set["signatures"][0]["signature"] = json!(signature);
                })
            },
        },
        Forgery {
            name: "another key is said to have signed",
            reason: UNVERIFIED,
            make: |story, log| {
                log.edit_signatures(&story.small.order, |set| {
                    set["signatures"][0]["key"] = json!("hot-2-0");
                })
            },
        },
        Forgery {
            name: "no signature",
            reason: UNVERIFIED,
            make: |story, log| {
                log.edit_signatures(&story.small.order, |set| set["signatures"] = json!([]))
            },
        },
        Forgery {
            name: "a signature too many",
            reason: UNVERIFIED,
            make: |story, log| {
                log.edit_signatures(&story.small.order, |set| {
                    let again = set["signatures"][0].clone();
                    set["signatures"].as_array_mut().unwrap().push(again);
                })
            },
        },
        Forgery {
            name: "a set of an unknown version",
            reason: "a document or event is malformed",
            make: |story, log| log.edit_signatures(&story.small.order, |set| set["v"] = json!(2)),
        },
        Forgery {
            name: "a set with an unknown field",
            reason: "a document or event is malformed",
            make: |story, log| {
                log.edit_signatures(&story.small.order, |set| set["more"] = json!(1))
            },
        },
    ]);
}

#[test]
fn a_release_after_the_house_was_frozen_is_refused() {
    assert_refused(&[Forgery {
        name: "frozen between decision and release",
        reason: "the order was released although it was stopped",
        make: |story, log| {
            let at = log.find("order_concluded", &story.late_small.order);
            freeze_before(story, log, at)
        },
    }]);
}

#[test]
fn a_release_after_an_approval_has_expired_is_refused() {
    assert_refused(&[Forgery {
        name: "an hour and a second later than it was",
        reason: "the order was released after an approval had expired",
        make: |story, log| {
            let index = log.find("order_concluded", &story.large.order);
            log.edit(index, |event| {
                let at = event["at"].as_u64().unwrap();
                event["at"] = json!(at + 3_601_000);
            });
            index
        },
    }]);
}

#[test]
fn a_release_after_its_order_has_expired_is_refused() {
    assert_refused(&[Forgery {
        name: "a millisecond later than it was there for",
        reason: "the order was released after it had expired",
        make: |story, log| {
            let submitted = log.find("order_submitted", &story.small.order);
            let order = log.document(&log.body(submitted)["document"]);
            let expires = order["expires"].as_u64().unwrap();
            let index = log.find("order_concluded", &story.small.order);
            log.edit(index, |event| event["at"] = json!(expires + 1));
            index
        },
    }]);
}

#[test]
fn a_command_that_is_done_later_than_its_decision_is_refused() {
    assert_refused(&[Forgery {
        name: "behind the next order",
        reason: "the command was not executed with its decision",
        make: |story, log| {
            let index = executed(log, "done");
            let event = log.remove(index);
            assert_eq!(log.find("order_submitted", &story.small.order), index);
            log.insert(index + 1, event);
            let at = log.event(index)["at"].clone();
            log.edit(index + 1, |event| event["at"] = at);
            index + 1
        },
    }]);
}

#[test]
fn a_failure_that_gives_limits_back_although_a_key_may_have_signed_is_refused() {
    assert_refused(&[
        Forgery {
            name: "the backend may have signed",
            reason: GIVEN_BACK,
            make: |story, log| fail(story, log, "backend_indeterminate"),
        },
        Forgery {
            name: "the backend answered with a wrong signature",
            reason: GIVEN_BACK,
            make: |story, log| fail(story, log, "bad_signature"),
        },
        Forgery {
            name: "the backend did not answer in time",
            reason: GIVEN_BACK,
            make: |story, log| fail(story, log, "timed_out"),
        },
        Forgery {
            name: "the process stopped",
            reason: GIVEN_BACK,
            make: |story, log| fail(story, log, "interrupted"),
        },
    ]);
}

#[test]
fn a_command_with_another_result_is_refused() {
    assert_refused(&[
        Forgery {
            name: "a wallet without its seed",
            reason: "the result does not fit the command",
            make: |_, log| result(log, "seed", json!({ "done": {} })),
        },
        Forgery {
            name: "an account without its key",
            reason: "the result does not fit the command",
            make: |_, log| result(log, "key", json!({ "done": {} })),
        },
        Forgery {
            name: "an account with a key of another kind",
            reason: "the result does not fit the command",
            make: |_, log| {
                let key = TestKey::seeded(Algorithm::Ed25519, 1).public_key().clone();
                let key = json!({ "public_key": key, "handle": "00".repeat(32) });
                result(log, "key", json!({ "key": key }))
            },
        },
        Forgery {
            name: "the address of somebody else",
            reason: "the key does not control its account",
            make: |_, log| {
                let thief = format!("eip155:1:0x{}", "ee".repeat(20));
                log.edit_body(7, |body| {
                    body["outcome"]["executed"]["result"]["key"]["account"] = json!(thief);
                });
                7
            },
        },
        Forgery {
            name: "the outcome stands twice",
            reason: "the order is not open",
            make: |_, log| {
                let index = executed(log, "seed");
                let again = log.events[index as usize].clone();
                log.insert(index + 1, again);
                index + 1
            },
        },
    ]);
}

/// The index of the first outcome with such a result.
fn executed(log: &Insider, kind: &str) -> u64 {
    let has = |index: &u64| {
        !log.event(*index)["event"]["order_concluded"]["outcome"]["executed"]["result"][kind]
            .is_null()
    };
    (0..log.events.len() as u64).find(has).unwrap()
}

fn result(log: &mut Insider, kind: &str, result: Value) -> u64 {
    let index = executed(log, kind);
    log.edit_body(index, |body| body["outcome"]["executed"]["result"] = result);
    index
}

/// Releases an order with the signatures of the first one.
fn release_after(story: &Story, log: &mut Insider, after: u64, order: &str) -> u64 {
    let mut body = log.body(log.find("order_concluded", &story.small.order));
    body["order"] = json!(order);
    log.insert_body(after + 1, json!({ "order_concluded": body }));
    after + 1
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
