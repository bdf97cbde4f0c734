//! Approvals that must not release an order, and orders that are taken back.

use std::time::Duration;

use custody_core::command::Command;
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Error, Outcome};
use custody_core::digest::Digest;
use custody_core::id::{CredentialId, CustodianId, OrderId, RoleId};
use custody_core::ledger::LedgerError;
use custody_core::principal::{Credential, SignedStatement, Statement, Verb};
use examples_start::house::TREASURY;

use crate::world::people::Person;
use crate::world::work::{ETH, KNOWN, command};
use crate::world::{Kind, Setup, World};
use crate::{assert_pending, assert_released};

/// A world with an order that waits for two treasurers.
async fn waiting() -> (World, Answer) {
    let world = World::new(Kind::Memory).await;
    let answer = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
    assert_pending(&answer);
    (world, answer)
}

#[track_caller]
fn assert_statement(answer: &Result<Answer, Error>, expected: &str) {
    match answer {
        Err(Error::Ledger(LedgerError::Statement { what })) => assert_eq!(*what, expected),
        other => panic!("not refused as {expected:?}: {other:?}"),
    }
}

/// One more approval must not release the order, and one more after it must.
async fn assert_one_short(world: &World, order: &Answer, next: &Person, last: &Person) {
    assert_pending(&world.approve(next, order).await.unwrap());
    assert_eq!(world.sign_calls(), 0);
    assert_released(&world.approve(last, order).await.unwrap());
    assert_eq!(world.sign_calls(), 1);
    world.verify().await;
}

#[tokio::test]
async fn an_expired_approval_does_not_release() {
    let (world, order) = waiting().await;
    let people = &world.people;
    assert_pending(&world.approve(&people.theo, &order).await.unwrap());
    world.clock.advance(Duration::from_secs(3_601));
    assert_one_short(&world, &order, &people.tara, &people.tom).await;
}

#[tokio::test]
async fn an_approval_that_is_expired_when_it_comes_is_refused() {
    let (world, order) = waiting().await;
    let approval = world.says(&world.people.theo, Verb::Approve, &order);
    world.clock.advance(Duration::from_secs(3_601));
    world.done("later", Command::ConfirmClock {}).await;
    assert_statement(&world.custodian.approve(approval).await, "expired");
}

#[tokio::test]
async fn a_removed_persons_approval_does_not_release() {
    let (world, order) = waiting().await;
    let people = &world.people;
    assert_pending(&world.approve(&people.tom, &order).await.unwrap());
    world.done("remove", Command::RemovePrincipal { principal: people.tom.id.clone() }).await;
    assert_one_short(&world, &order, &people.tara, &people.theo).await;
}

#[tokio::test]
async fn a_revoked_credentials_approval_does_not_release() {
    let (world, order) = waiting().await;
    let people = &world.people;
    assert_pending(&world.approve(&people.tom, &order).await.unwrap());
    let command = Command::RemoveCredential {
        principal: people.tom.id.clone(),
        credential: people.tom.credential.clone(),
    };
    world.done("revoke", command).await;
    assert_one_short(&world, &order, &people.tara, &people.theo).await;
}

#[tokio::test]
async fn a_removed_requesters_order_does_not_release() {
    let (world, order) = waiting().await;
    let otto = &world.people.otto;
    let own = world.submit(world.request_of(otto, 20 * ETH, KNOWN, "otto")).await.unwrap();
    world.done("remove", Command::RemovePrincipal { principal: otto.id.clone() }).await;
    let answer = world.approve(&world.people.theo, &own).await.unwrap();
    assert!(matches!(answer.outcome, Outcome::Denied { .. }), "{answer:?}");
    assert_pending(&world.order(&order.order).await.unwrap());
    assert_eq!(world.sign_calls(), 0);
    world.verify().await;
}

#[tokio::test]
async fn an_order_does_not_pass_to_whoever_is_enrolled_in_place_of_its_requester() {
    let (world, order) = waiting().await;
    let otto = &world.people.otto;
    let own = world.submit(world.request_of(otto, 20 * ETH, KNOWN, "otto")).await.unwrap();
    world.done("remove", Command::RemovePrincipal { principal: otto.id.clone() }).await;
    let anew = Person::new("otto", &["operator"], Algorithm::Ed25519);
    world.done("enrol", Command::EnrollPrincipal { principal: anew.enrolment() }).await;
    let answer = world.approve(&world.people.theo, &own).await.unwrap();
    let Outcome::Denied { rules } = &answer.outcome else { panic!("{answer:?}") };
    assert_eq!(rules.iter().map(ToString::to_string).collect::<Vec<_>>(), ["requester-removed"]);
    assert_pending(&world.order(&order.order).await.unwrap());
    assert_eq!(world.sign_calls(), 0);
    world.verify().await;
}

#[tokio::test]
async fn a_requester_does_not_approve_its_own_order() {
    let (world, _) = waiting().await;
    let petra = Person::new("petra", &["operator", "treasurer"], Algorithm::Ed25519);
    world.done("petra", Command::EnrollPrincipal { principal: petra.enrolment() }).await;
    let order = world.submit(world.request_of(&petra, 20 * ETH, KNOWN, "own")).await.unwrap();
    let refused = world.approve(&petra, &order).await;
    assert_statement(&refused, "the requester cannot approve");
    assert_one_short(&world, &order, &world.people.theo, &world.people.tara).await;
}

#[tokio::test]
async fn two_credentials_of_one_person_count_once() {
    let (world, order) = waiting().await;
    let people = &world.people;
    let mut second = Person::new("theos-second", &["treasurer"], Algorithm::EcdsaP256);
    let command = Command::EnrollCredential {
        principal: people.theo.id.clone(),
        credential: second.credential.clone(),
        key: Credential::new(second.key.public_key().clone()).unwrap(),
    };
    world.done("second", command).await;
    second.id = people.theo.id.clone();
    assert_pending(&world.approve(&people.theo, &order).await.unwrap());
    assert_one_short(&world, &order, &second, &people.tara).await;
}

#[tokio::test]
async fn the_same_approval_twice_counts_once() {
    let (world, order) = waiting().await;
    let approval = world.says(&world.people.theo, Verb::Approve, &order);
    for _ in 0..3 {
        assert_pending(&world.custodian.approve(approval.clone()).await.unwrap());
    }
    let approved = world.story(&order.order).await;
    assert_eq!(approved, ["submitted", "approved"]);
    assert_eq!(world.sign_calls(), 0);
}

#[tokio::test]
async fn a_person_in_two_roles_counts_in_one_of_them() {
    let (world, order) = waiting().await;
    let olivia = &world.people.olivia;
    let otto = world.submit(world.request_of(&world.people.otto, 20 * ETH, KNOWN, "o")).await;
    let otto = otto.unwrap();
    let mut wrong = olivia.statement(Verb::Approve, &otto, world.now().after(HOUR));
    wrong.role = world.people.theo.roles.first().unwrap().clone();
    let refused = world.custodian.approve(olivia.sign(&world.custodian.id(), wrong)).await;
    assert_statement(&refused, "a role that the principal does not hold");
    assert_pending(&world.order(&order.order).await.unwrap());
}

/// A small payment takes a treasurer and an administrator.
const TWO_ROLES: &str = "@id(\"two-roles\") \
    forbid (principal, action == Action::\"transfer\", resource) \
    unless { context.approvals.treasurer >= 1 && context.approvals.administrator >= 1 };";

#[tokio::test]
async fn a_person_who_approves_in_two_roles_counts_once() {
    for (first, second) in [("treasurer", "administrator"), ("administrator", "treasurer")] {
        let rules = format!("{TREASURY}\n{TWO_ROLES}");
        let world = World::with(Setup { rules, ..Setup::new(Kind::Memory) }).await;
        let petra = Person::new("petra", &["administrator", "treasurer"], Algorithm::Ed25519);
        world.done("petra", Command::EnrollPrincipal { principal: petra.enrolment() }).await;
        let request = world.request_of(&world.people.otto, ETH / 2, KNOWN, "both");
        let order = world.submit(request).await.unwrap();
        for role in [first, second] {
            assert_pending(&approve_in(&world, &petra, role, &order).await);
            assert_pending(&world.judge_again(&order.order).await.unwrap());
        }
        assert_eq!(world.story(&order.order).await, ["submitted", "approved", "approved"]);
        let world = world.reopen().await;
        assert_pending(&world.judge_again(&order.order).await.unwrap());
        assert_eq!(world.sign_calls(), 0, "{first}, then {second}");
        // She counts in the role that she approved in first.
        let (again, other) = match second {
            "treasurer" => (&world.people.olivia, &world.people.theo),
            _ => (&world.people.theo, &world.people.olivia),
        };
        assert_pending(&approve_in(&world, again, first, &order).await);
        assert_eq!(world.sign_calls(), 0, "{first}, then {second}");
        assert_released(&approve_in(&world, other, second, &order).await);
        assert_eq!(world.sign_calls(), 1);
        world.verify().await;
    }
}

/// What becomes of an order when `person` approves it in one of their roles.
async fn approve_in(world: &World, person: &Person, role: &str, order: &Answer) -> Answer {
    let mut statement = person.statement(Verb::Approve, order, world.now().after(HOUR));
    statement.role = RoleId::parse(role).unwrap();
    world.custodian.approve(person.sign(&world.custodian.id(), statement)).await.unwrap()
}

#[tokio::test]
async fn no_other_signature_of_a_treasurer_is_an_approval() {
    let (world, order) = waiting().await;
    let (theo, id) = (&world.people.theo, world.custodian.id());
    let until = world.now().after(HOUR);
    let approval = theo.statement(Verb::Approve, &order, until);
    let say = |verb| theo.sign(&id, Statement { verb, ..approval.clone() }).signature;
    let request = world.request_of(theo, ETH, KNOWN, "theos");
    let submission = world.custodian.submission_digest(&request).unwrap();
    let digest = custody_core::principal::submission_signing_digest(&id, &order.digest);
    let other = CustodianId::new(Digest::of(b"another custodian"));
    for (name, signature) in [
        ("a rejection", say(Verb::Reject)),
        ("a cancellation", say(Verb::Cancel)),
        ("a submission", theo.sign_digest(&submission)),
        ("a submission of the order's digest", theo.sign_digest(&digest)),
        ("the bare digest", theo.sign_digest(&order.digest)),
        ("for another custodian", theo.sign(&other, approval.clone()).signature),
        ("by another person", world.people.tom.sign(&id, approval.clone()).signature),
    ] {
        let forged = SignedStatement { statement: approval.clone(), signature };
        let refused = world.custodian.approve(forged).await;
        assert_statement(&refused, "the signature does not verify");
        let pending = world.approve(&world.people.tara, &order).await.unwrap();
        assert!(matches!(pending.outcome, Outcome::Pending { .. }), "{name}");
    }
    assert_eq!(world.sign_calls(), 0);
    world.verify().await;
}

#[tokio::test]
async fn an_approval_of_another_order_or_of_other_bytes_is_refused() {
    let (world, order) = waiting().await;
    let (theo, id) = (&world.people.theo, world.custodian.id());
    let other = world.pay(20 * ETH, KNOWN, "another").await.unwrap();
    let good = theo.statement(Verb::Approve, &other, world.now().after(HOUR));
    let moved = Statement { order: order.order.clone(), ..good.clone() };
    let refused = world.custodian.approve(theo.sign(&id, moved)).await;
    assert_statement(&refused, "another order document");
    let bytes = Statement { digest: Digest::of(b"other bytes"), ..good.clone() };
    let refused = world.custodian.approve(theo.sign(&id, bytes)).await;
    assert_statement(&refused, "another order document");
    let nowhere = Statement { order: OrderId::parse("nowhere").unwrap(), ..good };
    assert!(world.custodian.approve(theo.sign(&id, nowhere)).await.is_err());
    assert_eq!(world.sign_calls(), 0);
}

#[tokio::test]
async fn a_statement_is_taken_by_the_call_of_its_verb_only() {
    let (world, order) = waiting().await;
    let reject = world.says(&world.people.theo, Verb::Reject, &order);
    let approve = world.says(&world.people.theo, Verb::Approve, &order);
    for refused in [
        world.custodian.approve(reject.clone()).await,
        world.custodian.cancel(reject).await,
        world.custodian.reject(approve.clone()).await,
        world.custodian.cancel(approve).await,
    ] {
        assert!(matches!(refused, Err(Error::Request { .. })), "{refused:?}");
    }
    assert_pending(&world.order(&order.order).await.unwrap());
}

#[tokio::test]
async fn a_credential_that_nobody_enrolled_is_refused() {
    let (world, order) = waiting().await;
    let mut theo = world.people.theo.clone();
    theo.credential = CredentialId::parse("theos-new-phone").unwrap();
    assert_statement(&world.approve(&theo, &order).await, "no such credential");
}

#[tokio::test]
async fn a_rejection_is_final_and_comes_from_a_role_that_is_awaited() {
    let (world, order) = waiting().await;
    let refused = world.reject(&world.people.otto, &order).await;
    assert!(matches!(refused, Err(Error::Request { .. })), "{refused:?}");
    let rejected = world.reject(&world.people.tom, &order).await.unwrap();
    assert_eq!(rejected.outcome, Outcome::Denied { rules: Vec::new() });
    for person in [&world.people.theo, &world.people.tara] {
        let after = world.approve(person, &order).await.unwrap();
        assert_eq!(after.outcome, Outcome::Denied { rules: Vec::new() });
    }
    let again = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
    assert_eq!(again, rejected);
    assert_eq!(world.sign_calls(), 0);
    world.verify().await;
}

#[tokio::test]
async fn only_the_requester_cancels_and_only_while_the_order_is_pending() {
    let (world, order) = waiting().await;
    let refused = world.cancel(&world.people.otto, &order).await;
    assert_statement(&refused, "only the requester cancels");
    let cancelled = world.cancel(&world.people.olivia, &order).await.unwrap();
    assert_eq!(cancelled.outcome, Outcome::Cancelled);
    let after = world.approve_all(order).await.unwrap();
    assert_eq!(after.outcome, Outcome::Cancelled);

    let small = world.pay(ETH / 2, KNOWN, "small").await.unwrap();
    assert_released(&small);
    let late = world.cancel(&world.people.olivia, &small).await.unwrap();
    assert_eq!(late.outcome, small.outcome);
    assert_eq!(world.sign_calls(), 1);
    world.verify().await;
}

#[tokio::test]
async fn an_order_that_expired_is_not_released() {
    let (world, order) = waiting().await;
    assert_pending(&world.approve(&world.people.theo, &order).await.unwrap());
    world.clock.advance(Duration::from_secs(86_401));
    let late = world.approve(&world.people.tara, &order).await.unwrap();
    assert!(!matches!(late.outcome, Outcome::Released(_) | Outcome::Pending { .. }), "{late:?}");
    assert_eq!(world.sign_calls(), 0);
    world.verify().await;
}

#[tokio::test]
async fn a_signed_submission_is_known_as_such_and_a_wrong_signature_is_refused() {
    let (world, _) = waiting().await;
    let olivia = &world.people.olivia;
    let mut request = world.request(ETH / 2, KNOWN, "signed");
    let digest = world.custodian.submission_digest(&request).unwrap();
    for (name, signature) in [
        ("another person's", world.people.tom.sign_submission(&digest)),
        ("over other bytes", olivia.sign_submission(&Digest::of(b"other"))),
        ("over a bare digest", {
            let mut signature = olivia.sign_submission(&digest);
            signature.credential = world.people.tom.credential.clone();
            signature
        }),
    ] {
        request.signature = Some(signature);
        let refused = world.submit(request.clone()).await;
        assert!(matches!(refused, Err(Error::Request { .. })), "{name}: {refused:?}");
    }
    assert_eq!(world.sign_calls(), 0);
    request.signature = Some(olivia.sign_submission(&digest));
    assert_released(&world.submit(request).await.unwrap());
    world.verify().await;
}

const HOUR: Duration = Duration::from_secs(3_600);

/// Both calls are queued before the sequencer takes either: the credential was there when the
/// signature was verified, and is not there when the order would be made.
#[tokio::test]
async fn a_submission_under_a_credential_that_goes_in_the_same_turn_makes_no_order() {
    let world = World::new(Kind::Memory).await;
    let olivia = &world.people.olivia;
    let remove = Command::RemoveCredential {
        principal: olivia.id.clone(),
        credential: olivia.credential.clone(),
    };
    let mut request = world.request(ETH / 2, KNOWN, "late");
    let digest = world.custodian.submission_digest(&request).unwrap();
    request.signature = Some(olivia.sign_submission(&digest));
    let waits = world.submit(command(olivia, "remove", remove)).await.unwrap();
    let waits = world.approve(&world.people.tara, &waits).await.unwrap();
    let last = world.says(&world.people.theo, Verb::Approve, &waits);
    let (removed, late) =
        tokio::join!(world.custodian.approve(last), world.custodian.submit(request));
    assert_released(&removed.unwrap());
    assert!(matches!(late, Err(Error::Request { .. })), "{late:?}");
    assert_eq!(world.sign_calls(), 0);
    let _oracle = world.verify().await;
}
