//! Signed notes of C2SP `signed-note`: a text, an empty line, signature lines.
//!
//! **Invariant:** a note that was parsed has exactly the bytes it was parsed from when it is
//! written again, and the text of a note is handed out as true only by [`SignedNote::verify`].

mod key;

use std::fmt;

use custody_core::crypto::{Algorithm, SignInput, Signature};

use crate::text::{parse_base64, to_base64};

pub use key::{KeyError, KeyId, KeyName, VerifierKey};

/// A text with signatures that nobody has checked yet.
///
/// ```
/// use custody_audit::note::{SignedNote, VerifierKey};
///
/// // The example of the standard.
/// let key = VerifierKey::parse(
///     "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
/// )?;
/// let note = SignedNote::parse(
///     "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppz\
///      i2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n",
/// )?;
/// assert_eq!(note.verify(&[key])?, "This is an example message.\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// Takes a text and its first signature.
    ///
    /// # Errors
    /// Fails on a text that cannot stand in a note.
    pub fn new(text: String, signature: NoteSignature) -> Result<Self, NoteError> {
        check_text(&text)?;
        Ok(Self { text, signatures: vec![signature] })
    }

    /// Reads a note.
    ///
    /// # Errors
    /// Fails on everything that is not exactly a signed note of at most 256 KiB and 64 signatures.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { bytes: note.len() });
        }
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::NoSignatures)?;
        let text = format!("{text}\n");
        check_text(&text)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::NoFinalNewline)?;
        let signatures: Vec<_> =
            lines.split('\n').map(NoteSignature::parse).collect::<Result<_, _>>()?;
        if signatures.len() > SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures { signatures: signatures.len() });
        }
        Ok(Self { text, signatures })
    }

    /// Adds a signature line after the others.
    ///
    /// # Errors
    /// Fails if the note has 64 already.
    pub fn push(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        if self.signatures.len() >= SIGNATURES_MAX {
            let signatures = self.signatures.len().saturating_add(1);
            return Err(NoteError::TooManySignatures { signatures });
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// Returns the text if at least one of `keys` has signed it.
    ///
    /// Signatures by other keys are ignored, as the standard demands. One wrong signature in the
    /// name of a given key refuses the whole note.
    ///
    /// # Errors
    /// Fails if none of the keys has signed, or if one of their signatures is wrong.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<&str, NoteError> {
        self.signer(keys).map(|_| self.text.as_str())
    }

    /// Returns the first of `keys` that has signed, by the same rules as [`verify`](Self::verify).
    ///
    /// # Errors
    /// Fails as [`verify`](Self::verify) does.
    pub fn signer<'k>(&self, keys: &'k [VerifierKey]) -> Result<&'k VerifierKey, NoteError> {
        let mut signer = None;
        for key in keys {
            for signature in self.signatures.iter().filter(|line| line.is_by(key)) {
                signature.verify(key, &self.text)?;
                signer = signer.or(Some(key));
            }
        }
        signer.ok_or(NoteError::UnknownSigner)
    }

    /// Returns the text, which nobody may believe yet.
    #[must_use]
    pub fn unverified_text(&self) -> &str {
        &self.text
    }

    /// Returns the signature lines in their order.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(formatter, "{signature}"))
    }
}

/// One signature line: who claims to have signed, and the bytes of the signature.
#[derive(Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: KeyName,
    id: KeyId,
    bytes: Vec<u8>,
}

impl NoteSignature {
    /// Takes an Ed25519 signature of a note's text, if it is one by `key`.
    ///
    /// # Errors
    /// Fails if the signature does not verify.
    pub fn checked(
        key: &VerifierKey,
        text: &str,
        signature: &Signature,
    ) -> Result<Self, NoteError> {
        let bytes = signature.as_bytes().to_vec();
        let line = Self { name: key.name().clone(), id: key.id(), bytes };
        line.verify(key, text)?;
        Ok(line)
    }

    /// Returns the name in the line.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// Returns the key id in the line.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Returns the bytes after the key id.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn is_by(&self, key: &VerifierKey) -> bool {
        self.id == key.id() && self.name == *key.name()
    }

    fn verify(&self, key: &VerifierKey, text: &str) -> Result<(), NoteError> {
        Signature::from_bytes(Algorithm::Ed25519, &self.bytes)
            .and_then(|signature| {
                signature.verify(key.public_key(), SignInput::Message(text.as_bytes()))
            })
            .map_err(|_| NoteError::WrongSignature)
    }

    fn parse(line: &str) -> Result<Self, NoteError> {
        let rest = line.strip_prefix("\u{2014} ").ok_or(NoteError::SignatureLine)?;
        let (name, signature) = rest.split_once(' ').ok_or(NoteError::SignatureLine)?;
        let name = KeyName::parse(name).map_err(|_| NoteError::SignatureLine)?;
        let bytes = parse_base64(signature).ok_or(NoteError::SignatureLine)?;
        match bytes.split_first_chunk() {
            Some((id, bytes)) if !bytes.is_empty() => {
                Ok(Self { name, id: KeyId::new(*id), bytes: bytes.to_vec() })
            }
            _ => Err(NoteError::SignatureLine),
        }
    }
}

impl fmt::Debug for NoteSignature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NoteSignature")
            .field("name", &self.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.id.as_bytes().as_slice(), &self.bytes].concat();
        write!(formatter, "\u{2014} {} {}", self.name, to_base64(&bytes))
    }
}

/// Why something is not a note, or not a believable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The text holds a control character other than a newline.
    #[error("the text holds a control character at byte {position}")]
    ControlCharacter {
        /// Where it stands.
        position: usize,
    },
    /// The text or the note does not end with a newline.
    #[error("a final newline is missing")]
    NoFinalNewline,
    /// There is no empty line with signatures after it.
    #[error("the note has no signatures")]
    NoSignatures,
    /// A line after the empty one is not a signature line.
    #[error("a signature line is malformed")]
    SignatureLine,
    /// The note is longer than allowed.
    #[error("the note has {bytes} bytes, more than allowed")]
    TooLong {
        /// The bytes of the note.
        bytes: usize,
    },
    /// The note has more signatures than allowed.
    #[error("the note has {signatures} signatures, more than allowed")]
    TooManySignatures {
        /// The signatures found.
        signatures: usize,
    },
    /// None of the given keys has signed.
    #[error("no known key has signed the note")]
    UnknownSigner,
    /// A signature in the name of a known key is wrong.
    #[error("the signature does not verify")]
    WrongSignature,
}

fn check_text(text: &str) -> Result<(), NoteError> {
    let control = text.bytes().position(|byte| byte < 0x20 && byte != b'\n');
    if let Some(position) = control {
        return Err(NoteError::ControlCharacter { position });
    }
    if text.ends_with('\n') { Ok(()) } else { Err(NoteError::NoFinalNewline) }
}

const NOTE_BYTES_MAX: usize = 256 * 1024;
const SIGNATURES_MAX: usize = 64;

#[cfg(test)]
pub(crate) mod tests {
    use std::slice;

    use ed25519_dalek::Signer as _;

    use super::*;
    use custody_core::crypto::PublicKey;

    /// A log key with its secret, for tests.
    pub(crate) struct TestKey(pub(crate) ed25519_dalek::SigningKey, pub(crate) VerifierKey);

    impl TestKey {
        pub(crate) fn new(name: &str, seed: u8) -> Self {
            let secret = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
            let bytes = secret.verifying_key().to_bytes();
            let public = PublicKey::from_bytes(Algorithm::Ed25519, &bytes).unwrap();
            let key = VerifierKey::new(KeyName::parse(name).unwrap(), public).unwrap();
            Self(secret, key)
        }

        pub(crate) fn sign(&self, text: &str) -> NoteSignature {
            let bytes = self.0.sign(text.as_bytes()).to_bytes();
            let signature = Signature::from_bytes(Algorithm::Ed25519, &bytes).unwrap();
            NoteSignature::checked(&self.1, text, &signature).unwrap()
        }

        pub(crate) fn note(&self, text: &str) -> SignedNote {
            SignedNote::new(text.to_owned(), self.sign(text)).unwrap()
        }
    }

    #[test]
    fn a_note_written_and_read_is_the_same_note() {
        let (one, two) = (TestKey::new("example.com/log", 1), TestKey::new("witness.example", 2));
        for text in ["one line\n", "two\n\nparagraphs\n", "\n", "\n\n", "— not a signature\n"] {
            let mut note = one.note(text);
            note.push(two.sign(text)).unwrap();
            let written = note.to_string();
            let read = SignedNote::parse(&written).unwrap();
            assert_eq!(read, note, "{text:?}");
            assert_eq!(read.to_string(), written);
            assert_eq!(read.verify(&[one.1.clone(), two.1.clone()]), Ok(text));
            assert_eq!(read.verify(slice::from_ref(&two.1)), Ok(text));
        }
    }

    #[test]
    fn malformed_notes_are_refused() {
        let key = TestKey::new("example.com/log", 1);
        let good = key.note("text\n").to_string();
        let line = key.sign("text\n").to_string();
        assert!(SignedNote::parse(&good).is_ok());
        let cases: &[(&str, String, NoteError)] = &[
            ("empty", String::new(), NoteError::NoSignatures),
            ("text only", "text\n".into(), NoteError::NoSignatures),
            ("no signatures", "text\n\n".into(), NoteError::NoFinalNewline),
            ("no empty line", format!("text\n{line}\n"), NoteError::NoSignatures),
            ("no newline at the end", good.trim_end().into(), NoteError::NoFinalNewline),
            ("two newlines at the end", format!("{good}\n"), NoteError::NoFinalNewline),
            ("text after", format!("{good}more\n"), NoteError::SignatureLine),
            ("tab in the text", good.replace("text", "te\tt"), control(2)),
            ("nul in the text", good.replace("text", "te\0t"), control(2)),
            ("carriage return", good.replace('\n', "\r\n"), NoteError::NoSignatures),
            ("hyphen for dash", good.replace('\u{2014}', "-"), NoteError::SignatureLine),
            (
                "no space after dash",
                good.replace("\u{2014} ", "\u{2014}"),
                NoteError::SignatureLine,
            ),
            ("two spaces", good.replace("/log ", "/log  "), NoteError::SignatureLine),
            ("no name", good.replace("example.com/log", ""), NoteError::SignatureLine),
            ("plus in name", good.replace("/log", "+log"), NoteError::SignatureLine),
            ("no-break space", good.replace("/log", "\u{a0}log"), NoteError::SignatureLine),
            ("padding missing", good.replace("=\n", "\n"), NoteError::SignatureLine),
            ("space at the end", good.replace("=\n", "= \n"), NoteError::SignatureLine),
            ("id only", "text\n\n\u{2014} a AAAAAA==\n".into(), NoteError::SignatureLine),
            ("half an id", "text\n\n\u{2014} a AAA=\n".into(), NoteError::SignatureLine),
            ("no signature", "text\n\n\u{2014} a \n".into(), NoteError::SignatureLine),
            ("too long", format!("{}\n\n{line}\n", "x".repeat(256 * 1024)), too_long(&line)),
            (
                "too many signatures",
                format!("text\n\n{}", format!("{line}\n").repeat(65)),
                NoteError::TooManySignatures { signatures: 65 },
            ),
        ];
        for (name, note, error) in cases {
            assert_eq!(SignedNote::parse(note), Err(*error), "{name}");
        }
    }

    fn control(position: usize) -> NoteError {
        NoteError::ControlCharacter { position }
    }

    fn too_long(line: &str) -> NoteError {
        NoteError::TooLong { bytes: [256 * 1024, 3, line.len()].iter().sum() }
    }

    #[test]
    fn as_many_signatures_as_allowed_are_read_and_one_more_is_not_added() {
        let key = TestKey::new("example.com/log", 1);
        let mut note = key.note("text\n");
        for _ in 1..64 {
            note.push(key.sign("text\n")).unwrap();
        }
        assert!(
            SignedNote::parse(&note.to_string()).unwrap().verify(slice::from_ref(&key.1)).is_ok()
        );
        let refused = NoteError::TooManySignatures { signatures: 65 };
        assert_eq!(note.push(key.sign("text\n")), Err(refused));
    }

    #[test]
    fn a_note_is_believed_only_by_whoever_knows_a_signer() {
        let (one, two) = (TestKey::new("example.com/log", 1), TestKey::new("example.com/log", 2));
        let note = one.note("text\n");
        assert_eq!(note.verify(&[]), Err(NoteError::UnknownSigner));
        assert_eq!(note.verify(slice::from_ref(&two.1)), Err(NoteError::UnknownSigner));
        assert_eq!(note.verify(&[TestKey::new("other", 1).1]), Err(NoteError::UnknownSigner));
        assert_eq!(note.signer(&[two.1, one.1.clone()]), Ok(&one.1));
    }

    #[test]
    fn one_wrong_signature_of_a_known_key_refuses_the_note_whatever_else_is_right() {
        let (one, two) = (TestKey::new("example.com/log", 1), TestKey::new("witness.example", 2));
        let mut note = one.note("text\n");
        note.push(two.sign("other\n")).unwrap();
        let both = [one.1.clone(), two.1.clone()];
        assert_eq!(note.verify(&both), Err(NoteError::WrongSignature));
        assert_eq!(note.verify(&[two.1]), Err(NoteError::WrongSignature));
        assert_eq!(note.verify(&[one.1]), Ok("text\n"));
    }

    #[test]
    fn no_flipped_byte_of_a_note_leaves_it_believable() {
        let key = TestKey::new("example.com/log", 1);
        let good = key.note("first\n\nsecond\n").to_string().into_bytes();
        for position in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[position] ^= 1 << bit;
                let believed = String::from_utf8(bad)
                    .ok()
                    .and_then(|note| SignedNote::parse(&note).ok())
                    .is_some_and(|note| note.verify(slice::from_ref(&key.1)).is_ok());
                assert!(!believed, "byte {position} bit {bit}");
            }
        }
    }

    #[test]
    fn a_signature_that_does_not_verify_never_becomes_a_line() {
        let (one, two) = (TestKey::new("a", 1), TestKey::new("a", 2));
        let bytes = one.0.sign(b"text\n").to_bytes();
        let signature = Signature::from_bytes(Algorithm::Ed25519, &bytes).unwrap();
        for (key, text) in [(&one.1, "other\n"), (&two.1, "text\n")] {
            let refused = NoteSignature::checked(key, text, &signature);
            assert_eq!(refused, Err(NoteError::WrongSignature));
        }
    }

    #[test]
    fn a_text_that_cannot_stand_in_a_note_is_not_signed() {
        let key = TestKey::new("a", 1);
        for (text, error) in [("no newline", NoteError::NoFinalNewline), ("a\u{1}\n", control(1))] {
            assert_eq!(SignedNote::new(text.into(), key.sign(text)), Err(error));
        }
    }
}
