//! ECDSA over secp256k1 with the nonce of RFC 6979: by k256, or with the feature `libsecp256k1` by
//! the C library of that name. This file opens secrets.
//!
//! Invariant: both make the same `r ‖ s` and recovery id of the same key and digest.

use custody_core::seam::BackendError;
use k256::ecdsa::SigningKey;

#[cfg(not(feature = "libsecp256k1"))]
pub(crate) use by_k256 as sign;
#[cfg(feature = "libsecp256k1")]
pub(crate) use by_libsecp256k1 as sign;

/// `r ‖ s` and the recovery id.
type Recoverable = ([u8; 64], u8);

#[cfg(any(test, not(feature = "libsecp256k1")))]
#[cfg_attr(
    not(feature = "libsecp256k1"),
    expect(clippy::unnecessary_wraps, reason = "the other engine can fail")
)]
pub(crate) fn by_k256(key: &SigningKey, digest: &[u8; 32]) -> Result<Recoverable, BackendError> {
    let (signature, recovery) = key.sign_prehash_recoverable(digest);
    Ok((signature.to_bytes().into(), recovery.to_byte()))
}

/// The scalar is copied for the call and wiped after it.
#[cfg(feature = "libsecp256k1")]
pub(crate) fn by_libsecp256k1(
    key: &SigningKey,
    digest: &[u8; 32],
) -> Result<Recoverable, BackendError> {
    use std::sync::LazyLock;

    use custody_core::seam::ErrorKind;
    use secp256k1::{Message, Secp256k1, SecretKey, SignOnly};
    use zeroize::Zeroizing;

    static CONTEXT: LazyLock<Secp256k1<SignOnly>> = LazyLock::new(Secp256k1::signing_only);
    let failed = || BackendError::new(ErrorKind::Corrupt, "sign");
    let scalar = Zeroizing::new(<[u8; 32]>::from(key.to_bytes()));
    let mut key = SecretKey::from_byte_array(*scalar).map_err(|_| failed())?;
    let signature = CONTEXT.sign_ecdsa_recoverable(Message::from_digest(*digest), &key);
    key.non_secure_erase();
    let (id, bytes) = signature.serialize_compact();
    let id = u8::try_from(i32::from(id)).map_err(|_| failed())?;
    Ok((bytes, id))
}

#[cfg(all(test, feature = "libsecp256k1"))]
mod tests {
    use super::*;

    #[test]
    fn both_engines_make_the_same_signatures() {
        let mut most = [0xff; 32];
        most[15..].copy_from_slice(&[
            0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0,
            0x36, 0x41, 0x40,
        ]);
        let mut least = [0; 32];
        least[31] = 1;
        let keys = (1..=60_u8).map(|byte| [byte; 32]).chain([least, most]);
        for key in keys {
            let key = SigningKey::from_slice(&key).unwrap();
            for digest in (0..=255_u8).step_by(15).map(|byte| [byte; 32]).chain([least, most]) {
                let one = by_k256(&key, &digest).unwrap();
                let other = by_libsecp256k1(&key, &digest).unwrap();
                assert!(normalised(one).is_some());
                // k256 gives the s that it computed, libsecp256k1 the low one.
                assert_eq!(normalised(one), normalised(other), "{digest:02x?}");
            }
        }
    }

    /// With the low s, and the recovery id that belongs to it.
    fn normalised((bytes, id): Recoverable) -> Option<Recoverable> {
        let signature = k256::ecdsa::Signature::from_slice(&bytes).ok()?;
        let low = signature.normalize_s();
        let flipped = u8::from(low != signature);
        Some((low.to_bytes().into(), id ^ flipped))
    }
}
