use std::fmt;

use custody_core::crypto::{Algorithm, PublicKey};
use sha2::{Digest, Sha256};

use crate::text::{parse_base64, to_base64};

/// The name of a key that signs notes; for a log it is the log's origin.
///
/// 1 to 255 bytes without spaces, control characters and `+`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(Box<str>);

impl KeyName {
    /// Reads a name.
    ///
    /// # Errors
    /// Fails on any other text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let foreign = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '+';
        let fits = (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.contains(foreign);
        if fits { Ok(Self(text.into())) } else { Err(KeyError::Name) }
    }

    /// Returns the text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The four bytes that tell which key of a name has signed. They identify and prove nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 4]);

impl KeyId {
    /// Takes the bytes of an id.
    #[must_use]
    pub const fn new(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the id.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// A public Ed25519 key under a name, whose text is `<name>+<id>+<base64>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    id: KeyId,
    public: PublicKey,
}

impl VerifierKey {
    /// Names an Ed25519 key.
    ///
    /// # Errors
    /// Fails on a key of another algorithm.
    pub fn new(name: KeyName, public: PublicKey) -> Result<Self, KeyError> {
        if public.algorithm() != Algorithm::Ed25519 {
            return Err(KeyError::Algorithm);
        }
        let hasher = Sha256::new().chain_update(name.as_str()).chain_update([b'\n', ED25519]);
        let digest: [u8; 32] = hasher.chain_update(public.as_bytes()).finalize().into();
        let id = digest.first_chunk().copied().map(KeyId).ok_or(KeyError::Id)?;
        Ok(Self { name, id, public })
    }

    /// Reads the text of a key.
    ///
    /// # Errors
    /// Fails on any other text, on an id that is not that of the key, and on a key that is not an
    /// Ed25519 public key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        // Base64 may contain a plus, a name and an id cannot.
        let mut parts = text.splitn(3, '+');
        let mut next = || parts.next().ok_or(KeyError::Form);
        let (name, id, key) = (next()?, next()?, next()?);
        let bytes = parse_base64(key).ok_or(KeyError::Form)?;
        let public = match bytes.split_first() {
            Some((&ED25519, public)) => public,
            _ => return Err(KeyError::Algorithm),
        };
        let public =
            PublicKey::from_bytes(Algorithm::Ed25519, public).map_err(|_| KeyError::Point)?;
        let key = Self::new(KeyName::parse(name)?, public)?;
        if key.id.to_string() == id { Ok(key) } else { Err(KeyError::Id) }
    }

    /// Returns the name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// Returns the id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Returns the key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[ED25519], self.public.as_bytes()].concat();
        write!(formatter, "{}+{}+{}", self.name, self.id, to_base64(&bytes))
    }
}

/// Why a text is not the name or the key of a signer of notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key is not for Ed25519 signatures of notes.
    #[error("the key is not an ed25519 note key")]
    Algorithm,
    /// The text does not have three parts with base64 at the end.
    #[error("the key is malformed")]
    Form,
    /// The id is not the one that name and key give.
    #[error("the key id does not belong to the key")]
    Id,
    /// The name is empty, too long or holds a forbidden character.
    #[error("the key name is malformed")]
    Name,
    /// The bytes are not a public key.
    #[error("the key is not a point that may be used")]
    Point,
}

/// The signature type of C2SP `signed-note`, "Signature types".
const ED25519: u8 = 0x01;
const NAME_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

    #[test]
    fn the_key_of_the_standards_example_is_read_and_written() {
        let key = VerifierKey::parse(EXAMPLE).unwrap();
        assert_eq!(
            (key.name().as_str(), key.id().to_string()),
            ("example.com/foo", "530d903a".into())
        );
        assert_eq!(format!("{:?}", key.id()), "530d903a");
        assert_eq!(key.to_string(), EXAMPLE);
    }

    #[test]
    fn any_other_text_is_not_a_key() {
        let base64 = EXAMPLE.rsplit_once('+').unwrap().1;
        let typed = |byte: u8, key: &[u8]| {
            let bytes = [&[byte], key].concat();
            format!("example.com/foo+530d903a+{}", to_base64(&bytes))
        };
        let point = parse_base64(base64).unwrap()[1..].to_vec();
        for (name, text, error) in [
            ("empty", String::new(), KeyError::Form),
            ("name only", "example.com/foo".into(), KeyError::Form),
            ("no key", "example.com/foo+530d903a".into(), KeyError::Form),
            ("empty key", "example.com/foo+530d903a+".into(), KeyError::Algorithm),
            ("no name", EXAMPLE.replace("example.com/foo", ""), KeyError::Name),
            ("space in name", EXAMPLE.replace("example.com/foo", "example com"), KeyError::Name),
            ("another name", EXAMPLE.replace("foo", "bar"), KeyError::Id),
            ("another id", EXAMPLE.replace("530d903a", "530d903b"), KeyError::Id),
            ("id in capitals", EXAMPLE.replace("530d903a", "530D903A"), KeyError::Id),
            ("short id", EXAMPLE.replace("530d903a", "530d903"), KeyError::Id),
            ("padding missing or superfluous", format!("{EXAMPLE}="), KeyError::Form),
            ("newline at the end", format!("{EXAMPLE}\n"), KeyError::Form),
            ("witness key", typed(0x04, &point), KeyError::Algorithm),
            ("post-quantum key", typed(0x06, &point), KeyError::Algorithm),
            ("short point", typed(0x01, &point[1..]), KeyError::Point),
            ("long point", typed(0x01, &[&point[..], &[0]].concat()), KeyError::Point),
            ("point of small order", typed(0x01, &[0; 32]), KeyError::Point),
        ] {
            assert_eq!(VerifierKey::parse(&text), Err(error), "{name}");
        }
    }

    #[test]
    fn a_name_has_1_to_255_bytes_and_no_space_plus_or_control() {
        for good in ["a", "example.com/log", "\u{e9}", &"x".repeat(255)] {
            assert_eq!(KeyName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", "a b", "a+b", "a\n", "\u{a0}", "\u{2003}", "\u{7f}", &"x".repeat(256)]
        {
            assert_eq!(KeyName::parse(bad), Err(KeyError::Name), "{bad:?}");
        }
    }
}
