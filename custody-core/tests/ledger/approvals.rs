//! Which approvals count.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use custody_core::command::{Command, CommandResult};
use custody_core::document::{EventBody, Verdict};
use custody_core::id::{OrderId, PolicyId, PrincipalId, RoleId};
use custody_core::ledger::LedgerError;
use custody_core::principal::{Principal, Statement, Verb};
use custody_core::seam::{Facts, Judgement, Missing, PolicyEngine, RoleFacts};
use custody_core::time::Timestamp;

use crate::house::{
    Asked, DAY, House, START, credential, credential_id, newcomer, principal, sign,
};

/// An engine that only remembers the facts about approvals.
#[derive(Debug, Default)]
pub(crate) struct Witness(Mutex<BTreeMap<RoleId, RoleFacts>>);

impl PolicyEngine for Witness {
    fn id(&self) -> PolicyId {
        PolicyId::new(custody_core::digest::Digest::of(b"witness"))
    }

    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        self.0.lock().unwrap().clone_from(&facts.approvals.roles);
        Judgement { allowed: false, rules: Vec::new(), errors: Vec::new() }
    }

    fn missing(&self, _: &Facts<'_>) -> Missing {
        Missing::Never
    }
}

fn facts(house: &House, order: &OrderId) -> RoleFacts {
    let witness = Witness::default();
    let open = house.ledger.order(order).unwrap();
    assert!(!house.ledger.decide(&witness, open, house.now).allowed);
    let roles = witness.0.into_inner().unwrap();
    roles[&RoleId::parse("treasurer").unwrap()]
}

fn counting(house: &House, order: &OrderId) -> Vec<PrincipalId> {
    let open = house.ledger.order(order).unwrap();
    let counting = house.ledger.counting_approvals(open, house.now);
    counting.map(|approval| approval.statement.principal.clone()).collect()
}

/// A payment of olivia's that tara and theo have approved.
fn approved() -> (House, OrderId) {
    let mut house = House::new();
    let order = house.pay(1);
    house.approve(&order, "tara").unwrap();
    house.approve(&order, "theo").unwrap();
    (house, order)
}

#[test]
fn approvals_of_two_people_count_twice() {
    let (house, order) = approved();
    assert_eq!(counting(&house, &order), [principal("tara"), principal("theo")]);
    let expected =
        RoleFacts { approvals: 2, organisations: 1, eligible: 3, eligible_organisations: 2 };
    assert_eq!(facts(&house, &order), expected);
}

#[test]
fn organisations_are_counted_once_each() {
    let (mut house, order) = approved();
    house.approve(&order, "tom").unwrap();
    let facts = facts(&house, &order);
    assert_eq!((facts.approvals, facts.organisations), (3, 2));
}

#[test]
fn an_approval_counts_until_its_last_millisecond() {
    let (mut house, order) = approved();
    house.wait(DAY);
    assert_eq!(counting(&house, &order).len(), 2);
    house.wait(Duration::from_millis(1));
    assert_eq!(counting(&house, &order).len(), 0);
    assert_eq!(facts_at_expiry(&house, &order), 0);
}

/// The order itself has expired too, so that no engine is asked; the approvals are looked at alone.
fn facts_at_expiry(house: &House, order: &OrderId) -> usize {
    let open = house.ledger.order(order).unwrap();
    house.ledger.counting_approvals(open, house.now).count()
}

#[test]
fn the_approval_of_a_removed_person_does_not_count() {
    let (mut house, order) = approved();
    house
        .execute(Command::RemovePrincipal { principal: principal("tara") }, CommandResult::Done {});
    assert_eq!(counting(&house, &order), [principal("theo")]);
    assert_eq!(facts(&house, &order).eligible, 2);
}

#[test]
fn the_approval_of_a_revoked_credential_does_not_count() {
    let (mut house, order) = approved();
    let command =
        Command::RemoveCredential { principal: principal("tara"), credential: credential_id(3) };
    house.execute(command, CommandResult::Done {});
    assert_eq!(counting(&house, &order), [principal("theo")]);
}

#[test]
fn a_person_with_two_credentials_counts_once() {
    let (mut house, order) = approved();
    let command = Command::EnrollCredential {
        principal: principal("tara"),
        credential: credential_id(33),
        key: credential(33),
    };
    house.execute(command, CommandResult::Done {});
    let second = house.say(Verb::Approve, &order, "tara", 33);
    house.push(EventBody::ApprovalAdded(second)).unwrap();
    assert_eq!(counting(&house, &order), [principal("tara"), principal("theo")]);
}

#[test]
fn the_other_credential_of_a_person_counts_when_the_first_is_revoked() {
    let (mut house, order) = approved();
    let (principal, credential) = (principal("tara"), credential_id(33));
    let key = crate::house::credential(33);
    house.execute(
        Command::EnrollCredential { principal: principal.clone(), credential, key },
        CommandResult::Done {},
    );
    let second = house.say(Verb::Approve, &order, "tara", 33);
    house.push(EventBody::ApprovalAdded(second)).unwrap();
    house.execute(
        Command::RemoveCredential { principal, credential: credential_id(3) },
        CommandResult::Done {},
    );
    assert_eq!(counting(&house, &order).len(), 2);
}

#[test]
fn the_requester_is_not_eligible_for_its_own_order() {
    let mut house = House::new();
    let order = house.submit("tom", Asked::Command(Command::ConfirmClock {}));
    let expected =
        RoleFacts { approvals: 0, organisations: 0, eligible: 2, eligible_organisations: 1 };
    assert_eq!(facts(&house, &order), expected);
}

#[test]
fn enrolled_people_become_eligible() {
    let mut house = House::new();
    let order = house.pay(1);
    let principal = newcomer("nina", 44);
    house.execute(Command::EnrollPrincipal { principal }, CommandResult::Done {});
    assert_eq!(facts(&house, &order).eligible, 4);
}

#[test]
fn a_person_enrolled_again_under_the_same_name_with_another_key_does_not_count() {
    let (mut house, order) = approved();
    house
        .execute(Command::RemovePrincipal { principal: principal("tara") }, CommandResult::Done {});
    let principal = newcomer("tara", 44);
    house.execute(Command::EnrollPrincipal { principal }, CommandResult::Done {});
    assert_eq!(counting(&house, &order), [self::principal("theo")]);
}

/// Tara as a new person, whose credential has the name of her old one and another key.
fn same_names() -> Principal {
    let mut principal = newcomer("tara", 44);
    principal.credentials = BTreeMap::from([(credential_id(3), credential(44))]);
    principal
}

#[test]
fn a_person_enrolled_again_does_not_count_though_the_credential_has_the_old_name() {
    for again in [same_names(), newcomer("tara", 3)] {
        let (mut house, order) = approved();
        let principal = principal("tara");
        house.execute(Command::RemovePrincipal { principal }, CommandResult::Done {});
        house.execute(Command::EnrollPrincipal { principal: again }, CommandResult::Done {});
        assert_eq!(counting(&house, &order), [self::principal("theo")]);
        assert_eq!(house.ledger.order(&order).unwrap().approvals().len(), 1);
        assert_eq!(house.rebuilt(), house.ledger);
    }
}

#[test]
fn a_credential_enrolled_again_under_the_same_name_does_not_count() {
    for key in [credential(44), credential(3)] {
        let (mut house, order) = approved();
        let (principal, credential) = (principal("tara"), credential_id(3));
        let (again, name) = (principal.clone(), credential.clone());
        house.execute(Command::RemoveCredential { principal, credential }, CommandResult::Done {});
        let enrol = Command::EnrollCredential { principal: again, credential: name, key };
        house.execute(enrol, CommandResult::Done {});
        assert_eq!(counting(&house, &order), [self::principal("theo")]);
    }
}

#[test]
fn whoever_is_enrolled_again_approves_anew() {
    let (mut house, order) = approved();
    let principal = principal("tara");
    house.execute(Command::RemovePrincipal { principal }, CommandResult::Done {});
    let principal = newcomer("tara", 44);
    house.execute(Command::EnrollPrincipal { principal }, CommandResult::Done {});
    let approval = house.say(Verb::Approve, &order, "tara", 44);
    house.push(EventBody::ApprovalAdded(approval)).unwrap();
    assert_eq!(counting(&house, &order).len(), 2);
}

#[test]
fn a_statement_that_does_not_count_is_refused() {
    let mut house = House::new();
    let (order, other) = (house.pay(1), house.pay(2));
    let own = house.submit("tara", Asked::Command(Command::ConfirmClock {}));
    let good = house.say(Verb::Approve, &order, "tara", 3);
    let with = |change: fn(&mut Statement)| {
        let mut statement = good.statement.clone();
        change(&mut statement);
        sign(statement, 3)
    };
    let mut forged = good.clone();
    forged.signature = with(|statement| statement.verb = Verb::Reject).signature;
    let mut moved = good.clone();
    moved.statement.order = other;
    let no_order = with(|statement| statement.order = OrderId::parse("none").unwrap());
    let no_role = with(|statement| statement.role = RoleId::parse("operator").unwrap());
    let no_person = with(|statement| statement.principal = PrincipalId::parse("mallory").unwrap());
    let no_credential = with(|statement| statement.credential = credential_id(4));
    let late = with(|statement| statement.valid_until = before(START));
    for (statement, what) in [
        (forged, "the signature does not verify"),
        (moved, "another order document"),
        (no_order, "no open order"),
        (no_role, "a role that the principal does not hold"),
        (no_person, "no such principal"),
        (no_credential, "no such credential"),
        (late, "expired"),
        (with(|statement| statement.verb = Verb::Cancel), "another verb"),
        (house.say(Verb::Approve, &order, "tara", 4), "no such credential"),
        (house.say(Verb::Approve, &own, "tara", 3), "the requester cannot approve"),
    ] {
        let refused = house.push(EventBody::ApprovalAdded(statement));
        assert_eq!(refused, Err(LedgerError::Statement { what }));
    }
    let cancel = house.say(Verb::Cancel, &order, "tara", 3);
    let refused = house.ledger.check_statement(&cancel, Verb::Cancel).map(drop);
    assert_eq!(refused, Err(LedgerError::Statement { what: "only the requester cancels" }));
    house.push(EventBody::ApprovalAdded(good)).unwrap();
}

fn before(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis() - 1)
}

#[test]
fn an_order_without_approvals_is_over_a_millisecond_after_its_own_end() {
    let mut house = House::new();
    let id = house.pay(5);
    house.decide(&id, Verdict::Allowed).unwrap();
    let order = house.ledger.order(&id).unwrap();
    let expires = order.document().expires;
    let past = expires.after(Duration::from_millis(1));
    assert_eq!((order.is_over(expires), order.is_over(past)), (false, true));
    assert!(!order.is_approval_over(past));
}
