use std::sync::Arc;

use custody_core::custodian::Outcome;
use custody_core::id::BackendId;
use custody_core::seam::{Clock, Entropy};
use custody_core::secret::Secret;
use custody_core::tokio::TokioClock;
use custody_soft::{KdfParameters, PassphraseKek, SoftBackend};
use custody_testkit::runtime::TestEntropy;

use crate::world::setup::LogKind;
use crate::world::work::{ETH, KNOWN};
use crate::world::{Kind, Setup, World, words};

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

#[tokio::test]
async fn software_keys_in_real_time_sign_before_and_after_a_restart() {
    let entropy: Arc<dyn Entropy> = Arc::new(TestEntropy::seeded(3));
    let passphrase = Secret::new(b"correct horse battery staple".to_vec());
    let parameters = KdfParameters::default();
    let made = PassphraseKek::create(passphrase, parameters, Arc::clone(&entropy));
    let (kek, _document) = made.unwrap();
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let id = BackendId::parse("software").unwrap();
    let keys = SoftBackend::new(id, Arc::new(kek), entropy, clock).unwrap();
    let setup = Setup {
        real_time: true,
        log: LogKind::Tiles,
        ..Setup::new(Kind::Sqlite).keys(Arc::new(keys))
    };
    let mut world = World::with(setup).await;
    for request in ["before", "after"] {
        assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, request).await), "released");
        world = world.reopen().await;
        assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, request).await), "released");
    }
    assert_eq!((world.sign_calls(), world.verify().await.report.released), (2, 2));
}
