//! Addresses, and the paths and descriptors they follow from.
//!
//! Invariant: an address is of one network, and has one text, that which its script is written as.

use std::fmt;
use std::str::FromStr;

use bitcoin::bip32::{ChildNumber, Fingerprint, Xpub};
use bitcoin::{Address, Network, NetworkKind};
use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::PublicKey;
use custody_core::seam::{DerivationPath, ExtendedPublicKey, WalletDescriptor};
use miniscript::{Descriptor, DescriptorPublicKey};

use super::descriptor::{BitcoinDescriptorError, Branches};
use super::keys::{self, Kind};
use super::network;

/// An address on a Bitcoin network.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BitcoinAddress(AccountId);

impl BitcoinAddress {
    /// Reads an address of Base58Check, Bech32 (BIP-173) or Bech32m (BIP-350) on `chain`.
    ///
    /// # Errors
    /// Fails on any other text and on an address of another network.
    pub fn parse(chain: &ChainId, text: &str) -> Result<Self, BitcoinAddressError> {
        let network = network::of(chain).ok_or(BitcoinAddressError::Chain)?;
        if text.len() > ADDRESS_MAX {
            return Err(BitcoinAddressError::Text);
        }
        let address = Address::from_str(text).map_err(|_| BitcoinAddressError::Text)?;
        let address = address.require_network(network).map_err(|_| BitcoinAddressError::Network)?;
        let account = AccountId::new(chain, &address.to_string());
        account.map(Self).map_err(|_| BitcoinAddressError::Text)
    }

    /// The address of an account (CAIP-10), which must have the one text of its script.
    ///
    /// # Errors
    /// Fails on an account of any other chain or text.
    pub fn of_account(account: &AccountId) -> Result<Self, BitcoinAddressError> {
        let chain = ChainId::parse(account.chain()).map_err(|_| BitcoinAddressError::Chain)?;
        let address = Self::parse(&chain, account.address())?;
        if address.0 == *account { Ok(address) } else { Err(BitcoinAddressError::Text) }
    }

    /// The address of a key. Of taproot the key is the output key.
    ///
    /// # Errors
    /// Fails if the chain is no Bitcoin network, or the key has no address of this kind.
    pub fn of_key(
        chain: &ChainId,
        key: &PublicKey,
        kind: AddressKind,
    ) -> Result<Self, BitcoinAddressError> {
        let network = network::of(chain).ok_or(BitcoinAddressError::Chain)?;
        let mut scripts = keys::scripts(key).into_iter();
        let script = scripts.find(|(found, _)| *found == kind.script());
        let (_, script) = script.ok_or(BitcoinAddressError::Key)?;
        let account = network::account(chain, network, &script).ok().flatten();
        account.map(Self).ok_or(BitcoinAddressError::Key)
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
}

impl fmt::Display for BitcoinAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kinds of addresses of a single key, each with a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AddressKind {
    /// P2PKH, BIP-44.
    KeyHash,
    /// P2SH-P2WPKH, BIP-49.
    NestedKeyHash,
    /// P2TR without scripts, BIP-86.
    Taproot,
    /// P2WPKH, BIP-84.
    WitnessKeyHash,
}

impl AddressKind {
    /// The path of an account on `chain`, such as `m/84'/0'/0'`; none if the chain is no Bitcoin
    /// network or the number is above 2^31 - 1.
    #[must_use]
    pub fn account_path(self, chain: &ChainId, account: u32) -> Option<DerivationPath> {
        let network = network::of(chain)?;
        let path = format!("m/{}'/{}'/{account}'", self.purpose(), coin(network));
        DerivationPath::parse(&path).ok()
    }

    /// The path of a key of an account, such as `m/84'/0'/0'/0/5`; none as of
    /// [`AddressKind::account_path`].
    #[must_use]
    pub fn key_path(
        self,
        chain: &ChainId,
        account: u32,
        branch: Branch,
        index: u32,
    ) -> Option<DerivationPath> {
        let account = self.account_path(chain, account)?;
        DerivationPath::parse(&format!("{account}/{}/{index}", branch.number())).ok()
    }

    /// The descriptor of an account's addresses, for watching: origin, extended public key,
    /// `<0;1>/*` and checksum. `fingerprint` is that of the seed's own key (BIP-32, "Key
    /// identifiers"), `xpub` the key at [`AddressKind::account_path`], as `xpub…` or `tpub…`.
    ///
    /// # Errors
    /// Fails if the chain is no Bitcoin network, or if the key is no extended public key of that
    /// network, of an account of this number.
    pub fn descriptor(
        self,
        chain: &ChainId,
        fingerprint: [u8; 4],
        account: u32,
        xpub: &str,
    ) -> Result<WalletDescriptor, BitcoinDescriptorError> {
        let network = network::of(chain).ok_or(BitcoinDescriptorError::Chain)?;
        let path = self.account_path(chain, account).ok_or(BitcoinDescriptorError::Origin)?;
        let key = Xpub::from_str(xpub).map_err(|_| BitcoinDescriptorError::NotExtended)?;
        if key.network != NetworkKind::from(network) {
            return Err(BitcoinDescriptorError::Network);
        }
        let last = path.indexes().last().copied().map(ChildNumber::from);
        if usize::from(key.depth) != path.indexes().len() || Some(key.child_number) != last {
            return Err(BitcoinDescriptorError::Origin);
        }
        let origin = path.to_string().replacen('m', &Fingerprint::from(fingerprint).to_string(), 1);
        let key = format!("[{origin}]{key}/<0;1>/*");
        let text = match self {
            Self::KeyHash => format!("pkh({key})"),
            Self::NestedKeyHash => format!("sh(wpkh({key}))"),
            Self::Taproot => format!("tr({key})"),
            Self::WitnessKeyHash => format!("wpkh({key})"),
        };
        let parsed = Descriptor::<DescriptorPublicKey>::from_str(&text)
            .map_err(|_| BitcoinDescriptorError::Text)?;
        let descriptor = WalletDescriptor::parse(&parsed.to_string())
            .map_err(|_| BitcoinDescriptorError::Text)?;
        Branches::read(&descriptor, network).map(|_| descriptor)
    }

    /// [`AddressKind::descriptor`] of the key that a custodian tells of an account of a seed.
    ///
    /// # Errors
    /// As of [`AddressKind::descriptor`]; `Origin` if the key is not at
    /// [`AddressKind::account_path`].
    pub fn account_descriptor(
        self,
        chain: &ChainId,
        key: &ExtendedPublicKey,
    ) -> Result<WalletDescriptor, BitcoinDescriptorError> {
        let network = network::of(chain).ok_or(BitcoinDescriptorError::Chain)?;
        let last = key.path.indexes().last().ok_or(BitcoinDescriptorError::Origin)?;
        let account = last & !DerivationPath::HARDENED;
        if self.account_path(chain, account).as_ref() != Some(&key.path) {
            return Err(BitcoinDescriptorError::Origin);
        }
        let public_key = bitcoin::secp256k1::PublicKey::from_slice(key.public_key.as_bytes())
            .map_err(|_| BitcoinDescriptorError::NotExtended)?;
        let xpub = Xpub {
            network: network.into(),
            depth: ACCOUNT_DEPTH,
            parent_fingerprint: key.parent_fingerprint.into(),
            child_number: ChildNumber::from(*last),
            public_key,
            chain_code: key.chain_code.into(),
        };
        self.descriptor(chain, key.root_fingerprint, account, &xpub.to_string())
    }

    const fn purpose(self) -> u32 {
        match self {
            Self::KeyHash => 44,
            Self::NestedKeyHash => 49,
            Self::Taproot => 86,
            Self::WitnessKeyHash => 84,
        }
    }

    const fn script(self) -> Kind {
        match self {
            Self::KeyHash => Kind::KeyHash,
            Self::NestedKeyHash => Kind::NestedKeyHash,
            Self::Taproot => Kind::Taproot,
            Self::WitnessKeyHash => Kind::WitnessKeyHash,
        }
    }
}

/// The branches of an account (BIP-44, "Change").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "BIP-44 knows no others")]
pub enum Branch {
    /// Addresses that come back to the wallet.
    Change,
    /// Addresses that are given to others.
    Receive,
}

impl Branch {
    const fn number(self) -> u32 {
        match self {
            Self::Change => 1,
            Self::Receive => 0,
        }
    }
}

/// Why a text or a key has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BitcoinAddressError {
    /// The chain is none of the Bitcoin networks.
    #[error("the chain is no bip122 chain that is known")]
    Chain,
    /// The key has no address of this kind.
    #[error("the key has no address of this kind")]
    Key,
    /// The address is of another network.
    #[error("the address is of another network")]
    Network,
    /// The text is no address.
    #[error("the text is no address")]
    Text,
}

/// The coin type of a network (SLIP-44).
fn coin(network: Network) -> u32 {
    u32::from(network != Network::Bitcoin)
}

/// Purpose, coin and account (BIP-44, "Path levels").
const ACCOUNT_DEPTH: u8 = 3;
/// Longest address, in bytes (BIP-173).
const ADDRESS_MAX: usize = 90;
