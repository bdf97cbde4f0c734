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
#[cfg(feature = "solana-keychain")]
pub use adapter::KeychainSigner;
#[cfg(feature = "bitcoin")]
pub use adapter::SignedPsbt;
#[cfg(feature = "bdk")]
pub use adapter::bdk_descriptors;
pub use adapter::{AdapterError, Released, WalletSigner};
pub use evm::{AbiError, AbiRegistry, EvmAddress, EvmAddressError, EvmDecoder, EvmError};
pub use opaque::{OpaqueDecoder, OpaqueError};
pub use signer::SignerError;
// Their types stand in what adapters take and give.
#[cfg(feature = "bitcoin")]
pub use ::bitcoin as rust_bitcoin;
#[cfg(feature = "bdk")]
pub use bdk_wallet;
#[cfg(feature = "solana")]
pub use solana::{SolanaAddress, SolanaAddressError, SolanaDecoder, SolanaError};
// They appear in signatures of adapters.
#[cfg(feature = "solana-keychain")]
pub use solana_keychain;
#[cfg(feature = "solana-presigner")]
pub use solana_presigner;
