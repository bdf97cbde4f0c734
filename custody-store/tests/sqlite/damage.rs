//! What is stored was changed behind the store's back.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};

use custody_core::seam::{ErrorKind, Position, Store};
use custody_store::SqliteStore;
use pollster::block_on;

use crate::support::{Folder, event, key};

#[test]
fn a_missing_event_is_corrupt_and_never_a_gap() {
    for (missing, from, limit) in [(5, 0, 10), (5, 5, 1), (5, 4, 2), (0, 0, 1), (8, 3, 10)] {
        let folder = Folder::new();
        folder.fill(10);
        folder.edit(&format!("DELETE FROM events WHERE position = {missing}"));
        let found = block_on(folder.open().events(Position::new(from), limit));
        let kind = found.unwrap_err().kind();
        assert_eq!(kind, ErrorKind::Corrupt, "event {missing} missing, read from {from}");
    }
}

#[test]
fn events_beside_a_missing_one_are_still_read() {
    let folder = Folder::new();
    folder.fill(10);
    folder.edit("DELETE FROM events WHERE position = 5");
    let store = folder.open();
    assert_eq!(block_on(store.events(Position::START, 5)).unwrap().len(), 5);
    assert_eq!(block_on(store.events(Position::new(6), 9)).unwrap().len(), 4);
}

#[test]
fn events_below_zero_are_corrupt() {
    let folder = Folder::new();
    folder.fill(1);
    folder.edit("UPDATE events SET position = -1");
    assert_eq!(block_on(folder.open().head()).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn the_last_position_of_all_takes_no_more_events() {
    let folder = Folder::new();
    folder.fill(1);
    folder.edit("UPDATE events SET position = 9223372036854775807");
    let store = folder.open();
    let head = block_on(store.head()).unwrap();
    assert_eq!(block_on(store.commit(head, event("more"))).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_record_key_of_another_form_is_corrupt() {
    let folder = Folder::new();
    folder.fill(3);
    folder.edit("UPDATE records SET key = 'order/ 2' WHERE key = 'order/00000001'");
    let store = folder.open();
    let found = block_on(store.scan(&key("order/"), None, 10));
    assert_eq!(found.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn pages_of_noise_are_corrupt_and_written_over_by_nobody() {
    let (folder, store) = noisy();
    for _ in 0..2 {
        let found = block_on(store.events(Position::START, u16::MAX));
        assert_eq!(found.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    drop((store, folder));
}

#[test]
fn a_commit_into_noise_is_corrupt_and_the_last_one() {
    let (_folder, store) = noisy();
    let head = Position::new(EVENTS);
    let kind =
        |answer: Result<Position, custody_core::seam::StoreError>| answer.unwrap_err().kind();
    assert_eq!(kind(block_on(store.commit(head, event("more")))), ErrorKind::Corrupt);
    assert_eq!(kind(block_on(store.commit(head, event("more")))), ErrorKind::Unavailable);
    assert_eq!(kind(block_on(store.head())), ErrorKind::Unavailable);
}

#[test]
fn a_row_that_does_not_have_its_sum_is_corrupt_to_whoever_reads_it() {
    for (what, sql) in [
        (
            "a byte of an event",
            "UPDATE events SET bytes = CAST(bytes || x'00' AS BLOB) WHERE position = 5",
        ),
        ("an event's sum", "UPDATE events SET sum = sum + 1 WHERE position = 5"),
        (
            "another event",
            "UPDATE events SET (bytes, sum) = (SELECT bytes, sum FROM events WHERE position = 4) WHERE position = 5",
        ),
        (
            "a byte of a record",
            "UPDATE records SET value = CAST(value || x'00' AS BLOB) WHERE key = 'order/00000005'",
        ),
        ("a record's sum", "UPDATE records SET sum = -sum WHERE key = 'order/00000005'"),
        (
            "a record's key",
            "UPDATE records SET key = 'order/00000005x' WHERE key = 'order/00000005'",
        ),
    ] {
        let folder = Folder::new();
        folder.fill(10);
        folder.edit(sql);
        let store = folder.open();
        let (events, records) = block_on(async {
            let events = store.events(Position::START, 10).await.map(drop);
            (events, store.scan(&key("order/"), None, 10).await.map(drop))
        });
        let found = if sql.contains("UPDATE events") { events } else { records };
        assert_eq!(found.unwrap_err().kind(), ErrorKind::Corrupt, "{what}");
        assert_eq!(block_on(store.verify()).unwrap_err().kind(), ErrorKind::Corrupt, "{what}");
        block_on(store.events(Position::START, 5)).unwrap();
        block_on(store.get(&key("order/00000004"))).unwrap().unwrap();
    }
}

#[test]
fn what_no_read_can_miss_is_found_by_verifying() {
    let folder = Folder::new();
    folder.fill(10);
    block_on(folder.open().verify()).unwrap();
    // The tree of the keys loses one of them, as a damaged page of it may.
    folder.edit(
        "PRAGMA writable_schema = ON; \
         CREATE TABLE other (key TEXT UNIQUE NOT NULL); \
         UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema \
             WHERE name = 'sqlite_autoindex_other_1') WHERE name = 'sqlite_autoindex_records_1'; \
         DELETE FROM sqlite_schema WHERE tbl_name = 'other'",
    );
    let store = folder.open();
    assert_eq!(block_on(store.get(&key("order/00000005"))).unwrap(), None);
    assert_eq!(block_on(store.verify()).unwrap_err().kind(), ErrorKind::Corrupt);
}

/// A store whose tables' roots are whole and whose other pages are noise.
fn noisy() -> (Folder, SqliteStore) {
    let folder = Folder::new();
    folder.fill(EVENTS);
    let mut file = OpenOptions::new().write(true).open(folder.file()).unwrap();
    let length = file.metadata().unwrap().len();
    let start = 8_192 * 3;
    file.seek(SeekFrom::Start(start)).unwrap();
    let noise = (0..length - start).map(|byte| u8::try_from(byte * 31 % 251).unwrap());
    file.write_all(&noise.collect::<Vec<_>>()).unwrap();
    file.sync_all().unwrap();
    let store = folder.open();
    (folder, store)
}

const EVENTS: u64 = 200;
