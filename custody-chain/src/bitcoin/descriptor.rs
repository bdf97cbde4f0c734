//! Descriptors of wallets (BIP-380 to BIP-389): read, checked against accounts, derived.
//!
//! Invariant: what is read has public keys with an origin, no hardened step below them, and one
//! branch, 0 or 1, at a time; whatever else a descriptor can say is refused.

use std::str::FromStr;

use bitcoin::bip32::ChildNumber;
use bitcoin::key::TapTweak;
use bitcoin::secp256k1::{Secp256k1, VerifyOnly};
use bitcoin::{Network, NetworkKind, ScriptBuf};
use custody_core::crypto::Algorithm;
use custody_core::seam::{ContextAccount, DerivationPath, WalletDescriptor};
use miniscript::descriptor::{DescriptorType, DescriptorXKey, Wildcard};
use miniscript::{Descriptor, DescriptorPublicKey, ForEachKey};

use super::keys::Kind;

/// A descriptor, as one or two descriptors of one branch each.
#[derive(Clone, Debug)]
pub(super) struct Branches {
    kind: Kind,
    branches: Vec<Branch>,
}

/// All addresses of one branch.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    number: u32,
    keys: Vec<Key>,
    descriptor: Descriptor<DescriptorPublicKey>,
}

type Key = DescriptorXKey<bitcoin::bip32::Xpub>;

impl Branches {
    /// Reads a descriptor of addresses on a network.
    pub(super) fn read(
        text: &WalletDescriptor,
        network: Network,
    ) -> Result<Self, BitcoinDescriptorError> {
        if !text.as_str().contains('#') {
            return Err(BitcoinDescriptorError::Checksum);
        }
        let descriptor = Descriptor::<DescriptorPublicKey>::from_str(text.as_str())
            .map_err(|_| BitcoinDescriptorError::Text)?;
        let kind = kind(&descriptor)?;
        let singles =
            descriptor.into_single_descriptors().map_err(|_| BitcoinDescriptorError::Branches)?;
        let branches: Vec<Branch> = singles
            .into_iter()
            .map(|single| Branch::read(single, network))
            .collect::<Result<_, _>>()?;
        let numbers: Vec<u32> = branches.iter().map(|branch| branch.number).collect();
        match numbers.as_slice() {
            [0 | 1] | [0, 1] => Ok(Self { kind, branches }),
            _ => Err(BitcoinDescriptorError::Branches),
        }
    }

    /// The kind of its scripts.
    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// The branch of change, if it has one.
    pub(super) fn change(&self) -> Option<&Branch> {
        self.branches.iter().find(|branch| branch.number == CHANGE)
    }

    /// Passes accounts that follow from the descriptor, or are none of its.
    pub(super) fn check(&self, accounts: &[ContextAccount]) -> Result<(), BitcoinDescriptorError> {
        let secp = Secp256k1::verification_only();
        for (position, account) in accounts.iter().enumerate() {
            let Some(path) = &account.path else { continue };
            let keys = self.branches.iter().flat_map(|branch| &branch.keys);
            let below: Vec<_> = keys.filter_map(|key| Some((key, below(key, path)?))).collect();
            let follows = |(key, rest): &(&Key, &[u32])| self.follows(&secp, key, rest, account);
            if !below.is_empty() && !below.iter().any(follows) {
                return Err(BitcoinDescriptorError::Account { position });
            }
        }
        Ok(())
    }

    /// Whether the account's key is that at `rest` below a key of the descriptor.
    fn follows(
        &self,
        secp: &Secp256k1<VerifyOnly>,
        key: &Key,
        rest: &[u32],
        account: &ContextAccount,
    ) -> bool {
        let steps: Vec<ChildNumber> = rest.iter().copied().map(ChildNumber::from).collect();
        let Ok(child) = key.xkey.derive_pub(secp, &steps) else { return false };
        let has_tree = self.branches.iter().any(|branch| branch.descriptor.tap_tree().is_some());
        let (algorithm, bytes) = match self.kind {
            Kind::Taproot => {
                let internal = child.to_x_only_pub();
                let output = internal.tap_tweak(secp, None).0.to_x_only_public_key();
                let recorded = if has_tree { internal } else { output };
                (Algorithm::Bip340, recorded.serialize().to_vec())
            }
            Kind::KeyHash | Kind::NestedKeyHash | Kind::WitnessKeyHash | Kind::WitnessScript => {
                (Algorithm::EcdsaSecp256k1, child.public_key.serialize().to_vec())
            }
        };
        account.public_key.algorithm() == algorithm && account.public_key.as_bytes() == bytes
    }
}

impl Branch {
    fn read(
        descriptor: Descriptor<DescriptorPublicKey>,
        network: Network,
    ) -> Result<Self, BitcoinDescriptorError> {
        let mut keys = Vec::new();
        let mut refused = None;
        descriptor.for_each_key(|key| {
            match check_key(key, network) {
                Ok(key) => keys.push(key.clone()),
                Err(error) => refused = Some(error),
            }
            true
        });
        if let Some(error) = refused {
            return Err(error);
        }
        let mut numbers = keys.iter().map(branch_number);
        let first = numbers.next().flatten().ok_or(BitcoinDescriptorError::Branches)?;
        if numbers.any(|number| number != Some(first)) {
            return Err(BitcoinDescriptorError::Branches);
        }
        Ok(Self { number: first, keys, descriptor })
    }

    /// The script at an index.
    pub(super) fn script(&self, secp: &Secp256k1<VerifyOnly>, index: u32) -> Option<ScriptBuf> {
        let derived = self.descriptor.derived_descriptor(secp, index).ok()?;
        Some(derived.script_pubkey())
    }

    /// The highest index on this branch that an account has.
    pub(super) fn highest(&self, accounts: &[ContextAccount]) -> Option<u32> {
        let paths = accounts.iter().filter_map(|account| account.path.as_ref());
        let used = paths.filter_map(|path| {
            let (index, branch) = path.indexes().split_last()?;
            let is_below = self.keys.iter().any(|key| full_path(key).as_slice() == branch);
            (is_below && index & DerivationPath::HARDENED == 0).then_some(*index)
        });
        used.max()
    }
}

/// The kind of a descriptor's scripts.
fn kind(descriptor: &Descriptor<DescriptorPublicKey>) -> Result<Kind, BitcoinDescriptorError> {
    match descriptor.desc_type() {
        DescriptorType::Pkh => Ok(Kind::KeyHash),
        DescriptorType::Wpkh => Ok(Kind::WitnessKeyHash),
        DescriptorType::ShWpkh => Ok(Kind::NestedKeyHash),
        DescriptorType::Wsh | DescriptorType::WshSortedMulti => Ok(Kind::WitnessScript),
        DescriptorType::Tr => Ok(Kind::Taproot),
        DescriptorType::Bare
        | DescriptorType::Sh
        | DescriptorType::ShWsh
        | DescriptorType::ShSortedMulti
        | DescriptorType::ShWshSortedMulti => Err(BitcoinDescriptorError::Kind),
    }
}

/// Passes an extended public key of the network, with an origin, a wildcard at the end and nothing
/// hardened.
fn check_key(key: &DescriptorPublicKey, network: Network) -> Result<&Key, BitcoinDescriptorError> {
    let DescriptorPublicKey::XPub(key) = key else {
        return Err(BitcoinDescriptorError::NotExtended);
    };
    if key.xkey.network != NetworkKind::from(network) {
        return Err(BitcoinDescriptorError::Network);
    }
    if key.origin.is_none() {
        return Err(BitcoinDescriptorError::Origin);
    }
    if key.wildcard != Wildcard::Unhardened {
        return Err(BitcoinDescriptorError::Wildcard);
    }
    if key.derivation_path.into_iter().any(ChildNumber::is_hardened) {
        return Err(BitcoinDescriptorError::Hardened);
    }
    Ok(key)
}

/// The steps from the seed to the branch.
fn full_path(key: &Key) -> Vec<u32> {
    let origin = key.origin.iter().flat_map(|(_, path)| path);
    origin.chain(&key.derivation_path).map(|step| u32::from(*step)).collect()
}

fn branch_number(key: &Key) -> Option<u32> {
    full_path(key).last().copied()
}

/// The steps of `path` below a key's origin, at least one.
fn below<'a>(key: &Key, path: &'a DerivationPath) -> Option<&'a [u32]> {
    let (_, origin) = key.origin.as_ref()?;
    let origin = origin.to_u32_vec();
    let rest = path.indexes().strip_prefix(origin.as_slice())?;
    (!rest.is_empty()).then_some(rest)
}

/// Why a descriptor is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BitcoinDescriptorError {
    /// An account's path is below an origin of the descriptor, its key does not follow from there.
    #[error("account {position} does not follow from the descriptor")]
    Account {
        /// Position of the account.
        position: usize,
    },
    /// The branches are neither `<0;1>`, nor 0, nor 1.
    #[error("the branches are neither <0;1> nor 0 nor 1")]
    Branches,
    /// The context's chain is none of the Bitcoin networks.
    #[error("the wallet is not on a bip122 chain that is known")]
    Chain,
    /// There is no checksum.
    #[error("the checksum is missing")]
    Checksum,
    /// A step below an extended public key is hardened.
    #[error("a step below an extended public key is hardened")]
    Hardened,
    /// The scripts are of no kind that is read.
    #[error("the descriptor is none of pkh, wpkh, sh(wpkh), wsh and tr")]
    Kind,
    /// An extended key is of another network.
    #[error("an extended public key is of another network")]
    Network,
    /// A key is no extended public key.
    #[error("a key is no extended public key")]
    NotExtended,
    /// A key has no origin.
    #[error("a key has no origin")]
    Origin,
    /// The text is no descriptor of public keys, or its checksum is wrong.
    #[error("the text is no descriptor of public keys")]
    Text,
    /// A key does not end with `*`.
    #[error("a key does not end with an unhardened wildcard")]
    Wildcard,
}

/// The branch of change (BIP-44, "Change").
const CHANGE: u32 = 1;
