#![doc = include_str!("../README.md")]

pub mod anchor;
pub mod checkpoint;
mod export;
pub mod log;
pub mod note;
pub mod proof;
pub mod storage;
mod text;
pub mod tile;
pub mod tree;
pub mod verify;

pub use export::{ExportError, Exported, export};
pub use log::TileLog;
