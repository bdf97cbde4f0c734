//! What SQLite's result codes mean for the caller.
//!
//! **Invariant:** a code decides alone only where it is certain; whether a failed commit left
//! nothing behind is decided by the writer, which also looks at the transaction.

use custody_core::seam::{ErrorKind, StoreError};
use rusqlite::{Error, ffi};

/// A failure of the engine. Holds SQLite's extended result code, never a value or a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// Somebody else has the lock.
    #[error("the database is locked by somebody else (sqlite {0})")]
    Busy(i32),
    /// The file is not what SQLite wrote.
    #[error("the database file is damaged (sqlite {0})")]
    Corrupt(i32),
    /// What is stored breaks a rule of this store.
    #[error("the stored data is damaged: {0}")]
    Damaged(&'static str),
    /// Reading, writing or syncing failed.
    #[error("the disk failed (sqlite {0})")]
    Disk(i32),
    /// The key is taken.
    #[error("a record of that key exists")]
    Exists,
    /// No room on the disk.
    #[error("the disk is full (sqlite {0})")]
    Full(i32),
    /// Anything else.
    #[error("the database engine failed (sqlite {0})")]
    Other(i32),
}

impl Fault {
    /// The error of a read.
    pub(super) fn in_read(self, operation: &'static str) -> StoreError {
        let kind = if self.is_damage() { ErrorKind::Corrupt } else { ErrorKind::Unavailable };
        StoreError::new(kind, operation).with_source(self)
    }

    /// The error of a commit that failed before its transaction was asked to commit.
    pub(super) fn before_commit(self, operation: &'static str) -> StoreError {
        let kind = match self {
            Self::Exists => ErrorKind::Conflict,
            Self::Corrupt(_) | Self::Damaged(_) => ErrorKind::Corrupt,
            Self::Busy(_) | Self::Disk(_) | Self::Full(_) | Self::Other(_) => {
                ErrorKind::Unavailable
            }
        };
        StoreError::new(kind, operation).with_source(self)
    }

    /// Whether what is stored cannot be trusted.
    pub(super) const fn is_damage(self) -> bool {
        matches!(self, Self::Corrupt(_) | Self::Damaged(_))
    }

    fn of_code(extended: i32) -> Self {
        match extended & PRIMARY {
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => Self::Busy(extended),
            ffi::SQLITE_CORRUPT | ffi::SQLITE_FORMAT | ffi::SQLITE_NOTADB => {
                Self::Corrupt(extended)
            }
            ffi::SQLITE_FULL => Self::Full(extended),
            ffi::SQLITE_IOERR => Self::Disk(extended),
            _ if extended == ffi::SQLITE_CONSTRAINT_UNIQUE => Self::Exists,
            _ => Self::Other(extended),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        if let Some(engine) = error.sqlite_error() {
            return Self::of_code(engine.extended_code);
        }
        let mistyped = matches!(
            error,
            Error::FromSqlConversionFailure(..)
                | Error::IntegralValueOutOfRange(..)
                | Error::InvalidColumnType(..)
                | Error::Utf8Error(..)
        );
        if mistyped { Self::Damaged("a column has another type") } else { Self::Other(0) }
    }
}

/// The bits of an extended result code that hold the primary one.
const PRIMARY: i32 = 0xff;

#[cfg(test)]
mod tests {
    use rusqlite::types::Type;

    use super::*;

    fn failure(code: i32) -> Error {
        Error::SqliteFailure(ffi::Error::new(code), Some("a message of SQLite".to_owned()))
    }

    #[test]
    fn result_codes_mean_what_sqlite_says() {
        for (code, fault) in [
            (ffi::SQLITE_BUSY, Fault::Busy(5)),
            (ffi::SQLITE_BUSY_RECOVERY, Fault::Busy(261)),
            (ffi::SQLITE_BUSY_SNAPSHOT, Fault::Busy(517)),
            (ffi::SQLITE_LOCKED, Fault::Busy(6)),
            (ffi::SQLITE_CORRUPT, Fault::Corrupt(11)),
            (ffi::SQLITE_CORRUPT_INDEX, Fault::Corrupt(779)),
            (ffi::SQLITE_FORMAT, Fault::Corrupt(24)),
            (ffi::SQLITE_NOTADB, Fault::Corrupt(26)),
            (ffi::SQLITE_FULL, Fault::Full(13)),
            (ffi::SQLITE_IOERR, Fault::Disk(10)),
            (ffi::SQLITE_IOERR_FSYNC, Fault::Disk(1_034)),
            (ffi::SQLITE_IOERR_DIR_FSYNC, Fault::Disk(1_290)),
            (ffi::SQLITE_IOERR_WRITE, Fault::Disk(778)),
            (ffi::SQLITE_IOERR_READ, Fault::Disk(266)),
            (ffi::SQLITE_IOERR_SHMSIZE, Fault::Disk(4_874)),
            (ffi::SQLITE_IOERR_NOMEM, Fault::Disk(3_082)),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, Fault::Exists),
            (ffi::SQLITE_CONSTRAINT, Fault::Other(19)),
            (ffi::SQLITE_CONSTRAINT_NOTNULL, Fault::Other(1_299)),
            (ffi::SQLITE_NOMEM, Fault::Other(7)),
            (ffi::SQLITE_READONLY, Fault::Other(8)),
            (ffi::SQLITE_READONLY_DBMOVED, Fault::Other(1_032)),
            (ffi::SQLITE_CANTOPEN, Fault::Other(14)),
            (ffi::SQLITE_ERROR, Fault::Other(1)),
            (ffi::SQLITE_INTERRUPT, Fault::Other(9)),
            (ffi::SQLITE_PROTOCOL, Fault::Other(15)),
        ] {
            assert_eq!(Fault::from(failure(code)), fault, "{code}");
        }
    }

    #[test]
    fn a_column_of_another_type_is_damage() {
        let error = Error::InvalidColumnType(0, "value".to_owned(), Type::Null);
        assert!(Fault::from(error).is_damage());
        assert!(Fault::from(Error::IntegralValueOutOfRange(0, -1)).is_damage());
        assert!(!Fault::from(Error::QueryReturnedNoRows).is_damage());
    }

    #[test]
    fn a_read_is_corrupt_or_unavailable_and_nothing_else() {
        for (fault, kind) in [
            (Fault::Busy(5), ErrorKind::Unavailable),
            (Fault::Corrupt(11), ErrorKind::Corrupt),
            (Fault::Damaged("a test"), ErrorKind::Corrupt),
            (Fault::Disk(266), ErrorKind::Unavailable),
            (Fault::Exists, ErrorKind::Unavailable),
            (Fault::Full(13), ErrorKind::Unavailable),
            (Fault::Other(7), ErrorKind::Unavailable),
        ] {
            assert_eq!(fault.in_read("test").kind(), kind, "{fault:?}");
        }
    }

    #[test]
    fn a_fault_says_nothing_that_sqlite_said() {
        let error = Fault::from(failure(ffi::SQLITE_FULL)).in_read("read a record");
        assert!(!format!("{error:?}").contains("a message of SQLite"));
    }
}
