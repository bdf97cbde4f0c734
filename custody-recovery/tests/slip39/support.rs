//! What the tests share. Opens secrets, of tests only.

use custody_core::secret::Secret;
use custody_recovery::slip39::{
    CombineError, GroupScheme, Scheme, Share, ShareError, check, combine, split,
};
use custody_testkit::runtime::TestEntropy;

/// Why words gave nothing: the words of a share, from 1, or all shares together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Share(usize, ShareError),
    Set(CombineError),
}

/// A secret out of a text.
pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(text.into())
}

/// The words of a share as text.
pub(crate) fn words(share: &Share) -> String {
    String::from_utf8(share.to_words().expose().to_vec()).unwrap()
}

/// The secret that words give, in hex.
pub(crate) fn combined(words: &[String], passphrase: &str) -> Result<String, Refused> {
    let mut shares = Vec::new();
    for (number, text) in (1..).zip(words) {
        let share = Share::parse(&secret(text));
        shares.push(share.map_err(|error| Refused::Share(number, error))?);
    }
    // Whether they agree does not depend on the passphrase.
    let combined = combine(&shares, &secret(passphrase));
    assert_eq!(check(&shares).err(), combined.as_ref().err().cloned());
    let combined = combined.map_err(Refused::Set)?;
    Ok(hex::encode(combined.expose()))
}

/// A scheme of groups of (threshold, count).
pub(crate) fn scheme(group_threshold: u8, groups: &[(u8, u8)]) -> Scheme {
    let groups = groups.iter().map(|(t, n)| GroupScheme::new(*t, *n).unwrap()).collect();
    Scheme::new(group_threshold, groups).unwrap()
}

/// The words of the shares of each group.
pub(crate) fn split_words(
    master: &[u8],
    passphrase: &str,
    scheme: &Scheme,
    entropy: &TestEntropy,
) -> Vec<Vec<String>> {
    let master = Secret::new(master.to_vec());
    let groups = split(&master, &secret(passphrase), scheme, entropy).unwrap();
    groups.iter().map(|group| group.iter().map(words).collect()).collect()
}

/// What a test draws: always the same for one seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit
    }

    /// A number from `least` to `most`.
    pub(crate) fn between(&mut self, least: u8, most: u8) -> u8 {
        least + u8::try_from(self.below(usize::from(most - least) + 1)).unwrap()
    }

    /// A group, as (threshold, count).
    pub(crate) fn group(&mut self) -> (u8, u8) {
        match self.between(1, 16) {
            1 => (1, 1),
            count => (self.between(2, count), count),
        }
    }

    /// So many of these, in some order.
    pub(crate) fn choose<T: Clone>(&mut self, from: &[T], count: usize) -> Vec<T> {
        let mut left = from.to_vec();
        (0..count).map(|_| left.swap_remove(self.below(left.len()))).collect()
    }
}
