//! Parts that take their time.

use std::sync::Arc;
use std::time::Duration;

use custody_core::seam::Clock as _;
use custody_testkit::audit::{SlowAnchor, SlowLog};
use custody_testkit::backend::SlowBackend;
use custody_testkit::store::SlowStore;

use crate::house::{House, Parts, pay, said};

const DELAY: Duration = Duration::from_millis(300);

#[test]
fn what_is_slow_delays_a_release_and_does_not_prevent_it() {
    let house = House::new();
    house.run(async {
        let clock = || Arc::new(house.clock.clone());
        let slow = Parts {
            store: Arc::new(SlowStore::new(house.store.clone(), clock(), DELAY)),
            log: Arc::new(SlowLog::new(Arc::new(house.log.clone()), clock(), DELAY)),
            anchor: Arc::new(SlowAnchor::new(Arc::new(house.anchor.clone()), clock(), DELAY)),
            backend: Arc::new(SlowBackend::new(Arc::new(house.keys.clone()), clock(), DELAY)),
            ..house.parts()
        };
        let custodian = house.furnished(slow).await;
        let before = house.clock.monotonic();
        assert_eq!(said(&pay(&custodian, "once").await), "released");
        // Reservation and outcome, each with its head and anchor; between them the key is opened
        // and signs. None of it begins before what it follows has ended.
        assert!(house.clock.monotonic().saturating_sub(before) >= DELAY * 8);
        assert_eq!((house.keys.sign_calls(), house.signed()), (1, 1));
    });
}

#[test]
fn a_backend_that_never_answers_or_answers_too_late_releases_nothing() {
    for hangs in [true, false] {
        let house = House::new();
        house.run(async {
            let id = house.closed().await;
            let keys = Arc::new(house.keys.clone());
            let late = Duration::from_secs(11);
            let backend = match hangs {
                true => SlowBackend::hanging(keys),
                false => SlowBackend::new(keys, Arc::new(house.clock.clone()), late),
            };
            let parts = Parts { backend: Arc::new(backend), ..house.parts() };
            let custodian = house.builder(parts).open(id).await.unwrap();
            let heard = match hangs {
                true => "Unknown { reason: TimedOut }",
                false => "failed BackendUnavailable",
            };
            assert_eq!(said(&pay(&custodian, "once").await), heard);
            house.assert_unused();
        });
    }
}
