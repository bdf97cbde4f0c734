#![doc = include_str!("../README.md")]

mod sealed;
mod sqlite;

pub use sealed::{SealedStore, SealedStoreError};
pub use sqlite::{OpenError, SqliteMoment, SqliteStore};
