//! Events and documents that the log key signed and no custodian writes.

use serde_json::{Value, json};

use crate::support::{Forgery, Insider, Story, assert_refused, digest};

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
            make: |story, log| {
                event(story, log, |event| event["event"]["order_submitted"]["more"] = json!(1))
            },
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
fn a_reference_with_another_size_is_refused() {
    assert_refused(&[
        Forgery {
            name: "of signatures",
            reason: "a document has another size",
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
            reason: "a document has another size",
            make: |story, log| {
                log.edit_order(&story.late.order, |order| {
                    order["work"]["payload"]["context"]["size"] = json!(1);
                })
            },
        },
        Forgery {
            name: "of a snapshot",
            reason: "a document has another size",
            make: |_, log| {
                let index = log.first("snapshot");
                log.edit_body(index, |body| body["size"] = json!(1));
                index
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
        assert!(log.documents.remove(&digest(&sha256)).is_some(), "{name}");
        let reason = format!("document {} is missing", sha256.as_str().unwrap());
        log.verify().assert_failed_at(index, &reason);
    }
}

fn event(story: &Story, log: &mut Insider, change: impl FnOnce(&mut Value)) -> u64 {
    let index = log.find("order_submitted", &story.large.order);
    log.edit(index, change);
    index
}
