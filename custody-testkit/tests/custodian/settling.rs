//! What people say about a custodian's orders and wallets is held against what decoders read.

use std::sync::Arc;

use custody_core::command::{Command, Resolution};
use custody_core::custodian::Outcome;
use custody_core::seam::{ErrorKind, WalletDescriptor};
use custody_testkit::backend::{BackendCall, FailingBackend};
use custody_testkit::fault::Fault;

use crate::house::{House, Parts, govern, hot, pay, said};

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
