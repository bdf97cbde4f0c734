use custody_core::id::{KeyId, WalletId};
use custody_core::seam::{ErrorKind, KeyHandle, KeyRecord};

use super::{KeyBackendFixture, any_input, custodian, request};
use crate::key::TestKey;

/// How many single bytes of a long handle are changed, and how many lengths of it tried.
const HANDLE_CHANGES_MAX: usize = 96;

/// A handle that is used for another custodian is `Corrupt`.
pub async fn a_handle_of_another_custodian_is_refused(fixture: KeyBackendFixture) {
    let other = custodian("another house");
    assert_bound(&fixture, |record| KeyRecord { custodian: other, ..record }).await;
}

/// A handle that is used for another wallet is `Corrupt`.
pub async fn a_handle_of_another_wallet_is_refused(fixture: KeyBackendFixture) {
    let other = WalletId::parse("cold").unwrap();
    assert_bound(&fixture, |record| KeyRecord { wallet: other.clone(), ..record }).await;
}

/// A handle that is used for another key id is `Corrupt`.
pub async fn a_handle_of_another_key_is_refused(fixture: KeyBackendFixture) {
    let other = KeyId::parse("another").unwrap();
    assert_bound(&fixture, |record| KeyRecord { key: other.clone(), ..record }).await;
}

/// A record that names the public key of another key is `Corrupt`, whether the backend knows that
/// key or not, and so is a record with the handle of another key.
pub async fn a_recorded_public_key_of_another_key_is_refused(fixture: KeyBackendFixture) {
    let algorithms = fixture.backend.algorithms().to_vec();
    for algorithm in &algorithms {
        let record = fixture.generate(&request("own", *algorithm)).await;
        let other = fixture.generate(&request("other", *algorithm)).await;
        let mut keys = vec![
            ("another key of the backend", other.public_key.clone()),
            ("a key unknown to it", TestKey::seeded(*algorithm, 3).public_key().clone()),
        ];
        keys.extend(algorithms.iter().filter(|other| *other != algorithm).map(|other| {
            ("a key of another algorithm", TestKey::seeded(*other, 3).public_key().clone())
        }));
        for (case, public_key) in keys {
            let changed = KeyRecord { public_key, ..record.clone() };
            assert_corrupt(&fixture, &changed, &format!("{algorithm}: {case}")).await;
        }
        let swapped = KeyRecord { handle: other.handle, ..record.clone() };
        assert_corrupt(&fixture, &swapped, &format!("{algorithm}: another key's handle")).await;
        fixture.assert_signs(&record).await;
    }
}

/// A handle with one bit of any byte changed gives no signer that signs.
pub async fn a_changed_handle_never_signs(fixture: KeyBackendFixture) {
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("changed", *algorithm)).await;
        let length = record.handle.as_bytes().len();
        for position in spread(length) {
            let mut bytes = record.handle.as_bytes().to_vec();
            bytes[position] ^= 0x01;
            let case = format!("{algorithm}: byte {position} of {length} changed");
            assert_never_signs(&fixture, &record, bytes, &case).await;
        }
        fixture.assert_signs(&record).await;
    }
}

/// A handle cut anywhere, or with bytes added, gives no signer that signs.
pub async fn a_cut_handle_never_signs(fixture: KeyBackendFixture) {
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("cut", *algorithm)).await;
        let whole = record.handle.as_bytes();
        for length in spread(whole.len()) {
            let case = format!("{algorithm}: cut to {length} of {} bytes", whole.len());
            assert_never_signs(&fixture, &record, whole[..length].to_vec(), &case).await;
        }
        for (case, bytes) in [
            ("a byte behind", [whole, &[0]].concat()),
            ("a byte before", [&[0], whole].concat()),
            ("twice", [whole, whole].concat()),
        ] {
            assert_never_signs(&fixture, &record, bytes, &format!("{algorithm}: {case}")).await;
        }
        fixture.assert_signs(&record).await;
    }
}

/// Bytes that the backend never made give no signer that signs.
pub async fn a_foreign_handle_never_signs(fixture: KeyBackendFixture) {
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("foreign", *algorithm)).await;
        for length in [0, 1, 16, 32, 64, 300, KeyHandle::MAX] {
            for fill in [0, b'{', 0xff] {
                let case = format!("{algorithm}: {length} times {fill}");
                assert_never_signs(&fixture, &record, vec![fill; length], &case).await;
            }
        }
    }
}

/// The other backend of the same kind does not open this one's keys.
pub async fn another_backend_does_not_open_its_keys(fixture: KeyBackendFixture) {
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("mine", *algorithm)).await;
        let answer = fixture.other.signer(&record).await;
        let kind = answer.expect_err("the other backend opens the key").kind();
        assert!(refuses(kind), "{algorithm}: {kind:?}");
    }
}

/// A generated key does not open under a record that `change` has changed.
async fn assert_bound(fixture: &KeyBackendFixture, change: impl Fn(KeyRecord) -> KeyRecord) {
    for algorithm in fixture.backend.algorithms() {
        let record = fixture.generate(&request("bound", *algorithm)).await;
        assert_corrupt(fixture, &change(record.clone()), algorithm.as_str()).await;
        fixture.assert_signs(&record).await;
    }
}

pub(super) async fn assert_corrupt(fixture: &KeyBackendFixture, record: &KeyRecord, case: &str) {
    match fixture.backend.signer(record).await {
        Ok(_) => panic!("{case}: the key opens"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{case}"),
    }
}

async fn assert_never_signs(
    fixture: &KeyBackendFixture,
    record: &KeyRecord,
    handle: Vec<u8>,
    case: &str,
) {
    let changed = KeyRecord { handle: KeyHandle::new(handle), ..record.clone() };
    match fixture.backend.signer(&changed).await {
        Err(error) => {
            assert!(refuses(error.kind()), "{case}: {:?} invites a retry", error.kind());
        }
        Ok(signer) => {
            let answer = signer.sign(any_input(signer.algorithm())).await;
            assert!(answer.is_err(), "{case}: it signs");
        }
    }
}

/// Whether the kind says that the handle itself is wrong, rather than the moment.
pub(super) const fn refuses(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Refused | ErrorKind::Unsupported
    )
}

/// Positions in `0..length`: all of them, or evenly spread ones with both ends.
pub(super) fn spread(length: usize) -> impl Iterator<Item = usize> {
    let step = length.div_ceil(HANDLE_CHANGES_MAX).max(1);
    let last = length.checked_sub(1).filter(move |last| last % step != 0);
    (0..length).step_by(step).chain(last)
}
