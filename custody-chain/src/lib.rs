#![doc = include_str!("../README.md")]

mod adapter;
#[cfg(feature = "bitcoin")]
mod bitcoin;
mod evm;
mod opaque;
mod signer;
#[cfg(feature = "solana")]
mod solana;
mod text;

#[cfg(feature = "bitcoin")]
pub use self::bitcoin::{
    AddressKind, BitcoinAddress, BitcoinAddressError, BitcoinDecoder, BitcoinDescriptorError,
    BitcoinError, Branch, SighashAllowance,
};
pub use adapter::{AdapterError, Released, WalletSigner};
pub use evm::{AbiError, AbiRegistry, EvmDecoder, EvmError};
pub use opaque::{OpaqueDecoder, OpaqueError};
pub use signer::SignerError;
#[cfg(feature = "solana")]
pub use solana::{SolanaDecoder, SolanaError};
