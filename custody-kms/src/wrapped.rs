//! What a wrapped data key looks like at rest.
//!
//! Layout, version 1: version (1 byte) ‖ ARN of the key of KMS (length in 1 byte) ‖ ciphertext of KMS
//! (length in 2 bytes) ‖ envelope; lengths are big-endian. KMS encrypted the key that the ciphertext
//! holds; that key seals the envelope, in which the caller's data key is.
//!
//! Invariant: version, ARN, ciphertext, all of the caller's context and the house, where it is named, are
//! associated data of the envelope. Nothing rests on KMS alone to notice a changed ciphertext or another
//! key's.

use crate::arn::KeyArn;
use crate::house::HouseName;

/// The parts of a wrapped data key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrapped<'a> {
    pub(crate) arn: &'a str,
    pub(crate) ciphertext: &'a [u8],
    pub(crate) envelope: &'a [u8],
}

impl<'a> Wrapped<'a> {
    /// None for bytes that are not one.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let [VERSION, length, rest @ ..] = bytes else { return None };
        let (arn, rest) = rest.split_at_checked(usize::from(*length))?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (ciphertext, envelope) = rest.split_at_checked(length)?;
        let arn = std::str::from_utf8(arn).ok()?;
        let is_whole = length > 0 && length <= CIPHERTEXT_MAX && envelope.len() == ENVELOPE;
        is_whole.then_some(Self { arn, ciphertext, envelope })
    }

    /// None if a part is longer than can be written.
    pub(crate) fn write(arn: &KeyArn, ciphertext: &[u8], envelope: &[u8]) -> Option<Vec<u8>> {
        let arn = arn.as_str();
        let length = u16::try_from(ciphertext.len()).ok()?;
        let mut bytes = vec![VERSION, u8::try_from(arn.len()).ok()?];
        bytes.extend_from_slice(arn.as_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(ciphertext);
        bytes.extend_from_slice(envelope);
        Some(bytes)
    }

    /// What the envelope is bound to.
    pub(crate) fn context<'c>(
        arn: &'c str,
        ciphertext: &'c [u8],
        fields: &[&'c [u8]],
        house: Option<&'c HouseName>,
    ) -> Vec<&'c [u8]> {
        let (arn, house) = (arn.as_bytes(), house.map(|house| house.as_str().as_bytes()));
        match house {
            None => [&[CONTEXT, arn, ciphertext], fields].concat(),
            Some(house) => [&[CONTEXT_OF_HOUSE, house, arn, ciphertext], fields].concat(),
        }
    }
}

/// ARN, ciphertext and envelope in a wrapped data key, for the fuzz targets: no part of the API.
#[must_use]
pub fn wrapped_parts(bytes: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let Wrapped { arn, ciphertext, envelope } = Wrapped::parse(bytes)?;
    Some((arn, ciphertext, envelope))
}

const VERSION: u8 = 1;
/// The longest ciphertext that KMS gives (API reference, `GenerateDataKey`).
const CIPHERTEXT_MAX: usize = 6_144;
/// A data key of 32 bytes in its envelope.
const ENVELOPE: usize = 32 + custody_core::envelope::OVERHEAD;
const CONTEXT: &[u8] = b"custody/kms/data-key/v1";
const CONTEXT_OF_HOUSE: &[u8] = b"custody/kms/data-key-of-house/v1";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd";

    #[test]
    fn what_is_cut_longer_or_of_another_version_is_refused() {
        let arn = KeyArn::parse(ARN).unwrap();
        let whole = Wrapped::write(&arn, b"ciphertext", &[7; ENVELOPE]).unwrap();
        assert!(Wrapped::parse(&whole).is_some());
        for length in 0..whole.len() {
            assert_eq!(Wrapped::parse(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(Wrapped::parse(&[&whole[..], &[0]].concat()), None);
        assert_eq!(Wrapped::parse(&[&[2], &whole[1..]].concat()), None);
        let empty = Wrapped::write(&arn, b"", &[7; ENVELOPE]).unwrap();
        assert_eq!(Wrapped::parse(&empty), None);
        assert_eq!(Wrapped::write(&arn, &vec![0; 65_536], b""), None);
    }

    #[test]
    fn what_is_bound_to_a_house_is_bound_to_no_other_and_not_to_none() {
        let (one, two) = (HouseName::parse("one").unwrap(), HouseName::parse("two").unwrap());
        let bound = |house| Wrapped::context(ARN, b"ciphertext", &[b"store"], house);
        assert_ne!(bound(Some(&one)), bound(Some(&two)));
        assert_ne!(bound(Some(&one)), bound(None));
        assert_eq!(bound(None), [CONTEXT, ARN.as_bytes(), b"ciphertext", b"store"]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            ciphertext in proptest::collection::vec(any::<u8>(), 1..300),
            envelope in any::<[u8; 32]>(),
        ) {
            let arn = KeyArn::parse(ARN).unwrap();
            let envelope = [&envelope[..], &[1; ENVELOPE - 32]].concat();
            let bytes = Wrapped::write(&arn, &ciphertext, &envelope).unwrap();
            let (ciphertext, envelope) = (&ciphertext[..], &envelope[..]);
            let expected = Wrapped { arn: ARN, ciphertext, envelope };
            prop_assert_eq!(Wrapped::parse(&bytes), Some(expected));
        }

        #[test]
        fn foreign_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some(read) = Wrapped::parse(&bytes) {
                prop_assert_eq!(read.envelope.len(), ENVELOPE);
            }
        }
    }
}
