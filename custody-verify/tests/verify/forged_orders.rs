//! Orders that the log key signed and nobody asked for.

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
fn an_order_that_was_decoded_for_a_wallet_as_nobody_made_it_is_refused() {
    assert_refused(&[
        Forgery {
            name: "with a descriptor that nobody recorded, whose addresses pass for change",
            reason: "the order contradicts its wallet",
            make: |story, log| {
                decoded_with(story, log, |context| context["descriptors"] = json!(["wpkh(any)"]))
            },
        },
        Forgery {
            name: "with a path that the key was not derived at",
            reason: "the order contradicts its wallet",
            make: |story, log| {
                decoded_with(story, log, |context| context["accounts"][0]["path"] = json!("m/0'"))
            },
        },
    ]);
}

/// The large payment, decoded for something else than its wallet.
fn decoded_with(story: &Story, log: &mut Insider, change: fn(&mut Value)) -> u64 {
    let index = log.find("order_submitted", &story.large.order);
    let order = log.document(&log.body(index)["document"]);
    let mut context = log.document(&order["work"]["payload"]["context"]);
    change(&mut context);
    let context = log.add(&context);
    log.edit_order(&story.large.order, |order| order["work"]["payload"]["context"] = context)
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
fn an_order_under_the_id_of_an_ended_one_is_refused() {
    assert_refused(&[Forgery {
        name: "another request under an old id",
        reason: "the request id or order id was used before",
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

#[test]
fn an_order_with_times_that_the_custodian_never_gives_is_refused() {
    assert_refused(&[
        Forgery {
            name: "submitted years before its event, so that it is old enough for every rule",
            reason: "the order was not submitted at the time of its event",
            make: |story, log| {
                log.edit_order(&story.late.order, |order| order["submitted"] = json!(1))
            },
        },
        Forgery {
            name: "expires in a hundred years",
            reason: "the order expires at a time that no order is given",
            make: |story, log| {
                log.edit_order(&story.late.order, |order| {
                    order["expires"] = json!(4_900_000_000_000_u64);
                })
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

fn submitted(story: &Story, log: &mut Insider, change: impl FnOnce(&mut Value)) -> u64 {
    let index = log.find("order_submitted", &story.large.order);
    log.edit_body(index, change);
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
