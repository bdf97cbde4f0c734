//! Which files open, and which do not.

use std::fs;
use std::io::Write;
use std::path::Path;

use custody_core::seam::{Position, Store};
use custody_store::{OpenError, SqliteStore};
use pollster::block_on;

use crate::support::{Folder, edit, event, other_process, role};

#[test]
fn a_second_store_in_the_same_process_is_refused() {
    let folder = Folder::new();
    let _first = folder.open();
    assert!(matches!(SqliteStore::open(folder.file()), Err(OpenError::InUse)));
}

#[test]
fn a_refused_second_store_does_not_disturb_the_first() {
    let folder = Folder::new();
    let first = folder.open();
    let _refused = SqliteStore::open(folder.file()).unwrap_err();
    block_on(first.commit(Position::START, event("after"))).unwrap();
    assert!(matches!(SqliteStore::open(folder.file()), Err(OpenError::InUse)));
}

#[test]
#[cfg(unix)]
fn a_second_store_through_a_link_is_refused() {
    let folder = Folder::new();
    let _first = folder.open();
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(folder.file(), &link).unwrap();
    assert!(matches!(SqliteStore::open(link), Err(OpenError::InUse)));
}

#[test]
fn a_second_store_by_another_spelling_of_the_path_is_refused() {
    let folder = Folder::new();
    let _first = folder.open();
    fs::create_dir(folder.path().join("sub")).unwrap();
    let spelling = folder.path().join("sub").join("..").join("custody.db");
    assert!(matches!(SqliteStore::open(spelling), Err(OpenError::InUse)));
}

#[test]
#[cfg(unix)]
fn a_second_process_is_refused() {
    if let Some(path) = role() {
        assert!(matches!(SqliteStore::open(path), Err(OpenError::InUse)));
        return;
    }
    let folder = Folder::new();
    let store = folder.open();
    let test = "opening::a_second_process_is_refused";
    let other = other_process(test, &folder.file(), "").output().unwrap();
    let told = String::from_utf8_lossy(&other.stdout).into_owned();
    assert!(other.status.success() && told.contains("1 passed"), "{told}");
    drop(store);
}

#[test]
fn a_file_that_another_sqlite_client_writes_is_refused() {
    let folder = Folder::new();
    folder.fill(1);
    let client = rusqlite::Connection::open(folder.file()).unwrap();
    client.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    assert!(matches!(SqliteStore::open(folder.file()), Err(OpenError::InUse)));
}

#[test]
fn a_lock_file_without_its_process_does_not_lock() {
    let folder = Folder::new();
    folder.fill(1);
    assert!(folder.path().join("custody.db.lock").exists());
    assert_eq!(block_on(folder.open().head()).unwrap(), Position::new(1));
}

#[test]
fn a_closed_store_opens_again_while_its_handle_lives() {
    let folder = Folder::new();
    let closed = folder.open();
    closed.close();
    let _again = folder.open();
    drop(closed);
    assert!(matches!(SqliteStore::open(folder.file()), Err(OpenError::InUse)));
}

#[test]
fn an_empty_file_becomes_a_store() {
    let folder = Folder::new();
    fs::File::create(folder.file()).unwrap();
    assert_eq!(block_on(folder.open().head()).unwrap(), Position::START);
}

#[test]
fn a_file_whose_creation_was_cut_short_becomes_a_store() {
    let folder = Folder::new();
    folder.edit("PRAGMA page_size = 8192; PRAGMA journal_mode = WAL");
    assert_ne!(fs::metadata(folder.file()).unwrap().len(), 0);
    block_on(folder.open().commit(Position::START, event("first"))).unwrap();
    assert_eq!(block_on(folder.open().head()).unwrap(), Position::new(1));
}

#[test]
#[cfg(unix)]
fn only_the_owner_may_read_a_new_store() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let store = folder.open();
    block_on(store.commit(Position::START, event("first"))).unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

#[test]
fn another_format_version_is_refused() {
    for version in [0, 1, 2, 4, 1_000_000, -1] {
        let folder = Folder::new();
        folder.fill(1);
        folder.edit(&format!("PRAGMA user_version = {version}"));
        match SqliteStore::open(folder.file()) {
            Err(OpenError::Version { found, known: 3 }) => assert_eq!(found, version),
            other => panic!("version {version}: {other:?}"),
        }
    }
}

#[test]
fn another_application_is_refused() {
    for application in ["0", "1", "0x43535443"] {
        let folder = Folder::new();
        folder.fill(1);
        folder.edit(&format!("PRAGMA application_id = {application}"));
        let opened = SqliteStore::open(folder.file());
        assert!(matches!(opened, Err(OpenError::Foreign)), "{application}: {opened:?}");
    }
}

#[test]
fn other_tables_than_ours_are_refused() {
    for sql in [
        "CREATE TABLE more (x)",
        "CREATE VIEW more AS SELECT * FROM events",
        "CREATE INDEX more ON records (value)",
        "CREATE TRIGGER more AFTER INSERT ON events BEGIN DELETE FROM records; END",
        "DROP TABLE records",
        "ALTER TABLE records ADD COLUMN more ANY",
        "ALTER TABLE events RENAME TO happenings",
    ] {
        let folder = Folder::new();
        folder.fill(1);
        folder.edit(sql);
        let opened = SqliteStore::open(folder.file());
        assert!(matches!(opened, Err(OpenError::Corrupt)), "{sql}: {opened:?}");
    }
}

#[test]
fn a_foreign_database_is_refused_and_left_as_it_was() {
    for mode in ["delete", "wal"] {
        let folder = Folder::new();
        let file = folder.file();
        edit(
            &file,
            &format!("PRAGMA journal_mode = {mode}; CREATE TABLE t (x); INSERT INTO t VALUES (1)"),
        );
        assert_refused_untouched(&file, mode);
    }
}

#[test]
fn a_foreign_database_with_a_log_keeps_its_log() {
    let folder = Folder::new();
    let original = folder.path().join("original.db");
    let client = rusqlite::Connection::open(&original).unwrap();
    client.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").unwrap();
    fs::copy(&original, folder.file()).unwrap();
    let log = folder.path().join("custody.db-wal");
    fs::copy(folder.path().join("original.db-wal"), &log).unwrap();
    let before = fs::read(&log).unwrap();
    assert!(!before.is_empty());
    assert_refused_untouched(&folder.file(), "with a log");
    assert_eq!(fs::read(&log).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_was() {
    let folder = Folder::new();
    fs::write(folder.file(), "keys of the house\n".repeat(1_000)).unwrap();
    assert_refused_untouched(&folder.file(), "text");
}

#[test]
fn a_folder_is_refused() {
    let folder = Folder::new();
    fs::create_dir(folder.file()).unwrap();
    assert!(SqliteStore::open(folder.file()).is_err());
}

#[test]
fn a_file_in_a_missing_folder_is_refused() {
    let folder = Folder::new();
    let opened = SqliteStore::open(folder.path().join("missing").join("custody.db"));
    assert!(matches!(opened, Err(OpenError::Io(_))));
}

#[test]
fn a_path_without_a_name_is_refused() {
    for path in ["", "/", ".."] {
        assert!(SqliteStore::open(path).is_err(), "{path:?}");
    }
}

#[test]
fn a_name_with_a_meaning_to_sqlite_is_a_plain_file() {
    let folder = Folder::new();
    for name in [":memory:", "file:x?mode=memory"] {
        let path = folder.path().join(name);
        drop(SqliteStore::open(&path).unwrap());
        assert!(path.is_file(), "{name}");
    }
}

#[test]
fn a_store_cut_short_is_damaged() {
    let folder = Folder::new();
    folder.fill(40);
    let file = fs::OpenOptions::new().write(true).open(folder.file()).unwrap();
    file.set_len(100).unwrap();
    assert!(matches!(
        SqliteStore::open(folder.file()),
        Err(OpenError::Corrupt | OpenError::Foreign)
    ));
}

#[test]
fn a_file_too_short_for_a_database_is_refused_and_left_as_it_was() {
    for length in [1, 15, 16, 17, 99, 100, 511, 512, 513] {
        let folder = Folder::new();
        folder.fill(1);
        let file = fs::OpenOptions::new().write(true).open(folder.file()).unwrap();
        file.set_len(length).unwrap();
        let before = fs::read(folder.file()).unwrap();
        let opened = SqliteStore::open(folder.file());
        assert!(matches!(opened, Err(OpenError::Corrupt)), "{length}: {opened:?}");
        assert_eq!(fs::read(folder.file()).unwrap(), before, "{length}");
        fs::write(folder.file(), vec![b'n'; usize::try_from(length).unwrap()]).unwrap();
        assert_refused_untouched(&folder.file(), "a short note");
    }
}

#[test]
fn an_error_names_no_content() {
    let folder = Folder::new();
    fs::File::create(folder.file()).unwrap().write_all(&b"secret stuff ".repeat(100)).unwrap();
    let error = SqliteStore::open(folder.file()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"));
}

fn assert_refused_untouched(file: &Path, what: &str) {
    let before = fs::read(file).unwrap();
    let opened = SqliteStore::open(file);
    assert!(matches!(opened, Err(OpenError::Foreign)), "{what}: {opened:?}");
    assert_eq!(fs::read(file).unwrap(), before, "{what}");
}
