//! The write-ahead log stays short.

use std::fs;

use custody_core::seam::{Batch, Position, Store};
use pollster::block_on;

use crate::support::{Folder, event, key, record};

const MEBIBYTE: usize = 1_024 * 1_024;

#[test]
fn the_log_is_moved_into_the_database_before_it_grows_long() {
    let folder = Folder::new();
    let store = folder.open();
    block_on(async {
        for number in 0..28_u8 {
            let puts = vec![record("large", vec![number; 15 * MEBIBYTE])];
            let batch = Batch { puts, ..event("large") };
            store.commit(Position::new(number.into()), batch).await.unwrap();
            // Readers come and go, and must not keep the log from starting again.
            assert_eq!(store.get(&key("large")).await.unwrap().unwrap().value[0], number);
        }
    });
    let log = fs::metadata(folder.path().join("custody.db-wal")).unwrap().len();
    assert!(log < 200 * 1_024 * 1_024, "420 MiB were written, the log has {log} bytes");
}
