//! What the oracle says of a whole custodian's log and of what it told its callers.

use std::slice;
use std::sync::Arc;

use custody_core::command::{Command, Resolution};
use custody_core::custodian::{Answer, Custodian, Outcome};
use custody_core::seam::{AuditLog as _, ErrorKind, Position, TaskSignature};
use custody_testkit::backend::{BackendCall, FailingBackend};
use custody_testkit::decoder::TestDecoder;
use custody_testkit::fault::{Fault, Gate};
use custody_testkit::oracle::{Breach, Given, Invariant, Oracle, Promises};
use custody_testkit::policy::TestRules;

use crate::house::{House, Parts, govern, pay, said};

fn oracle_of(custodian: &Custodian) -> Oracle {
    let decoders = vec![Arc::new(TestDecoder::new()) as _];
    Oracle::new(custodian.id(), Arc::new(TestRules::new()), decoders, Promises::default())
}

#[track_caller]
fn assert_breaks(heard: Result<(), Breach>, invariant: Invariant, words: &str) {
    let breach = heard.unwrap_err();
    assert_eq!(breach.invariant(), invariant, "{breach}");
    assert!(breach.to_string().contains(words), "{breach}");
}

fn failing(house: &House) -> (Arc<FailingBackend>, Parts) {
    let backend = Arc::new(FailingBackend::new(Arc::new(house.keys.clone())));
    let parts = Parts { backend: Arc::<FailingBackend>::clone(&backend), ..house.parts() };
    (backend, parts)
}

#[test]
fn what_is_reserved_may_be_told_as_waiting_and_not_once_it_has_ended() {
    let house = House::new();
    house.run(async {
        let (backend, parts) = failing(&house);
        let custodian = house.furnished(parts).await;
        let gate = Gate::new();
        backend.plan().next(BackendCall::Sign, Fault::Hold(gate.clone()));
        let meanwhile = async {
            gate.reached_by(1).await;
            let mut oracle = oracle_of(&custodian);
            oracle.follow(&house.store).await.unwrap();
            let open = oracle.ledger().unwrap().orders().next().unwrap().document().order.clone();
            let answer = custodian.order(&open).await.unwrap();
            assert_eq!(answer.outcome, Outcome::Pending { missing: Vec::new() });
            let told = Given::answer(&answer);
            oracle.hear_now(slice::from_ref(&told)).unwrap();
            assert_breaks(oracle.settled(), Invariant::Durable, "is reserved for good");
            gate.open();
            told
        };
        let paid = pay(&custodian, "held");
        let (paid, told) = futures::future::join(paid, Box::pin(meanwhile)).await;
        assert_eq!(said(&paid), "released");
        let mut oracle = oracle_of(&custodian);
        oracle.follow(&house.store).await.unwrap();
        oracle.settled().unwrap();
        oracle.hear_now(&[Given::answer(&paid.unwrap())]).unwrap();
        oracle.hear(slice::from_ref(&told)).unwrap();
        assert_breaks(oracle.hear_now(&[told]), Invariant::Answers, "is told to wait and is");
    });
}

/// What the key signs for the payment of [`pay`] with this id, in a house where nothing fails: keys
/// and signatures of one house are those of another.
fn signatures(id: &str) -> Vec<TaskSignature> {
    let house = House::new();
    house.run(async {
        let custodian = house.furnished(house.parts()).await;
        let Outcome::Released(release) = pay(&custodian, id).await.unwrap().outcome else {
            panic!("a payment that nothing fails is released");
        };
        release.signatures
    })
}

/// The same answer with the receipt of another event.
async fn with_receipt(house: &House, answer: &Answer, index: u64) -> Given {
    let mut answer = answer.clone();
    if let Outcome::Released(release) = &mut answer.outcome {
        release.receipt = house.log.receipt(Position::new(index)).await.unwrap();
    }
    Given::answer(&answer)
}

#[test]
fn the_receipt_of_a_resolved_order_is_that_of_its_resolution_and_no_other() {
    let (house, right) = (House::new(), signatures("lost"));
    house.run(async {
        let (backend, parts) = failing(&house);
        let custodian = house.furnished(parts).await;
        backend.plan().next(BackendCall::Sign, Fault::fail(ErrorKind::Indeterminate));
        let lost = pay(&custodian, "lost").await.unwrap();
        assert_eq!(said(&Ok(lost.clone())), "Unknown { reason: BackendIndeterminate }");
        let resolution = Resolution::Signed { signatures: right };
        let resolve = Command::ResolveOrder { order: lost.order.clone(), resolution };
        let resolved = govern(&custodian, "resolve", resolve).await.unwrap();
        let answer = custodian.order(&lost.order).await.unwrap();
        let (Outcome::Released(release), Outcome::Released(resolution)) =
            (&answer.outcome, &resolved.outcome)
        else {
            panic!("it is resolved as signed: {answer:?} {resolved:?}");
        };
        assert_eq!(release.receipt.index, resolution.receipt.index);
        let mut oracle = oracle_of(&custodian);
        oracle.follow(&house.store).await.unwrap();
        for index in 0..oracle.position().value() {
            let heard = oracle.hear(&[with_receipt(&house, &answer, index).await]);
            if index == release.receipt.index.value() {
                heard.unwrap();
            } else {
                assert_breaks(heard, Invariant::Log, "is not about its outcome");
            }
        }
    });
}
