//! Recoveries from archives in a log: what they claim is checked like everything else.

use custody_core::tree::Tree;
use serde_json::{Value, json};

use crate::support::{Forgery, Insider, Story, assert_refused};

const ARCHIVE: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";

/// A recovery at the end of the log, with its head changed by `change`; its index.
fn recover(log: &mut Insider, change: impl FnOnce(&mut Value)) -> u64 {
    let mut tree = Tree::default();
    log.events.iter().for_each(|event| tree.append(event));
    let head = tree.head();
    let restored = json!({ "size": head.size.value(), "root": head.root.to_string() });
    let mut body = json!({ "archive": ARCHIVE, "restored": restored });
    change(&mut body);
    let last = log.events.len() as u64;
    log.insert_body(last, json!({ "recovered": body }));
    last
}

/// From another archive than the recovery before it.
fn another(body: &mut Value) {
    body["archive"] = json!("a2".repeat(32));
}

fn closed(story: &Story, log: &mut Insider) -> u64 {
    let order = story.late.order.as_str();
    let last = log.events.len() as u64;
    let closed = json!({ "order": order, "reason": { "recovered": {} } });
    log.insert_body(last, json!({ "order_closed": closed }));
    last
}

#[test]
fn a_log_with_a_recovery_and_what_it_ends_verifies() {
    let story = Story::new();
    let mut log = story.insider();
    recover(&mut log, |_| {});
    log.verify().assert_verified();
    closed(&story, &mut log);
    log.verify().assert_verified();
    recover(&mut log, another);
    recover(&mut log, |_| {});
    log.verify().assert_verified();
}

#[test]
fn a_recovery_that_did_not_happen_so_is_refused() {
    const OTHER: &str = "the recovery names another head than the one over the entries before it";
    const NOT: &str = "the recovery does not fit";
    assert_refused(&[
        Forgery {
            name: "another root",
            reason: OTHER,
            make: |_, log| recover(log, |body| body["restored"]["root"] = json!(ARCHIVE)),
        },
        Forgery {
            name: "another root, with what it ends",
            reason: OTHER,
            make: |story, log| {
                let index = recover(log, |body| body["restored"]["root"] = json!(ARCHIVE));
                closed(story, log);
                index
            },
        },
        Forgery {
            name: "another root in the second of two",
            reason: OTHER,
            make: |_, log| {
                recover(log, |_| {});
                recover(log, |body| {
                    another(body);
                    body["restored"]["root"] = json!(ARCHIVE);
                })
            },
        },
        Forgery {
            name: "another root in the first of two",
            reason: OTHER,
            make: |_, log| {
                let index = recover(log, |body| body["restored"]["root"] = json!(ARCHIVE));
                recover(log, another);
                index
            },
        },
        Forgery {
            name: "another size",
            reason: NOT,
            make: |_, log| recover(log, |body| body["restored"]["size"] = json!(1)),
        },
        Forgery {
            name: "behind a head of its own size",
            reason: NOT,
            make: |_, log| {
                recover(log, |body| {
                    let size = body["restored"]["size"].clone();
                    body["behind"] = json!({ "size": size, "root": ARCHIVE });
                })
            },
        },
        Forgery {
            name: "an unknown field",
            reason: "a document or event is malformed",
            make: |_, log| recover(log, |body| body["more"] = json!(1)),
        },
        Forgery { name: "an end without one", reason: NOT, make: closed },
        Forgery {
            name: "an archive twice",
            reason: NOT,
            make: |_, log| {
                recover(log, |_| {});
                recover(log, |_| {})
            },
        },
        Forgery {
            name: "an approval before what waits has ended",
            reason: NOT,
            make: |_, log| {
                let approval = log.body(log.first("approval_added"));
                recover(log, |_| {});
                let last = log.events.len() as u64;
                log.insert_body(last, json!({ "approval_added": approval }));
                last
            },
        },
    ]);
}
