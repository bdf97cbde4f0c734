//! Why a log is not believed.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::path::PathBuf;

use custody_audit::checkpoint::CheckpointError;
use custody_audit::note::KeyError;
use custody_audit::proof::LogProofError;
use custody_audit::verify::{self, VerifyError};
use custody_chain::AbiError;
use custody_core::digest::Digest;
use custody_core::id::EngineId;
use custody_core::replay;

use crate::trail::ForeignDecisions;

/// Why a log is not believed, or could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The description of a contract is refused.
    #[error("{} describes no contract", path.display())]
    Abi { path: PathBuf, source: AbiError },
    /// A checkpoint file is malformed.
    #[error("{} is not a checkpoint", path.display())]
    Checkpoint { path: PathBuf, source: CheckpointError },
    /// There is not even a genesis event.
    #[error("the log is empty: it has no genesis event")]
    Empty,
    /// The engine of this verifier cannot be named.
    #[error("the policy engine of this verifier has no id")]
    Engine,
    /// The log does not contain what the user's checkpoint covers.
    #[error("the checkpoint that you kept is not of this log")]
    HeldCheckpoint(#[source] VerifyError),
    /// A receipt does not hold.
    #[error("{} does not hold", path.display())]
    HeldReceipt { path: PathBuf, source: VerifyError },
    /// The log ends before the user's checkpoint does.
    #[error("the log ends at {log} entries, the checkpoint that you kept covers {held}")]
    Incomplete { held: u64, log: u64 },
    /// The log is not what its checkpoint says.
    #[error("the log is not what its checkpoint says")]
    Log(#[from] VerifyError),
    /// An entry is refused.
    #[error("entry {index} is refused")]
    Entry { index: u64, source: EntryError },
    /// The directory is not there.
    #[error("{} is not a directory", path.display())]
    NoDirectory { path: PathBuf },
    /// Decisions were made by an engine that this verifier does not have.
    #[error(
        "{} decisions not replayed: the first was made by {}, this verifier has {own}",
        foreign.count,
        foreign.engine
    )]
    NotReplayed { foreign: ForeignDecisions, own: EngineId },
    /// A file is not text.
    #[error("{} is not text", path.display())]
    NotText { path: PathBuf },
    /// The log has another entry than a receipt.
    #[error("{} proves another entry {index} than the log has", path.display())]
    OtherEntry { path: PathBuf, index: u64 },
    /// A receipt file is malformed.
    #[error("{} is not a receipt", path.display())]
    Receipt { path: PathBuf, source: LogProofError },
    /// A part of the verifier stopped.
    #[error("a part of this verifier stopped")]
    Stopped,
    /// A file cannot be read.
    #[error("{} cannot be read: {kind}", path.display())]
    Unreadable { path: PathBuf, kind: io::ErrorKind },
    /// The log has another key than the user trusts.
    #[error("the key that you trust is neither the key in force nor the genesis key")]
    UntrustedKey,
    /// An account is no contract that could wrap a coin.
    #[error("a wrapped coin is no contract")]
    Wrapped { source: AbiError },
}

impl Failure {
    /// What is wrong with the tree, when nobody looked at what the entries say.
    pub(crate) fn of_tree(error: verify::ReplayError<Infallible>) -> Self {
        match error {
            verify::ReplayError::Entry { source, .. } => match source {},
            verify::ReplayError::Log(error) => Self::Log(error),
            other => unknown(other.first_entry()),
        }
    }

    /// The index of the first wrong entry, where one can be told.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are about no entry")]
    pub(crate) fn entry(&self) -> Option<u64> {
        match self {
            Self::Entry { index, .. } | Self::OtherEntry { index, .. } => Some(*index),
            Self::Log(error) => error.first_entry(),
            Self::NotReplayed { foreign, .. } => Some(foreign.first),
            _ => None,
        }
    }

    /// Whether something could not be read at all, rather than being wrong.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are wrong, not unreadable")]
    pub(crate) fn is_unreadable(&self) -> bool {
        match self {
            Self::NoDirectory { .. } | Self::Unreadable { .. } | Self::Engine | Self::Stopped => {
                true
            }
            Self::Entry { source: EntryError::Unreadable { kind, .. }, .. }
            | Self::Log(VerifyError::Read(kind) | VerifyError::TileUnread { kind, .. }) => {
                !is_content(*kind)
            }
            _ => false,
        }
    }

    /// The whole reason in one line.
    pub(crate) fn reason(&self) -> String {
        let mut reason = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            let text = error.to_string();
            // A transparent error says what its source says.
            if !reason.ends_with(&text) {
                reason.push_str(": ");
                reason.push_str(&text);
            }
            source = error.source();
        }
        reason
    }
}

impl From<verify::ReplayError<EntryError>> for Failure {
    fn from(error: verify::ReplayError<EntryError>) -> Self {
        match error {
            verify::ReplayError::Entry { index, source } => Self::Entry { index, source },
            verify::ReplayError::Log(error) => Self::Log(error),
            other => unknown(other.first_entry()),
        }
    }
}

/// Why an entry is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntryError {
    /// The custodian's log key is not a key of notes.
    #[error("the log key is not one that signs checkpoints")]
    Key(#[from] KeyError),
    /// The changes of the log key are out of order.
    #[error(transparent)]
    KeyHistory(#[from] VerifyError),
    /// A document is missing.
    #[error("document {digest} is missing")]
    NoDocument { digest: Digest },
    /// The engine or a decoder panicked.
    #[error("the engine or a decoder panicked")]
    Panicked,
    /// The event does not follow from the events before it.
    #[error(transparent)]
    Replay(replay::ReplayError),
    /// A request id or order id was used before, in another stretch of the log.
    #[error("the request id or order id was used before")]
    Repeated,
    /// A recovery names another head than the one over the entries before it.
    #[error("the recovery names another head than the one over the entries before it")]
    Restored,
    /// The log says why in a way that this verifier does not know.
    #[error("it cannot be told why")]
    Unknown,
    /// A document cannot be read.
    #[error("document {digest} cannot be read: {kind}")]
    Unreadable { digest: Digest, kind: io::ErrorKind },
    /// A document is not the one that its name says.
    #[error("document {digest} has other content")]
    WrongDocument { digest: Digest },
}

fn unknown(entry: Option<u64>) -> Failure {
    Failure::Entry { index: entry.unwrap_or_default(), source: EntryError::Unknown }
}

/// Whether an error of reading is about what stands there, not about the reading.
const fn is_content(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::FileTooLarge | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
    )
}
