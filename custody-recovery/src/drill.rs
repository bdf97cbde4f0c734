//! Drills: recovering in memory only, to know that it can be done.
//!
//! Invariant: nothing of a drill is kept but its evidence, and evidence of success says that every
//! key and seed of the archive was proved.

mod log;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncRead;

use custody_core::digest::Digest;
use custody_core::document::{self, DocumentError, V1};
use custody_core::id::{BackendId, CustodianId, KeyId};
use custody_core::seam::{Clock, Entropy, EntropyError, KeyBackend};
use custody_core::time::Timestamp;

use crate::archive::{ArchiveId, ArchiveReader};
use crate::restore::{
    Keys, MemoryFiles, Proved, RestoreError, Secrets, Unproved, prove, read_with,
};

pub use log::{DRILL, DrillDocument, DrillHandler, Driller};

/// Opens the backends of an archive from what is in the archive, and from nothing else.
#[async_trait]
pub trait DrillBackends: Send + Sync {
    /// Which files of the archive are needed to open the backends, and how much of them may be kept
    /// in memory.
    fn files(&self) -> MemoryFiles;

    /// The backends in which `keys` live. Those that cannot be opened are left out: their keys are
    /// then not proved. Secrets and files are wiped when the drill ends.
    ///
    /// # Errors
    /// Fails if a drill makes no sense at all; the text says why and holds no secret.
    ///
    /// # Security
    /// Take nothing from the house that runs: a drill that does succeeds with an archive in which it is
    /// missing. Keys of a token come back into another token, one that is initialised anew for each
    /// drill.
    async fn open(
        &self,
        keys: &Keys,
        secrets: &mut Secrets,
        files: &MemoryFiles,
    ) -> Result<BTreeMap<BackendId, Arc<dyn KeyBackend>>, String>;
}

/// What a drill showed: a document, hashed and kept as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "verifiers read it")]
pub struct Evidence {
    /// Version: 1.
    pub v: V1,
    /// The archive.
    pub archive: ArchiveId,
    /// Whose archive it is.
    pub custodian: CustodianId,
    /// When the archive was made.
    pub archived_at: Timestamp,
    /// The root over the archive's events.
    pub root: Digest,
    /// Number of events under the head that the archive tells.
    pub size: u64,
    /// Number of events.
    pub events: u64,
    /// Number of orders.
    pub orders: u64,
    /// Keys that signed a challenge which verifies under their recorded public keys.
    pub keys: u64,
    /// Seeds that gave the recorded public keys again.
    pub seeds: u64,
    /// Keys and seeds that were not proved; none in a successful drill.
    pub unproved: Vec<UnprovedDocument>,
    /// When the drill began.
    pub began_at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// A key or seed that was not proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "verifiers read it")]
pub struct UnprovedDocument {
    /// Which one.
    pub key: KeyId,
    /// Why.
    pub reason: String,
}

impl Evidence {
    /// Most keys that are named as unproved; of more, these are named.
    pub const UNPROVED_MAX: usize = 100;

    /// Whether everything was proved.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.unproved.is_empty()
    }

    /// The document.
    ///
    /// # Errors
    /// Fails if it cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        serde_json::to_vec(self).map_err(|_| DocumentError::Write)
    }

    /// Reads a document.
    ///
    /// # Errors
    /// Fails on malformed JSON, unknown fields and versions, and duplicate keys.
    pub fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        document::parse(bytes)
    }
}

/// Recovers from an archive in memory, proves every key and seed, and forgets all of it.
///
/// It holds the custodian's state (keys, people, open orders) and the files that the backends need,
/// not its events. Other files of the archive are read and checked.
///
/// # Errors
/// Fails on an archive that cannot be restored from, if the backends cannot be opened, and without
/// entropy. Keys that are not proved are no error: the evidence names them.
///
/// # Cancel safety
/// Nothing of it stays in memory if the future is dropped. What the backends have outside of it, such
/// as keys in a token for drills, is taken away by the host before the next drill.
pub async fn drill<R: AsyncRead + Unpin>(
    reader: ArchiveReader<R>,
    backends: &dyn DrillBackends,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Evidence, DrillError> {
    let (began_at, since) = (clock.now(), clock.monotonic());
    let mut files = backends.files();
    let restored = read_with(reader, &mut files).await?;
    let (header, folded) = (restored.header().clone(), restored.folded());
    let keys = restored.keys().clone();
    let mut secrets = restored.into_secrets();
    let opened = backends.open(&keys, &mut secrets, &files).await;
    drop((secrets, files));
    let opened = opened.map_err(|reason| DrillError::Backends { reason })?;
    let proved = prove(&keys, &opened, entropy).await?;
    drop(opened);
    let Proved { keys, seeds, failed, .. } = proved;
    let took = clock.monotonic().saturating_sub(since);
    let head = header.checkpoint().head;
    Ok(Evidence {
        v: V1,
        archive: *header.archive(),
        custodian: *header.custodian(),
        archived_at: header.created_at(),
        root: head.root,
        size: head.size.value(),
        events: folded.head.size.value(),
        orders: folded.orders,
        keys,
        seeds,
        unproved: failed.iter().take(Evidence::UNPROVED_MAX).map(UnprovedDocument::of).collect(),
        began_at,
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    })
}

impl UnprovedDocument {
    fn of(unproved: &Unproved) -> Self {
        Self { key: unproved.key.clone(), reason: unproved.reason.to_string() }
    }
}

/// Why a drill came to no end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrillError {
    /// The backends cannot be opened.
    #[error("the backends cannot be opened: {reason}")]
    Backends {
        /// Why, as the host says.
        reason: String,
    },
    /// There is no entropy.
    #[error("no entropy for challenges")]
    Entropy(#[from] EntropyError),
    /// The archive cannot be restored from.
    #[error("the archive cannot be restored from")]
    Restore(#[from] RestoreError),
}
