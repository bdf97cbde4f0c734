#![doc = include_str!("../README.md")]

mod aes;
mod answers;
mod backend;
mod canary;
mod config;
mod fault;
#[doc(hidden)]
pub mod foreign;
mod handle;
mod kek;
mod module;
mod object;
mod observer;
mod open;
mod point;
mod pool;
mod report;
mod seat;
mod signer;
mod strictness;
mod token;
mod turn;
mod wrap;

pub use backend::HsmBackend;
pub use config::{HsmConfig, HsmConfigError, HsmLimits, PinError, PinSource, TokenSelector};
pub use handle::Provenance;
pub use kek::HsmKek;
pub use module::ModuleError;
pub use observer::{HsmEvent, Observer};
pub use open::HsmOpenError;
pub use report::{TokenReport, Usage};
