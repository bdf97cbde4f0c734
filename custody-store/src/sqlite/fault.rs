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
            _ if extended == ffi::SQLITE_CONSTRAINT_PRIMARYKEY => Self::Exists,
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
