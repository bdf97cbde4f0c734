use custody_core::crypto::Algorithm;
use custody_core::id::KekId;
use custody_core::seam::{ErrorKind, Exportability, KeyRecord, KeyRequest, KeyWrapping};

use super::{Ability, KeyBackendFixture, request};

/// A key that was created exportable is wrapped, unwrapped, and signs under its recorded key.
pub async fn a_wrapped_key_comes_back(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Wrapping) {
        return;
    }
    for algorithm in wrappable(&fixture) {
        let record = exportable(&fixture, "wrapped", algorithm).await;
        let wrapped = wrapping(&fixture).wrap(&record, under(&fixture)).await.unwrap();
        let handle = wrapping(&fixture).unwrap(&record, &wrapped, under(&fixture)).await.unwrap();
        fixture.assert_signs(&KeyRecord { handle, ..record }).await;
    }
}

/// A key that was created as not exportable is refused.
pub async fn a_key_not_exportable_is_not_wrapped(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Wrapping) {
        return;
    }
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("kept", *algorithm)).await;
        let answer = wrapping(&fixture).wrap(&record, under(&fixture)).await;
        let kind = answer.expect_err("a key that may not leave was wrapped").kind();
        assert_eq!(kind, ErrorKind::Refused, "{algorithm}");
    }
}

/// Wrapped bytes that were changed or cut, or that are another key, are `Corrupt`.
pub async fn a_wrapped_key_that_was_changed_is_refused(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Wrapping) {
        return;
    }
    for algorithm in wrappable(&fixture) {
        let record = exportable(&fixture, "changed", algorithm).await;
        let other = exportable(&fixture, "another", algorithm).await;
        let whole = wrapping(&fixture).wrap(&record, under(&fixture)).await.unwrap();
        for position in 0..whole.len() {
            let mut changed = whole.clone();
            changed[position] ^= 1;
            let case = format!("{algorithm}: byte {position} changed");
            assert_not_unwrapped(&fixture, &record, &changed, &case).await;
        }
        let cut = &whole[..whole.len() - 1];
        assert_not_unwrapped(&fixture, &record, cut, "cut").await;
        assert_not_unwrapped(&fixture, &record, &[], "nothing").await;
        assert_not_unwrapped(&fixture, &other, &whole, "another key's record").await;
    }
}

/// A key of an algorithm that is not wrapped is refused when it is to be, and signs all the same.
pub async fn what_cannot_be_wrapped_is_refused(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Wrapping) {
        return;
    }
    for algorithm in fixture.backend.algorithms() {
        if fixture.wraps(*algorithm) {
            continue;
        }
        let record = exportable(&fixture, "not-wrapped", *algorithm).await;
        let answer = wrapping(&fixture).wrap(&record, under(&fixture)).await;
        let kind = answer.expect_err("it is wrapped, and was declared as not wrapped").kind();
        let refused = [ErrorKind::Refused, ErrorKind::Unsupported];
        assert!(refused.contains(&kind), "{algorithm}: {kind:?}");
        fixture.assert_signs(&record).await;
    }
}

fn wrappable(fixture: &KeyBackendFixture) -> Vec<Algorithm> {
    let algorithms = fixture.backend.algorithms().iter().copied();
    algorithms.filter(|algorithm| fixture.wraps(*algorithm)).collect()
}

async fn assert_not_unwrapped(
    fixture: &KeyBackendFixture,
    record: &KeyRecord,
    wrapped: &[u8],
    case: &str,
) {
    match wrapping(fixture).unwrap(record, wrapped, under(fixture)).await {
        Ok(_) => panic!("{case}: unwrapped all the same"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{case}"),
    }
}

async fn exportable(fixture: &KeyBackendFixture, key: &str, algorithm: Algorithm) -> KeyRecord {
    let request = request(key, algorithm);
    fixture.generate(&KeyRequest { exportability: Exportability::Wrapped, ..request }).await
}

fn wrapping(fixture: &KeyBackendFixture) -> &dyn KeyWrapping {
    fixture.backend.wrapping().unwrap()
}

fn under(fixture: &KeyBackendFixture) -> &KekId {
    fixture.wrapped_under.as_ref().expect("the fixture names the key that wraps")
}
