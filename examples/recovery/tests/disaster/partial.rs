use custody_core::custodian::Older;
use custody_core::seam::{Position, Store as _};
use custody_core::secret::Secret;
use custody_recovery::archive::{LocalFile, LockedArchive, ReadError};
use custody_recovery::restore::{NoFiles, RestoreError, restore};
use custody_recovery::slip39::{CombineError, combine};
use custody_recovery::{Opener, RouteError, X25519SecretKey};
use custody_store::SqliteStore;
use examples_recovery::entropy::OsEntropy;
use examples_recovery::{rebuild, vault};
use examples_start::transactions::bundled;

use crate::world::{World, run};

#[test]
fn an_archive_that_ends_early_leaves_no_house() {
    run(async {
        let (world, house) = World::new().await;
        for transaction in [bundled::SMALL, bundled::SMALL_LEGACY] {
            world.pay(&house, transaction).await.unwrap();
        }
        let made = world.archive(&house).await;
        let newest = world.head(&house).await;
        world.lose(house).await;
        let (restored, keys) = world.restore(&made).await;
        // The archive ends early; what came before it is in the store.
        let whole = std::fs::read(world.vault.newest_path()).unwrap();
        let short = world.vault.newest_path().with_extension("short");
        std::fs::write(&short, &whole[..whole.len() - 1]).unwrap();
        std::fs::remove_file(world.directory().join("custody.sqlite")).unwrap();
        let locked = LockedArchive::peek(LocalFile::open(&short).unwrap()).await.unwrap();
        let shares = rebuild::bring(&world.holders, &world.record, &world.post).unwrap();
        let secret = combine(&shares, &Secret::new(Vec::new())).unwrap();
        let key = locked.open_route(Opener::Set(&secret)).await.unwrap();
        let store = SqliteStore::open(world.directory().join("custody.sqlite")).unwrap();
        let reader = locked.unlock(&key).unwrap();
        let error = restore(reader, &store, &mut NoFiles).await.unwrap_err();
        assert!(matches!(error, RestoreError::Archive(_)), "{error}");
        // All of it is less than a batch, and the last one waits for the archive's end. The files of the
        // log are those of the whole archive.
        assert_eq!(store.head().await.unwrap(), Position::START);
        store.close();
        for older in [Older::Refuse, Older::Freeze] {
            let recovery = restored.recovery(&[newest], older);
            let error = world.recover(keys.clone(), recovery).await.unwrap_err().to_string();
            assert!(error.contains("the store does not hold event 0"), "{older:?}: {error}");
        }
    });
}

#[test]
fn an_archiving_that_failed_is_in_the_way_of_no_later_one() {
    run(async {
        let (world, house) = World::new().await;
        let directory = world.directory();
        let made = || vault::make(&house, &directory, &world.record, &world.vault, &[]);
        // Files that are archived, and a place for copies.
        for missing in [directory.join("keys"), directory.with_file_name("copies-oslo")] {
            let elsewhere = missing.with_extension("elsewhere");
            std::fs::rename(&missing, &elsewhere).unwrap();
            std::fs::write(&missing, "no folder").unwrap();
            made().await.unwrap_err();
            made().await.unwrap_err();
            std::fs::remove_file(&missing).unwrap();
            std::fs::rename(&elsewhere, &missing).unwrap();
            made().await.unwrap();
        }
        let archives = world.vault.newest_path();
        let left = std::fs::read_dir(archives.parent().unwrap()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [archives], "nothing of the failures is left");
        house.close().await.unwrap();
    });
}

#[test]
fn a_store_that_is_not_empty_is_not_restored_into() {
    run(async {
        let (world, house) = World::new().await;
        let made = world.archive(&house).await;
        house.close().await.unwrap();
        let shares = rebuild::bring(&world.holders, &world.record, &world.post).unwrap();
        let secret = combine(&shares, &Secret::new(Vec::new())).unwrap();
        let copy = world.vault.copy_in("lisbon", &made.summary).unwrap();
        let locked = LockedArchive::peek(LocalFile::open(&copy).unwrap()).await.unwrap();
        let key = locked.open_route(Opener::Set(&secret)).await.unwrap();
        let reader = locked.unlock(&key).unwrap();
        let store = SqliteStore::open(world.directory().join("custody.sqlite")).unwrap();
        let error = restore(reader, &store, &mut NoFiles).await.unwrap_err();
        assert!(matches!(error, RestoreError::NotEmpty), "{error}");
    });
}

#[test]
fn too_few_shares_a_wrong_passphrase_and_strangers_open_nothing() {
    run(async {
        let (world, house) = World::new().await;
        let _made = world.archive(&house).await;
        house.close().await.unwrap();
        let shares = rebuild::bring(&world.holders, &world.record, &world.post).unwrap();
        let few = combine(&shares[1..], &Secret::new(Vec::new())).err().unwrap();
        assert!(matches!(few, CombineError::TooFewMembers { .. }), "{few:?}");
        let peek = || async {
            let file = LocalFile::open(&world.vault.newest_path()).unwrap();
            LockedArchive::peek(file).await.unwrap()
        };
        // By design a wrong passphrase gives another secret: the archive tells.
        let other = combine(&shares, &Secret::new(b"TREZOR".to_vec())).unwrap();
        let error = peek().await.open_route(Opener::Set(&other)).await.unwrap_err();
        assert!(matches!(error, RouteError::WrongRoute { .. }), "{error:?}");
        let stranger = X25519SecretKey::generate(&OsEntropy).unwrap();
        let error = peek().await.open_route(Opener::Officer(&stranger)).await.unwrap_err();
        assert!(matches!(error, RouteError::WrongRoute { .. }), "{error:?}");
        let key = custody_recovery::archive::ArchiveKey::generate(&OsEntropy).unwrap();
        let error = peek().await.unlock(&key).err().unwrap();
        assert!(matches!(error, ReadError::WrongKey), "{error:?}");
    });
}
