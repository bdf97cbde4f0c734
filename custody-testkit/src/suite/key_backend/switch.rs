use std::sync::Arc;

use custody_core::seam::{ErrorKind, KeyRecord, KeySwitch, Signer};

use super::{Ability, KeyBackendFixture, any_input, request};

/// A disabled key signs neither with a signer opened before nor with a new one; an enabled one
/// signs again.
pub async fn a_disabled_key_signs_only_after_it_is_enabled(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Switch) {
        return;
    }
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("switched", *algorithm)).await;
        let other = fixture.generate(&request("left-on", *algorithm)).await;
        let before = fixture.signer(&record).await;
        switch(&fixture).disable(&record).await.unwrap();
        assert_off(&fixture, &record, &before).await;
        fixture.assert_signs(&other).await;
        switch(&fixture).enable(&record).await.unwrap();
        fixture.assert_signs(&record).await;
    }
}

/// Switching to where the key is already changes nothing.
pub async fn switching_is_idempotent(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Switch) {
        return;
    }
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("idempotent", *algorithm)).await;
        let before = fixture.signer(&record).await;
        switch(&fixture).enable(&record).await.unwrap();
        fixture.assert_signs(&record).await;
        switch(&fixture).disable(&record).await.unwrap();
        switch(&fixture).disable(&record).await.unwrap();
        assert_off(&fixture, &record, &before).await;
        switch(&fixture).destroy(&record).await.unwrap();
        switch(&fixture).destroy(&record).await.unwrap();
        assert_off(&fixture, &record, &before).await;
    }
}

/// A destroyed key signs no more; taking its destruction back brings it back or is a conflict.
pub async fn a_destroyed_key_never_signs(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Switch) {
        return;
    }
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("destroyed", *algorithm)).await;
        let before = fixture.signer(&record).await;
        switch(&fixture).destroy(&record).await.unwrap();
        assert_off(&fixture, &record, &before).await;
        match switch(&fixture).cancel_destroy(&record).await {
            Ok(()) => {
                switch(&fixture).enable(&record).await.unwrap();
                fixture.assert_signs(&record).await;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict);
                assert!(switch(&fixture).enable(&record).await.is_err(), "a destroyed key is on");
                assert_off(&fixture, &record, &before).await;
            }
        }
    }
}

fn switch(fixture: &KeyBackendFixture) -> &dyn KeySwitch {
    fixture.backend.switch().unwrap()
}

async fn assert_off(fixture: &KeyBackendFixture, record: &KeyRecord, before: &Arc<dyn Signer>) {
    let input = any_input(before.algorithm());
    assert!(before.sign(input).await.is_err(), "a signer opened before still signs");
    if let Ok(signer) = fixture.backend.signer(record).await {
        assert!(signer.sign(input).await.is_err(), "a signer opened after signs");
    }
}
