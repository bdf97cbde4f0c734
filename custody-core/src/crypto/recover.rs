//! Recovering the key of an ECDSA signature over secp256k1 (SEC 1, section 4.1.6): by k256, or with
//! the feature `libsecp256k1` by the C library of that name.
//!
//! Invariant: both recover the same key, or none, of every signature.

#[cfg(not(feature = "libsecp256k1"))]
pub(super) use by_k256 as recover;
#[cfg(feature = "libsecp256k1")]
pub(super) use by_libsecp256k1 as recover;

/// The compressed point that a signature (`r ‖ s`) over a digest recovers to.
#[cfg(any(test, not(feature = "libsecp256k1")))]
pub(super) fn by_k256(digest: &[u8; 32], signature: &[u8; 64], id: u8) -> Option<[u8; 33]> {
    let id = k256::ecdsa::RecoveryId::from_byte(id)?;
    let signature = k256::ecdsa::Signature::from_slice(signature).ok()?;
    let key = k256::ecdsa::VerifyingKey::recover_from_prehash(digest, &signature, id).ok()?;
    key.to_sec1_point(true).as_bytes().try_into().ok()
}

/// The compressed point that a signature (`r ‖ s`) over a digest recovers to.
#[cfg(feature = "libsecp256k1")]
pub(super) fn by_libsecp256k1(digest: &[u8; 32], signature: &[u8; 64], id: u8) -> Option<[u8; 33]> {
    use std::sync::LazyLock;

    use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
    use secp256k1::{Message, Secp256k1, VerifyOnly};

    static CONTEXT: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);
    let id = RecoveryId::try_from(i32::from(id)).ok()?;
    let signature = RecoverableSignature::from_compact(signature, id).ok()?;
    let key = CONTEXT.recover_ecdsa(Message::from_digest(*digest), &signature).ok()?;
    Some(key.serialize())
}

#[cfg(all(test, feature = "libsecp256k1"))]
mod tests {
    use k256::ecdsa::SigningKey;

    use super::*;

    /// The order of the group, big-endian (SEC 2, section 2.4.1).
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36,
        0x41, 0x41,
    ];

    #[track_caller]
    fn same(digest: &[u8; 32], signature: &[u8; 64]) -> usize {
        let recovers = |id: &u8| {
            let key = by_k256(digest, signature, *id);
            assert_eq!(key, by_libsecp256k1(digest, signature, *id), "{id} {signature:02x?}");
            key.is_some()
        };
        (0..=u8::MAX).filter(recovers).count()
    }

    #[test]
    fn both_engines_recover_the_same_keys_of_signatures() {
        for number in 1..=100_u8 {
            let (key, digest) = ([number; 32], [number.wrapping_mul(37); 32]);
            let key = SigningKey::from_slice(&key).unwrap();
            let (signature, id) = key.sign_prehash_recoverable(&digest);
            let bytes: [u8; 64] = signature.to_bytes().into();
            let own: [u8; 33] =
                key.verifying_key().to_sec1_point(true).as_bytes().try_into().unwrap();
            assert_eq!(by_libsecp256k1(&digest, &bytes, id.to_byte()), Some(own));
            assert!(same(&digest, &bytes) >= 2, "two points have each x");
            // The same signature with the high s.
            let high: [u8; 64] = {
                let (r, s) = signature.split_scalars();
                let high = k256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
                high.to_bytes().into()
            };
            let _found = same(&digest, &high);
            let _other = same(&[number; 32], &bytes);
        }
    }

    #[test]
    fn both_engines_refuse_the_same_scalars() {
        let mut minus_one = ORDER;
        minus_one[31] -= 1;
        let scalars = [[0; 32], [0xff; 32], ORDER, minus_one, [1; 32], {
            let mut one = [0; 32];
            one[31] = 1;
            one
        }];
        for r in scalars {
            for s in scalars {
                for digest in scalars {
                    let mut signature = [0; 64];
                    signature[..32].copy_from_slice(&r);
                    signature[32..].copy_from_slice(&s);
                    let found = same(&digest, &signature);
                    let is_out = |scalar: [u8; 32]| scalar == [0; 32] || scalar >= ORDER;
                    assert!(found == 0 || !(is_out(r) || is_out(s)), "{signature:02x?}");
                }
            }
        }
    }
}
