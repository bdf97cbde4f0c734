//! Checkpoints of C2SP `tlog-checkpoint`: the head of a log as the text of a signed note.
//!
//! **Invariant:** a head has one text and a text one head. A checkpoint is believed only if the
//! key that signed it bears the log's own name.

use crate::note::{KeyName, NoteError, SignedNote, VerifierKey};
use crate::text::{parse_decimal, parse_hash, to_base64};
use crate::tree::TreeHead;

/// The head of a named log: what the text of a checkpoint says.
///
/// ```
/// # use custody_audit::checkpoint::LogHead;
/// let head = LogHead::parse(
///     "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
/// )?;
/// assert_eq!((head.origin(), head.tree().size), ("example.com/behind-the-sofa", 20_852_163));
/// # Ok::<(), custody_audit::checkpoint::CheckpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHead {
    origin: String,
    tree: TreeHead,
    extensions: Vec<String>,
}

impl LogHead {
    /// Names the head of a tree.
    #[must_use]
    pub fn new(origin: &KeyName, tree: TreeHead) -> Self {
        Self { origin: origin.as_str().to_owned(), tree, extensions: Vec::new() }
    }

    /// Reads the text of a checkpoint. Nobody may believe it yet.
    ///
    /// # Errors
    /// Fails on any other text.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?;
        let mut lines = lines.split('\n');
        let mut next = || lines.next().filter(|line| !line.is_empty());
        let origin = next().ok_or(CheckpointError::Lines)?.to_owned();
        let size = next().ok_or(CheckpointError::Lines)?;
        let root = next().ok_or(CheckpointError::Lines)?;
        let size = parse_decimal(size).ok_or(CheckpointError::Size)?;
        let root = parse_hash(root).ok_or(CheckpointError::Root)?;
        let extensions: Vec<_> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(CheckpointError::Lines);
        }
        Ok(Self { origin, tree: TreeHead { size, root }, extensions })
    }

    /// Reads a checkpoint that one of `keys` has signed in the name of the log.
    ///
    /// Keys with another name than the log's are ignored: a witness alone proves nothing.
    ///
    /// # Errors
    /// Fails if the note is not a checkpoint or is not signed by one of the keys.
    pub fn open(note: &SignedNote, keys: &[VerifierKey]) -> Result<Self, CheckpointError> {
        let head = Self::parse(note.unverified_text())?;
        let of_log = |key: &&VerifierKey| key.name().as_str() == head.origin;
        let keys: Vec<_> = keys.iter().filter(of_log).cloned().collect();
        note.verify(&keys)?;
        Ok(head)
    }

    /// Returns the text: origin, size, root and extensions, each on its line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let root = to_base64(self.tree.root.as_bytes());
        let mut text = format!("{}\n{}\n{root}\n", self.origin, self.tree.size);
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Returns the name of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns size and root of the tree.
    #[must_use]
    pub const fn tree(&self) -> &TreeHead {
        &self.tree
    }

    /// Returns the lines after the root, which mean nothing here.
    #[must_use]
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }
}

/// Why a note is not a believable checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// There are not at least three lines, or one is empty.
    #[error("the checkpoint does not have its lines")]
    Lines,
    /// The signatures do not let the checkpoint be believed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The third line is not the base64 of a hash.
    #[error("the root of the checkpoint is malformed")]
    Root,
    /// The second line is not a decimal number.
    #[error("the size of the checkpoint is malformed")]
    Size,
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;
    use crate::note::tests::TestKey;
    use crate::tree::TreeHash;

    const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

    #[test]
    fn the_bytes_of_a_checkpoint_are_pinned() {
        let key = TestKey::new("custody.example/log", 7);
        let tree = TreeHead { size: 1_234, root: TreeHash::leaf(b"root") };
        let head = LogHead::new(key.1.name(), tree);
        insta::assert_snapshot!(key.note(&head.to_text()).to_string(), @"
        custody.example/log
        1234
        PAb5plclr2BSYfY2ZyyWINQJcx2JpFHXRV/pxK4WeCk=

        — custody.example/log hTY7nIhjRTffiZWC395R4TdiNgAwlzRHApcTmAILsiLQaHNIXPmJrTbO3Ss2j3uK4MgC+t+ynZJi4yC5bVGZQ/M9qwo=
        ");
    }

    #[test]
    fn a_head_written_and_read_is_the_same_head() {
        for text in [
            format!("a\n0\n{ROOT}\n"),
            format!("a b + c\n18446744073709551615\n{ROOT}\n"),
            format!("a\n1\n{ROOT}\nextension\n more \n"),
        ] {
            assert_eq!(LogHead::parse(&text).unwrap().to_text(), text);
        }
    }

    #[test]
    fn any_other_text_is_not_a_checkpoint() {
        for (text, error) in [
            (String::new(), CheckpointError::Lines),
            ("\n".into(), CheckpointError::Lines),
            ("a\n".into(), CheckpointError::Lines),
            ("a\n1\n".into(), CheckpointError::Lines),
            (format!("a\n1\n{ROOT}"), CheckpointError::Lines),
            (format!("\n1\n{ROOT}\n"), CheckpointError::Lines),
            (format!("a\n\n{ROOT}\n"), CheckpointError::Lines),
            (format!("a\n1\n{ROOT}\n\n"), CheckpointError::Lines),
            (format!("a\n1\n{ROOT}\n\nmore\n"), CheckpointError::Lines),
            (format!("a\n01\n{ROOT}\n"), CheckpointError::Size),
            (format!("a\n+1\n{ROOT}\n"), CheckpointError::Size),
            (format!("a\n-1\n{ROOT}\n"), CheckpointError::Size),
            (format!("a\n1 \n{ROOT}\n"), CheckpointError::Size),
            (format!("a\n18446744073709551616\n{ROOT}\n"), CheckpointError::Size),
            (format!("a\n1\n{ROOT} \n"), CheckpointError::Root),
            (format!("a\n1\n{}\n", ROOT.trim_end_matches('=')), CheckpointError::Root),
            (format!("a\n1\n{}\n", ROOT.replace("2I=", "2J=")), CheckpointError::Root),
            ("a\n1\nAAAA\n".into(), CheckpointError::Root),
        ] {
            assert_eq!(LogHead::parse(&text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn only_a_key_with_the_name_of_the_log_speaks_for_it() {
        let (log, witness) = (TestKey::new("log", 1), TestKey::new("witness", 2));
        let text = format!("log\n1\n{ROOT}\n");
        let unknown = Err(CheckpointError::Note(NoteError::UnknownSigner));
        let both = [log.1.clone(), witness.1.clone()];
        assert_eq!(LogHead::open(&witness.note(&text), &both), unknown);
        assert_eq!(LogHead::open(&log.note(&text), &[witness.1]), unknown);
        assert_eq!(LogHead::open(&log.note(&text), &both).unwrap().to_text(), text);
    }

    #[test]
    fn a_signed_note_that_is_not_a_checkpoint_is_refused() {
        let log = TestKey::new("log", 1);
        let refused = LogHead::open(&log.note("log\n"), slice::from_ref(&log.1));
        assert_eq!(refused, Err(CheckpointError::Lines));
    }
}
