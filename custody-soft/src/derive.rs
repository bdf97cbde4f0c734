//! Keys below a seed: BIP-32 for secp256k1, SLIP-10 for Ed25519 and P-256. This file opens secrets.
//!
//! Invariant: pure functions of seed, path and algorithm; chain codes and keys on the way are wiped.

mod p256;

use bip32::{ChildNumber, PrivateKey as _, PublicKey as _};
use hmac::{Hmac, KeyInit, Mac};
use k256::elliptic_curve::sec1::ToSec1Point as _;
use sha2::Sha512;
use zeroize::{Zeroize, Zeroizing};

use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::seam::{DerivationPath, ExtendedPublicKey};
use custody_core::secret::Secret;

use crate::taproot;

/// What derivation starts from.
pub(crate) enum Start {
    /// A seed.
    Root(Secret),
    /// Chain code and key of a BIP-32 node.
    Extended(Secret),
}

/// The private key at `path` below `start`; of BIP-340 and a path of BIP-86, that of the output key.
pub(crate) fn derive(
    start: &Start,
    path: &DerivationPath,
    algorithm: Algorithm,
) -> Result<Secret, DeriveError> {
    let node = match (algorithm, start) {
        (Algorithm::Bip340 | Algorithm::EcdsaSecp256k1, Start::Root(root)) => {
            bip32(&node(b"Bitcoin seed", &[root.expose()])?, path.indexes())?
        }
        (Algorithm::Bip340 | Algorithm::EcdsaSecp256k1, Start::Extended(extended)) => {
            bip32(&Node::read(extended)?, path.indexes())?
        }
        (Algorithm::EcdsaP256, Start::Root(root)) => p256::derive(root, path)?,
        (Algorithm::Ed25519, Start::Root(root)) => {
            slip10(node(b"ed25519 seed", &[root.expose()])?, path)?
        }
        _ => return Err(DeriveError::Algorithm { algorithm }),
    };
    let secret = Secret::new(node.key.to_vec());
    if algorithm == Algorithm::Bip340 && taproot::is_output_path(path) {
        return taproot::output_key(&secret).ok_or(DeriveError::Invalid);
    }
    Ok(secret)
}

/// The extended public key at `path` below `start`.
pub(crate) fn extended_public_key(
    start: &Start,
    path: &DerivationPath,
) -> Result<ExtendedPublicKey, DeriveError> {
    let root = match start {
        Start::Root(root) => node(b"Bitcoin seed", &[root.expose()])?,
        Start::Extended(extended) => Node::read(extended)?,
    };
    let root_fingerprint = root.public_key()?.fingerprint();
    let (last, above) = match path.indexes().split_last() {
        Some((last, above)) => (Some(*last), above),
        None => (None, path.indexes()),
    };
    let parent = bip32(&root, above)?;
    let (found, parent_fingerprint) = match last {
        Some(index) => (bip32(&parent, &[index])?, parent.public_key()?.fingerprint()),
        None => (parent, [0; 4]),
    };
    let point = found.public_key()?.to_sec1_point(true);
    let public_key = PublicKey::from_bytes(Algorithm::EcdsaSecp256k1, point.as_bytes());
    Ok(ExtendedPublicKey {
        public_key: public_key.map_err(|_| DeriveError::Invalid)?,
        chain_code: *found.chain_code,
        path: path.clone(),
        parent_fingerprint,
        root_fingerprint,
    })
}

/// A key with its chain code: also the two halves of an HMAC-SHA512.
struct Node {
    key: Zeroizing<[u8; HALF]>,
    chain_code: Zeroizing<[u8; HALF]>,
}

impl Node {
    fn read(extended: &Secret) -> Result<Self, DeriveError> {
        let (chain_code, key) =
            extended.expose().split_first_chunk::<HALF>().ok_or(DeriveError::Invalid)?;
        let key = key.first_chunk::<HALF>().ok_or(DeriveError::Invalid)?;
        Ok(Self { key: Zeroizing::new(*key), chain_code: Zeroizing::new(*chain_code) })
    }

    /// The public key of secp256k1.
    fn public_key(&self) -> Result<k256::PublicKey, DeriveError> {
        let key = k256::SecretKey::from_slice(self.key.as_slice());
        Ok(key.map_err(|_| DeriveError::Invalid)?.public_key())
    }
}

/// BIP-32, "Child key derivation (CKD) functions".
fn bip32(start: &Node, indexes: &[u32]) -> Result<Node, DeriveError> {
    let mut chain_code = start.chain_code.clone();
    let mut key =
        k256::SecretKey::from_slice(start.key.as_slice()).map_err(|_| DeriveError::Invalid)?;
    for index in indexes {
        let (tweak, child) =
            key.derive_tweak(&chain_code, ChildNumber(*index)).map_err(|_| DeriveError::Invalid)?;
        let tweak = Zeroizing::new(tweak);
        key = key.derive_child(*tweak).map_err(|_| DeriveError::Invalid)?;
        chain_code = Zeroizing::new(child);
    }
    Ok(Node { key: Zeroizing::new(bip32::PrivateKey::to_bytes(&key)), chain_code })
}

/// SLIP-10, "Private parent key to private child key", for Ed25519: hardened steps only.
fn slip10(start: Node, path: &DerivationPath) -> Result<Node, DeriveError> {
    let mut parent = start;
    for index in path.indexes() {
        if index & DerivationPath::HARDENED == 0 {
            return Err(DeriveError::NotHardened);
        }
        let data: [&[u8]; 3] = [&[0], parent.key.as_slice(), &index.to_be_bytes()];
        parent = node(parent.chain_code.as_slice(), &data)?;
    }
    Ok(parent)
}

fn node(key: &[u8], data: &[&[u8]]) -> Result<Node, DeriveError> {
    let mut mac =
        <Hmac<Sha512> as KeyInit>::new_from_slice(key).map_err(|_| DeriveError::Invalid)?;
    for part in data {
        mac.update(part);
    }
    let mut output = mac.finalize().into_bytes();
    let mut node = Node { key: Zeroizing::new([0; HALF]), chain_code: Zeroizing::new([0; HALF]) };
    for (to, from) in node.key.iter_mut().chain(node.chain_code.iter_mut()).zip(output.iter()) {
        *to = *from;
    }
    output.as_mut_slice().zeroize();
    Ok(node)
}

/// Why there is no key at a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeriveError {
    /// Keys of this algorithm are not derived, or not from such a seed.
    #[error("keys for {algorithm} are not derived from this seed")]
    Algorithm {
        /// The algorithm that was asked for.
        algorithm: Algorithm,
    },
    /// The standard gives no key at this path; chances are below 2^-127 a step.
    #[error("the path gives no key")]
    Invalid,
    /// Ed25519 has no other than hardened steps.
    #[error("a path for ed25519 has hardened steps only")]
    NotHardened,
}

const HALF: usize = 32;
