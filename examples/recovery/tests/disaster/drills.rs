use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use custody_core::bytes::HexBytes;
use custody_core::command::Command;
use custody_core::custodian::{CommandHandler as _, Outcome, Request};
use custody_core::document::V1;
use custody_core::id::{BackendId, ExtensionName, OrderId};
use custody_core::seam::{ErrorKind, KeyBackend};
use custody_core::secret::Secret;
use custody_core::time::Timestamp;
use custody_core::tokio::TokioClock;
use custody_recovery::Opener;
use custody_recovery::archive::{ArchiveId, LocalFile, LockedArchive};
use custody_recovery::drill::{
    DRILL, DrillBackends, DrillDocument, DrillError, DrillHandler, Driller, Evidence, drill,
};
use custody_recovery::restore::{FileError, Keys, MemoryFiles, RestoreError, Secrets};
use custody_recovery::slip39::combine;
use examples_recovery::entropy::OsEntropy;
use examples_recovery::house::request_id;
use examples_recovery::keys::{SoftKeys, drawn};
use examples_recovery::rebuild;
use examples_recovery::vault;

use crate::world::{World, run};

/// Backends that were given beforehand, whatever the archive says.
struct Given(BTreeMap<BackendId, Arc<dyn KeyBackend>>);

#[async_trait]
impl DrillBackends for Given {
    fn files(&self) -> MemoryFiles {
        MemoryFiles::none()
    }

    async fn open(
        &self,
        _keys: &Keys,
        _secrets: &mut Secrets,
        _files: &MemoryFiles,
    ) -> Result<BTreeMap<BackendId, Arc<dyn KeyBackend>>, String> {
        Ok(self.0.clone())
    }
}

async fn drilled(world: &World, given: Given) -> Evidence {
    tried(world, &given).await.unwrap()
}

async fn tried(world: &World, backends: &dyn DrillBackends) -> Result<Evidence, DrillError> {
    let shares = rebuild::bring(&world.holders, &world.record, &world.post).unwrap();
    let secret = combine(&shares, &Secret::new(Vec::new())).unwrap();
    let file = LocalFile::open(&world.vault.newest_path()).unwrap();
    let locked = LockedArchive::peek(file).await.unwrap();
    let key = locked.open_route(Opener::Set(&secret)).await.unwrap();
    let reader = locked.unlock(&key).unwrap();
    drill(reader, backends, &TokioClock::new(), &OsEntropy).await
}

#[test]
fn a_drill_names_each_key_that_it_did_not_prove() {
    run(async {
        let (world, house) = World::new().await;
        world.archive(&house).await;
        house.close().await.unwrap();
        let nothing = drilled(&world, Given(BTreeMap::new())).await;
        assert!(!nothing.is_success());
        let unproved: Vec<_> = nothing.unproved.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(unproved, ["hot.0", "hot.seed"]);
        assert_eq!((nothing.keys, nothing.seeds), (0, 0));
        assert!(nothing.unproved[0].reason.contains("no backend"), "{:?}", nothing.unproved);

        // Keys of another passphrase are others.
        let folder = tempfile::tempdir().unwrap();
        let other = SoftKeys::create(folder.path(), drawn().unwrap()).await.unwrap().backend;
        let id = other.id().clone();
        let wrong = drilled(&world, Given(BTreeMap::from([(id, other as _)]))).await;
        assert_eq!((wrong.keys, wrong.seeds, wrong.unproved.len()), (0, 0, 2));
        let again = Evidence::read(&wrong.to_bytes().unwrap()).unwrap();
        assert_eq!(again, wrong);
    });
}

/// Shows evidence that was made beforehand.
struct Showing(Result<Evidence, ()>);

#[async_trait]
impl Driller for Showing {
    async fn drill(&self, _archive: Option<&ArchiveId>) -> Result<Evidence, DrillError> {
        self.0.clone().map_err(|()| DrillError::Backends { reason: "none".to_owned() })
    }
}

#[test]
fn only_evidence_of_everything_and_of_this_house_ends_a_drills_order_well() {
    run(async {
        let (world, house) = World::new().await;
        world.archive(&house).await;
        let custodian = house.custodian.id();
        house.close().await.unwrap();
        let failed = drilled(&world, Given(BTreeMap::new())).await;
        let good = Evidence { unproved: Vec::new(), keys: 1, ..failed.clone() };
        let seeds_only = Evidence { keys: 0, seeds: 1, ..good.clone() };
        let nothing = Evidence { keys: 0, ..good.clone() };
        let before = |age: Duration| {
            let archived_at = Timestamp::from_millis(0);
            Evidence { archived_at, began_at: archived_at.after(age), ..good.clone() }
        };
        let a_moment = Duration::from_millis(1);
        let (latest, old) = (before(AGE_MAX), before(AGE_MAX + a_moment));
        let later = Evidence { archived_at: good.began_at.after(a_moment), ..good.clone() };
        let order = OrderId::parse("018f0000-0000-7000-8000-000000000000").unwrap();
        let asked = |archive| DrillDocument { v: V1, archive }.to_bytes().unwrap();
        let foreign = custody_core::id::CustodianId::new(custody_core::digest::Digest::of(b"x"));
        let of_other = Evidence { custodian: foreign, ..good.clone() };
        let other_archive = Some(ArchiveId::new([9; 32]));
        for (name, showing, archive, is_good) in [
            ("everything", Ok(good.clone()), None, true),
            (
                "everything of the archive that was asked for",
                Ok(good.clone()),
                Some(good.archive),
                true,
            ),
            ("seeds only", Ok(seeds_only), None, true),
            ("of the greatest age", Ok(latest), None, true),
            ("of an older archive", Ok(old), None, false),
            ("of an archive that is still to be made", Ok(later), None, false),
            ("of nothing", Ok(nothing), None, false),
            ("something is missing", Ok(failed), None, false),
            ("another house's", Ok(of_other), None, false),
            ("another archive's", Ok(good.clone()), other_archive, false),
            ("no drill", Err(()), None, false),
        ] {
            let handler = DrillHandler::new(Arc::new(Showing(showing)), AGE_MAX).unwrap();
            assert!(handler.accepts(&asked(archive)) && !handler.accepts(b"{}"));
            let ran = handler.run(&custodian, &order, &asked(archive)).await;
            assert_eq!(ran.is_ok(), is_good, "{name}");
            if let Err(error) = ran {
                assert_eq!(error.kind(), ErrorKind::Refused, "{name}");
            }
        }
    });
}

/// Wants one folder and too little of it.
struct Wanting(usize);

#[async_trait]
impl DrillBackends for Wanting {
    fn files(&self) -> MemoryFiles {
        MemoryFiles::at_most(self.0).folder("keys")
    }

    async fn open(
        &self,
        _keys: &Keys,
        _secrets: &mut Secrets,
        files: &MemoryFiles,
    ) -> Result<BTreeMap<BackendId, Arc<dyn KeyBackend>>, String> {
        let files: Vec<_> = files.iter().map(|(path, _)| path.as_str().to_owned()).collect();
        Err(files.join(" "))
    }
}

#[test]
fn a_drill_has_the_files_that_it_wants_and_no_more_than_it_may() {
    run(async {
        let (world, house) = World::new().await;
        world.archive(&house).await;
        house.close().await.unwrap();
        let error = tried(&world, &Wanting(1024 * 1024)).await.unwrap_err();
        let DrillError::Backends { reason } = error else { panic!("{error}") };
        assert_eq!(reason, "keys/keys.json");
        let error = tried(&world, &Wanting(10)).await.unwrap_err();
        let is_too_much = matches!(
            error,
            DrillError::Restore(RestoreError::File(FileError::TooMuch { bytes_max: 10 }))
        );
        assert!(is_too_much, "{error}");
    });
}

#[test]
fn a_drill_takes_everything_from_the_archive_and_nothing_from_the_house() {
    run(async {
        let (world, house) = World::new().await;
        world.archive(&house).await;
        let file = world.directory().join("keys/keys.json");
        // What the house has since lost is in the archive.
        let kept = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let evidence = world.vault.drill(None).await.unwrap();
        assert!(evidence.is_success());
        assert_eq!((evidence.keys, evidence.seeds), (1, 1));
        // What is missing in the archive is missed, though the house has it.
        world.archive(&house).await;
        std::fs::write(&file, kept).unwrap();
        let error = world.vault.drill(None).await.unwrap_err();
        assert!(error.to_string().contains("how its software keys are found"), "{error}");
        house.close().await.unwrap();
    });
}

const AGE_MAX: Duration = Duration::from_secs(86_400);

#[test]
fn a_drill_without_an_archive_fails_and_is_no_drill() {
    run(async {
        let (world, house) = World::new().await;
        let document = DrillDocument { v: V1, archive: None }.to_bytes().unwrap();
        let name = ExtensionName::parse(DRILL).unwrap();
        let command = Command::Extension { name, document: HexBytes::new(document) };
        let operator = &world.people.operator;
        let request = Request::command(operator.id().clone(), request_id().unwrap(), command);
        let answer = house.ask(operator, request).await.unwrap();
        let answer = house.approved(&world.people, answer).await.unwrap();
        assert!(matches!(answer.outcome, Outcome::Failed { .. }), "{answer:?}");
        world.archive(&house).await;
        let command = vault::drill_command().unwrap();
        house.execute(&world.people, operator, command).await.unwrap();
        house.close().await.unwrap();
    });
}
