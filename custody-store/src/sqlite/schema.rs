//! The file format: identity, version, tables and the settings of each connection.
//!
//! **Invariant:** a file that is not known to be a store of this version is never written to.

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::fault::Fault;

/// A store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file is damaged.
    #[error("the store file is damaged")]
    Corrupt,
    /// The database engine failed.
    #[error("the database engine cannot open the store")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The file holds something else than a custody store.
    #[error("the file is not a custody store")]
    Foreign,
    /// The disk has no room to move what is in the log into the store; nothing is lost.
    #[error("the disk has no room to open the store")]
    Full,
    /// Another store has the file open, in this process or another.
    #[error("the store is in use by another process or another store in this one")]
    InUse,
    /// The operating system refused to create, open or lock a file or to start a thread.
    #[error("the operating system failed to open the store")]
    Io(#[source] io::Error),
    /// The file system or the engine does not offer durable commits beside readers.
    #[error("the engine does not keep a write-ahead log on this file system")]
    NotDurable,
    /// The store was written by another version of this crate.
    #[error("the store has format version {found}; this crate knows version {known}")]
    Version {
        /// The version in the file.
        found: i64,
        /// The version that this crate reads and writes.
        known: i64,
    },
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Busy(_) => Self::InUse,
            Fault::Corrupt(rusqlite::ffi::SQLITE_NOTADB) => Self::Foreign,
            Fault::Corrupt(_) | Fault::Damaged(_) => Self::Corrupt,
            Fault::Full(_) => Self::Full,
            Fault::Disk(_) | Fault::Exists | Fault::Other(_) => Self::Engine(Box::new(fault)),
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Fault::from(error).into()
    }
}

/// The connection that writes, to a file that is certainly a store; an empty file becomes one.
pub(super) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    check_start(path)?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB)?;
    // Closing must not move anything into a file that turns out to be somebody else's.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let empty = inspect(&connection)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    if empty {
        connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    }
    keep_log(&connection)?;
    if empty {
        create(&connection)?;
    }
    start_log_afresh(&connection)?;
    Ok(connection)
}

/// A connection that moves the log of a file that [`open_writer`] has accepted, as durably.
pub(super) fn open_mover(path: &Path) -> Result<Connection, OpenError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    keep_log(&connection)?;
    Ok(connection)
}

/// A connection that only reads, to a file that [`open_writer`] has accepted.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, OpenError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// Refuses a file that is too short to hold the header of a database, which SQLite takes for an
/// empty one and writes over. A journal beside it says that SQLite will put it right.
fn check_start(path: &Path) -> Result<(), OpenError> {
    let length = fs::metadata(path).map_err(OpenError::Io)?.len();
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    if length == 0 || length >= PAGE_SIZE_MIN || Path::new(&journal).exists() {
        return Ok(());
    }
    let start = fs::read(path).map_err(OpenError::Io)?;
    let ours = start.iter().zip(MAGIC).all(|(found, known)| found == known);
    if ours { Err(OpenError::Corrupt) } else { Err(OpenError::Foreign) }
}

/// Whether the file is empty; fails if it is neither that nor a store of this version.
fn inspect(connection: &Connection) -> Result<bool, OpenError> {
    let application: i64 = connection.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
    let tables = connection
        .prepare("SELECT coalesce(sql, '') FROM sqlite_schema ORDER BY name")?
        .query_map([], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    if application == 0 && found == 0 && tables.is_empty() {
        return Ok(true);
    }
    if application != APPLICATION_ID {
        return Err(OpenError::Foreign);
    }
    if found != VERSION {
        return Err(OpenError::Version { found, known: VERSION });
    }
    if tables != [EVENTS, RECORDS, KEYS] {
        return Err(OpenError::Corrupt);
    }
    Ok(false)
}

/// Makes a store of an empty file, all or nothing.
fn create(connection: &Connection) -> Result<(), OpenError> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute(EVENTS, [])?;
    transaction.execute(RECORDS, [])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

/// Makes each commit durable in a write-ahead log.
fn keep_log(connection: &Connection) -> Result<(), OpenError> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    for (name, value) in DURABLE {
        connection.pragma_update(None, name, value)?;
    }
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |r| r.get(0))?;
    if mode != "wal" || synchronous != SYNCHRONOUS_FULL {
        return Err(OpenError::NotDurable);
    }
    Ok(())
}

/// Moves what a log from before holds into the database, and empties the log.
///
/// Pages of a log whose sync failed may be in the cache of the operating system only, marked as
/// written; copying them makes them dirty again, so that the next sync counts.
fn start_log_afresh(connection: &Connection) -> Result<(), OpenError> {
    let busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy { Err(OpenError::InUse) } else { Ok(()) }
}

/// "CSTD", at offset 68 of the file.
const APPLICATION_ID: i64 = 0x4353_5444;
const VERSION: i64 = 3;
const PAGE_SIZE: i64 = 8_192;
/// No database of SQLite is shorter.
const PAGE_SIZE_MIN: u64 = 512;
/// What every database of SQLite begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const SYNCHRONOUS_FULL: i64 = 2;
/// Negative: in KiB, not in pages. A reader needs most of the inner pages of the trees; the rest is
/// the system's to keep.
const CACHE_KIB: i64 = -4_096;
/// The writer needs the ends of its trees; SQLite looks over all of this at the end of most commits.
const WRITER_CACHE_KIB: i64 = -8_192;
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

const DURABLE: [(&str, i64); 5] = [
    ("synchronous", SYNCHRONOUS_FULL),
    ("fullfsync", 1),
    ("checkpoint_fullfsync", 1),
    // The writer does it between commits, where a failure is seen.
    ("wal_autocheckpoint", 0),
    ("journal_size_limit", 256 * 1_024 * 1_024),
];

const EVENTS: &str = "CREATE TABLE events (position INTEGER PRIMARY KEY NOT NULL, bytes BLOB NOT NULL, \
     sum INTEGER NOT NULL) STRICT";
/// Keys have a tree of their own: to find the place of a key, no value is read, however large.
const RECORDS: &str = "CREATE TABLE records (number INTEGER PRIMARY KEY NOT NULL, \
                       key TEXT UNIQUE NOT NULL, value BLOB NOT NULL, sum INTEGER NOT NULL) \
                       STRICT";
/// SQLite says nothing about the tree that it keeps for unique keys.
const KEYS: &str = "";
