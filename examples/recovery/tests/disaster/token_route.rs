//! An archive that a key in a token opens.

use std::path::Path;
use std::sync::Arc;

use custody_core::seam::Entropy;
use custody_hsm::HsmKek;
use custody_recovery::archive::{LocalFile, LockedArchive, Pack};
use custody_recovery::restore::read;
use custody_recovery::{OfficerKey, Opener, Recipient, RouteError, X25519SecretKey};
use examples_hsm::tokens::Tokens;
use examples_recovery::entropy::OsEntropy;

use crate::stage::with_tokens;
use crate::world::World;

const TOKENS: [&str; 2] = ["vault", "other"];

/// The key for archives in a token, by a backend that is opened for it.
async fn kek(tokens: &Tokens, label: &str) -> HsmKek {
    tokens.open(label).await.unwrap().key_encryption("archives").await.unwrap()
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_tokens_key_opens_an_archive_and_that_of_another_token_does_not() {
    with_tokens(&TOKENS, async |folder: &Path, tokens: &Tokens| {
        let (world, house) = World::new().await;
        std::fs::create_dir_all(folder).unwrap();
        let path = folder.join("archive");
        let officer = X25519SecretKey::generate(&OsEntropy).unwrap();
        let otto =
            OfficerKey { officer: "otto".parse().unwrap(), public_key: officer.public_key() };
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        {
            let kek = kek(tokens, TOKENS[0]).await;
            let routes = [Recipient::Kek(&kek), Recipient::Officer(&otto)];
            let id = house.custodian.id();
            let pack = Pack::new(id, house.file.as_ref(), house.log.as_ref()).await.unwrap();
            pack.write_file(&path, &routes, house.clock(), &entropy).await.unwrap();
        }
        house.close().await.unwrap();
        let locked =
            || async { LockedArchive::peek(LocalFile::open(&path).unwrap()).await.unwrap() };

        let other = kek(tokens, TOKENS[1]).await;
        let error = locked().await.open_route(Opener::Kek(&other)).await.unwrap_err();
        assert!(matches!(error, RouteError::WrongRoute { .. }), "{error:?}");

        // The token alone, and the officer alone.
        let again = kek(tokens, TOKENS[0]).await;
        for opener in [Opener::Kek(&again), Opener::Officer(&officer)] {
            let locked = locked().await;
            let key = locked.open_route(opener).await.unwrap();
            let restored = read(locked.unlock(&key).unwrap()).await.unwrap();
            assert_eq!(*restored.header().custodian(), world.custodian);
            assert_eq!(restored.keys().keys().len(), 1);
        }
    });
}
