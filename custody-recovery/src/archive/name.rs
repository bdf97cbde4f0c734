//! What the files and secrets of an archive are called.
//!
//! Invariant: a path stays below the folder that it is unpacked into, whatever the platform.

use std::fmt;

/// The path of a file in an archive: relative, its parts separated by `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryPath(Box<str>);

impl EntryPath {
    /// Longest path, in bytes.
    pub const MAX: usize = 512;

    /// Parses a path of 1 to 512 bytes.
    ///
    /// # Errors
    /// Fails on another length, on a part that is empty, `.`, `..` or longer than 255 bytes (so on
    /// absolute paths), and on `\`, `:` and control characters.
    pub fn parse(text: &str) -> Result<Self, EntryPathError> {
        if text.is_empty() || text.len() > Self::MAX {
            return Err(EntryPathError::Length { length: text.len() });
        }
        let is_foreign = |c: char| c.is_control() || matches!(c, '\\' | ':');
        if let Some((position, _)) = text.char_indices().find(|(_, c)| is_foreign(*c)) {
            return Err(EntryPathError::Character { position });
        }
        let is_refused = |part: &str| matches!(part, "" | "." | "..") || part.len() > PART_MAX;
        match text.split('/').position(is_refused) {
            Some(number) => Err(EntryPathError::Part { number }),
            None => Ok(Self(text.into())),
        }
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no path of a file in an archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryPathError {
    /// A character has no place in a path.
    #[error("the path has a character at byte {position} that has no place in one")]
    Character {
        /// Byte position of the first such character.
        position: usize,
    },
    /// The text is empty or too long.
    #[error("a path has 1 to 512 bytes, this text has {length}")]
    Length {
        /// Length found, in bytes.
        length: usize,
    },
    /// A part is empty, `.`, `..` or too long.
    #[error("part {number} of the path is empty, leads elsewhere or is too long")]
    Part {
        /// Which part, from 0.
        number: usize,
    },
}

/// The name of a secret in an archive, such as `kek/main`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretName(Box<str>);

impl SecretName {
    /// Longest name, in bytes.
    pub const MAX: usize = 64;

    /// Parses 1 to 64 of `a-z 0-9 - . _ /`.
    ///
    /// # Errors
    /// Fails on any other text.
    pub fn parse(text: &str) -> Result<Self, SecretNameError> {
        let is_known =
            |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'/');
        if text.is_empty() || text.len() > Self::MAX || !text.bytes().all(is_known) {
            return Err(SecretNameError { length: text.len() });
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no name of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret's name is 1 to 64 of `a-z 0-9 - . _ /`; this text has {length} bytes")]
#[non_exhaustive]
pub struct SecretNameError {
    /// Length found, in bytes.
    pub length: usize,
}

const PART_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_could_leave_its_folder_is_refused() {
        use EntryPathError::{Character, Length, Part};
        let long = "a".repeat(513);
        let long_part = format!("a/{}", "b".repeat(256));
        for (text, error) in [
            ("", Length { length: 0 }),
            (long.as_str(), Length { length: 513 }),
            ("/etc/passwd", Part { number: 0 }),
            ("..", Part { number: 0 }),
            ("log/../../x", Part { number: 1 }),
            ("log/./x", Part { number: 1 }),
            ("log//x", Part { number: 1 }),
            ("log/", Part { number: 1 }),
            (long_part.as_str(), Part { number: 1 }),
            ("log\\x", Character { position: 3 }),
            ("c:x", Character { position: 1 }),
            ("a\0b", Character { position: 1 }),
            ("a\nb", Character { position: 1 }),
            ("ü\u{85}", Character { position: 2 }),
        ] {
            assert_eq!(EntryPath::parse(text), Err(error), "{text:?}");
        }
        for text in ["checkpoint", "log/tile/0/x001/234.p/5", "..a", "a b", "ü"] {
            assert_eq!(EntryPath::parse(text).unwrap().as_str(), text);
        }
        let longest = ["a".repeat(255), "b".repeat(255), String::new()].join("/");
        assert!(EntryPath::parse(longest.trim_end_matches('/')).is_ok());
    }

    #[test]
    fn a_secrets_name_has_a_closed_alphabet() {
        for text in ["", "Kek", "kek main", "kek\0", "kék", &"a".repeat(65)] {
            assert_eq!(SecretName::parse(text), Err(SecretNameError { length: text.len() }));
        }
        for text in ["kek/main", "log-key.1", &"a".repeat(64)] {
            assert_eq!(SecretName::parse(text).unwrap().as_str(), text);
        }
    }
}
