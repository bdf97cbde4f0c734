//! Public keys as tokens write them.
//!
//! Invariant: the length says which form it is, never a guess: a raw point may begin like DER.

use custody_core::crypto::{Algorithm, PublicKey};

/// Reads the attribute `CKA_EC_POINT`: a raw point, or one in a DER octet string or bit string
/// (PKCS #11 3.0, section 2.3.3, and what modules write besides).
pub(crate) fn read(algorithm: Algorithm, bytes: &[u8]) -> Option<PublicKey> {
    let raw = match (algorithm, bytes) {
        (Algorithm::Ed25519, [0x04, 0x20, raw @ ..]) if raw.len() == 32 => raw,
        (Algorithm::Ed25519, [0x03, 0x21, 0x00, raw @ ..]) if raw.len() == 32 => raw,
        (Algorithm::Ed25519, raw) if raw.len() == 32 => raw,
        (Algorithm::EcdsaP256 | Algorithm::EcdsaSecp256k1, raw) => match raw {
            [0x04, 0x41, point @ ..] if point.len() == 65 => point,
            [0x04, 0x21, point @ ..] if point.len() == 33 => point,
            [0x03, 0x42, 0x00, point @ ..] if point.len() == 65 => point,
            [0x04, point @ ..] if point.len() == 64 => raw,
            [0x02 | 0x03, point @ ..] if point.len() == 32 => raw,
            _ => return None,
        },
        _ => return None,
    };
    PublicKey::from_bytes(algorithm, raw).ok()
}

/// The attribute `CKA_EC_POINT` as most modules take it: DER, an octet string.
pub(crate) fn write(key: &PublicKey) -> Option<Vec<u8>> {
    let raw = key.to_uncompressed().unwrap_or_else(|| key.as_bytes().to_vec());
    let length = u8::try_from(raw.len()).ok().filter(|length| *length < 0x80)?;
    Some([&[0x04, length], raw.as_slice()].concat())
}

/// The attribute `CKA_EC_PARAMS` of an algorithm's curve, in the forms that modules take: the object
/// identifier of RFC 5480 and RFC 8410, or a printable name (PKCS #11 3.0, section 2.3.10).
pub(crate) const fn parameters(algorithm: Algorithm) -> &'static [&'static [u8]] {
    match algorithm {
        Algorithm::EcdsaP256 => &[&[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]],
        Algorithm::EcdsaSecp256k1 => &[&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a]],
        Algorithm::Ed25519 => &[b"\x13\x0cedwards25519", &[0x06, 0x03, 0x2b, 0x65, 0x70]],
        Algorithm::Bip340 | _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    const SECP256K1: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

    fn key(algorithm: Algorithm, text: &str) -> PublicKey {
        PublicKey::from_bytes(algorithm, &hex::decode(text).unwrap()).unwrap()
    }

    #[test]
    fn every_form_of_a_point_is_read() {
        let key = key(Algorithm::EcdsaSecp256k1, SECP256K1);
        let (short, long) = (key.as_bytes().to_vec(), key.to_uncompressed().unwrap());
        for form in [
            long.clone(),
            short.clone(),
            [&[0x04, 0x41], &long[..]].concat(),
            [&[0x04, 0x21], &short[..]].concat(),
            [&[0x03, 0x42, 0x00], &long[..]].concat(),
        ] {
            assert_eq!(read(Algorithm::EcdsaSecp256k1, &form).as_ref(), Some(&key));
            assert_eq!(read(Algorithm::Ed25519, &form), None);
        }
        assert_eq!(read(Algorithm::EcdsaSecp256k1, &write(&key).unwrap()), Some(key));
    }

    #[test]
    fn every_form_of_an_edwards_point_is_read() {
        let key = key(Algorithm::Ed25519, ED25519);
        let raw = key.as_bytes();
        for form in
            [raw.to_vec(), [&[0x04, 0x20], raw].concat(), [&[0x03, 0x21, 0x00], raw].concat()]
        {
            assert_eq!(read(Algorithm::Ed25519, &form).as_ref(), Some(&key));
        }
        assert_eq!(read(Algorithm::Ed25519, &write(&key).unwrap()), Some(key));
    }

    #[test]
    fn other_lengths_and_points_off_the_curve_are_refused() {
        let long = key(Algorithm::EcdsaSecp256k1, SECP256K1).to_uncompressed().unwrap();
        let mut off = long.clone();
        off[64] ^= 1;
        for bytes in [Vec::new(), long[..64].to_vec(), [&long[..], &[0]].concat(), off] {
            assert_eq!(read(Algorithm::EcdsaSecp256k1, &bytes), None);
        }
        for length in [0, 31, 33, 34, 35, 64] {
            assert_eq!(read(Algorithm::Ed25519, &vec![7; length]), None, "{length}");
        }
        assert_eq!(read(Algorithm::Bip340, &[7; 32]), None);
    }
}
