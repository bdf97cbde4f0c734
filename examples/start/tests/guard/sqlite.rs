//! The same tampering with a file of SQLite, by another program.

use std::path::PathBuf;

use custody_core::custodian::{OpenError, Outcome};
use custody_core::document::Hold;
use rusqlite::Connection;

use crate::world::disk::Disk;
use crate::world::work::{ETH, KNOWN};
use crate::world::{Kind, World};

/// A world on a disk with an order that was paid, and where its file is.
async fn world() -> (World, PathBuf) {
    let world = World::new(Kind::Sqlite).await;
    let paid = world.pay(ETH / 2, KNOWN, "paid").await.unwrap();
    assert!(matches!(paid.outcome, Outcome::Released(_)), "{paid:?}");
    let Disk::Sqlite { directory, .. } = world.store.inner() else { panic!("in memory") };
    let file = directory.path().join("custody.sqlite");
    (world, file)
}

#[tokio::test]
async fn a_file_whose_events_were_changed_is_refused() {
    for (name, statement) in [
        ("changed", "UPDATE events SET bytes = CAST(bytes || x'20' AS BLOB) WHERE position = 3"),
        (
            "the last one gone",
            "DELETE FROM events WHERE position = (SELECT max(position) FROM events)",
        ),
        (
            "genesis changed",
            "UPDATE events SET bytes = CAST(bytes || x'20' AS BLOB) WHERE position = 0",
        ),
        (
            "one repeated",
            "UPDATE events SET bytes = (SELECT bytes FROM events WHERE position = 1) WHERE position = 2",
        ),
    ] {
        let (world, file) = world().await;
        let signed = world.sign_calls();
        let remains = world.crash().await;
        let changed = Connection::open(&file).unwrap().execute(statement, []).unwrap();
        assert_eq!(changed, 1, "{name}");
        match remains.try_open().await {
            Err(OpenError::Audit(_) | OpenError::Corrupt { .. } | OpenError::RolledBack { .. }) => {
            }
            Err(other) => panic!("{name}: {other:?}"),
            Ok(world) => panic!("{name}: opened with {} signatures", world.sign_calls() - signed),
        }
    }
}

#[tokio::test]
async fn a_handle_that_was_changed_in_the_file_opens_no_key() {
    let (world, file) = world().await;
    let signed = world.sign_calls();
    let remains = world.crash().await;
    let statement =
        "UPDATE records SET value = CAST(value || x'00' AS BLOB) WHERE key = 'handle/hot.0'";
    let changed = Connection::open(&file).unwrap().execute(statement, []).unwrap();
    assert_eq!(changed, 1);
    let world = remains.open().await;
    let failed = world.pay(ETH / 2, KNOWN, "tampered").await.unwrap();
    assert_eq!(failed.outcome, Outcome::Failed { reason: Hold::Corrupt });
    assert_eq!(world.sign_calls(), signed);
    world.verify().await;
}
