//! The order of verification: tree, entries, keys, files, then what the user kept.
//!
//! Invariant: findings hold only what was checked, at the moment it was; success means that
//! nothing that was asked for is missing from them.

use std::path::Path;
use std::thread;

use custody_audit::verify::{KeyHistory, LogDirectory, VerifiedLog};
use custody_core::digest::Digest;

use crate::arguments::Arguments;
use crate::entries::{Entries, Keys};
use crate::evidence::{KeptCheckpoint, KeptReceipts};
use crate::failure::Failure;
use crate::findings::{DecisionsFound, DocumentsFound, Findings, KeyFound, LogFound, TrustedKey};
use crate::{recoveries, stretch};

/// Verifies a log and notes what was checked.
pub(crate) fn verify(arguments: &Arguments, findings: &mut Findings) -> Result<(), Failure> {
    let root = &arguments.directory;
    if !root.is_dir() {
        return Err(Failure::NoDirectory { path: root.clone() });
    }
    let checkpoint = arguments.checkpoint.as_deref().map(KeptCheckpoint::read).transpose()?;
    let mut receipts = KeptReceipts::read(&arguments.receipts)?;
    let directory = LogDirectory::open(root)?;
    let count = threads();
    let (replayed, stretches) =
        stretch::cut(&directory, count, |index, entry| receipts.note(index, entry))?;

    // If the user's key has signed the checkpoint, the files may be looked through beside the
    // entries. Which key must have signed it, only the entries tell.
    let early = replayed.clone().authenticate(KeyHistory::new(arguments.key.clone())).ok();
    let (entries, files) = thread::scope(|scope| {
        let files = early.map(|log| scope.spawn(move || documents_found(&log)));
        let entries = Entries::check(&directory, &stretches, arguments);
        (entries, files.and_then(|files| files.join().ok()))
    });
    let entries = entries?;
    findings.entries = entries.found;
    findings.decoders = entries.decoders;
    findings.left = entries.left;
    let Entries { decisions, own_engine, foreign, keys, recoveries, failure, .. } = entries;
    findings.genesis = keys.as_ref().map(|_| arguments.genesis.to_string());
    let count = foreign.as_ref().map(|foreign| foreign.count).unwrap_or_default();
    findings.decisions = DecisionsFound {
        replayed: !arguments.no_replay && count == 0,
        count: decisions,
        not_replayed: (!arguments.no_replay).then_some(count),
        engine: own_engine.to_string(),
    };
    if let Some(failure) = failure {
        return Err(failure);
    }
    recoveries::check(&directory, &recoveries)?;
    let keys = keys.ok_or(Failure::Empty)?;
    let log = replayed.authenticate(keys.history.clone())?;
    note_log(&log, findings);
    findings.key = Some(key_found(&log, &keys, arguments)?);
    findings.documents = Some(files.unwrap_or_else(|| documents_found(&log))?);
    if let Some(checkpoint) = checkpoint {
        findings.checkpoint = Some(checkpoint.check(&log)?);
    }
    if !arguments.receipts.is_empty() {
        findings.receipts = Some(receipts.check(&log, &keys.history)?);
    }
    match foreign {
        None => Ok(()),
        Some(foreign) => Err(Failure::NotReplayed { foreign, own: own_engine }),
    }
}

/// Which key has signed the checkpoint, and whether the user trusts it.
fn key_found(log: &VerifiedLog, keys: &Keys, arguments: &Arguments) -> Result<KeyFound, Failure> {
    let in_force = keys.history.at(log.head().tree().size);
    let trusted = if *in_force == arguments.key {
        TrustedKey::InForce
    } else if keys.genesis == *arguments.key.public_key() {
        TrustedKey::Genesis
    } else {
        return Err(Failure::UntrustedKey);
    };
    Ok(KeyFound { in_force: in_force.to_string(), rotations: keys.rotations, trusted })
}

fn note_log(log: &VerifiedLog, findings: &mut Findings) {
    let (origin, tree) = (log.head().origin().to_owned(), log.head().tree());
    let root = Digest::new(*tree.root.as_bytes()).to_string();
    findings.log = Some(LogFound { origin, entries: tree.size, root });
}

fn documents_found(log: &VerifiedLog) -> Result<DocumentsFound, Failure> {
    let inventory = log.inventory()?;
    Ok(DocumentsFound {
        hashed: inventory.documents,
        foreign: inventory.foreign,
        foreign_paths: inventory.foreign_paths.iter().map(|path| shown(path)).collect(),
    })
}

/// A path without whatever a terminal would obey.
fn shown(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}

/// How many stretches are checked side by side.
fn threads() -> u64 {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    u64::try_from(processors).unwrap_or(1).min(THREADS_MAX)
}

const THREADS_MAX: u64 = 16;
