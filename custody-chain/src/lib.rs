#![doc = include_str!("../README.md")]

#[cfg(feature = "bitcoin")]
mod bitcoin;
mod evm;
mod opaque;
mod signer;

#[cfg(feature = "bitcoin")]
pub use self::bitcoin::{
    AddressKind, BitcoinAddress, BitcoinAddressError, BitcoinDecoder, BitcoinDescriptorError,
    BitcoinError, Branch, SighashAllowance,
};
pub use evm::{EvmDecoder, EvmError};
pub use opaque::{OpaqueDecoder, OpaqueError};
pub use signer::SignerError;
