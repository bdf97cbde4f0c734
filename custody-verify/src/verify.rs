//! The order of verification: entries, keys, files, then what the user kept.
//!
//! Invariant: findings hold only what was checked, at the moment it was; success means that
//! nothing that was asked for is missing from them.

use std::path::Path;

use custody_audit::verify::{LogDirectory, VerifiedLog};
use custody_core::replay::Depth;

use crate::arguments::Arguments;
use crate::documents::DocumentFolder;
use crate::evidence::{KeptCheckpoint, KeptReceipts};
use crate::failure::Failure;
use crate::findings::{
    DecisionsFound, DocumentsFound, EntriesFound, Findings, KeyFound, LogFound, TrustedKey,
};
use crate::trail::Trail;

/// Verifies a log and notes what was checked.
pub(crate) fn verify(arguments: &Arguments, findings: &mut Findings) -> Result<(), Failure> {
    let root = &arguments.directory;
    if !root.is_dir() {
        return Err(Failure::NoDirectory { path: root.clone() });
    }
    let checkpoint = arguments.checkpoint.as_deref().map(KeptCheckpoint::read).transpose()?;
    let mut receipts = KeptReceipts::read(&arguments.receipts)?;
    let directory = LogDirectory::open(root)?;
    let depth = if arguments.no_replay { Depth::WithoutDecisions } else { Depth::Full };
    let documents = DocumentFolder::new(root);
    let mut trail = Trail::new(arguments.genesis, arguments.key.name(), documents, depth)?;

    let replayed = directory.replay(|index, entry| {
        receipts.note(index, entry);
        trail.take(index, entry)
    });
    note_entries(&trail, arguments, findings);
    let keys = trail.keys().cloned();
    let log = replayed?.authenticate(keys.clone().ok_or(Failure::Empty)?)?;
    note_log(&log, findings);
    let keys = keys.ok_or(Failure::Empty)?;
    let in_force = keys.at(log.head().tree().size);
    findings.key = Some(KeyFound {
        in_force: in_force.to_string(),
        rotations: trail.rotations(),
        trusted: trusted(arguments, &trail, *in_force == arguments.key)?,
    });
    findings.documents = Some(documents_found(&log)?);
    if let Some(checkpoint) = checkpoint {
        findings.checkpoint = Some(checkpoint.check(&log)?);
    }
    if !arguments.receipts.is_empty() {
        findings.receipts = Some(receipts.check(&log, &keys)?);
    }
    match trail.foreign() {
        None => Ok(()),
        Some(foreign) => {
            Err(Failure::NotReplayed { foreign: foreign.clone(), own: trail.own_engine().clone() })
        }
    }
}

/// Which key of the log the user's key is.
fn trusted(arguments: &Arguments, trail: &Trail, in_force: bool) -> Result<TrustedKey, Failure> {
    if in_force {
        return Ok(TrustedKey::InForce);
    }
    if trail.is_genesis_key(arguments.key.public_key()) {
        return Ok(TrustedKey::Genesis);
    }
    Err(Failure::UntrustedKey)
}

fn note_entries(trail: &Trail, arguments: &Arguments, findings: &mut Findings) {
    let report = trail.report();
    findings.genesis = trail.keys().map(|_| arguments.genesis.to_string());
    findings.entries = EntriesFound {
        checked: report.events,
        orders: report.orders,
        approvals: report.approvals,
        releases: report.released,
        signatures: report.signatures,
        commands: report.commands,
    };
    let foreign = trail.foreign().map(|foreign| foreign.count).unwrap_or_default();
    findings.decisions = DecisionsFound {
        replayed: !arguments.no_replay && foreign == 0,
        count: report.decisions,
        not_replayed: (!arguments.no_replay).then_some(foreign),
        engine: trail.own_engine().to_string(),
    };
}

fn note_log(log: &VerifiedLog, findings: &mut Findings) {
    let (origin, tree) = (log.head().origin().to_owned(), log.head().tree());
    let root = custody_core::digest::Digest::new(*tree.root.as_bytes()).to_string();
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
