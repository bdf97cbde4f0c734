//! How large an order, a command and a configuration may be.

use std::ops::Range;
use std::time::Duration;

use custody_core::amount::{Amount, Units};
use custody_core::command::Command;
use custody_core::custodian::{Config, Custodian, Older, Recovery, Request};
use custody_core::digest::Digest;
use custody_core::effect::Effect;
use custody_core::id::{CredentialId, RequestId};
use custody_core::principal::Principal;
use custody_core::seam::{Clock as _, PolicyDocument};
use custody_testkit::decoder::TestTransfer;
use custody_testkit::people::TestPerson;
use custody_testkit::policy::TestRules;
use futures::future::join;

use crate::house::{
    House, ann, approve, furnish, genesis, govern, hot, key, pay, refusal, ruled, said,
};

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_life_that_no_order_may_have_is_refused_with_the_configuration() {
    let house = House::new();
    house.run(async {
        let builder = |days: u32| {
            let config = Config { order_life: DAY * days, ..Config::default() };
            house.builder(house.parts()).config(config)
        };
        let refused = "the configuration is refused: an order lives at most 30 days";
        assert_eq!(refusal(builder(31).create(genesis()).await), refused);
        assert_eq!(house.events(), 0);
        let custodian = builder(30).create(genesis()).await.unwrap();
        furnish(&custodian).await;
        assert_eq!(said(&pay(&custodian, "longest").await), "released");
        house.replays(&custodian).await;
        custodian.close().await.unwrap();
        let (id, events) = (custodian.id(), house.events());
        assert_eq!(refusal(builder(31).open(id).await), refused);
        let archive = Digest::new([1; 32]);
        let recovery = Recovery { archive, vouched: Vec::new(), older: Older::Refuse };
        assert_eq!(refusal(builder(31).recover(id, recovery).await), refused);
        assert_eq!(house.events(), events);
    });
}

/// Enrols somebody with so many credentials.
fn enrol(count: u32) -> Command {
    let eve = TestPerson::new("eve", &["treasurer"]);
    let name = |number: u32| CredentialId::parse(&format!("{number:064}")).unwrap();
    let credentials = (0..count).map(|number| (name(number), eve.credential())).collect();
    Command::EnrollPrincipal { principal: Principal { credentials, ..eve.principal() } }
}

/// Puts a rule set in force that is nearly as large as one may be, and twice as large as text.
fn rules() -> Command {
    let rules = format!("allow\n# {}", "\"".repeat(520_000));
    let document = TestRules::document(&["treasurer"], &rules).to_bytes().unwrap();
    assert!((PolicyDocument::MAX * 9 / 10..=PolicyDocument::MAX).contains(&document.len()));
    Command::UpdatePolicy { policy: String::from_utf8(document).unwrap() }
}

#[test]
fn a_command_that_is_larger_than_any_rule_set_is_refused_and_what_came_with_it_is_done() {
    let house = House::new();
    house.run(async {
        let custodian = house.furnished(house.parts()).await;
        let events = house.events();
        let both = join(govern(&custodian, "crowd", enrol(20_000)), pay(&custodian, "beside"));
        let (enrolled, paid) = both.await;
        let refused = "the request is refused: the command's document is too large";
        assert_eq!(said(&enrolled), refused);
        assert_eq!(said(&paid), "released");
        // The payment alone: submitted, allowed, signed.
        assert_eq!(house.events(), events + 3);
        let again = govern(&custodian, "crowd", enrol(1_000)).await;
        assert_eq!(said(&again), "released", "its request was not made");
        assert_eq!(said(&govern(&custodian, "rules", rules()).await), "released");
        house.replays(&custodian).await;
    });
}

/// A payment of so many units to each of these accounts.
fn batch(id: &str, accounts: Range<u32>, units: &str) -> Request {
    let amount = Amount::new(TestTransfer::coin(), Units::parse(units).unwrap());
    let transfer = |number: u32| Effect::Transfer {
        amount: amount.clone(),
        from: TestTransfer::account("own"),
        to: TestTransfer::account(&format!("p{number}")),
    };
    let mut payload = TestTransfer::of(1, "friend", &key(0), 0);
    payload.effects = accounts.map(transfer).collect();
    Request::payload(ann(), RequestId::parse(id).unwrap(), hot(), payload.payload())
}

const RULES: &str = "\
allow create_wallet
allow create_key
need treasurer 1 transfer
need treasurer 1 update_policy
";

const UNDECIDABLE: &str =
    "the request is refused: a decision about the order would be too large for the log";

async fn furnished(house: &House) -> Custodian {
    let custodian = house.builder(house.parts()).create(ruled(RULES)).await.unwrap();
    furnish(&custodian).await;
    custodian
}

#[test]
fn an_order_that_could_never_be_decided_is_refused_and_nothing_of_it_is_recorded() {
    const UNITS: &str = "100000000000";
    let house = House::new();
    house.run(async {
        let custodian = furnished(&house).await;
        let events = house.events();
        let many = custodian.submit(batch("many", 0..200, UNITS));
        let some = custodian.submit(batch("some", 0..100, UNITS));
        let (many, some) = join(many, some).await;
        assert_eq!(said(&many), UNDECIDABLE);
        assert_eq!(house.events(), events + 1, "the other order was submitted");
        let simulated = custodian.simulate(batch("simulated", 0..200, UNITS));
        assert_eq!(simulated.unwrap_err().to_string(), UNDECIDABLE);
        assert_eq!(said(&approve(&custodian, &some.unwrap()).await), "released");
        let few = custodian.submit(batch("many", 0..1, UNITS)).await;
        assert!(said(&few).starts_with("Pending"), "its request was not made");
        house.replays(&custodian).await;
    });
}

/// A small payment to many accounts, to half of which a fortune goes before it is approved.
#[test]
fn an_order_whose_sums_have_outgrown_the_log_waits_until_they_shrink() {
    let fortune = format!("1{}", "0".repeat(70));
    let house = House::new();
    house.run(async {
        let custodian = furnished(&house).await;
        let until = house.clock.now().after(DAY * 20);
        let wide = custodian.submit(batch("wide", 0..140, "10").expiring(until)).await.unwrap();
        let large = custodian.submit(batch("large", 0..70, &fortune)).await.unwrap();
        assert_eq!(said(&approve(&custodian, &large).await), "released");
        let events = house.events();
        let beside = custodian.submit(batch("beside", 0..1, "1"));
        let (approved, beside) = join(approve(&custodian, &wide), beside).await;
        assert!(said(&approved).starts_with("Pending"), "{}", said(&approved));
        assert!(said(&beside).starts_with("Pending"), "{}", said(&beside));
        assert_eq!(house.events(), events + 2, "an approval and an order");
        let again = custodian.judge_again(&wide.order).await;
        assert!(said(&again).starts_with("Pending"), "{}", said(&again));
        house.clock.advance(DAY * 8);
        assert_eq!(said(&custodian.judge_again(&wide.order).await), "released");
        house.replays(&custodian).await;
    });
}
