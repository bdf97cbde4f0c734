//! Orders, documents and events that the log key signed and nobody asked for.

use serde_json::{Value, json};

use crate::support::{ETHER, Forgery, Insider, Story, assert_refused, transfer};

#[test]
fn an_order_that_is_not_what_its_payload_does_is_refused() {
    assert_refused(&[
        Forgery {
            name: "a smaller amount is shown",
            reason: "the order contradicts its payload",
            make: |story, log| {
                log.edit_order(&story.large.order, |order| {
                    order["effects"][0]["transfer"]["amount"]["units"] = json!("1");
                })
            },
        },
        Forgery {
            name: "an effect is hidden",
            reason: "the order contradicts its payload",
            make: |story, log| {
                log.edit_order(&story.large.order, |order| {
                    order["effects"].as_array_mut().unwrap().pop();
                })
            },
        },
        Forgery {
            name: "a fact is invented",
            reason: "the order contradicts its payload",
            make: |story, log| {
                log.edit_order(&story.large.order, |order| order["facts"] = json!(["replayable"]))
            },
        },
        Forgery {
            name: "another input gets signed",
            reason: "the order contradicts its payload",
            make: |story, log| {
                log.edit_order(&story.large.order, |order| {
                    order["tasks"][0]["input_sha256"] = json!("00".repeat(32));
                })
            },
        },
        Forgery {
            name: "a key of another wallet signs",
            reason: "the order contradicts its payload",
            make: |story, log| {
                log.edit_order(&story.large.order, |order| {
                    order["tasks"][0]["key"] = json!("hot-2-0");
                })
            },
        },
        Forgery {
            name: "nothing gets signed",
            reason: "the order contradicts its payload",
            make: |story, log| {
                log.edit_order(&story.large.order, |order| order["tasks"] = json!([]))
            },
        },
        Forgery {
            name: "another payload",
            reason: "the order contradicts its payload",
            make: |story, log| {
                let thief = log.add_bytes(transfer(1, [0xee; 20], ETHER));
                log.edit_order(&story.large.order, |order| {
                    order["work"]["payload"]["sha256"] = thief["sha256"].clone();
                    order["work"]["payload"]["size"] = thief["size"].clone();
                })
            },
        },
        Forgery {
            name: "a payload that does not decode",
            reason: "a payload does not decode",
            make: |story, log| {
                let noise = log.add_bytes(vec![0x7f]);
                log.edit_order(&story.large.order, |order| {
                    order["work"]["payload"]["sha256"] = noise["sha256"].clone();
                    order["work"]["payload"]["size"] = noise["size"].clone();
                })
            },
        },
        Forgery {
            name: "another size of the payload",
            reason: "the order contradicts its wallet",
            make: |story, log| {
                log.edit_order(&story.large.order, |order| {
                    order["work"]["payload"]["size"] = json!(1);
                })
            },
        },
        Forgery {
            name: "a decoder that is not here",
            reason: "a decoder that is not here",
            make: |story, log| {
                log.edit_order(&story.large.order, |order| {
                    order["work"]["payload"]["decoder"] = json!("evm/0");
                })
            },
        },
        Forgery {
            name: "another wallet",
            reason: "the order contradicts its wallet",
            make: |story, log| {
                log.edit_order(&story.large.order, |order| order["wallet"] = json!("hot-2"))
            },
        },
        Forgery {
            name: "a wallet that does not exist",
            reason: "the order's wallet does not exist",
            make: |story, log| {
                log.edit_order(&story.large.order, |order| order["wallet"] = json!("hot-3"))
            },
        },
        Forgery {
            name: "another chain",
            reason: "the order contradicts its wallet",
            make: |story, log| {
                log.edit_order(&story.large.order, |order| order["chain"] = json!("eip155:10"))
            },
        },
        Forgery {
            name: "decoded for a key of another wallet",
            reason: "the order contradicts its wallet",
            make: |story, log| {
                let index = log.find("order_submitted", &story.large.order);
                let order = log.document(&log.body(index)["document"]);
                let mut context = log.document(&order["work"]["payload"]["context"]);
                // The outcome that made the key of the other wallet.
                let key =
                    log.body(14)["outcome"]["executed"]["result"]["key"]["public_key"].clone();
                context["accounts"] = json!([{ "key": "hot-2-0", "public_key": key }]);
                let context = log.add(&context);
                log.edit_order(&story.large.order, |order| {
                    order["work"]["payload"]["context"] = context;
                })
            },
        },
    ]);
}

#[test]
fn an_order_of_somebody_else_is_refused() {
    assert_refused(&[
        Forgery {
            name: "the event names another requester",
            reason: "the order document is of another order",
            make: |story, log| submitted(story, log, |body| body["requester"] = json!("ada")),
        },
        Forgery {
            name: "the event names another request",
            reason: "the order document is of another order",
            make: |story, log| submitted(story, log, |body| body["request"] = json!("other")),
        },
        Forgery {
            name: "the document is of another custodian",
            reason: "the order document is of another order",
            make: |story, log| {
                log.edit_order(&story.large.order, |order| {
                    order["custodian"] = json!("00".repeat(32));
                })
            },
        },
        Forgery {
            name: "the document is of another order",
            reason: "the order document is of another order",
            make: |story, log| {
                let other = log.body(log.find("order_submitted", &story.small.order));
                let other = other["document"].clone();
                submitted(story, log, |body| body["document"] = other)
            },
        },
        Forgery {
            name: "the document has another size",
            reason: "a document has another size",
            make: |story, log| submitted(story, log, |body| body["document"]["size"] = json!(1)),
        },
        Forgery {
            name: "the request id was used before",
            reason: "the request id or order id was used before",
            make: |story, log| {
                let index = log.edit_order(&story.large.order, |order| {
                    order["request"] = json!("request-6");
                });
                log.edit_body(index, |body| body["request"] = json!("request-6"));
                index
            },
        },
        Forgery {
            name: "the order was submitted after its event",
            reason: "the order was not submitted at the time of its event",
            make: |story, log| {
                log.edit_order(&story.large.order, |order| {
                    order["submitted"] = json!(1_767_225_700_000_u64);
                })
            },
        },
        Forgery {
            name: "the order expired before it was submitted",
            reason: "the order expires at a time that no order is given",
            make: |story, log| {
                log.edit_order(&story.large.order, |order| order["expires"] = json!(1))
            },
        },
        Forgery {
            name: "the order exists already",
            reason: "the order id was used before",
            make: |story, log| {
                let first = log.find("order_submitted", &story.pending.order);
                let mut order = log.document(&log.body(first)["document"]);
                order["request"] = json!("another");
                let reference = log.add(&order);
                let mut body = log.body(first);
                body["request"] = json!("another");
                body["document"] = reference;
                log.insert_body(first + 1, json!({ "order_submitted": body }));
                first + 1
            },
        },
    ]);
}

#[test]
fn a_submission_that_its_requester_did_not_sign_is_refused() {
    const WRONG: &str = "the submission's signature does not count";
    assert_refused(&[
        Forgery {
            name: "signed, it says, by nobody",
            reason: WRONG,
            make: |story, log| {
                submitted(story, log, |body| body["authentication"]["signed"] = json!(true))
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
fn a_command_that_is_not_the_one_that_was_allowed_is_refused() {
    assert_refused(&[
        Forgery {
            name: "another command of the same kind",
            reason: "a document or event is malformed",
            make: |_, log| {
                command(log, |command| {
                    command["create_wallet"]["tier"] = json!("Cold");
                })
            },
        },
        Forgery {
            name: "another kind of command",
            reason: "the order contradicts its command",
            make: |_, log| {
                command(log, |command| {
                    *command = json!({ "confirm_clock": {} });
                })
            },
        },
        Forgery {
            name: "a command about another wallet",
            reason: "the order contradicts its command",
            make: |_, log| {
                command(log, |command| command["create_wallet"]["wallet"] = json!("hot-7"))
            },
        },
    ]);
}

#[test]
fn an_event_that_is_not_exactly_an_event_is_refused() {
    assert_refused(&[
        Forgery {
            name: "an unknown version",
            reason: "a document or event is malformed",
            make: |story, log| event(story, log, |event| event["v"] = json!(2)),
        },
        Forgery {
            name: "an unknown field",
            reason: "a document or event is malformed",
            make: |story, log| event(story, log, |event| event["more"] = json!(1)),
        },
        Forgery {
            name: "an unknown field inside",
            reason: "a document or event is malformed",
            make: |story, log| submitted(story, log, |body| body["more"] = json!(1)),
        },
        Forgery {
            name: "an unknown field in an expiry",
            reason: "a document or event is malformed",
            make: |story, log| {
                let last = log.events.len() as u64;
                let order = story.late.order.as_str();
                let closed = json!({ "order": order, "reason": { "expired": { "more": 1 } } });
                log.insert_body(last, json!({ "order_closed": closed }));
                log.edit(last, |event| event["at"] = json!(1_767_999_999_999_u64));
                last
            },
        },
        Forgery {
            name: "two events in one",
            reason: "a document or event is malformed",
            make: |story, log| {
                event(story, log, |event| event["event"]["key_destroyed"] = json!("hot-1-0"))
            },
        },
        Forgery {
            name: "an unknown event",
            reason: "a document or event is malformed",
            make: |story, log| event(story, log, |event| event["event"] = json!({ "miracle": {} })),
        },
        Forgery {
            name: "a key twice",
            reason: "a document or event is malformed",
            make: |story, log| {
                let index = log.find("order_submitted", &story.large.order);
                let text = String::from_utf8(log.events[index as usize].clone()).unwrap();
                let twice = text.replacen("\"v\":1", "\"v\":1,\"v\":1", 1);
                assert_ne!(text, twice);
                log.events[index as usize] = twice.into_bytes();
                index
            },
        },
        Forgery {
            name: "nothing",
            reason: "a document or event is malformed",
            make: |story, log| {
                let index = log.find("order_submitted", &story.large.order);
                log.events[index as usize] = Vec::new();
                index
            },
        },
        Forgery {
            name: "another beginning",
            reason: "the event cannot follow the events before it",
            make: |_, log| {
                let last = log.events.len() as u64;
                let body = log.body(0);
                log.insert_body(last, json!({ "genesis": body }));
                last
            },
        },
        Forgery {
            name: "the end of a key that was never to end",
            reason: "ledger time went back",
            make: |_, log| {
                let last = log.events.len() as u64;
                log.insert_body(last, json!({ "key_destroyed": "hot-1-0" }));
                last
            },
        },
        Forgery {
            name: "a snapshot of another state",
            reason: "the snapshot is of another state",
            make: |_, log| {
                let index = log.first("snapshot");
                let mut state = log.document(&log.body(index));
                state["frozen"] = json!(true);
                let other = log.add(&state);
                log.edit_body(index, |body| *body = other);
                index
            },
        },
        Forgery {
            name: "another genesis",
            reason: "not the genesis event of this custodian",
            make: |_, log| {
                log.edit_body(0, |body| body["assets"] = json!([]));
                0
            },
        },
        Forgery {
            name: "no genesis",
            reason: "not the genesis event of this custodian",
            make: |_, log| {
                log.remove(0);
                0
            },
        },
    ]);
}

#[test]
fn a_document_that_is_not_there_is_named_with_the_entry_that_needs_it() {
    let story = Story::new();
    let log = story.insider();
    let submitted = log.find("order_submitted", &story.signed.order);
    let event = log.body(submitted);
    let order = log.document(&event["document"]);
    let concluded = log.find("order_concluded", &story.signed.order);
    let set = log.body(concluded)["outcome"]["signed"]["signatures"]["sha256"].clone();
    let snapshot = log.first("snapshot");
    let command = log.document(&log.body(1)["document"])["work"]["command"]["sha256"].clone();
    for (name, sha256, index) in [
        ("the rule set", log.body(0)["policy"]["sha256"].clone(), 0),
        ("a command", command, 1),
        ("the order", event["document"]["sha256"].clone(), submitted),
        ("the payload", order["work"]["payload"]["sha256"].clone(), submitted),
        ("the submission", event["submission"].clone(), submitted),
        ("the signatures", set, concluded),
        ("the snapshot", log.body(snapshot)["sha256"].clone(), snapshot),
    ] {
        let mut log = log.clone();
        assert!(log.documents.remove(&crate::support::digest(&sha256)).is_some(), "{name}");
        let reason = format!("document {} is missing", sha256.as_str().unwrap());
        log.verify().assert_failed_at(index, &reason);
    }
}

fn submitted(story: &Story, log: &mut Insider, change: impl FnOnce(&mut Value)) -> u64 {
    let index = log.find("order_submitted", &story.large.order);
    log.edit_body(index, change);
    index
}

fn signed(story: &Story, log: &mut Insider, change: impl FnOnce(&mut Value)) -> u64 {
    let index = log.find("order_submitted", &story.signed.order);
    log.edit_body(index, change);
    index
}

fn event(story: &Story, log: &mut Insider, change: impl FnOnce(&mut Value)) -> u64 {
    let index = log.find("order_submitted", &story.large.order);
    log.edit(index, change);
    index
}

/// Changes the first command, its order and the event that names it.
fn command(log: &mut Insider, change: impl FnOnce(&mut Value)) -> u64 {
    let index = log.first("order_submitted");
    let mut order = log.document(&log.body(index)["document"]);
    let mut command = log.document(&order["work"]["command"]);
    change(&mut command);
    let command = log.add(&command);
    order["work"]["command"]["sha256"] = command["sha256"].clone();
    order["work"]["command"]["size"] = command["size"].clone();
    let order = log.add(&order);
    log.edit_body(index, |body| body["document"] = order);
    index
}
