//! The name of a house under a key that several share.

use std::fmt;

use crate::config::KmsConfigError;

/// The name of a house: whose store, archives and other things besides wallets a data key is for.
///
/// What is sealed for a wallet names its custodian; other things would name nobody. It must be another
/// one for each house that uses the same key of KMS, and stay what it is: what was sealed under one
/// name opens under no other, and not without one. The custodian's id does, among others.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HouseName(Box<str>);

impl HouseName {
    /// Reads a name: 1 to 64 of `a-z 0-9 -`.
    ///
    /// # Errors
    /// Fails on any other text.
    pub fn parse(text: &str) -> Result<Self, KmsConfigError> {
        let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(is_part) {
            return Ok(Self(text.into()));
        }
        Err(KmsConfigError::Field { field: "house", expected: "1 to 64 of a-z 0-9 -" })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HouseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HouseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HouseName({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain_and_not_long() {
        for text in ["a", "house-1", &"f".repeat(64)] {
            assert_eq!(HouseName::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "House", "a b", "a*", "a?", "a_b", "ä", "$", &"f".repeat(65)] {
            assert!(HouseName::parse(text).is_err(), "{text}");
        }
    }
}
