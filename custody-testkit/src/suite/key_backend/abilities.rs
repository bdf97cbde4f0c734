//! Opens secrets, of tests only.

use custody_core::secret::Secret;

use super::{Ability, KeyBackendFixture, request};

/// The backend has the declared abilities and no others.
pub async fn its_abilities_are_those_declared(fixture: KeyBackendFixture) {
    let mut declared = fixture.abilities.clone();
    declared.sort_unstable();
    assert_eq!(Ability::of(&*fixture.backend), declared);
}

/// Its key encryption wraps and unwraps under a context; the whole contract is checked by the
/// suite of key encryptions.
pub async fn its_kek_wraps_data_keys(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::KeyEncryption) {
        return;
    }
    let kek = fixture.backend.kek().unwrap();
    let wrapped = kek.wrap(&Secret::new(vec![7; 32]), &[b"a", b"b"]).await.unwrap();
    assert!(kek.unwrap(&wrapped, &[b"a", b"b"]).await.unwrap().expose() == [7; 32]);
    assert!(kek.unwrap(&wrapped, &[b"ab"]).await.is_err());
}

/// An attestation of a key is not empty and differs with its nonce.
pub async fn an_attestation_is_over_its_nonce(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Attestation) {
        return;
    }
    let attestation = fixture.backend.attestation().unwrap();
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("attested", *algorithm)).await;
        let first = attestation.attest(&record, &[1; 32]).await.unwrap();
        let second = attestation.attest(&record, &[2; 32]).await.unwrap();
        assert!(!first.is_empty(), "{algorithm}: an empty attestation");
        assert_ne!(first, second, "{algorithm}: an attestation of no nonce");
    }
}
