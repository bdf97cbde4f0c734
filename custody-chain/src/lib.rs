#![doc = include_str!("../README.md")]

mod adapter;
mod evm;
mod opaque;
mod signer;

pub use adapter::{AdapterError, Released, WalletSigner};
pub use evm::{AbiError, AbiRegistry, EvmDecoder, EvmError};
pub use opaque::{OpaqueDecoder, OpaqueError};
pub use signer::SignerError;
