//! Verification as a library: it needs the exported directory, the custodian's id and the log's
//! key, and nothing of the house that wrote the log.

use std::convert::Infallible;
use std::fs;
use std::path::Path;

use custody_audit::note::{SignedNote, VerifierKey};
use custody_audit::proof::LogProof;
use custody_audit::verify::{KeyHistory, LogDirectory, ReplayError, VerifiedLog};
use custody_core::document::{Conclusion, EventBody, EventDocument};
use custody_core::id::{CustodianId, OrderId};
use custody_core::replay::{Depth, Replay, Report};
use examples_start::exported::ExportedDocuments;
use examples_start::{Failure, house};

/// What a verification found.
pub(crate) struct Verification {
    /// The log, against which other evidence can be held.
    pub(crate) log: VerifiedLog,
    /// What was checked.
    pub(crate) report: Report,
    /// The order that was concluded last.
    pub(crate) last: Option<OrderId>,
}

/// Verifies an exported log: the tree, the head's signature, each event against the state before
/// it with its decision judged again, and every document.
pub(crate) fn verify(
    custodian: CustodianId,
    key: &VerifierKey,
    directory: &Path,
) -> Result<Verification, Failure> {
    let directory = LogDirectory::open(directory)?;
    // What nobody has signed is not read further than this.
    let log = directory.clone().replay(|_, _| Ok::<_, Infallible>(()))?;
    let log = log.authenticate(KeyHistory::new(key.clone()))?;
    let documents = ExportedDocuments(&log);
    let compiler = Some(house::compiler()?);
    let mut replay = Replay::new(custodian, Depth::Full, compiler, house::decoders());
    let mut last = None;
    let replayed = directory.replay(|_, entry| {
        replay.event(entry, &documents)?;
        last = concluded(entry)?.or(last.take());
        Ok::<_, Failure>(())
    });
    replayed.map(drop).map_err(refusal)?;
    let inventory = log.inventory()?;
    if inventory.foreign > 0 {
        return Err(format!("{} files do not belong to the log", inventory.foreign).into());
    }
    Ok(Verification { log, report: *replay.report(), last })
}

/// Verifies a receipt alone, as whoever it was handed to, and then that it is of this log; the
/// index of the entry that it proves.
pub(crate) fn verify_receipt(
    file: &str,
    key: &VerifierKey,
    log: &VerifiedLog,
) -> Result<u64, Failure> {
    let receipt = LogProof::parse(file)?;
    receipt.verify(std::slice::from_ref(key))?;
    log.receipt(&receipt)?;
    Ok(receipt.index())
}

/// The checkpoint that was kept at `path`, if any.
pub(crate) fn read_checkpoint(path: &Path) -> Result<Option<SignedNote>, Failure> {
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(SignedNote::parse(&fs::read_to_string(path)?)?))
}

/// The order that an event signed or carried out.
fn concluded(entry: &[u8]) -> Result<Option<OrderId>, Failure> {
    let EventBody::OrderConcluded(concluded) = EventDocument::read(entry)?.event else {
        return Ok(None);
    };
    let released =
        matches!(concluded.outcome, Conclusion::Signed { .. } | Conclusion::Executed { .. });
    Ok(released.then_some(concluded.order))
}

/// Names the entry and says what is wrong with it.
fn refusal(error: ReplayError<Failure>) -> Failure {
    if let ReplayError::Entry { index, source } = &error {
        return format!("entry {index}: {source}").into();
    }
    error.to_string().into()
}
