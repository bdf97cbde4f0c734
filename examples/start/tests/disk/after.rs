//! What is left after a disk failed, held against what the callers heard.

use std::path::Path;
use std::time::Duration;

use custody_audit::anchor::DirectoryAnchor;
use custody_audit::note::KeyName;
use custody_core::custodian::Outcome;
use custody_core::id::OrderId;
use custody_core::order::OrderState;
use custody_core::seam::{HeadAnchor as _, Store as _};
use custody_testkit::oracle::Given;

use crate::house::House;
use crate::life::{GIVEN, Work, summary};
use crate::world::work::{ETH, add_stranger};

/// Opens what is left, goes on with it, and checks everything.
pub(crate) async fn check(root: &Path, work: Work, heard: &[String]) {
    let house = House::open(root, 2, LIMIT).await;
    let house = house.unwrap_or_else(|error| panic!("it does not open again: {error:?}"));
    house.custodian.resume().await.unwrap();
    let given = heard.iter().filter_map(|line| line.strip_prefix(GIVEN));
    let mut given: Vec<Given> = given.map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in heard {
        let words: Vec<_> = line.split(' ').collect();
        if let ["heard", _, "released", order, told] = words[..] {
            let order = OrderId::parse(order).unwrap();
            let answer = house.custodian.order(&order).await;
            assert_eq!(summary(&answer), told, "another answer than was told: {answer:?}");
            given.push(Given::answer(&answer.unwrap()));
        }
    }
    let after = match work {
        Work::Create => house.govern("after", add_stranger()).await.unwrap(),
        Work::Pay => house.pay("after", ETH / 2).await.unwrap(),
    };
    assert!(matches!(after.outcome, Outcome::Released(_)), "it does not go on: {after:?}");
    given.push(house.given("after", &after));
    house.custodian.close().await.unwrap();

    verify(&house, &given).await;
    let head = house.store.head().await.unwrap();
    drop(house);
    let origin = KeyName::parse("example-treasury/custody").unwrap();
    let anchor = DirectoryAnchor::open(root.join("elsewhere"), &origin, &[]).unwrap();
    assert_eq!(anchor.load().await.unwrap().unwrap().size, head, "the anchor is behind");
}

/// Holds the whole log and all that was given out against the one oracle, and looks for orders that
/// were left.
async fn verify(house: &House, given: &[Given]) {
    house.store.verify().await.unwrap();
    let mut oracle = house.oracle();
    assert_eq!(oracle.follow(house.store.as_ref()).await, Ok(()));
    assert_eq!(oracle.position(), house.store.head().await.unwrap());
    assert_eq!(oracle.hear(given), Ok(()));
    let ledger = oracle.ledger().unwrap();
    let left = ledger.orders().filter(|order| order.state() == OrderState::Reserved).count();
    assert_eq!(left, 0, "orders were left");
}

/// Nothing fails any more.
const LIMIT: Duration = Duration::from_secs(10);
