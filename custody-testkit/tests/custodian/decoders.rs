//! Decoders that deny every payload.

use std::sync::Arc;

use custody_core::custodian::Custodian;
use custody_core::id::CustodianId;
use custody_testkit::backend::{BackendCall, FailingBackend};
use custody_testkit::decoder::{DenyingDecoder, TestDecoder};
use custody_testkit::fault::{Fault, Gate};
use futures::future::{Either, select};

use crate::house::{House, Parts, furnish, pay, said};

const REFUSED: &str = "the payload was not decoded";

fn parts(house: &House) -> Parts {
    let decoder = DenyingDecoder::new(Arc::new(TestDecoder::new()));
    Parts { decoder: Arc::new(decoder), ..house.parts() }
}

async fn open(house: &House, id: CustodianId) -> Custodian {
    house.builder(parts(house)).open(id).await.unwrap()
}

#[test]
fn a_decoder_that_denies_makes_no_order_of_a_payload() {
    let house = House::new();
    house.run(async {
        let custodian = house.create(parts(&house)).await.unwrap();
        furnish(&custodian).await;
        let events = house.events();
        assert_eq!(said(&pay(&custodian, "once").await), REFUSED);
        assert_eq!(house.events(), events);
        house.assert_unused();
    });
}

#[test]
fn a_decoder_that_denies_what_it_read_before_leaves_the_order_unsigned() {
    let house = House::new();
    let id = house.run(async {
        let backend = Arc::new(FailingBackend::new(Arc::new(house.keys.clone())));
        let gate = Gate::new();
        backend.plan().always(BackendCall::Sign, Fault::Hold(gate.clone()));
        let custodian = house.furnished(Parts { backend, ..house.parts() }).await;
        let (paid, held) = (pay(&custodian, "reserved"), gate.reached_by(1));
        let first = select(Box::pin(paid), Box::pin(held)).await;
        assert!(matches!(first, Either::Right(_)), "signed before the crash");
        custodian.id()
    });
    let house = house.crashed();
    house.run(async {
        let custodian = open(&house, id).await;
        let resumed = custodian.resume().await.unwrap().into_iter();
        let heard: Vec<_> = resumed.map(|answer| said(&Ok(answer))).collect();
        assert_eq!(heard, ["Unknown { reason: Corrupt }"]);
        assert_eq!(Some(&said(&pay(&custodian, "reserved").await)), heard.first());
        house.assert_unused();
    });
}

#[test]
fn a_decoder_that_denies_to_assemble_hands_out_nothing_of_what_was_signed() {
    let house = House::new();
    house.run(async {
        let custodian = house.furnished(house.parts()).await;
        let answer = pay(&custodian, "signed").await;
        assert_eq!(said(&answer), "released");
        custodian.close().await.unwrap();
        let denied = open(&house, custodian.id()).await;
        assert_eq!(said(&denied.order(&answer.unwrap().order).await), REFUSED);
        assert_eq!(said(&pay(&denied, "signed").await), REFUSED);
        assert_eq!(house.keys.sign_calls(), 1);
    });
}
