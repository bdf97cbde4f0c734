//! What people say about a custodian's orders and wallets is held against what decoders read.

use std::sync::Arc;

use custody_core::command::{Command, Resolution};
use custody_core::custodian::{Answer, Custodian, Outcome, Request};
use custody_core::id::{CustodianId, DecoderId, RequestId};
use custody_core::seam::{ErrorKind, WalletDescriptor};
use custody_testkit::backend::{BackendCall, FailingBackend};
use custody_testkit::decoder::TestDecoder;
use custody_testkit::fault::Fault;

use crate::house::{House, Parts, approve, furnish, govern, hot, pay, payment, ruled, said};

#[test]
fn an_order_is_not_resolved_by_the_signatures_of_another() {
    let house = House::new();
    house.run(async {
        let backend = Arc::new(FailingBackend::new(Arc::new(house.keys.clone())));
        let parts = Parts { backend: Arc::<FailingBackend>::clone(&backend), ..house.parts() };
        let custodian = house.furnished(parts).await;
        let Outcome::Released(other) = pay(&custodian, "other").await.unwrap().outcome else {
            panic!("a payment that nothing fails is released");
        };
        backend.plan().next(BackendCall::Sign, Fault::fail(ErrorKind::Indeterminate));
        let lost = pay(&custodian, "lost").await.unwrap();
        let resolution = Resolution::Signed { signatures: other.signatures };
        let resolve = Command::ResolveOrder { order: lost.order.clone(), resolution };
        let events = house.events();
        let refused = said(&govern(&custodian, "resolve", resolve).await);
        assert_eq!(refused, "the command cannot be done");
        assert_eq!(house.events(), events);
        let stays = custodian.order(&lost.order).await;
        assert_eq!(said(&stays), "Unknown { reason: BackendIndeterminate }");
    });
}

#[test]
fn a_descriptor_that_no_decoder_reads_is_not_recorded() {
    let house = House::new();
    house.run(async {
        let custodian = house.furnished(house.parts()).await;
        let descriptor = WalletDescriptor::parse("wpkh(xpub)").unwrap();
        let events = house.events();
        let register = Command::RegisterDescriptor { wallet: hot(), descriptor };
        let refused = said(&govern(&custodian, "descriptor", register).await);
        assert_eq!(refused, "the payload cannot be decoded: no decoder reads descriptors");
        assert_eq!(house.events(), events);
    });
}

/// A closed custodian in which two approve a resolution, the order `lost` whose outcome is unknown,
/// and the command that says with which signatures it was signed: those of its twin.
async fn lost(house: &House) -> (CustodianId, Answer, Command) {
    const RULES: &str = "allow create_wallet\nallow create_key\nallow update_policy\n\
                         allow transfer\nneed treasurer 1 resolve_order";
    let backend = Arc::new(FailingBackend::new(Arc::new(house.keys.clone())));
    let parts = Parts { backend: Arc::<FailingBackend>::clone(&backend), ..house.parts() };
    let custodian = house.builder(parts).create(ruled(RULES)).await.unwrap();
    furnish(&custodian).await;
    let twin = Request { id: RequestId::parse("twin").unwrap(), ..payment("lost") };
    let Outcome::Released(twin) = custodian.submit(twin).await.unwrap().outcome else {
        panic!("a payment that nothing fails is released");
    };
    backend.plan().next(BackendCall::Sign, Fault::fail(ErrorKind::Indeterminate));
    let lost = pay(&custodian, "lost").await.unwrap();
    assert!(matches!(lost.outcome, Outcome::Unknown { .. }), "{lost:?}");
    let resolution = Resolution::Signed { signatures: twin.signatures };
    let signed = Command::ResolveOrder { order: lost.order.clone(), resolution };
    let waits = govern(&custodian, "waits", signed.clone()).await.unwrap();
    assert!(matches!(waits.outcome, Outcome::Pending { .. }), "{waits:?}");
    custodian.close().await.unwrap();
    (custodian.id(), lost, signed)
}

/// Opens a custodian with the next version of its decoder.
async fn open_with_next(house: &House, id: CustodianId) -> Custodian {
    let next = TestDecoder::new().with_id(DecoderId::parse("test/2").unwrap());
    let parts = Parts { decoder: Arc::new(next), ..house.parts() };
    house.builder(parts).open(id).await.unwrap()
}

/// Has a resolution of ann's done with tom's approval.
async fn settle(custodian: &Custodian, id: &str, command: Command) -> String {
    let waits = govern(custodian, id, command).await.unwrap();
    said(&approve(custodian, &waits).await)
}

const VERSION: &str = "the payload cannot be decoded: the order was decoded by another version";
const UNKNOWN: &str = "Unknown { reason: BackendIndeterminate }";

#[test]
fn what_one_version_of_a_decoder_has_read_is_not_settled_as_signed_by_another() {
    let house = House::new();
    house.run(async {
        let (id, lost, signed) = lost(&house).await;
        let custodian = open_with_next(&house, id).await;
        let events = house.events();
        assert_eq!(said(&govern(&custodian, "late", signed.clone()).await), VERSION);
        assert_eq!(house.events(), events);
        // One that waited for its approval since the version before.
        let waits = govern(&custodian, "waits", signed.clone()).await.unwrap();
        assert_eq!(said(&approve(&custodian, &waits).await), "failed Conflict");
        assert_eq!(said(&custodian.order(&lost.order).await), UNKNOWN);
        custodian.close().await.unwrap();
        let custodian = house.builder(house.parts()).open(id).await.unwrap();
        assert_eq!(settle(&custodian, "signed", signed).await, "released");
        assert_eq!(said(&custodian.order(&lost.order).await), "released");
        house.replays(&custodian).await;
    });
}

#[test]
fn what_another_version_of_a_decoder_has_read_is_settled_as_failed() {
    let house = House::new();
    house.run(async {
        let (id, lost, _) = lost(&house).await;
        let custodian = open_with_next(&house, id).await;
        let resolution = Resolution::Failed { reason: "nobody has it".to_owned() };
        let failed = Command::ResolveOrder { order: lost.order.clone(), resolution };
        assert_eq!(settle(&custodian, "failed", failed).await, "released");
        assert_eq!(said(&custodian.order(&lost.order).await), "failed Resolved");
        house.replays(&custodian).await;
    });
}
