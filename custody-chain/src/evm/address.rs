//! Addresses of EVM chains, and the paths they follow from.
//!
//! Invariant: a text in another case than that of EIP-55 is read only where the caller says so.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::Address;
use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::PublicKey;
use custody_core::seam::DerivationPath;

use super::{chain_number, names};

/// An address on an `eip155` chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EvmAddress {
    address: Address,
    account: AccountId,
}

impl EvmAddress {
    /// Reads an address in the case of EIP-55: `0x` and 40 hexadecimal digits, whose case is a
    /// checksum of 15 bits on the average. The checksum knows nothing of the chain.
    ///
    /// # Errors
    /// Fails on any other text, and on one in another case.
    pub fn parse(chain: &ChainId, text: &str) -> Result<Self, EvmAddressError> {
        let address = Self::parse_unchecked(chain, text)?;
        if address.to_string() == text { Ok(address) } else { Err(EvmAddressError::Checksum) }
    }

    /// Reads an address in any case.
    ///
    /// # Errors
    /// Fails on any other text than `0x` and 40 hexadecimal digits.
    ///
    /// # Security
    /// A digit that was mistyped is not found. Nobody who types or copies should be asked for this
    /// form.
    pub fn parse_unchecked(chain: &ChainId, text: &str) -> Result<Self, EvmAddressError> {
        if !text.starts_with("0x") {
            return Err(EvmAddressError::Text);
        }
        let address = Address::from_str(text).map_err(|_| EvmAddressError::Text)?;
        Self::new(chain, address)
    }

    /// The address of an account (CAIP-10).
    ///
    /// # Errors
    /// Fails on an account of any other chain or text.
    pub fn of_account(account: &AccountId) -> Result<Self, EvmAddressError> {
        let chain = ChainId::parse(account.chain()).map_err(|_| EvmAddressError::Chain)?;
        Self::parse_unchecked(&chain, account.address())
    }

    /// The address of a key (Yellow Paper, appendix F).
    ///
    /// # Errors
    /// Fails if the chain is no `eip155` chain, or the key no secp256k1 key for ECDSA.
    pub fn of_key(chain: &ChainId, key: &PublicKey) -> Result<Self, EvmAddressError> {
        Self::new(chain, names::address(key).map_err(|_| EvmAddressError::Key)?)
    }

    /// The path of a key of an account, such as `m/44'/60'/0'/0/5` (BIP-44, SLIP-44); none if a
    /// number is above 2^31 - 1.
    #[must_use]
    pub fn path(account: u32, index: u32) -> Option<DerivationPath> {
        DerivationPath::parse(&format!("m/44'/60'/{account}'/0/{index}")).ok()
    }

    /// The account of this address (CAIP-10), in lower case.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        &self.account
    }

    fn new(chain: &ChainId, address: Address) -> Result<Self, EvmAddressError> {
        chain_number(chain).map_err(|_| EvmAddressError::Chain)?;
        let account = names::account(chain, address).map_err(|_| EvmAddressError::Text)?;
        Ok(Self { address, account })
    }
}

/// The form of EIP-55.
impl fmt::Display for EvmAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address.to_checksum(None))
    }
}

/// Why a text or a key has no address on an EVM chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvmAddressError {
    /// The chain is no `eip155` chain.
    #[error("the chain is no eip155 chain")]
    Chain,
    /// The letters are not in the case of EIP-55.
    #[error("the letters of the address are not in the case of EIP-55")]
    Checksum,
    /// The key has no address.
    #[error("the key has no address: it is no secp256k1 key for ECDSA")]
    Key,
    /// The text is no address.
    #[error("the text is no address")]
    Text,
}
