//! BIP-32 and SLIP-10 private derivation. Opens secrets, of tests only.

use bip32::PublicKey as _;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::seam::{DerivationPath, ExtendedPublicKey};
use custody_core::secret::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use k256::elliptic_curve::PrimeField as _;
use k256::elliptic_curve::sec1::ToSec1Point as _;
use sha2::Sha512;

/// The private key at `path` below `seed`; none for an algorithm or path that has none.
pub(super) fn private_key(
    seed: &Secret,
    path: &DerivationPath,
    algorithm: Algorithm,
) -> Option<Secret> {
    let tag: &[u8] = match algorithm {
        Algorithm::Bip340 | Algorithm::EcdsaSecp256k1 => b"Bitcoin seed",
        Algorithm::Ed25519 => b"ed25519 seed",
        Algorithm::EcdsaP256 => return None,
        other => panic!("the testkit derives no keys for {other}"),
    };
    let mut node = mac(tag, &[seed.expose()]);
    for index in path.indexes() {
        let ed25519 = algorithm == Algorithm::Ed25519;
        let child = if ed25519 { ed25519_child } else { secp256k1_child };
        node = child(&node, *index)?;
    }
    Some(Secret::new(node[..32].to_vec()))
}

/// The extended public key at `path` below `seed` (BIP-32).
pub(super) fn extended_public_key(
    seed: &Secret,
    path: &DerivationPath,
) -> Option<ExtendedPublicKey> {
    let root = mac(b"Bitcoin seed", &[seed.expose()]);
    let (mut node, mut parent_fingerprint) = (root, [0; 4]);
    for index in path.indexes() {
        parent_fingerprint = public_key(&node)?.fingerprint();
        node = secp256k1_child(&node, *index)?;
    }
    let point = public_key(&node)?.to_sec1_point(true);
    let public_key_found = PublicKey::from_bytes(Algorithm::EcdsaSecp256k1, point.as_bytes());
    Some(ExtendedPublicKey {
        public_key: public_key_found.ok()?,
        chain_code: node[32..].try_into().ok()?,
        path: path.clone(),
        parent_fingerprint,
        root_fingerprint: public_key(&root)?.fingerprint(),
    })
}

/// The public key at an unhardened step below an extended one (BIP-32, "Public parent key to public
/// child key").
pub(crate) fn public_child(
    parent: &PublicKey,
    chain_code: &[u8; 32],
    index: u32,
) -> Option<(PublicKey, [u8; 32])> {
    let point = k256::PublicKey::from_sec1_bytes(parent.as_bytes()).ok()?;
    let child = mac(chain_code, &[parent.as_bytes(), &index.to_be_bytes()]);
    let point = point.derive_child(child[..32].try_into().ok()?).ok()?;
    let bytes = bip32::PublicKey::to_bytes(&point);
    let found = PublicKey::from_bytes(Algorithm::EcdsaSecp256k1, &bytes).ok()?;
    Some((found, child[32..].try_into().ok()?))
}

fn public_key(node: &[u8; 64]) -> Option<k256::PublicKey> {
    Some(k256::SecretKey::from_slice(&node[..32]).ok()?.public_key())
}

/// SLIP-10, "Private parent key to private child key", for Ed25519: hardened only.
fn ed25519_child(node: &[u8; 64], index: u32) -> Option<[u8; 64]> {
    let hardened = index & DerivationPath::HARDENED != 0;
    hardened.then(|| mac(&node[32..], &[&[0], &node[..32], &index.to_be_bytes()]))
}

/// BIP-32, "Private parent key to private child key".
fn secp256k1_child(node: &[u8; 64], index: u32) -> Option<[u8; 64]> {
    let parent = k256::ecdsa::SigningKey::from_slice(&node[..32]).ok()?;
    let point = parent.verifying_key().to_sec1_point(true);
    let mut child = match index & DerivationPath::HARDENED {
        0 => mac(&node[32..], &[point.as_bytes(), &index.to_be_bytes()]),
        _ => mac(&node[32..], &[&[0], &node[..32], &index.to_be_bytes()]),
    };
    let scalar = |bytes: &[u8]| -> Option<k256::Scalar> {
        let bytes: [u8; 32] = bytes.try_into().ok()?;
        k256::Scalar::from_repr(bytes.into()).into_option()
    };
    let sum = scalar(&child[..32])? + scalar(&node[..32])?;
    if bool::from(sum.is_zero()) {
        return None;
    }
    child[..32].copy_from_slice(&sum.to_repr());
    Some(child)
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 64] {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}
