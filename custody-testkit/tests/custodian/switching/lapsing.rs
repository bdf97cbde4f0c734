//! Approvals that end while what they allowed is under way at the backend.

use custody_core::custodian::Genesis;
use custody_core::id::RoleId;
use custody_core::principal::{Statement, Verb};
use custody_testkit::people::People;
use custody_testkit::policy::TestRules;

use super::*;

/// Tom's approval ends while the backend switches the key on.
#[test]
fn a_key_whose_resumption_lost_an_approval_meanwhile_stays_suspended() {
    const RULES: &str = "allow create_wallet\nallow create_key\nallow suspend_key\n\
                         allow update_policy\nneed treasurer 1 resume_key";
    for (late, expected, after) in
        [(5_000, "released", KeyState::Active), (5_001, "failed Expired", KeyState::Suspended)]
    {
        let house = House::new();
        house.run(async {
            let backend = recording(&house);
            let people = People::new(&[("ann", &["treasurer"]), ("tom", &["treasurer"])]);
            let genesis = Genesis {
                policy: TestRules::document(&["treasurer"], RULES),
                principals: people.principals(),
                assets: Vec::new(),
            };
            let builder = house.builder(parts(&house, &backend));
            let custodian = builder.create(genesis).await.unwrap();
            furnish(&custodian).await;
            done(&custodian, "off", suspend(0)).await;
            switched_off(&house, &backend, 1).await;
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
            let gate = Gate::new();
            backend.plan().next(BackendCall::Enable, Fault::Hold(gate.clone()));
            let approving = custodian.approve(tom.say(&custodian.id(), statement));
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
