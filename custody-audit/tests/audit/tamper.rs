//! Every byte of an exported log is flipped, every file cut, moved and taken away: each is noticed,
//! and the first wrong entry is named.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};

use custody_audit::export;
use custody_audit::tile::{TileId, TilePath};
use custody_audit::tree::TreeHash;
use custody_audit::verify::{KeyHistory, LogDirectory, ReplayError, VerifiedLog, VerifyError};
use custody_core::digest::Digest;
use custody_core::seam::Position;
use pollster::block_on;
use tempfile::TempDir;

use crate::support::{House, event};

/// A log on disk, and whom it is believed from.
struct Exported {
    folder: TempDir,
    house: House,
    document: Digest,
}

impl Exported {
    fn new(size: u64) -> Self {
        let house = House::new(size);
        let document = house.add_document("order", b"a document");
        let folder = tempfile::tempdir().unwrap();
        let (_, checkpoint) = house.sealed();
        block_on(export(&house.store, &checkpoint, folder.path())).unwrap();
        Self { folder, house, document }
    }

    /// Goes the whole way of a verifier.
    fn verify(&self) -> Result<VerifiedLog, VerifyError> {
        let log = LogDirectory::open(self.folder.path())?;
        let replayed = log.replay(|_, _| Ok::<_, Infallible>(()));
        let replayed = replayed.map_err(|error| match error {
            ReplayError::Log(error) => error,
            error @ (ReplayError::Entry { .. } | _) => panic!("{error:?}"),
        })?;
        let log = replayed.authenticate(KeyHistory::new(self.house.signer.key()))?;
        let inventory = log.inventory()?;
        assert_eq!((inventory.documents, inventory.foreign), (1, 0));
        Ok(log)
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// Changes a file, verifies, and puts the file back.
    fn with(&self, inside: &str, change: impl FnOnce(&Path, Vec<u8>)) -> Option<VerifyError> {
        let path = self.path(inside);
        let good = fs::read(&path).unwrap();
        change(&path, good.clone());
        let error = self.verify().err();
        if path.is_dir() {
            fs::remove_dir(&path).unwrap();
        }
        fs::write(&path, good).unwrap();
        error
    }

    fn flipped(&self, inside: &str, position: usize) -> VerifyError {
        let error = self.with(inside, |path, mut bytes| {
            bytes[position] ^= 1 << (position % 8);
            fs::write(path, bytes).unwrap();
        });
        error.unwrap_or_else(|| panic!("byte {position} of {inside} is not noticed"))
    }

    fn length(&self, inside: &str) -> usize {
        fs::read(self.path(inside)).unwrap().len()
    }

    /// For each byte of a bundle the entry that it belongs to.
    fn owners(&self, first: u64, end: u64) -> Vec<u64> {
        (first..end).flat_map(|index| vec![index; 2 + event(index).len()]).collect()
    }
}

#[test]
fn every_flipped_byte_of_a_small_log_is_noticed_and_the_first_wrong_entry_named() {
    let log = Exported::new(20);
    for (position, index) in log.owners(0, 20).into_iter().enumerate() {
        let error = log.flipped("tile/entries/000.p/20", position);
        assert_eq!(error, VerifyError::WrongEntry { index }, "byte {position}");
    }
    for position in 0..20 * 32 {
        let index = position as u64 / 32;
        let error = log.flipped("tile/0/000.p/20", position);
        assert_eq!(error, VerifyError::WrongEntry { index }, "byte {position}");
    }
}

#[test]
fn every_flipped_byte_of_an_entry_bundle_names_its_entry() {
    let log = Exported::new(300);
    for (bundle, first, end) in [("000", 0, 256), ("001.p/44", 256, 300)] {
        let file = format!("tile/entries/{bundle}");
        let owners = log.owners(first, end);
        assert_eq!(owners.len(), log.length(&file));
        // Each third byte of the long bundle, and each length prefix in the other.
        let step = if first == 0 { 29 } else { 1 };
        for (position, index) in owners.into_iter().enumerate().step_by(step) {
            let error = log.flipped(&file, position);
            assert_eq!(error, VerifyError::WrongEntry { index }, "byte {position} of {bundle}");
            assert_eq!(error.first_entry(), Some(index));
        }
    }
}

#[test]
fn every_flipped_byte_of_a_lowest_tile_names_the_entry_that_differs() {
    let log = Exported::new(300);
    for (tile, first) in [("tile/0/000", 0), ("tile/0/001.p/44", 256)] {
        for position in (0..log.length(tile)).step_by(if first == 0 { 37 } else { 1 }) {
            let index = first + position as u64 / 32;
            assert_eq!(log.flipped(tile, position), VerifyError::WrongEntry { index }, "{tile}");
        }
    }
}

#[test]
fn every_flipped_byte_of_a_higher_tile_names_the_tile_and_its_first_entry() {
    let log = Exported::new(700);
    let file = "tile/1/000.p/2";
    let path = TilePath::hashes(TileId { level: 1, index: 0 }, 700).unwrap();
    for position in 0..log.length(file) {
        let first_entry = position as u64 / 32 * 256;
        let error = log.flipped(file, position);
        assert_eq!(error, VerifyError::WrongTile { path, first_entry }, "byte {position}");
    }
}

#[test]
fn every_flipped_byte_of_the_checkpoint_is_noticed() {
    let log = Exported::new(300);
    for position in 0..log.length("checkpoint") {
        let _noticed = log.flipped("checkpoint", position);
    }
}

#[test]
fn every_flipped_byte_of_a_document_is_noticed() {
    let log = Exported::new(3);
    let file = format!("documents/{}", log.document);
    for position in 0..log.length(&file) {
        let error = VerifyError::WrongDocument { digest: log.document };
        assert_eq!(log.flipped(&file, position), error);
    }
}

#[test]
fn a_missing_cut_or_longer_file_is_noticed_with_the_first_entry_it_covers() {
    let log = Exported::new(700);
    for (file, first) in [
        ("tile/0/000", 0),
        ("tile/0/001", 256),
        ("tile/0/002.p/188", 512),
        ("tile/1/000.p/2", 0),
        ("tile/entries/000", 0),
        ("tile/entries/001", 256),
        ("tile/entries/002.p/188", 512),
    ] {
        let missing = log.with(file, |path, _| fs::remove_file(path).unwrap()).unwrap();
        let named =
            matches!(missing, VerifyError::NoTile { first_entry, .. } if first_entry == first);
        assert!(named, "{file}: {missing:?}");
        let cut = log.with(file, |path, bytes| fs::write(path, &bytes[..bytes.len() - 1]).unwrap());
        assert!(cut.unwrap().first_entry().unwrap() >= first, "{file}");
        let empty = log.with(file, |path, _| fs::write(path, b"").unwrap());
        assert_eq!(empty.unwrap().first_entry(), Some(first), "{file}");
        let longer = log.with(file, |path, bytes| {
            fs::write(path, [&bytes[..], b"\0\0"].concat()).unwrap();
        });
        assert!(longer.unwrap().first_entry().unwrap() >= first, "{file}");
        let directory = log.with(file, |path, _| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        });
        assert_eq!(directory.unwrap().first_entry(), Some(first), "{file}");
    }
    let missing = log.with("checkpoint", |path, _| fs::remove_file(path).unwrap());
    assert_eq!(missing, Some(VerifyError::NoCheckpoint));
}

#[test]
fn an_entry_that_is_added_taken_away_or_exchanged_is_named() {
    let log = Exported::new(300);
    let file = "tile/entries/001.p/44";
    let bundle = |indexes: Vec<u64>| {
        let mut bytes = Vec::new();
        for index in indexes {
            custody_audit::tile::push_entry(&mut bytes, &event(index)).unwrap();
        }
        bytes
    };
    let with = |indexes| log.with(file, |path, _| fs::write(path, bundle(indexes)).unwrap());
    assert_eq!(with((256..300).collect()), None);
    for (name, indexes, index) in [
        ("added at the end", (256..301).collect(), 300),
        ("taken from the end", (256..299).collect(), 299),
        ("taken from the front", (257..300).collect(), 256),
        ("taken from within", (256..270).chain(271..300).collect(), 270),
        ("doubled", (256..271).chain(270..300).collect(), 271),
        ("exchanged", (256..270).chain([271, 270]).chain(272..300).collect(), 270),
    ] {
        assert_eq!(with(indexes), Some(VerifyError::WrongEntry { index }), "{name}");
    }
}

#[test]
fn a_log_that_was_rewritten_with_all_its_tiles_does_not_reach_the_signed_root() {
    let log = Exported::new(700);
    for changed in [7, 699] {
        let house = House::new(700);
        house.store.replace_event(Position::new(changed), b"other".to_vec());
        let forged = tempfile::tempdir().unwrap();
        let (_, checkpoint) = house.sealed();
        block_on(export(&house.store, &checkpoint, forged.path())).unwrap();
        // Everything is forged but the checkpoint, which is that of the true log.
        fs::copy(log.path("checkpoint"), forged.path().join("checkpoint")).unwrap();
        let directory = LogDirectory::open(forged.path()).unwrap();
        let refused = directory.replay(|_, _| Err::<(), _>("an unproved entry was shown"));
        assert_eq!(refused.unwrap_err(), VerifyError::WrongRoot { size: 700 }.into());
    }
    assert!(log.verify().is_ok());
}

#[test]
fn no_entry_is_shown_before_the_tiles_lead_to_the_root() {
    let log = Exported::new(700);
    let path = log.path("tile/0/002.p/188");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let directory = LogDirectory::open(log.folder.path()).unwrap();
    let refused = directory.replay(|_, _| Err::<(), _>("an unproved entry was shown"));
    assert_eq!(refused.unwrap_err(), VerifyError::WrongEntry { index: 699 }.into());
}

#[test]
fn an_entry_and_its_leaf_changed_together_are_noticed_above_them() {
    let log = Exported::new(700);
    let (leaf, other) = (TreeHash::leaf(&event(7)), TreeHash::leaf(b"other"));
    let tile = log.path("tile/0/000");
    let mut hashes = fs::read(&tile).unwrap();
    assert_eq!(hashes[7 * 32..8 * 32], leaf.as_bytes()[..]);
    hashes[7 * 32..8 * 32].copy_from_slice(other.as_bytes());
    fs::write(&tile, hashes).unwrap();
    let mut bundle = Vec::new();
    for index in 0..256 {
        let entry = if index == 7 { b"other".to_vec() } else { event(index) };
        custody_audit::tile::push_entry(&mut bundle, &entry).unwrap();
    }
    fs::write(log.path("tile/entries/000"), bundle).unwrap();
    let path = TilePath::hashes(TileId { level: 1, index: 0 }, 700).unwrap();
    assert_eq!(log.verify().unwrap_err(), VerifyError::WrongTile { path, first_entry: 0 });
}
