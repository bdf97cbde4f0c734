//! Who may approve, and what becomes of what they said.

use super::*;

#[test]
fn an_approval_counts_of_whoever_may_give_it_and_of_nobody_else() {
    type Forge = fn(&mut Statement);
    let mut log = Log::new();
    let order = log.payment("friend", &["one"]);
    let rows: [(&str, &str, Forge, &str); 10] = [
        ("tom", "tara", |_| {}, "credential has not signed it"),
        ("tom", "tom", |said| said.role = role("operator"), "does not hold the role"),
        ("tom", "tom", |said| said.digest = Digest::of(b"other"), "about another document"),
        ("tom", "tom", |said| said.valid_until = Timestamp::from_millis(999), "had expired"),
        ("tom", "tom", |said| said.principal = PrincipalId::parse("eve").unwrap(), "enrolled"),
        (
            "tom",
            "tara",
            |said| said.credential = CredentialId::parse("tara-key").unwrap(),
            "no such credential",
        ),
        ("tom", "tom", |said| said.verb = Verb::Reject, "says something else"),
        ("ann", "ann", |said| said.role = role("operator"), "the requester's own"),
        ("ann", "ann", |_| {}, "does not hold the role"),
        ("ann", "tom", |said| said.role = role("operator"), "credential has not signed it"),
    ];
    for (name, signer, forge, words) in rows {
        let mut statement = log.statement(&order, name);
        forge(&mut statement);
        let signed = log.people.get(signer).say(&custodian(), statement);
        assert_breaks(log.push(EventBody::ApprovalAdded(signed)), Invariant::Approvals, words);
    }
    let other = CustodianId::new(Digest::of(b"other"));
    let signed = log.people.get("tom").say(&other, log.statement(&order, "tom"));
    let taken = log.push(EventBody::ApprovalAdded(signed));
    assert_breaks(taken, Invariant::Approvals, "credential has not signed it");
    log.approve(&order, "tom").unwrap();
    log.allow(&order).unwrap();
    assert_breaks(log.approve(&order, "tara"), Invariant::Approvals, "does not wait any more");
}

#[test]
fn who_may_approve_follows_from_the_commands_that_were_done() {
    let mut log = Log::new();
    let order = log.payment("friend", &["one"]);
    let tom = log.people.get("tom").clone();
    let (principal, credential) = (tom.id().clone(), tom.credential_id().clone());
    log.approve(&order, "tom").unwrap();
    log.execute(Command::RemoveCredential {
        principal: principal.clone(),
        credential: credential.clone(),
    });
    assert_breaks(log.approve(&order, "tom"), Invariant::Approvals, "no such credential");
    let next = TestKey::seeded(Algorithm::Ed25519, 2);
    let renewed = tom.with_credential("tom-key", next);
    log.execute(Command::EnrollCredential {
        principal: principal.clone(),
        credential,
        key: renewed.credential(),
    });
    assert_breaks(log.approve(&order, "tom"), Invariant::Approvals, "has not signed it");
    log.people = log.people.clone().with(renewed);
    log.approve(&order, "tom").unwrap();
    log.execute(Command::RemovePrincipal { principal });
    assert_breaks(log.approve(&order, "tom"), Invariant::Approvals, "nobody of that name");
    let clerk = TestPerson::new("tom", &["operator"]);
    log.execute(Command::EnrollPrincipal { principal: clerk.principal() });
    log.people = log.people.clone().with(clerk);
    assert_breaks(log.approve(&order, "tom"), Invariant::Approvals, "does not hold the role");
}

#[test]
fn what_was_said_before_a_removal_is_gone_where_the_order_waits() {
    let promises = Promises {
        asset: Some(TestTransfer::coin()),
        a_day: None,
        alone: Some((Units::from(1_u64), 1)),
    };
    for (removes_credential, stays_enrolled) in [(true, true), (false, true), (false, false)] {
        for is_allowed in [false, true] {
            let mut log = Log::promising(promises.clone());
            let order = log.payment("friend", &["one"]);
            log.approve(&order, "tom").unwrap();
            log.approve(&order, "tom").unwrap();
            if is_allowed {
                log.allow(&order).unwrap();
            }
            let tom = log.people.get("tom").clone();
            let (principal, credential) = (tom.id().clone(), tom.credential_id().clone());
            log.execute(match removes_credential {
                true => Command::RemoveCredential { principal, credential },
                false => Command::RemovePrincipal { principal },
            });
            if stays_enrolled && !removes_credential {
                log.execute(Command::EnrollPrincipal { principal: tom.principal() });
            }
            match (is_allowed, removes_credential) {
                (false, _) => {
                    let allowed = log.allow(&order);
                    assert_breaks(allowed, Invariant::Approvals, "allowed with 0 approvals");
                }
                (true, false) => {
                    let signed = log.sign(&order, &["one"]);
                    assert_breaks(signed, Invariant::Approvals, "released with 0 approvals");
                }
                (true, true) => {
                    log.sign(&order, &["one"]).unwrap();
                }
            }
        }
    }
}
