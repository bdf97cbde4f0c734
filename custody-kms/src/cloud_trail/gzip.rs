//! Files as CloudTrail delivers them: compressed with gzip (RFC 1952).
//!
//! Invariant: a file that unpacks to more than the bound takes no memory, whatever it says of itself,
//! and no byte of a file is passed over.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use super::trail::TrailError;

/// Whether the bytes begin as a file of gzip; no JSON does.
pub(super) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// The contents of a file, of one member or of several.
pub(super) fn unpack(bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, TrailError> {
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let decoder = || MultiGzDecoder::new(bytes).take(limit);
    let packed = |_| TrailError::Packed;
    let length = io::copy(&mut decoder(), &mut io::sink()).map_err(packed)?;
    let length = usize::try_from(length).ok().filter(|length| *length <= bytes_max);
    let length = length.ok_or(TrailError::TooLarge { bytes_max })?;
    let mut unpacked = Vec::with_capacity(length);
    decoder().read_to_end(&mut unpacked).map_err(packed)?;
    Ok(unpacked)
}

/// RFC 1952, section 2.3.1.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_file_may_have_as_many_bytes_as_the_bound_and_no_more() {
        for (length, bytes_max, fits) in [(0, 0, true), (9, 9, true), (10, 9, false), (1, 0, false)]
        {
            let packed = pack(&vec![b' '; length]);
            let expected =
                if fits { Ok(vec![b' '; length]) } else { Err(TrailError::TooLarge { bytes_max }) };
            assert_eq!(unpack(&packed, bytes_max), expected, "{length} of {bytes_max}");
        }
        let both = [pack(b"12345"), pack(b"6789")].concat();
        assert_eq!(unpack(&both, 9).unwrap(), b"123456789");
        assert_eq!(unpack(&both, 8), Err(TrailError::TooLarge { bytes_max: 8 }));
    }

    #[test]
    fn what_is_cut_off_or_followed_by_something_is_refused() {
        let packed = pack(b"{\"Records\":[]}");
        assert!(is_gzip(&packed));
        for length in 2..packed.len() {
            assert_eq!(unpack(&packed[..length], 99), Err(TrailError::Packed), "{length} bytes");
        }
        for more in [&b"0"[..], b"{}", &MAGIC, &packed[..packed.len() - 1]] {
            let longer = [&packed[..], more].concat();
            assert_eq!(unpack(&longer, 99), Err(TrailError::Packed), "{more:?}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_byte_never_changes_what_is_unpacked(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            place in any::<prop::sample::Index>(),
            bits in 1_u8..,
        ) {
            let mut packed = pack(&bytes);
            prop_assert_eq!(unpack(&packed, 200), Ok(bytes.clone()));
            let place = place.index(packed.len());
            packed[place] ^= bits;
            let unpacked = unpack(&packed, 200);
            prop_assert!(unpacked.is_err() || unpacked == Ok(bytes));
        }
    }
}
