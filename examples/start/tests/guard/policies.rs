//! Changing the rules, and the people who are under them.

use std::time::Duration;

use custody_core::command::Command;
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Error, Outcome};
use custody_core::id::{CredentialId, RoleId};
use custody_core::ledger::{CommandRefusal, LedgerError};
use custody_core::principal::{Credential, Verb};
use examples_start::house::{self, TREASURY};

use crate::world::people::Person;
use crate::world::work::{ETH, KNOWN, command};
use crate::world::{Kind, World};
use crate::{assert_pending, assert_released};

async fn world() -> World {
    World::new(Kind::Memory).await
}

fn update(rules: &str) -> Command {
    let mut policy = house::policy().unwrap();
    rules.clone_into(&mut policy.rules);
    Command::UpdatePolicy { policy: String::from_utf8(policy.to_bytes().unwrap()).unwrap() }
}

/// The rules of the examples with one line replaced.
fn changed(from: &str, to: &str) -> String {
    assert!(TREASURY.contains(from), "the rules say something else");
    TREASURY.replace(from, to)
}

#[tokio::test]
async fn rules_that_could_not_come_into_force_are_refused_and_make_no_order() {
    let world = world().await;
    let before = world.events().await.len();
    let never = changed("Action::\"update_policy\", ", "");
    let forbidden = format!(
        "{TREASURY}\n@id(\"stone\") forbid (principal, action == Action::\"update_policy\", resource);"
    );
    let five = changed(
        "|| context.approvals.treasurer >= 2 };",
        "|| context.approvals.treasurer >= 2 };\n@id(\"four\") forbid (principal, action == \
         Action::\"update_policy\", resource) unless { context.approvals.treasurer >= 4 };",
    );
    for (name, rules) in [
        ("no rule", String::new()),
        ("no Cedar", "permit everything".to_owned()),
        ("an unknown role", changed("Role::\"operator\"", "Role::\"janitor\"")),
        (
            "an unknown action",
            changed("action == Action::\"transfer\"", "action == Action::\"steal\""),
        ),
        ("two rules of one id", format!("{TREASURY}\n{TREASURY}")),
        ("update_policy is permitted to nobody", never),
        ("update_policy is forbidden", forbidden),
        ("more treasurers than there are", five),
    ] {
        let refused = world.submit(command(&world.people.olivia, "refused", update(&rules))).await;
        assert!(refused.is_err(), "{name}: {refused:?}");
    }
    assert_eq!(world.events().await.len(), before);
}

#[tokio::test]
async fn new_rules_hold_from_their_position_on() {
    let world = world().await;
    let olivia = &world.people.olivia;
    let waiting = world.pay(20 * ETH, KNOWN, "waiting").await.unwrap();
    let strict = changed(
        "decimal(\"100.0\")) && context.approvals.treasurer >= 2 };",
        "decimal(\"10.0\")) && context.approvals.treasurer >= 2 };",
    );
    let before = world.custodian.policy();
    let pending = world.submit(command(olivia, "strict", update(&strict))).await.unwrap();
    assert_eq!(world.custodian.policy(), before);
    let done = world.approve_all(pending).await.unwrap();
    assert!(matches!(done.outcome, Outcome::Released(_)), "{done:?}");
    assert_ne!(world.custodian.policy(), before);
    let later = world.pay(20 * ETH, KNOWN, "later").await.unwrap();
    assert!(matches!(later.outcome, Outcome::Denied { .. }), "{later:?}");
    let touched = world.approve_all(waiting).await.unwrap();
    assert!(matches!(touched.outcome, Outcome::Denied { .. }), "{touched:?}");
    assert_eq!(world.sign_calls(), 0);
    world.verify().await;
}

#[tokio::test]
async fn orders_of_one_batch_after_new_rules_are_judged_under_them() {
    let world = world().await;
    let strict =
        changed("decimal(\"1.0\")) && context.known", "decimal(\"0.1\")) && context.known");
    let pending =
        world.submit(command(&world.people.olivia, "strict", update(&strict))).await.unwrap();
    let approval = world.says(&world.people.theo, Verb::Approve, &pending);
    let approve = world.custodian.approve(approval);
    let pay = world.custodian.submit(world.request(ETH / 2, KNOWN, "same-batch"));
    // On one thread both calls are queued before the sequencer takes either.
    let (approved, paid) = tokio::join!(approve, pay);
    assert!(matches!(approved.unwrap().outcome, Outcome::Released(_)));
    let paid = paid.unwrap();
    assert!(matches!(paid.outcome, Outcome::Pending { .. }), "{paid:?}");
    assert_eq!(world.sign_calls(), 0);
    world.verify().await;
}

#[tokio::test]
async fn people_with_unknown_roles_or_shared_credentials_are_not_enrolled() {
    let world = world().await;
    let mut janitor = Person::new("nina", &["operator"], Algorithm::Ed25519);
    janitor.roles.insert(RoleId::parse("janitor").unwrap());
    let mut twin = world.people.theo.enrolment();
    twin.id = janitor.id.clone();
    let shared = Command::EnrollCredential {
        principal: world.people.tom.id.clone(),
        credential: CredentialId::parse("second").unwrap(),
        key: Credential::new(world.people.theo.key.public_key().clone()).unwrap(),
    };
    for (name, command) in [
        ("an unknown role", Command::EnrollPrincipal { principal: janitor.enrolment() }),
        ("a shared credential", Command::EnrollPrincipal { principal: twin }),
        ("somebody enrolled", Command::EnrollPrincipal { principal: world.people.tom.enrolment() }),
        ("a credential of another", shared),
    ] {
        let refused = world.govern("enrol", command).await;
        let is_refused = matches!(
            &refused,
            Err(Error::Command(CommandRefusal::NotFound { .. } | CommandRefusal::Exists { .. }))
        );
        assert!(is_refused, "{name}: {refused:?}");
    }
    world.verify().await;
}

#[tokio::test]
async fn a_newcomer_counts_from_the_enrolment_on() {
    let world = world().await;
    let nina = Person::new("nina", &["treasurer"], Algorithm::Ed25519);
    let order = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
    let refused = world.approve(&nina, &order).await;
    let expected = "no such principal";
    let is_refused = matches!(
        &refused,
        Err(Error::Ledger(LedgerError::Statement { what })) if *what == expected
    );
    assert!(is_refused, "{refused:?}");
    world.done("nina", Command::EnrollPrincipal { principal: nina.enrolment() }).await;
    assert_pending(&world.approve(&nina, &order).await.unwrap());
    assert_eq!(world.sign_calls(), 0);
    let released = world.approve(&world.people.theo, &order).await.unwrap();
    assert!(matches!(released.outcome, Outcome::Released(_)), "{released:?}");
    world.verify().await;
}

#[tokio::test]
async fn a_clock_that_jumped_stops_judging_until_a_quorum_confirms_it() {
    let world = world().await;
    let waiting = world.pay(20 * ETH, KNOWN, "waiting").await.unwrap();
    world.clock.drift(Duration::from_secs(3_600));
    let stopped = world.pay(ETH / 2, KNOWN, "stopped").await;
    assert!(matches!(stopped, Err(Error::ClockJump)), "{stopped:?}");
    let stopped = world.approve(&world.people.theo, &waiting).await;
    assert!(matches!(stopped, Err(Error::ClockJump)), "{stopped:?}");
    assert_eq!(world.sign_calls(), 0);
    let confirm = command(&world.people.olivia, "clock", Command::ConfirmClock {});
    let alone = world.submit(confirm).await.unwrap();
    assert!(matches!(alone.outcome, Outcome::Pending { .. }), "{alone:?}");
    let stopped = world.pay(ETH / 2, KNOWN, "still").await;
    assert!(matches!(stopped, Err(Error::ClockJump)), "{stopped:?}");
    assert_released(&world.approve_all(alone).await.unwrap());
    let paid = world.pay(ETH / 2, KNOWN, "confirmed").await.unwrap();
    assert!(matches!(paid.outcome, Outcome::Released(_)), "{paid:?}");
    world.verify().await;
}
