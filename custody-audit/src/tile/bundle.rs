//! Entry bundles: up to 256 entries, each after its length as two big-endian bytes.

/// The longest entry that a bundle can hold.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;

/// Adds an entry to a bundle.
///
/// # Errors
/// Fails if the entry is too long for its length prefix; the bundle is then unchanged.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), BundleError> {
    let length =
        u16::try_from(entry.len()).map_err(|_| BundleError::TooLong { bytes: entry.len() })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Reads the entries of a bundle one after the other.
///
/// After the first error it yields nothing more.
///
/// ```
/// # use custody_audit::tile::{Entries, push_entry};
/// let mut bundle = Vec::new();
/// push_entry(&mut bundle, b"one")?;
/// assert_eq!(bundle, b"\x00\x03one");
/// assert!(Entries::new(&bundle).eq([Ok(&b"one"[..])]));
/// # Ok::<(), custody_audit::tile::BundleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    /// Reads `bundle` from its start.
    #[must_use]
    pub const fn new(bundle: &'a [u8]) -> Self {
        Self { rest: bundle }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let parts = self.rest.split_first_chunk::<2>().and_then(|(length, rest)| {
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        });
        let Some((entry, rest)) = parts else {
            self.rest = &[];
            return Some(Err(BundleError::Truncated));
        };
        self.rest = rest;
        Some(Ok(entry))
    }
}

/// Why a bundle cannot be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// An entry has more bytes than a bundle can hold.
    #[error("an entry of {bytes} bytes does not fit a bundle")]
    TooLong {
        /// The bytes of the entry.
        bytes: usize,
    },
    /// The bundle ends within an entry.
    #[error("the bundle ends within an entry")]
    Truncated,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_as_they_went_in() {
        let entries = [vec![], vec![1], vec![2; 300], vec![3; ENTRY_BYTES_MAX]];
        let mut bundle = Vec::new();
        for entry in &entries {
            push_entry(&mut bundle, entry).unwrap();
        }
        assert!(Entries::new(&bundle).map(Result::unwrap).eq(entries.iter().map(Vec::as_slice)));
    }

    #[test]
    fn an_entry_one_byte_too_long_is_refused_and_leaves_the_bundle_alone() {
        let mut bundle = b"\x00\x01a".to_vec();
        let bytes = ENTRY_BYTES_MAX + 1;
        let refused = push_entry(&mut bundle, &vec![0; bytes]);
        assert_eq!(refused, Err(BundleError::TooLong { bytes }));
        assert_eq!(bundle, b"\x00\x01a");
    }

    #[test]
    fn a_bundle_cut_anywhere_within_an_entry_ends_with_one_error() {
        let whole = b"\x00\x03one\x00\x02ab";
        for end in [1, 2, 3, 4, 6, 7, 8] {
            let read: Vec<_> = Entries::new(&whole[..end]).collect();
            assert_eq!(read.last(), Some(&Err(BundleError::Truncated)), "{end}");
            assert_eq!(read.iter().filter(|entry| entry.is_err()).count(), 1, "{end}");
        }
    }
}
