//! What people and programs read: a few lines of text, or one JSON object.

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;

use crate::failure::Failure;
use crate::findings::{DecisionsFound, DecodedFound, Findings, LeftFound, TrustedKey};

/// What was checked, and how it ended.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report<'a> {
    result: Verdict,
    #[serde(flatten)]
    findings: &'a Findings,
    /// How many entries are known to be all that there were then; none without a checkpoint that
    /// was kept.
    complete_to: Option<u64>,
    failure: Option<FailureFound>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Failed,
    Unreadable,
    Verified,
}

/// Why it failed.
#[derive(Clone, Debug, Serialize)]
struct FailureFound {
    /// The first wrong entry.
    entry: Option<u64>,
    reason: String,
}

impl<'a> Report<'a> {
    /// What was found, and why it failed if it did.
    pub(crate) fn new(findings: &'a Findings, failure: Option<&Failure>) -> Self {
        let result = match failure {
            None => Verdict::Verified,
            Some(failure) if failure.is_unreadable() => Verdict::Unreadable,
            Some(_) => Verdict::Failed,
        };
        let failure = failure
            .map(|failure| FailureFound { entry: failure.entry(), reason: failure.reason() });
        let complete_to = findings.checkpoint.map(|held| held.entries);
        Self { result, findings, complete_to, failure }
    }

    /// The exit code that says how it ended.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self.result {
            Verdict::Verified => ExitCode::SUCCESS,
            Verdict::Failed => ExitCode::FAILURE,
            Verdict::Unreadable => ExitCode::from(UNREADABLE),
        }
    }

    /// Writes one JSON object.
    pub(crate) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        writeln!(out)
    }

    /// Writes a line for each thing that was checked, and the result last.
    pub(crate) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        write_identity(self.findings, out)?;
        write_entries(self.findings, out)?;
        write_kept(self.findings, out)?;
        match &self.failure {
            None => writeln!(out, "result: verified"),
            Some(FailureFound { entry, reason }) => {
                let result =
                    if self.result == Verdict::Unreadable { "UNREADABLE" } else { "FAILED" };
                match entry {
                    Some(index) => writeln!(out, "result: {result} at entry {index}: {reason}"),
                    None => writeln!(out, "result: {result}: {reason}"),
                }
            }
        }
    }
}

fn write_identity(findings: &Findings, out: &mut dyn Write) -> io::Result<()> {
    if let Some(log) = &findings.log {
        writeln!(out, "log: {}, {} entries, root {}", log.origin, log.entries, log.root)?;
    }
    if let Some(genesis) = &findings.genesis {
        writeln!(out, "genesis: entry 0 is {genesis}")?;
    }
    if let Some(key) = &findings.key {
        let trusted = match key.trusted {
            TrustedKey::Genesis => "you trust the genesis key",
            TrustedKey::InForce => "you trust it",
        };
        writeln!(out, "key: {} signed, {} rotations, {trusted}", key.in_force, key.rotations)?;
    }
    Ok(())
}

fn write_entries(findings: &Findings, out: &mut dyn Write) -> io::Result<()> {
    let entries = &findings.entries;
    writeln!(out, "entries: {} follow from each other", entries.checked)?;
    writeln!(out, "orders: {} decoded again", entries.orders)?;
    for (decoder, DecodedFound { orders, first, last }) in findings.decoders.each() {
        writeln!(out, "  {orders} by {decoder}, entries {first} to {last}")?;
    }
    writeln!(out, "approvals: {} signatures verified", entries.approvals)?;
    write_decisions(&findings.decisions, out)?;
    writeln!(
        out,
        "releases: {} with {} signatures over payloads decoded again",
        entries.releases, entries.signatures
    )?;
    writeln!(out, "commands: {} executed", entries.commands)?;
    if let Some(LeftFound { reserved, unknown }) = findings.left {
        writeln!(out, "left: {reserved} orders reserved, {unknown} unknown")?;
    }
    Ok(())
}

fn write_decisions(decisions: &DecisionsFound, out: &mut dyn Write) -> io::Result<()> {
    let (count, engine) = (decisions.count, &decisions.engine);
    match decisions.not_replayed {
        None => writeln!(out, "decisions: decisions not replayed"),
        Some(0) => writeln!(out, "decisions: {count} judged again with {engine}"),
        Some(others) => writeln!(
            out,
            "decisions: {count} judged again with {engine}; {others} decisions not replayed"
        ),
    }
}

fn write_kept(findings: &Findings, out: &mut dyn Write) -> io::Result<()> {
    if let Some(documents) = &findings.documents {
        let (hashed, foreign) = (documents.hashed, documents.foreign);
        writeln!(out, "documents: {hashed} hashed, {foreign} files are no part of the log")?;
        for path in &documents.foreign_paths {
            writeln!(out, "  no part of the log: {path}")?;
        }
    }
    if let Some(receipts) = &findings.receipts {
        let (count, beyond) = (receipts.receipts, receipts.beyond);
        writeln!(out, "receipts: {count} hold, {beyond} of them beyond the end of this log")?;
    }
    match (&findings.checkpoint, &findings.log) {
        (Some(held), _) => writeln!(
            out,
            "completeness: nothing is missing from the {} entries that your checkpoint covers",
            held.entries
        ),
        (None, Some(log)) => writeln!(
            out,
            "completeness: not checked beyond the {} entries seen; \
             --checkpoint takes one that you got elsewhere",
            log.entries
        ),
        (None, None) => Ok(()),
    }
}

/// The exit code if something could not be read.
pub(crate) const UNREADABLE: u8 = 2;
