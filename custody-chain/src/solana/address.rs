//! Addresses of Solana.
//!
//! Invariant: an address is 32 bytes and has one text.

use std::fmt;
use std::str::FromStr;

use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::PublicKey;
use solana_address::Address;

use super::is_solana;

/// An address on a `solana` chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SolanaAddress(AccountId);

impl SolanaAddress {
    /// Reads the base58 text of 32 bytes.
    ///
    /// # Errors
    /// Fails on any other text.
    pub fn parse(chain: &ChainId, text: &str) -> Result<Self, SolanaAddressError> {
        let address = Address::from_str(text).map_err(|_| SolanaAddressError::Text)?;
        let address = Self::new(chain, address)?;
        if address.as_str() == text { Ok(address) } else { Err(SolanaAddressError::Text) }
    }

    /// The address of an account (CAIP-10).
    ///
    /// # Errors
    /// Fails on an account of any other chain or text.
    pub fn of_account(account: &AccountId) -> Result<Self, SolanaAddressError> {
        let chain = ChainId::parse(account.chain()).map_err(|_| SolanaAddressError::Chain)?;
        Self::parse(&chain, account.address())
    }

    /// The address of a key: its 32 bytes. [`SolanaDecoder::path`](crate::SolanaDecoder::path)
    /// says where the key is below a seed.
    ///
    /// # Errors
    /// Fails if the chain is no `solana` chain, or the key no Ed25519 key.
    pub fn of_key(chain: &ChainId, key: &PublicKey) -> Result<Self, SolanaAddressError> {
        Self::new(chain, super::address(key).ok_or(SolanaAddressError::Key)?)
    }

    /// The account of this address (CAIP-10).
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        &self.0
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.address()
    }

    fn new(chain: &ChainId, address: Address) -> Result<Self, SolanaAddressError> {
        if !is_solana(chain) {
            return Err(SolanaAddressError::Chain);
        }
        let account = AccountId::new(chain, &address.to_string());
        account.map(Self).map_err(|_| SolanaAddressError::Text)
    }
}

impl fmt::Display for SolanaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text or a key has no address on Solana.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SolanaAddressError {
    /// The chain is no `solana` chain.
    #[error("the chain is no solana chain")]
    Chain,
    /// The key has no address.
    #[error("the key has no address: it is no Ed25519 key")]
    Key,
    /// The text is no address.
    #[error("the text is no address")]
    Text,
}
