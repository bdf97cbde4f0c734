use custody_core::crypto::Algorithm;
use custody_core::seam::{ErrorKind, Health, KeyHandle};
use futures::future::join_all;

use super::{KeyBackendFixture, KeyLifetime, request};

/// Each declared algorithm generates a key that signs; at least one is declared, none twice.
pub async fn each_algorithm_generates_keys_that_sign(fixture: KeyBackendFixture) {
    let mut algorithms = fixture.backend.algorithms().to_vec();
    assert!(!algorithms.is_empty(), "a backend without algorithms");
    for algorithm in &algorithms {
        let record = fixture.generate(&request("each", *algorithm)).await;
        fixture.assert_signs(&record).await;
    }
    let declared = algorithms.len();
    algorithms.sort_unstable();
    algorithms.dedup();
    assert_eq!(algorithms.len(), declared, "an algorithm is declared twice");
}

/// Every algorithm that is not declared is refused as `Unsupported`.
pub async fn an_algorithm_not_declared_is_unsupported(fixture: KeyBackendFixture) {
    let declared = fixture.backend.algorithms();
    for algorithm in Algorithm::ALL {
        match fixture.backend.generate(&request("undeclared", algorithm)).await {
            Ok(key) => {
                assert!(declared.contains(&algorithm), "{algorithm} is not declared");
                assert_eq!(key.public_key.algorithm(), algorithm);
            }
            Err(error) => {
                assert!(!declared.contains(&algorithm), "{algorithm} is declared: {error}");
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{algorithm}");
            }
        }
    }
}

/// Keys of two ids differ, made one after the other and at the same time.
pub async fn two_key_ids_never_share_a_key(fixture: KeyBackendFixture) {
    for algorithm in fixture.backend.algorithms() {
        let requests: Vec<_> =
            (0..8).map(|n| request(&format!("at-once-{n}"), *algorithm)).collect();
        let mut keys = vec![
            fixture.generate(&request("first", *algorithm)).await,
            fixture.generate(&request("second", *algorithm)).await,
        ];
        keys.extend(join_all(requests.iter().map(|request| fixture.generate(request))).await);
        let mut public: Vec<&[u8]> = keys.iter().map(|key| key.public_key.as_bytes()).collect();
        public.sort_unstable();
        public.dedup();
        assert_eq!(public.len(), 10, "{algorithm}: two key ids share a key");
    }
}

/// A second call with one key id gives the same key where keys live at the backend, another one
/// where they live in their handles, and never makes the first handle useless.
pub async fn generating_again_gives_the_key_its_lifetime_promises(fixture: KeyBackendFixture) {
    for algorithm in fixture.backend.algorithms() {
        let request = request("again", *algorithm);
        let first = fixture.generate(&request).await;
        let second = fixture.generate(&request).await;
        let same = first.public_key == second.public_key;
        assert_eq!(same, fixture.lifetime == KeyLifetime::Backend, "{algorithm}: the same key");
        for record in [first, second] {
            fixture.assert_signs(&record).await;
        }
    }
}

/// Handles have at least one byte and at most 16 KiB.
pub async fn a_handle_fits_its_limit(fixture: KeyBackendFixture) {
    for algorithm in fixture.backend.algorithms() {
        let length = fixture.generate(&request("limit", *algorithm)).await.handle.as_bytes().len();
        assert!((1..=KeyHandle::MAX).contains(&length), "{algorithm}: {length} bytes");
    }
}

/// A backend that was just made is ready.
pub async fn it_is_ready(fixture: KeyBackendFixture) {
    assert_eq!(fixture.backend.health().await, Health::Ready);
}

/// Id and identity stay the same in use and across a reopen, and are not the other backend's.
pub async fn its_identity_is_stable(fixture: KeyBackendFixture) {
    let id = fixture.backend.id().clone();
    let identity = fixture.backend.identity().clone();
    let in_process = fixture.backend.in_process();
    assert_ne!(identity, *fixture.other.identity(), "two backends have one identity");
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("identity", *algorithm)).await;
        fixture.assert_signs(&record).await;
    }
    let backend = match fixture.reopen {
        Some(mut reopen) => reopen().await,
        None => fixture.backend,
    };
    assert_eq!((backend.id(), backend.identity()), (&id, &identity));
    assert_eq!(backend.in_process(), in_process);
}

/// Keys sign after the backend was opened again.
pub async fn keys_sign_after_a_reopen(mut fixture: KeyBackendFixture) {
    let mut records = Vec::new();
    for algorithm in fixture.backend.algorithms() {
        records.push(fixture.generate(&request("reopen", *algorithm)).await);
    }
    if let Some(reopen) = &mut fixture.reopen {
        fixture.backend = reopen().await;
    }
    for record in &records {
        fixture.assert_signs(record).await;
    }
}
