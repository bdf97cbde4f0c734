use custody_core::digest::Digest;

use super::directory::{DirectoryHashes, LogDirectory};
use super::{Inventory, KeyHistory, VerifyError};
use crate::checkpoint::LogHead;
use crate::note::SignedNote;
use crate::proof::{LogProof, LogProofError};
use crate::tree::{HashSource as _, Node, ProofError, ProofPlan, TreeHash, TreeHead};

/// A log directory that is what its key signed, and against which other evidence can be held.
#[derive(Clone, Debug)]
pub struct VerifiedLog {
    directory: LogDirectory,
    keys: KeyHistory,
}

impl VerifiedLog {
    pub(super) const fn new(directory: LogDirectory, keys: KeyHistory) -> Self {
        Self { directory, keys }
    }

    /// Returns name, size and root of the log.
    #[must_use]
    pub const fn head(&self) -> &LogHead {
        self.directory.unverified_head()
    }

    /// Checks that an older checkpoint was signed for the beginning of this log.
    ///
    /// # Errors
    /// `Inconsistent` if the log was another one then, `Beyond` if it had more entries than now,
    /// and otherwise if the note is not a checkpoint that the key then in force has signed.
    pub fn continues(&self, older: &SignedNote) -> Result<TreeHead, VerifyError> {
        let size = LogHead::parse(older.unverified_text())?.tree().size;
        let head = LogHead::open(older, &[self.keys.at(size).clone()])?;
        self.agree(head.tree())
    }

    /// Checks a receipt by itself and against this log, and returns the entry it proves.
    ///
    /// # Errors
    /// Fails if the receipt does not hold, or was made for another log than this one.
    pub fn receipt<'a>(&self, receipt: &'a LogProof) -> Result<&'a [u8], VerifyError> {
        let size = LogHead::parse(receipt.checkpoint().unverified_text())?.tree().size;
        let (entry, head) = receipt.verify(&[self.keys.at(size).clone()])?;
        self.agree(head.tree())?;
        Ok(entry)
    }

    /// Checks a receipt whose head is beyond the end of this log: by itself, and against this log
    /// as far as that goes. Returns the entry it proves.
    ///
    /// The entry must be the one of this log, and so must those under each hash of its proof that
    /// is over none beyond the end. Nothing is known of the others.
    ///
    /// # Errors
    /// `Forked` if the receipt was made for a log with other entries than this one, and otherwise
    /// if it does not hold.
    pub fn receipt_beyond<'a>(&self, receipt: &'a LogProof) -> Result<&'a [u8], VerifyError> {
        let size = LogHead::parse(receipt.checkpoint().unverified_text())?.tree().size;
        let (entry, _) = receipt.verify(&[self.keys.at(size).clone()])?;
        let (index, log) = (receipt.index(), self.head().tree().size);
        let mut hashes = DirectoryHashes::new(&self.directory);
        if index < log && hashes.hash(Node { level: 0, index })? != TreeHash::leaf(entry) {
            let end = index.saturating_add(1);
            return Err(VerifyError::Forked { size, start: index, end });
        }
        // There is a plan: the proof was seen to have the hashes that it names.
        let plan = ProofPlan::inclusion(index, size);
        let plan = plan.map_err(|_| LogProofError::Proof(ProofError))?;
        for ((entries, one), hash) in plan.each().zip(receipt.path()) {
            if entries.end <= log && one.assemble(&mut hashes)?.first() != Some(hash) {
                return Err(VerifyError::Forked { size, start: entries.start, end: entries.end });
            }
        }
        Ok(entry)
    }

    /// Reads a document that an entry names.
    ///
    /// # Errors
    /// Fails if it is missing, has other content, or is larger than any document may be.
    pub fn document(&self, digest: Digest) -> Result<Vec<u8>, VerifyError> {
        self.directory.document(digest)
    }

    /// Goes through every file: hashes each document, and lists what does not belong to the log.
    ///
    /// # Errors
    /// Fails if a document does not have the content that its name says, or cannot be read.
    pub fn inventory(&self) -> Result<Inventory, VerifyError> {
        Inventory::take(self.directory.root(), self.head().tree().size)
    }

    /// Compares a signed head with the tree of this log at that size.
    fn agree(&self, head: &TreeHead) -> Result<TreeHead, VerifyError> {
        let log = self.head().tree().size;
        if head.size > log {
            return Err(VerifyError::Beyond { size: head.size, log });
        }
        let mut hashes = DirectoryHashes::new(&self.directory);
        let root = ProofPlan::root(head.size).assemble(&mut hashes)?;
        let root = root.first().copied().unwrap_or_else(TreeHash::empty_root);
        let same = root == head.root;
        if same { Ok(*head) } else { Err(VerifyError::Inconsistent { size: head.size }) }
    }
}
