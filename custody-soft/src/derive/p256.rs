//! SLIP-10 for NIST P-256. This file opens secrets.
//!
//! Invariant: a try that gives no key is followed by the one that the standard names, a bounded
//! number of times.

use std::ops::Add as _;

use p256::Scalar;
use p256::ecdsa::SigningKey;
use p256::elliptic_curve::PrimeField as _;
use zeroize::Zeroizing;

use custody_core::seam::DerivationPath;
use custody_core::secret::Secret;

use super::{DeriveError, HALF, Node, node};

/// The key at `path` below a seed.
pub(super) fn derive(root: &Secret, path: &DerivationPath) -> Result<Node, DeriveError> {
    let mut parent = master(node(LABEL, &[root.expose()])?)?;
    for index in path.indexes() {
        let key = read(&parent.key)?;
        let index_bytes = index.to_be_bytes();
        let first = if index & DerivationPath::HARDENED == 0 {
            let point = key.verifying_key().to_sec1_point(true);
            node(parent.chain_code.as_slice(), &[point.as_bytes(), &index_bytes])?
        } else {
            node(parent.chain_code.as_slice(), &[&[0], parent.key.as_slice(), &index_bytes])?
        };
        parent = child(&parent, &key, *index, first)?;
    }
    Ok(parent)
}

/// SLIP-10, "Master key generation".
fn master(first: Node) -> Result<Node, DeriveError> {
    let mut tried = first;
    for _ in 0..TRIES_MAX {
        if SigningKey::from_slice(tried.key.as_slice()).is_ok() {
            return Ok(tried);
        }
        tried = node(LABEL, &[tried.key.as_slice(), tried.chain_code.as_slice()])?;
    }
    Err(DeriveError::Invalid)
}

/// SLIP-10, "Private parent key to private child key".
fn child(parent: &Node, key: &SigningKey, index: u32, first: Node) -> Result<Node, DeriveError> {
    let mut tried = first;
    for _ in 0..TRIES_MAX {
        if let Some(sum) = sum(key, &tried.key) {
            return Ok(Node { key: sum, chain_code: tried.chain_code });
        }
        let data: [&[u8]; 3] = [&[1], tried.chain_code.as_slice(), &index.to_be_bytes()];
        tried = node(parent.chain_code.as_slice(), &data)?;
    }
    Err(DeriveError::Invalid)
}

/// The sum of a key and 32 bytes; none if the bytes are not below the order, or the sum is zero.
fn sum(key: &SigningKey, left: &[u8; HALF]) -> Option<Zeroizing<[u8; HALF]>> {
    let left = Zeroizing::new(Scalar::from_repr((*left).into()).into_option()?);
    let sum = Zeroizing::new(left.add(key.as_nonzero_scalar().as_ref()));
    let bytes = Zeroizing::new(<[u8; HALF]>::from(sum.to_repr()));
    SigningKey::from_slice(bytes.as_slice()).ok().map(|_| bytes)
}

fn read(key: &[u8; HALF]) -> Result<SigningKey, DeriveError> {
    SigningKey::from_slice(key).map_err(|_| DeriveError::Invalid)
}

const LABEL: &[u8] = b"Nist256p1 seed";
/// A try fails with a chance of 2^-32, so that eight in a row never do.
const TRIES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use custody_testkit::vectors;

    fn half(value: &serde_json::Value) -> Zeroizing<[u8; HALF]> {
        Zeroizing::new(hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap())
    }

    fn half_node(key: &serde_json::Value, chain_code: &serde_json::Value) -> Node {
        Node { key: half(key), chain_code: half(chain_code) }
    }

    #[test]
    fn a_try_that_gives_no_key_is_followed_by_the_next() {
        let cases = vectors::json("slip10/p256.json");
        let cases = cases["retried"].as_array().unwrap();
        assert_eq!(cases.len(), 15);
        for case in cases {
            let first = half_node(&case["left"], &case["right"]);
            let found = match case["parent"].as_array() {
                None => master(first).unwrap(),
                Some(parent) => {
                    let index = u32::try_from(parent[2].as_u64().unwrap()).unwrap();
                    let parent = half_node(&parent[0], &parent[1]);
                    child(&parent, &read(&parent.key).unwrap(), index, first).unwrap()
                }
            };
            assert_eq!(found.key, half(&case["private_key"]), "{case}");
            assert_eq!(found.chain_code, half(&case["chain_code"]), "{case}");
        }
    }
}
