#![doc = include_str!("../README.md")]

mod evm;
mod opaque;
mod signer;
#[cfg(feature = "solana")]
mod solana;

pub use evm::{EvmDecoder, EvmError};
pub use opaque::{OpaqueDecoder, OpaqueError};
pub use signer::SignerError;
#[cfg(feature = "solana")]
pub use solana::{SolanaDecoder, SolanaError};
