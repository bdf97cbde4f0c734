//! Keys below a seed: BIP-32 for secp256k1, SLIP-10 for Ed25519. This file opens secrets.
//!
//! Invariant: pure functions of seed, path and algorithm; chain codes and keys on the way are wiped.

use bip32::{ChildNumber, PrivateKey as _};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use zeroize::{Zeroize, Zeroizing};

use custody_core::crypto::Algorithm;
use custody_core::seam::DerivationPath;
use custody_core::secret::Secret;

/// The private key at `path` below the seed bytes `root`.
pub(crate) fn derive(
    root: &Secret,
    path: &DerivationPath,
    algorithm: Algorithm,
) -> Result<Secret, DeriveError> {
    match algorithm {
        Algorithm::Bip340 | Algorithm::EcdsaSecp256k1 => {
            bip32(root, path).map(|node| Secret::new(node.key.to_vec()))
        }
        Algorithm::Ed25519 => slip10(root, path).map(|node| Secret::new(node.key.to_vec())),
        Algorithm::EcdsaP256 | _ => Err(DeriveError::Algorithm { algorithm }),
    }
}

/// A key with its chain code: also the two halves of an HMAC-SHA512.
struct Node {
    key: Zeroizing<[u8; HALF]>,
    chain_code: Zeroizing<[u8; HALF]>,
}

/// BIP-32, "Child key derivation (CKD) functions".
fn bip32(root: &Secret, path: &DerivationPath) -> Result<Node, DeriveError> {
    let Node { key, mut chain_code } = node(b"Bitcoin seed", &[root.expose()])?;
    let mut key = k256::SecretKey::from_slice(key.as_slice()).map_err(|_| DeriveError::Invalid)?;
    for index in path.indexes() {
        let (tweak, child) =
            key.derive_tweak(&chain_code, ChildNumber(*index)).map_err(|_| DeriveError::Invalid)?;
        let tweak = Zeroizing::new(tweak);
        key = key.derive_child(*tweak).map_err(|_| DeriveError::Invalid)?;
        chain_code = Zeroizing::new(child);
    }
    Ok(Node { key: Zeroizing::new(bip32::PrivateKey::to_bytes(&key)), chain_code })
}

/// SLIP-10, "Private parent key to private child key", for Ed25519: hardened steps only.
fn slip10(root: &Secret, path: &DerivationPath) -> Result<Node, DeriveError> {
    let mut parent = node(b"ed25519 seed", &[root.expose()])?;
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
    /// Keys of this algorithm are not derived.
    #[error("keys for {algorithm} are not derived")]
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
