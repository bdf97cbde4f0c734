//! Whatever is written reads as the same value, and is written again as the same bytes.

use custody_core::amount::{Amount, Units};
use custody_core::document::{OrderDocument, Stored, SubmissionDocument};
use custody_core::effect::{Effect, Selector};
use custody_core::id::{KeyId, PayloadFormat, PrincipalId, RequestId, WalletId};
use custody_core::principal::{SignedStatement, Verb};
use custody_core::time::Timestamp;
use proptest::prelude::*;

use crate::fixtures;

prop_compose! {
    fn arb_time()(millis in 0..=Timestamp::MAX.as_millis()) -> Timestamp {
        Timestamp::from_millis(millis)
    }
}

fn arb_name() -> impl Strategy<Value = String> {
    "[a-z0-9._@-]{1,64}"
}

prop_compose! {
    fn arb_amount()(bytes in any::<[u8; 32]>()) -> Amount {
        Amount::new(fixtures::asset(), Units::from_be_bytes(bytes))
    }
}

fn arb_effect() -> impl Strategy<Value = Effect> {
    let account = fixtures::account;
    prop_oneof![
        arb_amount().prop_map(|amount| Effect::PayFee { amount }),
        arb_amount().prop_map(move |amount| Effect::Approve { amount, spender: account() }),
        arb_amount().prop_map(move |amount| Effect::Transfer {
            amount,
            from: account(),
            to: account()
        }),
        "[0-9a-zA-Z]{0,64}".prop_map(move |text| Effect::Call {
            contract: account(),
            selector: Selector::parse(&text).unwrap()
        }),
        Just(Effect::Deploy),
    ]
}

prop_compose! {
    fn arb_submission()(
        requester in arb_name(),
        request in "[A-Za-z0-9._:/@+-]{1,128}",
        wallet in proptest::option::of(arb_name()),
        key in proptest::option::of(arb_name()),
        expires in proptest::option::of(arb_time()),
        sha256 in any::<[u8; 32]>(),
    ) -> SubmissionDocument {
        SubmissionDocument {
            requester: PrincipalId::parse(&requester).unwrap(),
            request: RequestId::parse(&request).unwrap(),
            wallet: wallet.map(|text| WalletId::parse(&text).unwrap()),
            key: key.map(|text| KeyId::parse(&text).unwrap()),
            format: PayloadFormat::parse("evm/transaction").unwrap(),
            sha256: custody_core::digest::Digest::new(sha256),
            expires,
            ..fixtures::submission()
        }
    }
}

prop_compose! {
    fn arb_order()(
        submitted in arb_time(),
        expires in arb_time(),
        effects in proptest::collection::vec(arb_effect(), 0..20),
        tasks in 0_usize..4,
    ) -> OrderDocument {
        let order = fixtures::payload_order();
        let tasks = std::iter::repeat_n(order.tasks[0].clone(), tasks).collect();
        OrderDocument { submitted, expires, effects, tasks, ..order }
    }
}

prop_compose! {
    fn arb_statement()(
        verb in prop_oneof![Just(Verb::Approve), Just(Verb::Cancel), Just(Verb::Reject)],
        valid_until in arb_time(),
    ) -> SignedStatement {
        let mut signed = fixtures::statement(verb);
        signed.statement.valid_until = valid_until;
        signed
    }
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
    fn a_statement_survives_writing_and_reading(statement in arb_statement()) {
        assert_stable(statement);
    }

    #[test]
    fn bytes_that_are_no_document_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
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
