//! Names of accounts and tokens: wallets sign again and again, and pay the same receivers, so their
//! names, which need hashes, are kept.
//!
//! Invariant: what is kept follows from what it is found by, and that is compared whole; a name that
//! was not kept is made anew.

use std::fmt;
use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, keccak256};
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::crypto::PublicKey;

use super::{EvmError, check_algorithm};

/// An address on a chain.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) account: AccountId,
    /// The form that people compare (EIP-55).
    pub(super) checksummed: Arc<str>,
}

/// Who signs on a chain.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) address: Address,
    /// The coin of the chain.
    pub(super) native: AssetId,
}

/// The names that were made last. Copies share them.
#[derive(Clone)]
pub(super) struct Names(Arc<Kept>);

struct Kept {
    addresses: Recent<Address, Name>,
    signers: Recent<PublicKey, Signer>,
    tokens: Recent<(&'static str, Address), AssetId>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self(Arc::new(Kept {
            addresses: Recent::new(),
            signers: Recent::new(),
            tokens: Recent::new(),
        }))
    }

    /// The name of an address.
    pub(super) fn name(&self, chain: &ChainId, address: Address) -> Result<Name, EvmError> {
        self.0.addresses.get(chain, &address, address.as_slice(), || {
            Ok(Name {
                account: account(chain, address)?,
                checksummed: address.to_checksum(None).into(),
            })
        })
    }

    /// A token that is known by its contract; `kind` is the namespace of CAIP-19.
    pub(super) fn token(
        &self,
        chain: &ChainId,
        kind: &'static str,
        contract: Address,
    ) -> Result<AssetId, EvmError> {
        self.0.tokens.get(chain, &(kind, contract), contract.as_slice(), || {
            let mut hex = alloy_primitives::hex::Buffer::<20, true>::new();
            let contract = hex.format(&contract.0);
            Ok(AssetId::parse(&[chain.as_str(), "/", kind, ":", contract].concat())?)
        })
    }

    /// Who signs with a key.
    pub(super) fn signer(&self, chain: &ChainId, key: &PublicKey) -> Result<Signer, EvmError> {
        check_algorithm(key)?;
        self.0.signers.get(chain, key, key.as_bytes(), || {
            let native = AssetId::parse(&[chain.as_str(), "/slip44:60"].concat())?;
            Ok(Signer { address: address(key)?, native })
        })
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

/// The address of a key (Yellow Paper, appendix F).
pub(super) fn address(key: &PublicKey) -> Result<Address, EvmError> {
    check_algorithm(key)?;
    let point = key.to_uncompressed().ok_or(EvmError::Encoding)?;
    let (_, coordinates) = point.split_first().ok_or(EvmError::Encoding)?;
    Ok(Address::from_word(keccak256(coordinates)))
}

/// The account of an address.
pub(super) fn account(chain: &ChainId, address: Address) -> Result<AccountId, EvmError> {
    let mut hex = alloy_primitives::hex::Buffer::<20, true>::new();
    Ok(AccountId::new(chain, hex.format(&address.0))?)
}

/// A place for each of some values; a newer one takes the place of an older one.
struct Recent<K, V>(Box<[Place<K, V>]>);

type Place<K, V> = Mutex<Option<Entry<K, V>>>;

struct Entry<K, V> {
    chain: ChainId,
    key: K,
    value: V,
}

impl<K: Clone + PartialEq, V: Clone> Recent<K, V> {
    fn new() -> Self {
        Self((0..PLACES).map(|_| Mutex::new(None)).collect())
    }

    /// The value of `key` on a chain; `bytes` says where it is kept. Whoever finds the place taken
    /// does not wait for it.
    fn get(
        &self,
        chain: &ChainId,
        key: &K,
        bytes: &[u8],
        make: impl FnOnce() -> Result<V, EvmError>,
    ) -> Result<V, EvmError> {
        let Some(mut place) = self.place(bytes).and_then(|place| place.try_lock().ok()) else {
            return make();
        };
        if let Some(kept) = place.as_ref().filter(|kept| kept.key == *key && kept.chain == *chain) {
            return Ok(kept.value.clone());
        }
        let value = make()?;
        *place = Some(Entry { chain: chain.clone(), key: key.clone(), value: value.clone() });
        Ok(value)
    }

    fn place(&self, bytes: &[u8]) -> Option<&Place<K, V>> {
        self.0.get(usize::from(*bytes.last()?))
    }
}

/// One for each last byte of what is looked for.
const PLACES: usize = 256;
