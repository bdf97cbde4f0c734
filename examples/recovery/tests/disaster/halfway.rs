//! A store that was filled halfway, at each commit of a restoring that failed.

use std::fs;
use std::path::{Path, PathBuf};

use custody_audit::anchor::DirectoryAnchor;
use custody_audit::note::KeyName;
use custody_core::custodian::{Older, Outcome, Request};
use custody_core::id::{PayloadFormat, WalletId};
use custody_core::seam::{ErrorKind, Head, Payload, Position, Store as _};
use custody_core::secret::Secret;
use custody_recovery::Opener;
use custody_recovery::archive::{ArchiveKey, LocalFile, LockedArchive};
use custody_recovery::restore::{FolderTarget, RestoreError, Restored, restore};
use custody_recovery::slip39::combine;
use custody_store::SqliteStore;
use custody_testkit::fault::Fault;
use custody_testkit::store::{FaultyStore, StoreCall};
use examples_recovery::acts::WALLET;
use examples_recovery::cold::WRAPPED;
use examples_recovery::house::{House, request_id};
use examples_recovery::keys::SoftKeys;
use examples_recovery::rebuild;
use examples_start::people::Person;
use examples_start::transactions::{self, bundled};

use crate::world::{World, run};

/// Orders that the rules refuse: each has some events and records.
async fn ask_in_vain(world: &World, house: &House, count: usize) {
    let treasurer = &world.people.treasurers[0];
    for _ in 0..count {
        let answer = house.ask(treasurer, payment(treasurer)).await.unwrap();
        assert!(matches!(answer.outcome, Outcome::Denied { .. }), "{answer:?}");
    }
}

fn payment(from: &Person) -> Request {
    let bytes = transactions::parse(bundled::SMALL).unwrap();
    let payload = Payload { format: PayloadFormat::parse("evm/transaction").unwrap(), bytes };
    let (id, wallet) = (request_id().unwrap(), WalletId::parse(WALLET).unwrap());
    Request::payload(from.id().clone(), id, wallet, payload)
}

/// A house that is lost, and what its restoring leaves behind.
struct Halfway {
    world: World,
    keys: SoftKeys,
    restored: Restored,
    archive: ArchiveKey,
    /// What is below the house's directory, before anybody tried to open it.
    filled: PathBuf,
}

impl Halfway {
    async fn new() -> Self {
        let (world, house) = World::new().await;
        ask_in_vain(&world, &house, 400).await;
        let made = world.archive(&house).await;
        world.lose(house).await;
        let (restored, keys) = world.restore(&made).await;
        let shares = rebuild::bring(&world.holders, &world.record, &world.post).unwrap();
        let secret = combine(&shares, &Secret::new(Vec::new())).unwrap();
        let file = LocalFile::open(&world.vault.newest_path()).unwrap();
        let locked = LockedArchive::peek(file).await.unwrap();
        let archive = locked.open_route(Opener::Set(&secret)).await.unwrap();
        let filled = world.directory().with_extension("filled");
        fs::rename(anchor(&world), anchor(&world).with_extension("kept")).unwrap();
        Self { world, keys, restored, archive, filled }
    }

    /// Restores into a store that fails at a commit. Answers how many events it has; none if it was
    /// filled to the end.
    async fn fill(&self, failing: usize) -> Option<Position> {
        empty(&self.filled);
        let file = LocalFile::open(&self.world.vault.newest_path()).unwrap();
        let reader = LockedArchive::peek(file).await.unwrap().unlock(&self.archive).unwrap();
        let mut files = FolderTarget::new();
        for name in ["log", "keys", WRAPPED] {
            files = files.folder(name, &self.filled.join(name)).unwrap();
        }
        let store = SqliteStore::open(self.filled.join("custody.sqlite")).unwrap();
        let store = FaultyStore::new(store);
        store.fail(StoreCall::Commit, failing, Fault::fail(ErrorKind::Unavailable));
        let result = restore(reader, &store, &mut files).await;
        let head = store.inner().head().await.unwrap();
        store.inner().close();
        match result {
            Ok(_) => None,
            Err(RestoreError::Store(_)) => Some(head),
            Err(error) => panic!("{failing}: {error}"),
        }
    }

    /// Whether the restoring came as far as the log's files.
    fn has_tiles(&self) -> bool {
        self.filled.join("log/checkpoint").exists()
    }

    /// The house as the restoring left it.
    fn put_back(&self, has_anchor: bool, has_log: bool) {
        let anchor = anchor(&self.world);
        empty(&self.world.directory());
        copy(&self.filled, &self.world.directory());
        if anchor.exists() {
            fs::remove_dir_all(&anchor).unwrap();
        }
        if has_anchor {
            copy(&anchor.with_extension("kept"), &anchor);
        }
        if !has_log {
            empty(&self.world.directory().join("log"));
        }
    }

    async fn recover(&self, older: Older) -> Result<House, String> {
        let recovery = self.restored.recovery(&[], older);
        self.world.recover(self.keys.clone(), recovery).await.map_err(|error| error.to_string())
    }
}

fn anchor(world: &World) -> PathBuf {
    world.directory().with_added_extension("anchor")
}

fn empty(folder: &Path) {
    if folder.exists() {
        fs::remove_dir_all(folder).unwrap();
    }
    fs::create_dir_all(folder).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}

/// How the house stands while it is tried, besides its store.
const STATES: [(bool, bool); 4] = [(true, true), (true, false), (false, true), (false, false)];

/// The first commit that fails leaves an empty store: whoever opens it is told so.
const EMPTY: &str = "the store is empty";
const ROLLED_BACK: &str = "the store was rolled back";
const NO_ANCHOR: &str = "there is no anchor";
/// Files come after events. Only before the last commit the log's files are there, and tell of more
/// events than the store has.
const NO_EVENT: &str = "the store does not hold event";
const ANCHOR_AHEAD: &str = "the anchor keeps a head";

#[test]
fn a_house_whose_restoring_failed_at_any_commit_opens_by_no_way_but_frozen() {
    run(async {
        let halfway = Halfway::new().await;
        let newest = halfway.restored.folded().head;
        let (mut commits, mut frozen) = (0, 0);
        while let Some(reached) = halfway.fill(commits).await {
            assert_eq!(reached == Position::START, commits == 0);
            assert!(reached < newest.size, "{reached}");
            let has_tiles = halfway.has_tiles();
            for (has_anchor, has_log) in STATES {
                let at = format!("commit {commits}, anchor {has_anchor}, log {has_log}");
                let log_tells = has_log && has_tiles;
                let expected = |usual| match (commits, log_tells) {
                    (0, _) => EMPTY,
                    (_, true) => NO_EVENT,
                    (_, false) => usual,
                };
                halfway.put_back(has_anchor, has_log);
                let opened = halfway.world.open(halfway.keys.clone()).await;
                // Whoever has lost the anchor does not open a house as if nothing had happened.
                let told = if has_anchor || log_tells { expected(ROLLED_BACK) } else { NO_ANCHOR };
                refused(opened.map_err(|error| error.to_string()), told, &at);
                halfway.put_back(has_anchor, has_log);
                refused(halfway.recover(Older::Refuse).await, expected(ROLLED_BACK), &at);
                halfway.put_back(has_anchor, has_log);
                let opened = halfway.recover(Older::Freeze).await;
                if commits == 0 || log_tells || has_anchor {
                    refused(opened, expected(ANCHOR_AHEAD), &at);
                    continue;
                }
                let house = opened.unwrap();
                let behind = house.custodian.recovered().unwrap().behind().copied().map(Head::from);
                assert_eq!(behind, Some(newest), "{at}");
                waits(&halfway.world, &house, &at).await;
                house.close().await.unwrap();
                frozen += 1;
            }
            commits += 1;
        }
        // Without an anchor, each commit but the first and the last in both states, and the last in one.
        assert_eq!((commits, frozen), (4, 5));
    });
}

/// A recovery is told by its archive how much there was. Whoever opens the store as if nothing had
/// happened, with files of the log and an anchor that are new, is told by nobody.
#[test]
fn a_house_that_was_filled_halfway_opens_as_usual_where_log_and_anchor_are_new() {
    run(async {
        let halfway = Halfway::new().await;
        let reached = halfway.fill(1).await.unwrap();
        halfway.put_back(false, false);
        let directory = halfway.world.directory();
        let origin = KeyName::parse("example-recovery/custody").unwrap();
        DirectoryAnchor::create(anchor(&halfway.world), &origin, &[&directory]).unwrap();
        let house = halfway.world.open(halfway.keys.clone()).await.unwrap();
        assert!(house.custodian.recovered().is_none());
        assert_eq!(halfway.world.head(&house).await.size, reached);
        house.close().await.unwrap();
    });
}

fn refused(opened: Result<House, String>, expected: &str, at: &str) {
    let error = opened.map(drop).expect_err(at);
    assert!(error.contains(expected), "{at}: {error:?} is not {expected:?}");
}

/// A payment that the rules allow waits for the house to be thawed.
async fn waits(world: &World, house: &House, at: &str) {
    let operator = &world.people.operator;
    let answer = house.ask(operator, payment(operator)).await.unwrap();
    let answer = house.approved(&world.people, answer).await.unwrap();
    assert!(matches!(answer.outcome, Outcome::Pending { .. }), "{at}: {answer:?}");
}
