//! What the user kept of this log earlier: checkpoints and receipts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use custody_audit::checkpoint::LogHead;
use custody_audit::note::SignedNote;
use custody_audit::proof::LogProof;
use custody_audit::tree::TreeHash;
use custody_audit::verify::{KeyHistory, VerifiedLog};

use crate::documents::read_at_most;
use crate::failure::Failure;
use crate::findings::{HeldCheckpoint, HeldReceipts};

/// A checkpoint that the user kept.
#[derive(Debug)]
pub(crate) struct KeptCheckpoint {
    note: SignedNote,
    size: u64,
}

impl KeptCheckpoint {
    /// Reads a checkpoint file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = read_text(path)?;
        let malformed = |source| Failure::Checkpoint { path: path.to_owned(), source };
        let note = SignedNote::parse(&text).map_err(|error| malformed(error.into()))?;
        let head = LogHead::parse(note.unverified_text()).map_err(malformed)?;
        let size = head.tree().size;
        Ok(Self { note, size })
    }

    /// Checks that the log contains what the checkpoint covers.
    pub(crate) fn check(&self, log: &VerifiedLog) -> Result<HeldCheckpoint, Failure> {
        let size = log.head().tree().size;
        if self.size > size {
            return Err(Failure::Incomplete { held: self.size, log: size });
        }
        log.continues(&self.note).map_err(Failure::HeldCheckpoint)?;
        Ok(HeldCheckpoint { entries: self.size, covers_all: self.size == size })
    }
}

/// The receipts that the user kept.
#[derive(Debug, Default)]
pub(crate) struct KeptReceipts {
    receipts: Vec<(PathBuf, LogProof)>,
    /// What the log has at the places that receipts speak of.
    leaves: BTreeMap<u64, Option<TreeHash>>,
}

impl KeptReceipts {
    /// Reads receipt files.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut kept = Self::default();
        for path in paths {
            let text = read_text(path)?;
            let proof = LogProof::parse(&text)
                .map_err(|source| Failure::Receipt { path: path.clone(), source })?;
            kept.leaves.insert(proof.index(), None);
            kept.receipts.push((path.clone(), proof));
        }
        Ok(kept)
    }

    /// Notes an entry of the log, if a receipt speaks of it.
    pub(crate) fn note(&mut self, index: u64, entry: &[u8]) {
        if let Some(leaf) = self.leaves.get_mut(&index) {
            *leaf = Some(TreeHash::leaf(entry));
        }
    }

    /// Checks every receipt by itself, and against the log as far as the log goes.
    pub(crate) fn check(
        &self,
        log: &VerifiedLog,
        keys: &KeyHistory,
    ) -> Result<HeldReceipts, Failure> {
        let mut held = HeldReceipts::default();
        for (path, proof) in &self.receipts {
            let fail = |source| Failure::HeldReceipt { path: path.clone(), source };
            let within = self.check_alone(path, proof, keys)?;
            let head = LogHead::parse(proof.checkpoint().unverified_text())
                .map_err(|error| fail(error.into()))?;
            let is_beyond = head.tree().size > log.head().tree().size;
            let entry = if is_beyond { log.receipt_beyond(proof) } else { log.receipt(proof) };
            entry.map_err(fail)?;
            held.receipts = held.receipts.saturating_add(1);
            held.beyond = held.beyond.saturating_add(u64::from(!within));
        }
        Ok(held)
    }

    /// Checks a receipt under the log's key, and its entry against the one in the log; tells
    /// whether the log goes that far.
    fn check_alone(
        &self,
        path: &Path,
        proof: &LogProof,
        keys: &KeyHistory,
    ) -> Result<bool, Failure> {
        let fail = |error: custody_audit::proof::LogProofError| Failure::HeldReceipt {
            path: path.to_owned(),
            source: error.into(),
        };
        let head = LogHead::parse(proof.checkpoint().unverified_text())
            .map_err(|error| fail(error.into()))?;
        let key = keys.at(head.tree().size).clone();
        let (entry, _) = proof.verify(&[key]).map_err(fail)?;
        let index = proof.index();
        match self.leaves.get(&index).copied().flatten() {
            None => Ok(false),
            Some(leaf) if leaf == TreeHash::leaf(entry) => Ok(true),
            Some(_) => Err(Failure::OtherEntry { path: path.to_owned(), index }),
        }
    }
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let unreadable =
        |error: io::Error| Failure::Unreadable { path: path.to_owned(), kind: error.kind() };
    let file = File::open(path).map_err(unreadable)?;
    let bytes = read_at_most(file, EVIDENCE_BYTES_MAX).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| Failure::NotText { path: path.to_owned() })
}

/// The longest receipt that is read.
const EVIDENCE_BYTES_MAX: u64 = 512 * 1024;
