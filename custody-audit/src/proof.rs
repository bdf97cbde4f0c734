//! Receipts: `c2sp.org/tlog-proof@v1` files that prove one entry to an outsider, offline.
//!
//! **Invariant:** a file has one meaning and a meaning one file. A receipt proves the bytes it
//! carries and no others: verification hashes them itself and asks nobody for the leaf.

use std::fmt;

use crate::checkpoint::{CheckpointError, LogHead};
use crate::note::{NoteError, SignedNote, VerifierKey};
use crate::text::{as_base64, parse_base64, parse_decimal, parse_hash};
use crate::tree::{ProofError, TreeHash, verify_inclusion};

/// A proof that an entry stands in a log, which nobody has checked yet.
///
/// The receipts of this crate carry the entry itself as the extra data of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogProof {
    extra: Option<Vec<u8>>,
    index: u64,
    path: Vec<TreeHash>,
    checkpoint: SignedNote,
}

impl LogProof {
    /// Puts a receipt for `entry` together.
    #[must_use]
    pub const fn new(
        entry: Vec<u8>,
        index: u64,
        path: Vec<TreeHash>,
        checkpoint: SignedNote,
    ) -> Self {
        Self { extra: Some(entry), index, path, checkpoint }
    }

    /// Reads a proof file.
    ///
    /// # Errors
    /// Fails on everything that is not exactly a proof file of at most 512 KiB and 64 hashes.
    pub fn parse(file: &str) -> Result<Self, LogProofError> {
        if file.len() > FILE_BYTES_MAX {
            return Err(LogProofError::TooLong { bytes: file.len() });
        }
        let (head, checkpoint) = file.split_once("\n\n").ok_or(LogProofError::Lines)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(VERSION) {
            return Err(LogProofError::Version);
        }
        let extra =
            lines.next_if(|line| line.starts_with("extra ")).map(parse_extra).transpose()?;
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(parse_decimal).ok_or(LogProofError::Index)?;
        let path: Vec<_> = lines
            .map(|line| parse_hash(line).ok_or(LogProofError::Hash))
            .collect::<Result<_, _>>()?;
        if path.len() > PATH_HASHES_MAX {
            return Err(LogProofError::Hash);
        }
        let checkpoint = SignedNote::parse(checkpoint)?;
        Ok(Self { extra, index, path, checkpoint })
    }

    /// Returns the entry this receipt carries, once it is proved under a log key, and the head it
    /// is proved under.
    ///
    /// # Errors
    /// Fails if the receipt carries no entry, if none of the keys has signed its checkpoint in the
    /// name of the log, or if the proof does not hold.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<(&[u8], LogHead), LogProofError> {
        let entry = self.extra.as_deref().ok_or(LogProofError::NoEntry)?;
        let head = self.verify_leaf(&TreeHash::leaf(entry), keys)?;
        Ok((entry, head))
    }

    /// Returns the head under which `leaf` is proved; for a proof that does not carry its entry.
    ///
    /// # Errors
    /// Fails as [`verify`](Self::verify) does.
    pub fn verify_leaf(
        &self,
        leaf: &TreeHash,
        keys: &[VerifierKey],
    ) -> Result<LogHead, LogProofError> {
        let head = LogHead::open(&self.checkpoint, keys)?;
        verify_inclusion(leaf, self.index, head.tree(), &self.path)?;
        Ok(head)
    }

    /// Returns the index of the entry.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Returns the hashes that lead from the entry to the root, which nobody may believe yet.
    #[must_use]
    pub fn path(&self) -> &[TreeHash] {
        &self.path
    }

    /// Returns the checkpoint, which nobody may believe yet.
    #[must_use]
    pub const fn checkpoint(&self) -> &SignedNote {
        &self.checkpoint
    }
}

impl fmt::Display for LogProof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{VERSION}")?;
        if let Some(extra) = &self.extra {
            writeln!(formatter, "extra {}", as_base64(extra))?;
        }
        writeln!(formatter, "index {}", self.index)?;
        for hash in &self.path {
            writeln!(formatter, "{}", as_base64(hash.as_bytes()))?;
        }
        write!(formatter, "\n{}", self.checkpoint)
    }
}

/// Why a file is not a receipt, or proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogProofError {
    /// The checkpoint in the file cannot be believed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The extra line is not base64.
    #[error("the extra data of the proof are malformed")]
    Extra,
    /// A line of the proof is not the base64 of a hash, or there are more than a tree can need.
    #[error("the hashes of the proof are malformed")]
    Hash,
    /// The index line is missing or malformed.
    #[error("the index of the proof is malformed")]
    Index,
    /// There is no empty line before a checkpoint.
    #[error("the proof does not have its lines")]
    Lines,
    /// The proof does not carry the entry that it proves.
    #[error("the proof carries no entry")]
    NoEntry,
    /// The note after the proof is malformed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The proof does not hold.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The file is longer than allowed.
    #[error("the proof has {bytes} bytes, more than allowed")]
    TooLong {
        /// The bytes of the file.
        bytes: usize,
    },
    /// The first line names another format.
    #[error("the proof has an unknown version")]
    Version,
}

fn parse_extra(line: &str) -> Result<Vec<u8>, LogProofError> {
    line.strip_prefix("extra ").and_then(parse_base64).ok_or(LogProofError::Extra)
}

const VERSION: &str = "c2sp.org/tlog-proof@v1";
const FILE_BYTES_MAX: usize = 512 * 1024;
const PATH_HASHES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;
    use crate::note::tests::TestKey;
    use crate::tree::tests::Leaves;
    use crate::tree::{ProofPlan, TreeHead};

    fn receipt(index: u64, size: u64) -> (LogProof, TestKey) {
        let key = TestKey::new("custody.example/log", 7);
        let mut leaves = Leaves::counted(size);
        let tree = TreeHead { size, root: Leaves::root(&leaves.0) };
        let path = ProofPlan::inclusion(index, size).unwrap().assemble(&mut leaves).unwrap();
        let note = key.note(&LogHead::new(key.1.name(), tree).to_text());
        (LogProof::new(index.to_be_bytes().to_vec(), index, path, note), key)
    }

    #[test]
    fn the_bytes_of_a_receipt_are_pinned() {
        insta::assert_snapshot!(receipt(2, 5).0.to_string(), @"
        c2sp.org/tlog-proof@v1
        extra AAAAAAAAAAI=
        index 2
        /uvxhjvR/O7f7/JpOCnVD/vKwQDQ++dFSC4DL5P2uvs=
        p9kYlLYfv0Y3jYjj4bH3rvOVMsUEtIS9MVUdFeCgnf8=
        mJkwf510d0YSJXXt7rOWPHyDwCkkH4Kj0XuZlyh42w4=

        custody.example/log
        5
        ywPe8MW2O97L7WzYY8jmHtqyPhrHq3AoHGmRg8rCvvY=

        — custody.example/log hTY7nNpLFWOENiKzG033ibQSVFRl+l2HoZMwOxlsajyGqYVLOHdqfEckWnwutjtVnEB+Ek4eqbBWr75mfbPH0SZTEgY=
        ");
    }

    #[test]
    fn a_receipt_proves_its_entry_and_reads_as_it_was_written() {
        for (index, size) in [(0, 1), (0, 2), (6, 7), (255, 256), (256, 257)] {
            let (receipt, key) = receipt(index, size);
            let file = receipt.to_string();
            let read = LogProof::parse(&file).unwrap();
            assert_eq!((&read, read.to_string()), (&receipt, file));
            let (entry, head) = read.verify(&[key.1]).unwrap();
            assert_eq!((entry, head.tree().size), (&index.to_be_bytes()[..], size));
        }
    }

    #[test]
    fn no_flipped_bit_of_a_receipt_leaves_it_a_proof() {
        let (receipt, key) = receipt(2, 5);
        let good = receipt.to_string().into_bytes();
        for position in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[position] ^= 1 << bit;
                let believed = String::from_utf8(bad)
                    .ok()
                    .and_then(|file| LogProof::parse(&file).ok())
                    .is_some_and(|proof| proof.verify(slice::from_ref(&key.1)).is_ok());
                assert!(!believed, "byte {position} bit {bit}");
            }
        }
    }

    #[test]
    fn malformed_files_are_refused() {
        let (receipt, _) = receipt(2, 5);
        let good = receipt.to_string();
        let root = TreeHash::empty_root();
        let hash = as_base64(root.as_bytes());
        let many = format!("index 2\n{}", format!("{hash}\n").repeat(62));
        for (name, file, error) in [
            ("empty", String::new(), LogProofError::Lines),
            ("other version", good.replace("@v1", "@v2"), LogProofError::Version),
            ("empty line first", format!("\n{good}"), LogProofError::Version),
            ("no empty line", good.replace("\n\n", "\n"), LogProofError::Lines),
            ("no index", good.replace("index 2\n", ""), LogProofError::Index),
            ("index twice", good.replace("index 2", "index 2\nindex 2"), LogProofError::Hash),
            ("index with zeros", good.replace("index 2", "index 02"), LogProofError::Index),
            ("two spaces", good.replace("index 2", "index  2"), LogProofError::Index),
            ("extra is not base64", good.replace("extra ", "extra !"), LogProofError::Extra),
            ("extra after index", swap_extra(&good), LogProofError::Index),
            ("extra twice", twice_extra(&good), LogProofError::Index),
            (
                "hash is short",
                good.replacen("index 2\n", "index 2\nAAAA\n", 1),
                LogProofError::Hash,
            ),
            ("too many hashes", good.replacen("index 2\n", &many, 1), LogProofError::Hash),
            ("carriage returns", good.replace('\n', "\r\n"), LogProofError::Lines),
            ("cut off", good.trim_end().into(), LogProofError::Note(NoteError::NoFinalNewline)),
            (
                "too long",
                good.replace("extra ", &format!("extra {}", "A".repeat(512 * 1024))),
                LogProofError::TooLong { bytes: good.len() + 512 * 1024 },
            ),
        ] {
            assert_eq!(LogProof::parse(&file), Err(error), "{name}");
        }
    }

    fn swap_extra(good: &str) -> String {
        let lines: Vec<_> = good.split('\n').collect();
        [&[lines[0], lines[2], lines[1]][..], &lines[3..]]
            .concat()
            .join("\n")
            .replace(lines[2], "indeX 2")
    }

    fn twice_extra(good: &str) -> String {
        let line = good.split('\n').nth(1).unwrap();
        good.replacen(line, &format!("{line}\n{line}"), 1)
    }

    #[test]
    fn a_receipt_without_its_entry_proves_only_a_leaf_that_is_given() {
        let (receipt, key) = receipt(2, 5);
        let keys = [key.1];
        let bare = LogProof { extra: None, ..receipt };
        assert_eq!(bare.verify(&keys), Err(LogProofError::NoEntry));
        assert!(bare.verify_leaf(&TreeHash::leaf(&2_u64.to_be_bytes()), &keys).is_ok());
        let wrong = bare.verify_leaf(&TreeHash::leaf(b"other"), &keys);
        assert_eq!(wrong, Err(LogProofError::Proof(ProofError)));
        assert_eq!(LogProof::parse(&bare.to_string()), Ok(bare));
    }

    #[test]
    fn a_receipt_under_an_unknown_key_proves_nothing() {
        let (receipt, _) = receipt(2, 5);
        let unknown = LogProofError::Checkpoint(CheckpointError::Note(NoteError::UnknownSigner));
        assert_eq!(receipt.verify(&[]), Err(unknown));
        let other = TestKey::new("custody.example/log", 8);
        assert_eq!(receipt.verify(&[other.1]), Err(unknown));
    }
}
