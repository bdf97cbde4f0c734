//! Key backends in memory: honest, denying, failing, lying and slow.
//!
//! Invariant: keys live in this process only; every call that reaches a signer is counted.

mod derive;
mod intercepted;
mod kek;
mod lying;
mod memory;

pub(crate) use derive::public_child;
pub use intercepted::{
    BackendCall, DenyingBackend, DenyingKeyEncryption, FailingBackend, FailingKeyEncryption,
    InterceptedBackend, InterceptedKeyEncryption, SlowBackend, SlowKeyEncryption,
};
pub use kek::{KekLie, MemoryKeyEncryption};
pub use lying::{BackendLie, LyingBackend};
pub use memory::MemoryBackend;
