use custody_core::custodian::Outcome;

use crate::world::setup::LogKind;
use crate::world::work::{ETH, KNOWN};
use crate::world::{Kind, Setup, World};

#[tokio::test]
async fn a_small_payment_is_released_at_once_and_a_large_one_after_two_approvals() {
    for kind in Kind::ALL {
        for log in [LogKind::Memory, LogKind::Tiles] {
            let world = World::with(Setup { log, ..Setup::new(kind) }).await;
            let small = world.pay(ETH / 2, KNOWN, "small").await.unwrap();
            assert!(matches!(small.outcome, Outcome::Released(_)), "{small:?}");
            let large = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
            assert!(matches!(large.outcome, Outcome::Pending { .. }));
            let large = world.approve_all(large).await.unwrap();
            assert!(matches!(large.outcome, Outcome::Released(_)), "{large:?}");
            let oracle = world.verify().await;
            assert_eq!((oracle.report.released, world.sign_calls()), (2, 2));
            let world = world.reopen().await;
            assert_eq!(world.order(&large.order).await.unwrap(), large);
            assert_eq!(world.verify().await.report, oracle.report);
        }
    }
}
