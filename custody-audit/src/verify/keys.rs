use super::VerifyError;
use crate::note::VerifierKey;

/// Which key signs the heads of a log, and from which entry on.
///
/// A head that covers the entry that changes the key must be signed by the new one; smaller heads
/// by the old one.
///
/// ```
/// # use custody_audit::note::VerifierKey;
/// # use custody_audit::verify::KeyHistory;
/// # let key = VerifierKey::parse(
/// #     "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
/// # )?;
/// let history = KeyHistory::new(key.clone());
/// assert_eq!(history.at(7), &key);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHistory {
    first: VerifierKey,
    changes: Vec<(u64, VerifierKey)>,
}

impl KeyHistory {
    /// Begins with the key that the host was told of when the log was made.
    #[must_use]
    pub const fn new(first: VerifierKey) -> Self {
        Self { first, changes: Vec::new() }
    }

    /// Notes that the entry at `index` puts another key in force.
    ///
    /// # Errors
    /// Fails unless the entry comes after the last change.
    pub fn change(&mut self, index: u64, next: VerifierKey) -> Result<(), VerifyError> {
        if self.changes.last().is_some_and(|(last, _)| *last >= index) {
            return Err(VerifyError::KeyOrder { index });
        }
        self.changes.push((index, next));
        Ok(())
    }

    /// Returns the key that signs the head of `size` entries.
    #[must_use]
    pub fn at(&self, size: u64) -> &VerifierKey {
        let covered = self.changes.iter().rev().find(|(index, _)| *index < size);
        covered.map_or(&self.first, |(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::tests::TestKey;

    #[test]
    fn a_head_is_signed_by_the_key_of_the_last_change_it_covers() {
        let keys: Vec<_> = (0..3).map(|seed| TestKey::new("log", seed).1).collect();
        let mut history = KeyHistory::new(keys[0].clone());
        history.change(4, keys[1].clone()).unwrap();
        history.change(5, keys[2].clone()).unwrap();
        for (size, key) in [(0, 0), (4, 0), (5, 1), (6, 2), (u64::MAX, 2)] {
            assert_eq!(history.at(size), &keys[key], "size {size}");
        }
    }

    #[test]
    fn changes_out_of_order_are_refused() {
        let key = TestKey::new("log", 0).1;
        let mut history = KeyHistory::new(key.clone());
        history.change(4, key.clone()).unwrap();
        for index in [0, 3, 4] {
            assert_eq!(history.change(index, key.clone()), Err(VerifyError::KeyOrder { index }));
        }
    }
}
