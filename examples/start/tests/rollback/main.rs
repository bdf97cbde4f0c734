//! A restored older copy of the data directory is refused by the head that is kept beside it. What
//! opens passes the oracle, with all that callers were given.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

use custody_audit::anchor::{AnchorFileError, DirectoryAnchorError};
use custody_audit::log::LogError;
use custody_core::caip::AccountId;
use custody_core::command::Command;
use custody_core::custodian::{OpenError, Request};
use custody_core::id::{BookId, RequestId};
use custody_core::seam::{Authentication, Position};
use custody_core::secret::Secret;
use custody_testkit::oracle::{Given, Oracle, Promises};
use examples_start::Failure;
use examples_start::house::{House, compiler, decoders};
use examples_start::transactions::bundled;
use tempfile::TempDir;

/// A house over SQLite, the tile log and the anchor, of which an older copy was put aside.
struct Rolled {
    folder: TempDir,
    older: Position,
    newer: Position,
    /// What callers were given: an answer and a head before the copy, and as much after it.
    given: Vec<Given>,
}

impl Rolled {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (older, newer) = (Position::START, Position::START);
        let mut rolled = Self { folder, older, newer, given: Vec::new() };
        rolled.older = rolled.work("first").await;
        copy(&rolled.path("house"), &rolled.path("older"));
        copy(&rolled.path("house.anchor"), &rolled.path("older.anchor"));
        rolled.newer = rolled.work("second").await;
        copy(&rolled.path("house"), &rolled.path("newer"));
        assert!(rolled.older < rolled.newer);
        rolled
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn open(&self) -> Result<House, Failure> {
        let passphrase = Secret::new(b"correct horse battery staple".to_vec());
        House::open(&self.path("house"), passphrase).await
    }

    /// Opens, asks for something, and closes; returns how many events there are then.
    async fn work(&mut self, id: &str) -> Position {
        let house = self.open().await.unwrap();
        let answer = request(&house, id).await;
        let checkpoint = house.custodian.checkpoint().await.unwrap().unwrap();
        self.given.extend([answer, Given::head(&checkpoint)]);
        house.custodian.close().await.unwrap();
        house.store.head().await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// What a crash leaves, with one bit of the write-ahead log flipped `back` bytes before its end:
    /// the commits from there on are lost.
    async fn crash_and_flip(&self, back: u64) {
        let house = self.open().await.unwrap();
        request(&house, "third").await;
        self.wait_for_log(&house).await;
        copy(&self.path("house"), &self.path("crashed"));
        house.custodian.close().await.unwrap();
        drop(house);
        let log = self.path("crashed/custody.sqlite-wal");
        let mut bytes = fs::read(&log).unwrap();
        let place = bytes.len().checked_sub(usize::try_from(back).unwrap()).unwrap();
        *bytes.get_mut(place).unwrap() ^= 1;
        fs::write(log, bytes).unwrap();
        fs::remove_dir_all(self.path("house")).unwrap();
        copy(&self.path("crashed"), &self.path("house"));
    }

    /// Waits until the log's files, which are written behind, have come as far as the custodian.
    async fn wait_for_log(&self, house: &House) {
        let newest = house.custodian.checkpoint().await.unwrap().unwrap().note;
        let file = self.path("house/log/checkpoint");
        for _ in 0..1_000 {
            if fs::read_to_string(&file).unwrap() == newest {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("the newest head was not written");
    }

    /// Puts `names` of the copy `from` in the place of what the house has.
    fn restore(&self, from: &str, names: &[&str]) {
        for name in names {
            let target = self.path("house").join(name);
            if target.is_dir() {
                fs::remove_dir_all(&target).unwrap();
            } else {
                fs::remove_file(&target).unwrap();
            }
            copy(&self.path(from).join(name), &target);
        }
    }

    async fn refused(&self) -> Failure {
        self.open().await.expect_err("an older copy was taken")
    }

    async fn assert_rolled_back(&self) {
        let refused = self.refused().await;
        match refused.downcast_ref() {
            Some(OpenError::RolledBack { stored, signed }) => {
                assert_eq!((*stored, *signed), (self.older.value(), self.newer.value()));
            }
            _ => panic!("{refused:?}"),
        }
    }

    async fn assert_opens(&self, size: Position, given: &[Given]) {
        let house = self.open().await.unwrap();
        let checkpoint = house.custodian.checkpoint().await.unwrap().unwrap();
        assert_eq!(checkpoint.head.size, size);
        assert_eq!(follow(&house).await.hear(given), Ok(()));
        house.custodian.close().await.unwrap();
    }
}

/// The oracle of a house, which has read its whole log.
async fn follow(house: &House) -> Oracle {
    let (rules, decoders) = (compiler().unwrap(), decoders());
    let mut oracle = Oracle::new(house.custodian.id(), rules, decoders, Promises::default());
    assert_eq!(oracle.follow(house.store.as_ref()).await, Ok(()));
    oracle
}

/// Asks for something in the name of the operator, and returns what that one was given.
async fn request(house: &House, id: &str) -> Given {
    let (book, [known, _]) = (BookId::parse("customers").unwrap(), bundled::KNOWN);
    let command = Command::AddAddress { book, account: AccountId::parse(known).unwrap() };
    let login = Authentication { factors: 2, age_ms: 60_000, ip: None, signed: false };
    let (operator, id) = (house.operator.id().clone(), RequestId::parse(id).unwrap());
    let request = Request::command(operator.clone(), id.clone(), command).authenticated(login);
    Given::answer_to(operator, id, &house.custodian.submit(request).await.unwrap())
}

/// The log has signed a head over events that the store has not.
fn assert_log_is_ahead(refused: &Failure) {
    let missing = matches!(refused.downcast_ref(), Some(LogError::EventMissing { .. }));
    assert!(missing, "{refused:?}");
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        copy(&path, &to.join(path.file_name().unwrap()));
    }
}

#[tokio::test]
async fn an_older_copy_of_everything_is_refused_and_the_newer_one_opens_again() {
    let rolled = Rolled::new().await;
    rolled.restore("older", &["custody.sqlite", "log", "house.json", "people", "kek.json"]);
    for _ in 0..2 {
        rolled.assert_rolled_back().await;
    }
    rolled.restore("newer", &["custody.sqlite", "log"]);
    rolled.assert_opens(rolled.newer, &rolled.given).await;
}

#[tokio::test]
async fn an_older_store_under_the_newer_log_is_refused_by_the_log() {
    let rolled = Rolled::new().await;
    rolled.restore("older", &["custody.sqlite"]);
    assert_log_is_ahead(&rolled.refused().await);
}

#[tokio::test]
async fn an_older_log_over_the_newer_store_is_made_again_from_the_events() {
    let rolled = Rolled::new().await;
    rolled.restore("older", &["log"]);
    rolled.assert_opens(rolled.newer, &rolled.given).await;
    let made = fs::read(rolled.path("house/log/checkpoint")).unwrap();
    assert_eq!(made, fs::read(rolled.path("newer/log/checkpoint")).unwrap());
}

#[tokio::test]
async fn a_house_whose_anchor_is_gone_is_refused_and_gets_no_new_one() {
    for gone in ["house.anchor/head", "house.anchor"] {
        let rolled = Rolled::new().await;
        let path = rolled.path(gone);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        for _ in 0..2 {
            let refused = rolled.refused().await;
            let missing = matches!(refused.downcast_ref(), Some(DirectoryAnchorError::Missing));
            assert!(missing, "{gone}: {refused:?}");
        }
        assert!(!rolled.path("house.anchor/head").exists(), "{gone}");
    }
}

#[tokio::test]
async fn a_damaged_anchor_is_refused() {
    let rolled = Rolled::new().await;
    let path = rolled.path("house.anchor/head");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.first_mut().unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
    let refused = rolled.refused().await;
    let damaged = Some(&DirectoryAnchorError::File(AnchorFileError::Version));
    assert_eq!(
        refused.downcast_ref::<DirectoryAnchorError>().map(ToString::to_string),
        damaged.map(ToString::to_string),
        "{refused:?}"
    );
}

#[tokio::test]
async fn nobody_notices_when_the_anchor_is_put_back_too() {
    let rolled = Rolled::new().await;
    rolled.restore("older", &["custody.sqlite", "log"]);
    fs::remove_dir_all(rolled.path("house.anchor")).unwrap();
    copy(&rolled.path("older.anchor"), &rolled.path("house.anchor"));
    let (before, after) = rolled.given.split_at(2);
    rolled.assert_opens(rolled.older, before).await;
    // Nobody but those who were given something since.
    let house = rolled.open().await.unwrap();
    for given in after {
        assert!(follow(&house).await.hear(std::slice::from_ref(given)).is_err(), "{given:?}");
    }
    house.custodian.close().await.unwrap();
}

#[tokio::test]
async fn commits_that_a_damaged_write_ahead_log_has_lost_are_noticed() {
    for back in [1, 8_193, 8_216] {
        let rolled = Rolled::new().await;
        rolled.crash_and_flip(back).await;
        assert_log_is_ahead(&rolled.refused().await);
        // Even if the log was not written as far, as it is written behind.
        rolled.restore("newer", &["log"]);
        let refused = rolled.refused().await;
        let lost = matches!(refused.downcast_ref(), Some(OpenError::RolledBack { .. }));
        assert!(lost, "{back} bytes before the end: {refused:?}");
    }
}
