//! Approvals that the log key signed and no approver gave.

use custody_core::digest::Digest;
use custody_core::id::{CredentialId, CustodianId, PrincipalId, RoleId};
use custody_core::principal::{SignedStatement, Statement, Verb};
use custody_core::time::Timestamp;
use serde_json::json;

use crate::support::{Forgery, Insider, Person, Story, assert_refused};

#[test]
fn an_approval_that_was_dropped_leaves_a_decision_that_does_not_follow() {
    assert_refused(&[
        Forgery {
            name: "the first of two",
            reason: "comes out otherwise when it is judged again",
            make: |story, log| drop_approval(story, log, 0),
        },
        Forgery {
            name: "the second of two",
            reason: "comes out otherwise when it is judged again",
            make: |story, log| drop_approval(story, log, 1),
        },
        Forgery {
            name: "the second of two, and the first stands twice",
            reason: "comes out otherwise when it is judged again",
            make: |story, log| {
                let [first, second] = approvals(story, log);
                let again = log.body(first);
                log.edit_body(second, |body| *body = again);
                log.find("order_decided", &story.large.order)
            },
        },
    ]);
}

#[test]
fn an_approval_with_another_signature_is_refused() {
    assert_refused(&[
        Forgery {
            name: "the signatures of two approvals are swapped",
            reason: "the signature does not verify",
            make: |story, log| {
                let [first, second] = approvals(story, log);
                let other = log.body(second)["signature"].clone();
                log.edit_body(first, |body| body["signature"] = other);
                first
            },
        },
        Forgery {
            name: "a signature of the same person over another order",
            reason: "the signature does not verify",
            make: |story, log| {
                let [first, _] = approvals(story, log);
                let other = log.find("approval_added", &story.pending.order);
                let other = log.body(other)["signature"].clone();
                log.edit_body(first, |body| body["signature"] = other);
                first
            },
        },
        Forgery {
            name: "it counts longer than was signed",
            reason: "the signature does not verify",
            make: |story, log| {
                let [first, _] = approvals(story, log);
                log.edit_body(first, |body| {
                    body["statement"]["valid_until"] = json!(9_000_000_000_000_u64);
                });
                first
            },
        },
        Forgery {
            name: "it names another person than the one who signed",
            reason: "no such credential",
            make: |story, log| {
                let [first, _] = approvals(story, log);
                log.edit_body(first, |body| body["statement"]["principal"] = json!("tess"));
                first
            },
        },
        Forgery {
            name: "it is for another custodian",
            reason: "the signature does not verify",
            make: |story, log| {
                let statement = word(story, &story.house.people.tess);
                let other = CustodianId::new(Digest::of(b"another"));
                let signed = story.house.people.tess.says(statement, &other);
                add_before_removal(story, log, &signed)
            },
        },
    ]);
}

#[test]
fn an_approval_of_another_order_is_refused() {
    assert_refused(&[
        Forgery {
            name: "it stands where this order's approval stood",
            reason: "no open order",
            make: |story, log| {
                let other = log.body(log.find("approval_added", &story.pending.order));
                let [first, _] = approvals(story, log);
                log.edit_body(first, |body| *body = other);
                first
            },
        },
        Forgery {
            name: "its order was renamed",
            reason: "another order document",
            make: |story, log| {
                let index = log.find("approval_added", &story.pending.order);
                let rejected = json!(story.late.order.as_str());
                let last = log.events.len() as u64;
                let mut body = log.body(index);
                body["statement"]["order"] = rejected;
                log.insert_body(last, json!({ "approval_added": body }));
                last
            },
        },
        Forgery {
            name: "its order and digest were replaced",
            reason: "the signature does not verify",
            make: |story, log| {
                let index = log.find("approval_added", &story.pending.order);
                let last = log.events.len() as u64;
                let mut body = log.body(index);
                body["statement"]["order"] = json!(story.late.order.as_str());
                body["statement"]["digest"] = json!(story.late.digest.to_string());
                log.insert_body(last, json!({ "approval_added": body }));
                last
            },
        },
        Forgery {
            name: "of an order that has ended",
            reason: "no open order",
            make: |story, log| {
                let [first, _] = approvals(story, log);
                let body = log.body(first);
                let last = log.events.len() as u64;
                log.insert_body(last, json!({ "approval_added": body }));
                last
            },
        },
        Forgery {
            name: "of an order that was allowed already",
            reason: "the order does not wait",
            make: |story, log| {
                let [first, _] = approvals(story, log);
                let body = log.body(first);
                let index = log.find("order_decided", &story.large.order) + 1;
                log.insert_body(index, json!({ "approval_added": body }));
                index
            },
        },
    ]);
}

#[test]
fn an_approval_by_somebody_who_may_not_is_refused() {
    assert_refused(&[
        Forgery {
            name: "the requester",
            reason: "the requester cannot approve",
            make: |story, log| {
                let ann = &story.house.people.ann;
                let signed = ann.says(word(story, ann), &log.genesis.clone());
                add_before_removal(story, log, &signed)
            },
        },
        Forgery {
            name: "the requester as a treasurer",
            reason: "a role that the principal does not hold",
            make: |story, log| {
                let ann = &story.house.people.ann;
                let role = RoleId::parse("treasurer").unwrap();
                let statement = Statement { role, ..word(story, ann) };
                add_before_removal(story, log, &ann.says(statement, &log.genesis.clone()))
            },
        },
        Forgery {
            name: "somebody in a role that is not hers",
            reason: "a role that the principal does not hold",
            make: |story, log| {
                let ada = &story.house.people.ada;
                let role = RoleId::parse("treasurer").unwrap();
                let statement = Statement { role, ..word(story, ada) };
                add_before_removal(story, log, &ada.says(statement, &log.genesis.clone()))
            },
        },
        Forgery {
            name: "somebody who is not enrolled",
            reason: "no such principal",
            make: |story, log| {
                let eve = Person::new("eve", "treasurer");
                let signed = eve.says(word(story, &eve), &log.genesis.clone());
                add_before_removal(story, log, &signed)
            },
        },
        Forgery {
            name: "an enrolled person with a key of somebody else",
            reason: "the signature does not verify",
            make: |story, log| {
                let tess = &story.house.people.tess;
                let eve = Person::new("eve", "treasurer");
                let signed = eve.says(word(story, tess), &log.genesis.clone());
                add_before_removal(story, log, &signed)
            },
        },
        Forgery {
            name: "a person with a credential that she does not have",
            reason: "no such credential",
            make: |story, log| {
                let tess = &story.house.people.tess;
                let credential = CredentialId::parse("tess-2").unwrap();
                let statement = Statement { credential, ..word(story, tess) };
                add_before_removal(story, log, &tess.says(statement, &log.genesis.clone()))
            },
        },
        Forgery {
            name: "a person whose credential was removed",
            reason: "no such credential",
            make: |story, log| {
                let tess = &story.house.people.tess;
                let statement = Statement {
                    order: story.late.order.clone(),
                    digest: story.late.digest,
                    ..word(story, tess)
                };
                let signed = tess.says(statement, &log.genesis.clone());
                let last = log.events.len() as u64;
                log.insert_body(last, json!({ "approval_added": signed }));
                last
            },
        },
        Forgery {
            name: "a person whose approval has expired",
            reason: "expired",
            make: |story, log| {
                let tess = &story.house.people.tess;
                let statement =
                    Statement { valid_until: Timestamp::from_millis(1), ..word(story, tess) };
                add_before_removal(story, log, &tess.says(statement, &log.genesis.clone()))
            },
        },
        Forgery {
            name: "a person who rejected",
            reason: "another verb",
            make: |story, log| {
                let tess = &story.house.people.tess;
                let statement = Statement { verb: Verb::Reject, ..word(story, tess) };
                add_before_removal(story, log, &tess.says(statement, &log.genesis.clone()))
            },
        },
        Forgery {
            name: "a person who rejected, relabelled",
            reason: "the signature does not verify",
            make: |story, log| {
                let tess = &story.house.people.tess;
                let statement = Statement { verb: Verb::Reject, ..word(story, tess) };
                let mut signed = tess.says(statement, &log.genesis.clone());
                signed.statement.verb = Verb::Approve;
                add_before_removal(story, log, &signed)
            },
        },
    ]);
}

#[test]
fn a_closing_that_nobody_entitled_to_asked_for_is_refused() {
    assert_refused(&[
        Forgery {
            name: "a cancellation by somebody else than the requester",
            reason: "only the requester cancels",
            make: |story, log| {
                let tom = &story.house.people.tom;
                let statement = Statement { verb: Verb::Cancel, ..word(story, tom) };
                let signed = tom.says(statement, &log.genesis.clone());
                close(story, log, "cancelled", &signed)
            },
        },
        Forgery {
            name: "a rejection that is an approval",
            reason: "another verb",
            make: |story, log| {
                let tom = &story.house.people.tom;
                let signed = tom.says(word(story, tom), &log.genesis.clone());
                close(story, log, "rejected", &signed)
            },
        },
        Forgery {
            name: "a rejection of another order",
            reason: "another order",
            make: |story, log| {
                let tom = &story.house.people.tom;
                let statement = Statement { verb: Verb::Reject, ..word(story, tom) };
                let signed = tom.says(statement, &log.genesis.clone());
                let last = log.events.len() as u64;
                let order = story.late.order.as_str();
                let closed = json!({ "order": order, "reason": { "rejected": signed } });
                log.insert_body(last, json!({ "order_closed": closed }));
                last
            },
        },
        Forgery {
            name: "an expiry before the time",
            reason: "ledger time went back",
            make: |story, log| {
                let last = log.events.len() as u64;
                let order = story.late.order.as_str();
                let closed = json!({ "order": order, "reason": { "expired": {} } });
                log.insert_body(last, json!({ "order_closed": closed }));
                last
            },
        },
        Forgery {
            name: "a rejection with a wrong signature",
            reason: "the signature does not verify",
            make: |story, log| {
                let index = log.find("order_closed", &story.rejected.order);
                let other = log.find("order_closed", &story.cancelled.order);
                let other = log.body(other)["reason"]["cancelled"]["signature"].clone();
                log.edit_body(index, |body| body["reason"]["rejected"]["signature"] = other);
                index
            },
        },
    ]);
}

/// What a person may say about the order that waits.
fn word(story: &Story, who: &Person) -> Statement {
    Statement {
        principal: PrincipalId::parse(who.name).unwrap(),
        ..story.house.statement(who, Verb::Approve, &story.pending)
    }
}

/// Adds an approval of the order that waits, before tess loses her credential.
fn add_before_removal(story: &Story, log: &mut Insider, signed: &SignedStatement) -> u64 {
    let index = log.find("order_submitted", &story.pending.order) + 1;
    log.insert_body(index, json!({ "approval_added": signed }));
    index
}

fn close(story: &Story, log: &mut Insider, how: &str, signed: &SignedStatement) -> u64 {
    let index = log.find("order_submitted", &story.pending.order) + 1;
    let order = story.pending.order.as_str();
    let closed = json!({ "order": order, "reason": { how: signed } });
    log.insert_body(index, json!({ "order_closed": closed }));
    index
}

fn approvals(story: &Story, log: &Insider) -> [u64; 2] {
    log.all("approval_added", &story.large.order).try_into().unwrap()
}

fn drop_approval(story: &Story, log: &mut Insider, which: usize) -> u64 {
    let approvals = approvals(story, log);
    log.remove(approvals[which]);
    log.find("order_decided", &story.large.order)
}
