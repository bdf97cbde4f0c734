//! Whatever is written reads as the same value, and is written again as the same bytes.

use custody_core::document::{OrderDocument, Stored, SubmissionDocument};
use custody_core::principal::SignedStatement;
use custody_testkit::strategy::{
    arb_digest, arb_effect, arb_key_id, arb_payload_format, arb_principal_id, arb_request_id,
    arb_signature, arb_statement, arb_timestamp, arb_wallet_id,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::fixtures;

prop_compose! {
    fn arb_submission()(
        requester in arb_principal_id(),
        request in arb_request_id(),
        wallet in option::of(arb_wallet_id()),
        key in option::of(arb_key_id()),
        format in arb_payload_format(),
        sha256 in arb_digest(),
        expires in option::of(arb_timestamp()),
    ) -> SubmissionDocument {
        let document = fixtures::submission();
        SubmissionDocument { requester, request, wallet, key, format, sha256, expires, ..document }
    }
}

prop_compose! {
    fn arb_order()(
        submitted in arb_timestamp(),
        expires in arb_timestamp(),
        effects in vec(arb_effect(), 0..20),
        tasks in 0_usize..4,
    ) -> OrderDocument {
        let order = fixtures::payload_order();
        let tasks = std::iter::repeat_n(order.tasks[0].clone(), tasks).collect();
        OrderDocument { submitted, expires, effects, tasks, ..order }
    }
}

fn arb_signed_statement() -> impl Strategy<Value = SignedStatement> {
    (arb_statement(), arb_signature())
        .prop_map(|(statement, signature)| statement.signed(signature))
}

/// Writes, reads and writes again.
fn assert_stable<T>(value: T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + Clone + PartialEq + std::fmt::Debug,
{
    let written = Stored::write(value.clone()).unwrap();
    let read = Stored::<T>::read(written.bytes().to_vec()).unwrap();
    assert_eq!(*read.value(), value);
    assert_eq!(read, written);
    assert_eq!(Stored::write(read.value().clone()).unwrap().bytes(), written.bytes());
}

proptest! {
    #[test]
    fn a_submission_survives_writing_and_reading(document in arb_submission()) {
        assert_stable(document);
    }

    #[test]
    fn an_order_survives_writing_and_reading(document in arb_order()) {
        assert_stable(document);
    }

    #[test]
    fn a_statement_survives_writing_and_reading(statement in arb_signed_statement()) {
        assert_stable(statement);
    }

    #[test]
    fn bytes_that_are_no_document_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _either = custody_core::document::EventDocument::read(&bytes);
        let _either = custody_core::document::parse::<OrderDocument>(&bytes);
    }
}

#[test]
fn every_fixture_survives_writing_and_reading() {
    for (_, event) in fixtures::events() {
        assert_stable(event);
    }
    for command in crate::commands::commands() {
        assert_stable(command);
    }
    assert_stable(fixtures::command_order());
    assert_stable(fixtures::signature_set());
    assert_stable(fixtures::context());
    assert_stable(fixtures::policy());
}
