//! A key of KMS is a way to an archive's key, alone and beside others.

use custody_core::digest::Digest;
use custody_core::id::CustodianId;
use custody_recovery::archive::{ArchiveId, ArchiveKey};
use custody_recovery::{OfficerKey, Opener, Recipient, RouteError, Routes, X25519SecretKey};
use examples_kms::account::Account;
use examples_start::entropy::OsEntropy;
use tokio::runtime::Runtime;

const ARCHIVES: &str = "alias/archives";
const OTHER: &str = "alias/others";

#[test]
#[ignore = "needs a stand-in for KMS"]
fn a_key_of_kms_opens_what_was_wrapped_for_it_and_another_does_not() {
    Runtime::new().unwrap().block_on(async {
        let account = Account::of_environment().unwrap();
        for alias in [ARCHIVES, OTHER] {
            account.symmetric_key(alias).await.unwrap();
        }
        let officer = X25519SecretKey::generate(&OsEntropy).unwrap();
        let otto =
            OfficerKey { officer: "otto".parse().unwrap(), public_key: officer.public_key() };
        let (archive, house) = (ArchiveId::new([1; 32]), CustodianId::new(Digest::of(b"house")));
        let key = ArchiveKey::generate(&OsEntropy).unwrap();
        let kek = account.kek(ARCHIVES).await.unwrap();
        let recipients = [Recipient::Kek(kek.as_ref()), Recipient::Officer(&otto)];
        let routes = Routes::wrap(&key, &archive, &house, &recipients, &OsEntropy).await.unwrap();
        drop(kek);

        // Another process, which has nothing but the name of the key.
        let again = account.kek(ARCHIVES).await.unwrap();
        routes.open(&archive, &house, Opener::Kek(again.as_ref())).await.unwrap();
        routes.open(&archive, &house, Opener::Officer(&officer)).await.unwrap();

        let other = account.kek(OTHER).await.unwrap();
        let error = routes.open(&archive, &house, Opener::Kek(other.as_ref())).await.unwrap_err();
        assert!(matches!(error, RouteError::WrongRoute { .. }), "{error:?}");
        // The key of one archive is not that of another, nor of another house's.
        for (archive, house) in [
            (ArchiveId::new([2; 32]), house),
            (archive, CustodianId::new(Digest::of(b"another house"))),
        ] {
            let refused = routes.open(&archive, &house, Opener::Kek(again.as_ref())).await;
            assert!(refused.is_err());
        }
    });
}
