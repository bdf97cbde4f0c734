use custody_core::digest::Digest;
use custody_core::seam::PolicyDocument;

use super::{PolicyEngineFixture, judge};
use crate::policy::OrderFacts;

/// Every broken set is refused, with at least one finding that says something.
pub fn a_broken_set_is_refused_with_its_findings(fixture: PolicyEngineFixture) {
    assert!(!fixture.broken.is_empty(), "the fixture names no broken set");
    for document in &fixture.broken {
        let text = &document.rules;
        let Err(error) = fixture.compiler.compile(document) else {
            panic!("a broken set compiles: {text}")
        };
        assert!(!error.findings.is_empty(), "no findings: {text}");
        let silent = error.findings.iter().any(|finding| finding.message.is_empty());
        assert!(!silent, "a finding without a message: {text}");
    }
    let unknown = PolicyDocument { v: 2, ..fixture.permissive.clone() };
    assert!(fixture.compiler.compile(&unknown).is_err(), "an unknown version compiles");
}

/// The id is SHA-256 of the document's bytes, so that it differs with every character.
pub fn the_id_is_the_digest_of_the_document(fixture: PolicyEngineFixture) {
    let more = |document: &PolicyDocument| PolicyDocument {
        rules: format!("{}\n", document.rules),
        ..document.clone()
    };
    let mut swapped = fixture.permissive.clone();
    swapped.tiers.reverse();
    let longer = more(&fixture.permissive);
    for document in [&fixture.permissive, &fixture.transfers, &longer, &swapped] {
        let bytes = document.to_bytes().unwrap();
        assert_eq!(fixture.compile(document).id(), PolicyDocument::id_of(&bytes));
    }
    assert_ne!(fixture.permissive().id(), fixture.compile(&longer).id());
}

/// Two engines of one document judge alike.
pub fn two_compilations_judge_alike(fixture: PolicyEngineFixture) {
    for document in [&fixture.permissive, &fixture.transfers, &fixture.needing.0] {
        let (first, second) = (fixture.compile(document), fixture.compile(document));
        assert_eq!(first.id(), second.id());
        for order in orders(&fixture) {
            assert_eq!(judge(&*first, &order), judge(&*second, &order));
            assert_eq!(first.missing(&order.facts()), second.missing(&order.facts()));
        }
    }
}

/// The judgements of fixed orders under the sample sets are those that were pinned together with
/// the engine's name: whoever changes a judgement changes the name.
pub fn judgements_are_pinned_under_the_engines_name(fixture: PolicyEngineFixture) {
    let mut judgements = String::new();
    for document in [&fixture.permissive, &fixture.transfers, &fixture.needing.0] {
        let engine = fixture.compile(document);
        for order in orders(&fixture) {
            let judgement = judge(&*engine, &order);
            judgements += &format!("{judgement:?} {:?}\n", engine.missing(&order.facts()));
        }
    }
    let found = format!("{} {}", fixture.compiler.engine(), Digest::of(judgements.as_bytes()));
    let pin = fixture.pin.unwrap_or("nothing");
    assert_eq!(found, pin, "if a judgement changed, the engine needs a new name and a new pin");
}

/// Fixed orders: each effect and command alone, with and without approvals, and two together.
fn orders(fixture: &PolicyEngineFixture) -> Vec<OrderFacts> {
    let role = &fixture.needing.1;
    let effects = OrderFacts::every_effect().into_iter().chain(OrderFacts::every_command());
    let mut orders = vec![fixture.order()];
    for effect in effects {
        let order = fixture.order().with(effect);
        orders.push(order.clone().with_transfer(3));
        orders.extend((0..4).map(|count| order.clone().with_approvals(role, count)));
    }
    orders
}
