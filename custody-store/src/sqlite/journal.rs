//! The transaction that writes a batch, step by step.
//!
//! **Invariant:** no step decides what a failure means; the writer does.

use std::sync::Arc;

use custody_core::seam::{Batch, Position, Record};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::fault::Fault;
use super::mover::Mover;
use super::writer::Health;
use super::{query, sum};

/// The steps of a commit, in the order in which the writer takes them.
pub(super) trait Journal {
    /// Begins the transaction that may write and reads the head in it.
    fn begin(&mut self) -> Result<Position, Fault>;

    /// Writes all of `batch` after `head`, inside the transaction; returns the new head.
    fn append(&mut self, head: Position, batch: &Batch) -> Result<Position, Fault>;

    /// Makes the transaction durable.
    fn commit(&mut self) -> Result<(), Fault>;

    /// Undoes the transaction that is open.
    fn rollback(&mut self) -> Result<(), Fault>;

    /// Whether a transaction is open.
    fn is_open(&self) -> bool;

    /// The head as it is stored.
    fn head(&self) -> Result<Position, Fault>;

    /// Has the log moved into the database if it has grown long.
    fn shorten(&mut self) -> Result<(), Fault>;
}

/// SQLite's write-ahead log.
pub(super) struct SqliteJournal {
    mover: Mover,
    connection: Connection,
    health: Arc<Health>,
    /// How many pages the log may hold before it is looked after.
    patience: i64,
}

impl SqliteJournal {
    /// The journal behind a connection that may write. `mover` moves its log, and is gone before
    /// the connection is closed.
    pub(super) const fn new(connection: Connection, mover: Mover, health: Arc<Health>) -> Self {
        Self { mover, connection, health, patience: LOG_FRAMES }
    }

    /// How many pages the log holds, and how many of them are not in the database yet.
    fn log_frames(&self) -> Result<(i64, i64), Fault> {
        let frames = |row: &rusqlite::Row<'_>| {
            let (frames, moved): (i64, i64) = (row.get(1)?, row.get(2)?);
            Ok((frames, frames.saturating_sub(moved)))
        };
        let mut length = self.connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?;
        Ok(length.query_row([], frames)?)
    }

    fn run(&self, statement: &str) -> Result<(), Fault> {
        self.connection.prepare_cached(statement)?.execute([])?;
        Ok(())
    }

    fn write_records(&self, statement: &str, records: &[Record]) -> Result<(), Fault> {
        let mut statement = self.connection.prepare_cached(statement)?;
        for record in records {
            let (key, value) = (record.key.as_str(), record.value.as_slice());
            statement.execute((key, value, sum::of_record(key, value)))?;
        }
        Ok(())
    }

    fn write_events(&self, head: Position, events: &[Vec<u8>]) -> Result<Position, Fault> {
        let mut statement = self.connection.prepare_cached(APPEND_EVENT)?;
        let mut position = head;
        for event in events {
            let stored = i64::try_from(position.value())
                .map_err(|_full| Fault::Damaged("no position is left"))?;
            let sum = sum::of_event(position, event);
            statement.execute((stored, event.as_slice(), sum))?;
            position = position.plus(1);
        }
        Ok(position)
    }
}

/// SQLite moves what is left of the log when its last connection is closed, and removes it. What it
/// counts as moved may never have been synced, if the sync that would have failed. The log of a disk
/// that failed is left, therefore: opening moves all of it once more.
impl Drop for SqliteJournal {
    fn drop(&mut self) {
        self.mover.end();
        if self.health.check("close").is_err() {
            let kept =
                self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            if let Err(error) = kept {
                tracing::error!(%error, "the log of a store that is out of use is not kept");
            }
        }
    }
}

impl Journal for SqliteJournal {
    fn begin(&mut self) -> Result<Position, Fault> {
        self.run("BEGIN IMMEDIATE")?;
        query::head(&self.connection)
    }

    fn append(&mut self, head: Position, batch: &Batch) -> Result<Position, Fault> {
        self.write_records(INSERT_RECORD, &batch.inserts)?;
        self.write_records(PUT_RECORD, &batch.puts)?;
        self.write_events(head, &batch.events)
    }

    fn commit(&mut self) -> Result<(), Fault> {
        self.run("COMMIT")
    }

    fn rollback(&mut self) -> Result<(), Fault> {
        self.run("ROLLBACK")
    }

    fn is_open(&self) -> bool {
        !self.connection.is_autocommit()
    }

    fn head(&self) -> Result<Position, Fault> {
        query::head(&self.connection)
    }

    /// The mover takes what is long, beside the commits. What came in meanwhile is little; with that
    /// moved here, once no reader needs the log any more, the next commit starts it again.
    fn shorten(&mut self) -> Result<(), Fault> {
        let (frames, waiting) = self.log_frames()?;
        if frames < LOG_FRAMES {
            self.patience = LOG_FRAMES;
        }
        if frames < self.patience {
            return Ok(());
        }
        if frames >= LOG_FRAMES_MAX {
            self.mover.wait();
        } else if !self.mover.is_idle() || waiting > LOG_FRAMES_TAIL {
            self.mover.ask();
            return Ok(());
        }
        // If this fails, or a reader stays for long, the next try is not at the next commit.
        self.patience = frames.saturating_add(LOG_FRAMES);
        let busy: bool =
            self.connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0))?;
        if !busy {
            self.patience = LOG_FRAMES;
        }
        Ok(())
    }
}

/// Pages that the log may hold before they are moved: 32 MiB.
const LOG_FRAMES: i64 = 4_096;
/// Pages that are moved between two commits: 2 MiB.
const LOG_FRAMES_TAIL: i64 = 256;
/// Pages that the log may hold before commits wait for the mover: 160 MiB.
const LOG_FRAMES_MAX: i64 = 20_000;

const INSERT_RECORD: &str = "INSERT INTO records (key, value, sum) VALUES (?1, ?2, ?3)";
const PUT_RECORD: &str = "INSERT INTO records (key, value, sum) VALUES (?1, ?2, ?3) \
                          ON CONFLICT (key) DO UPDATE SET value = excluded.value, sum = excluded.sum";
const APPEND_EVENT: &str = "INSERT INTO events (position, bytes, sum) VALUES (?1, ?2, ?3)";
