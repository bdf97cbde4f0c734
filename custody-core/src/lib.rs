#![doc = include_str!("../README.md")]

pub mod amount;
pub mod bytes;
pub mod caip;
pub mod command;
pub mod crypto;
pub mod custodian;
pub mod digest;
pub mod document;
pub mod effect;
pub mod envelope;
pub mod id;
pub mod key;
pub mod ledger;
pub mod observer;
pub mod order;
mod parted;
pub mod principal;
pub mod replay;
pub mod seam;
pub mod secret;
pub mod time;
#[cfg(feature = "tokio")]
pub mod tokio;
pub mod tree;
pub mod window;
