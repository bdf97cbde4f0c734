//! Another SQLite client has the file open, against the rules.

use custody_core::seam::{ErrorKind, Position, Store};
use pollster::block_on;
use rusqlite::Connection;

use crate::support::{Folder, event, event_sum};

#[test]
fn a_commit_against_the_lock_of_a_guest_is_unavailable_and_the_next_one_works() {
    let folder = Folder::new();
    let store = folder.open();
    let guest = Connection::open(folder.file()).unwrap();
    guest.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = block_on(store.commit(Position::START, event("late")));
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unavailable);
    guest.execute_batch("ROLLBACK").unwrap();
    assert_eq!(block_on(store.head()).unwrap(), Position::START);
    assert_eq!(block_on(store.commit(Position::START, event("now"))).unwrap(), Position::new(1));
}

#[test]
fn an_event_of_a_guest_is_a_conflict_and_is_not_written_over() {
    let folder = Folder::new();
    let store = folder.open();
    folder.edit(&format!("INSERT INTO events VALUES (0, x'67', {})", event_sum(0, b"g")));
    let answer = block_on(store.commit(Position::START, event("ours")));
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(block_on(store.events(Position::START, 9)).unwrap()[0].bytes, b"g");
}

#[test]
fn a_guest_who_reads_an_old_state_does_not_hold_up_commits() {
    let folder = Folder::new();
    folder.fill(1);
    let store = folder.open();
    let guest = Connection::open(folder.file()).unwrap();
    guest.execute_batch("BEGIN; SELECT count(*) FROM events").unwrap();
    block_on(store.commit(Position::new(1), event("new"))).unwrap();
    assert_eq!(block_on(store.head()).unwrap(), Position::new(2));
}
