//! Approvals that end while what they allowed is under way at the backend.

use custody_core::command::FreezeScope;
use custody_core::custodian::Genesis;
use custody_core::id::RoleId;
use custody_core::principal::{SignedStatement, Statement, Verb};
use custody_testkit::people::People;
use custody_testkit::policy::TestRules;

use super::*;

const RULES: &str = "allow create_wallet\nallow create_key\nallow suspend_key\nallow freeze\n\
                     allow update_policy\nneed treasurer 1 resume_key";

/// A custodian whose key is suspended and off, and what tom says for the next five seconds to the
/// order that is to resume it.
async fn suspended(
    house: &House,
    parts: Parts,
    backend: &FailingBackend,
) -> (Custodian, SignedStatement) {
    let people = People::new(&[("ann", &["treasurer"]), ("tom", &["treasurer"])]);
    let genesis = Genesis {
        policy: TestRules::document(&["treasurer"], RULES),
        principals: people.principals(),
        assets: Vec::new(),
    };
    let custodian = house.builder(parts).create(genesis).await.unwrap();
    furnish(&custodian).await;
    done(&custodian, "off", suspend(0)).await;
    switched_off(house, backend, 1).await;
    let waits = govern(&custodian, "on", resume(0)).await.unwrap();
    let tom = people.get("tom");
    let statement = Statement {
        verb: Verb::Approve,
        order: waits.order.clone(),
        digest: waits.digest,
        principal: tom.id().clone(),
        credential: tom.credential_id().clone(),
        role: RoleId::parse("treasurer").unwrap(),
        valid_until: house.clock.now().after(Duration::from_secs(5)),
    };
    let said = tom.say(&custodian.id(), statement);
    (custodian, said)
}

/// Tom's approval ends while the backend switches the key on.
#[test]
fn a_key_whose_resumption_lost_an_approval_meanwhile_stays_suspended() {
    for (late, expected, after) in
        [(5_000, "released", KeyState::Active), (5_001, "failed Expired", KeyState::Suspended)]
    {
        let house = House::new();
        house.run(async {
            let backend = recording(&house);
            let (custodian, approval) = suspended(&house, parts(&house, &backend), &backend).await;
            let gate = Gate::new();
            backend.plan().next(BackendCall::Enable, Fault::Hold(gate.clone()));
            let approving = custodian.approve(approval);
            let (answer, ()) = join(Box::pin(approving), async {
                gate.reached_by(1).await;
                house.clock.advance(Duration::from_millis(late));
                gate.open();
            })
            .await;
            assert_eq!(said(&answer), expected, "{late}");
            pass(&house, Duration::from_secs(60)).await;
            assert_eq!(state(&custodian, 0), after, "{late}");
            assert_eq!(is_on(&house, &custodian, 0).await, after == KeyState::Active, "{late}");
        });
    }
}

/// The house is being frozen, which stops no resumption, when the key has been switched on.
#[test]
fn a_freeze_does_not_hide_that_a_resumption_lost_an_approval() {
    for (late, expected, after) in
        [(5_000, "released", KeyState::Active), (5_001, "failed Expired", KeyState::Suspended)]
    {
        let house = House::new();
        house.run(async {
            let backend = recording(&house);
            let (store, parts) = house.faulty();
            let parts = Parts { backend: Arc::<FailingBackend>::clone(&backend), ..parts };
            let (custodian, approval) = suspended(&house, parts, &backend).await;
            let (enabling, freezing) = (Gate::new(), Gate::new());
            backend.plan().next(BackendCall::Enable, Fault::Hold(enabling.clone()));
            let meanwhile = async {
                enabling.reached_by(1).await;
                house.clock.advance(Duration::from_millis(late));
                store.plan().next(StoreCall::Commit, Fault::Hold(freezing.clone()));
                let freeze = Command::Freeze { scope: FreezeScope::House };
                let letting_go = async {
                    freezing.reached_by(1).await;
                    enabling.open();
                    pass(&house, Duration::from_millis(100)).await;
                    freezing.open();
                };
                join(govern(&custodian, "freeze", freeze), letting_go).await.0
            };
            let approving = Box::pin(custodian.approve(approval));
            let (answer, frozen) = join(approving, Box::pin(meanwhile)).await;
            assert_eq!((said(&answer).as_str(), said(&frozen).as_str()), (expected, "released"));
            pass(&house, Duration::from_secs(60)).await;
            assert_eq!(state(&custodian, 0), after, "{late}");
            house.replays(&custodian).await;
        });
    }
}
