use std::sync::Arc;

use custody_core::crypto::Algorithm;
use custody_core::id::{KeyId, WalletId};
use custody_core::seam::{ErrorKind, KeyBackend, KeyHandle, KeyRecord, KeyResealing, SeedRecord};

use super::derivation::{PATH, derive, elsewhere, generated_seed};
use super::handles::{refuses, spread};
use super::{Ability, KeyBackendFixture, Rotated, custodian, request};
use crate::key::TestKey;

/// A key that is sealed anew has another handle each time and signs under its recorded public key.
pub async fn a_resealed_key_is_the_same_key(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Resealing) {
        return;
    }
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("resealed", *algorithm)).await;
        let once = resealed(&*fixture.backend, &record).await;
        let twice = resealed(&*fixture.backend, &once).await;
        let again = resealed(&*fixture.backend, &record).await;
        let records = [record, once, twice, again];
        for (index, one) in records.iter().enumerate() {
            let others = records.iter().skip(index + 1);
            let is_new = others.clone().all(|other| other.handle != one.handle);
            assert!(is_new, "{algorithm}: a handle came again");
            assert!(one.handle.as_bytes().len() <= KeyHandle::MAX, "{algorithm}: a long handle");
            fixture.assert_signs(one).await;
        }
    }
}

/// From a seed that is sealed anew come the same keys.
pub async fn a_resealed_seed_is_the_same_seed(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Resealing) || !fixture.has(Ability::Derivation) {
        return;
    }
    let seed = generated_seed(&fixture, "resealed").await;
    let once = resealed_seed(&*fixture.backend, &seed).await;
    let twice = resealed_seed(&*fixture.backend, &once).await;
    assert!(once.handle != seed.handle && twice.handle != once.handle, "a handle came again");
    for algorithm in &fixture.derivable {
        let expected = derive(&fixture, &seed, PATH, *algorithm).await.public_key;
        for seed in [&once, &twice] {
            let found = derive(&fixture, seed, PATH, *algorithm).await.public_key;
            assert_eq!(found, expected, "{algorithm}: another seed");
        }
    }
}

/// What was sealed anew does not take the old handle away, whichever key-encrypting key is new.
pub async fn the_old_handle_of_a_resealed_key_still_opens(mut fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Resealing) {
        return;
    }
    let mut records = Vec::new();
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("kept", *algorithm)).await;
        resealed(&*fixture.backend, &record).await;
        fixture.assert_signs(&record).await;
        records.push(record);
    }
    fixture.backend = rotated(&mut fixture).await.with_previous;
    for record in records {
        fixture.assert_signs(&record).await;
        resealed(&*fixture.backend, &record).await;
        fixture.assert_signs(&record).await;
    }
}

/// What is sealed anew after the key-encrypting key was replaced opens under the new one alone, and
/// not under the old one; what was not sealed anew is refused without the old one.
pub async fn what_is_resealed_opens_under_the_new_key_alone(mut fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Resealing) {
        return;
    }
    let Rotated { with_previous, alone } = rotated(&mut fixture).await;
    assert_ne!(with_previous.identity(), fixture.backend.identity(), "the identity stayed");
    assert_eq!(with_previous.identity(), alone.identity(), "the identity follows the old key");
    for algorithm in fixture.backend.algorithms().to_vec() {
        let record = fixture.generate(&request("rotated", algorithm)).await;
        assert_opens_not(&*alone, &record, "an old handle without the old key").await;
        let new = resealed(&*with_previous, &record).await;
        assert_opens_not(&*fixture.backend, &new, "a new handle under the old key").await;
        let made = std::mem::replace(&mut fixture.backend, Arc::clone(&alone));
        fixture.assert_signs(&new).await;
        fixture.backend = made;
    }
    if fixture.has(Ability::Derivation) {
        seeds_open_alone(fixture, &*with_previous, alone).await;
    }
}

async fn seeds_open_alone(
    mut fixture: KeyBackendFixture,
    with_previous: &dyn KeyBackend,
    alone: Arc<dyn KeyBackend>,
) {
    let seed = generated_seed(&fixture, "rotated").await;
    let algorithms = fixture.derivable.clone();
    let mut expected = Vec::new();
    for algorithm in &algorithms {
        expected.push(derive(&fixture, &seed, PATH, *algorithm).await.public_key);
    }
    let new = resealed_seed(with_previous, &seed).await;
    fixture.backend = alone;
    let refused = resealing(&*fixture.backend).reseal_seed(&seed).await;
    assert!(refuses(refused.expect_err("an old seed without the old key").kind()));
    for (algorithm, expected) in algorithms.into_iter().zip(expected) {
        let found = derive(&fixture, &new, PATH, algorithm).await.public_key;
        assert_eq!(found, expected, "{algorithm}: another seed");
    }
}

/// What was made for another custodian, wallet or key id is not sealed anew, nor is a key whose
/// public key is not the recorded one.
pub async fn resealing_what_was_made_for_others_is_refused(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Resealing) {
        return;
    }
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("bound", *algorithm)).await;
        let other = fixture.generate(&request("another", *algorithm)).await;
        let foreign = TestKey::seeded(*algorithm, 3).public_key().clone();
        let mut cases = elsewhere(&record).to_vec();
        let swapped = |handle: &KeyHandle| KeyRecord { handle: handle.clone(), ..record.clone() };
        cases.push(("another key's handle", swapped(&other.handle)));
        cases.push(("another public key", KeyRecord { public_key: foreign, ..record.clone() }));
        for (case, changed) in cases {
            let answer = resealing(&*fixture.backend).reseal_key(&changed).await;
            let kind = answer.expect_err("what belongs to others was sealed anew").kind();
            assert_eq!(kind, ErrorKind::Corrupt, "{algorithm}: {case}");
        }
        fixture.assert_signs(&record).await;
    }
    if !fixture.has(Ability::Derivation) {
        return;
    }
    let seed = generated_seed(&fixture, "bound").await;
    for (case, changed) in [
        ("custodian", SeedRecord { custodian: custodian("another house"), ..seed.clone() }),
        ("wallet", SeedRecord { wallet: WalletId::parse("cold").unwrap(), ..seed.clone() }),
        ("key", SeedRecord { key: KeyId::parse("another").unwrap(), ..seed.clone() }),
    ] {
        let answer = resealing(&*fixture.backend).reseal_seed(&changed).await;
        let kind = answer.expect_err("another's seed was sealed anew").kind();
        assert_eq!(kind, ErrorKind::Corrupt, "another {case}");
    }
}

/// A handle with a byte changed, cut, or made by nobody is not sealed anew.
pub async fn resealing_a_changed_handle_is_refused(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Resealing) {
        return;
    }
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("changed", *algorithm)).await;
        let whole = record.handle.as_bytes();
        let mut cases = vec![("nothing".to_owned(), Vec::new()), ("zeros".to_owned(), vec![0; 64])];
        for position in spread(whole.len()) {
            let mut changed = whole.to_vec();
            changed[position] ^= 0x01;
            cases.push((format!("byte {position} changed"), changed));
            cases.push((format!("cut to {position} bytes"), whole[..position].to_vec()));
        }
        for (case, bytes) in cases {
            let changed = KeyRecord { handle: KeyHandle::new(bytes), ..record.clone() };
            let answer = resealing(&*fixture.backend).reseal_key(&changed).await;
            let kind = answer.expect_err("a changed handle was sealed anew").kind();
            assert!(refuses(kind), "{algorithm}: {case}: {kind:?} invites a retry");
        }
        fixture.assert_signs(&record).await;
    }
}

fn resealing(backend: &dyn KeyBackend) -> &dyn KeyResealing {
    backend.resealing().expect("a backend that was rotated seals anew too")
}

async fn rotated(fixture: &mut KeyBackendFixture) -> Rotated {
    let rotation = fixture.rotation.as_mut().expect("the fixture offers a rotation");
    rotation().await
}

/// The record with the handle of the key sealed anew.
async fn resealed(backend: &dyn KeyBackend, record: &KeyRecord) -> KeyRecord {
    let answer = resealing(backend).reseal_key(record).await;
    let algorithm: Algorithm = record.public_key.algorithm();
    let handle = answer.unwrap_or_else(|error| panic!("{algorithm}: {error}"));
    KeyRecord { handle, ..record.clone() }
}

async fn resealed_seed(backend: &dyn KeyBackend, seed: &SeedRecord) -> SeedRecord {
    let handle = resealing(backend).reseal_seed(seed).await.expect("a seed that is sealed anew");
    SeedRecord { handle, ..seed.clone() }
}

async fn assert_opens_not(backend: &dyn KeyBackend, record: &KeyRecord, case: &str) {
    match backend.signer(record).await {
        Ok(_) => panic!("{case} opens"),
        Err(error) => assert!(refuses(error.kind()), "{case}: {:?}", error.kind()),
    }
}
