use custody_core::crypto::Algorithm;
use custody_core::seam::ErrorKind;

use super::AuditLogFixture;
use crate::audit::check_note;
use crate::key::TestKey;

/// The log has signers for the key that signs and the key to rotate to, and for no other.
pub async fn the_log_knows_the_keys_it_was_given(fixture: AuditLogFixture) {
    let first = fixture.log.public_key().await;
    for rotated in [false, true] {
        assert!(fixture.log.has_signer(&first).await, "the first key; rotated: {rotated}");
        assert!(fixture.log.has_signer(&fixture.next_key).await, "the next; rotated: {rotated}");
        let unknown = TestKey::seeded(Algorithm::Ed25519, u64::MAX - 1);
        assert!(!fixture.log.has_signer(unknown.public_key()).await);
        fixture.log.rotate(&fixture.next_key).await.unwrap();
    }
}

/// After a rotation the next key signs, the one before no more, and the tree goes on.
pub async fn a_later_head_is_signed_with_the_rotated_key(fixture: AuditLogFixture) {
    let first = fixture.log.public_key().await;
    assert_ne!(first, fixture.next_key, "the fixture's next key signs already");
    let through = fixture.add(3).await;
    let before = fixture.seal(through).await;
    AuditLogFixture::assert_signed(&before, &first);
    fixture.log.rotate(&fixture.next_key).await.expect("a rotation to a key of the log");
    assert_eq!(fixture.log.public_key().await, fixture.next_key);
    let through = fixture.add(3).await;
    let after = fixture.seal(through).await;
    AuditLogFixture::assert_signed(&after, &fixture.next_key);
    assert!(check_note(&after.note, &first).is_err(), "the key before signs a later head");
    fixture.assert_true(&before);
}

/// A rotation to a key that the log was not given is `NotFound`, and the key stays.
pub async fn a_key_the_log_was_not_given_is_not_rotated_to(fixture: AuditLogFixture) {
    let first = fixture.log.public_key().await;
    let unknown = TestKey::seeded(Algorithm::Ed25519, u64::MAX - 1);
    let wrong = TestKey::seeded(Algorithm::EcdsaP256, 1);
    for key in [unknown, wrong] {
        let answer = fixture.log.rotate(key.public_key()).await;
        let kind = answer.expect_err("a rotation to an unknown key").kind();
        assert_eq!(kind, ErrorKind::NotFound);
    }
    assert_eq!(fixture.log.public_key().await, first);
    let through = fixture.add(1).await;
    AuditLogFixture::assert_signed(&fixture.seal(through).await, &first);
}
