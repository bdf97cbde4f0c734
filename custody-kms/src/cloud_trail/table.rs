//! What people read: a line for each count, and for each finding one below its heading.

use std::fmt;

use super::ContextFault;
use super::report::{
    Calls, ContextFinding, FailedCalls, KeyPlace, MissingSignature, OtherKey, Reason,
    Reconciliation, StrangerCalls, Unexplained,
};

impl fmt::Display for Reconciliation {
    /// Writes a short table: all counts, and of each kind of finding the first twenty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (records, signatures) = (&self.records, &self.signatures);
        for (name, count) in [
            ("records", records.read),
            ("  twice", records.duplicates),
            ("  other services", records.other_services),
            ("  other period", records.outside),
            ("  other keys", records.other_keys),
            ("  our keys", records.ours),
            ("signatures in both", signatures.matched),
            ("  of unknown orders", signatures.perhaps),
            ("  of other keys", signatures.elsewhere),
            ("sealed for wallets", signatures.sealed),
            ("sealed otherwise", signatures.sealed_other),
        ] {
            writeln!(f, "{name:<20}{count:>10}")?;
        }
        list(f, "ALARM: used, and nothing explains it", &self.unexplained, unexplained)?;
        list(f, "ALARM: sealed or opened for others", &self.contexts, context)?;
        list(f, "ALARM: called by others", &self.strangers, stranger)?;
        list(f, "ALARM: keys of the log that are not listed", &self.unlisted, other_key)?;
        list(f, "signed, and CloudTrail does not know", &self.missing, missing)?;
        list(f, "failed", &self.failures, failed)?;
        list(f, "done by KMS itself", &self.service, service)?;
        list(f, "keys that are not in KMS", &self.elsewhere, other_key)?;
        writeln!(f, "result: {}", if self.is_clean() { "clean" } else { "DIFFERENT" })
    }
}

/// A heading with the number of its rows, and the first rows.
fn list<T>(
    f: &mut fmt::Formatter<'_>,
    heading: &str,
    rows: &[T],
    row: fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(f, "{heading}: {}", rows.len())?;
    for one in rows.iter().take(ROWS_MAX) {
        f.write_str("  ")?;
        row(one, f)?;
        f.write_str("\n")?;
    }
    match rows.len().saturating_sub(ROWS_MAX) {
        0 => Ok(()),
        more => writeln!(f, "  and {more} more"),
    }
}

fn unexplained(row: &Unexplained, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Unexplained { at, event, name, arn, caller, .. } = row;
    let reason = match row.reason {
        Reason::NoOrder => "no order",
        Reason::OtherForm => "other algorithm or form",
        Reason::OtherUse => "other use",
    };
    write!(f, "{at}  {name}  {arn}")?;
    if let Some(key) = &row.key {
        write!(f, "  key {key}")?;
    }
    write!(f, "  {reason}  by {caller}  event {event}")?;
    row.order.as_ref().map_or(Ok(()), |order| write!(f, "  order {order} ended without it"))
}

fn missing(row: &MissingSignature, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let MissingSignature { order, key, from, until } = row;
    write!(f, "{from}  until {until}  key {key}  order {order}")
}

fn context(row: &ContextFinding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let ContextFinding { at, event, name, arn, caller, .. } = row;
    let fault = match row.fault {
        ContextFault::Incomplete => "incomplete context",
        ContextFault::Missing => "no context",
        ContextFault::OtherCustodian => "other custodian",
        ContextFault::OtherHouse => "other house",
        ContextFault::OtherKey => "other key",
        ContextFault::UnknownContext => "unknown context",
        ContextFault::UnknownWallet => "unknown wallet",
    };
    write!(f, "{at}  {name}  {arn}  {fault}")?;
    if let Some(wallet) = &row.wallet {
        write!(f, "  wallet {wallet}")?;
    }
    if let Some(digest) = &row.context {
        write!(f, "  context {digest}")?;
    }
    write!(f, "  by {caller}  event {event}")
}

fn stranger(row: &StrangerCalls, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let StrangerCalls { caller, name, arn, first, done, failed, reads } = row;
    let reads = if *reads { "  only read" } else { "" };
    write!(f, "{first}  {name}  {arn}  {done} done, {failed} failed{reads}  by {caller}")
}

fn failed(row: &FailedCalls, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{:<34}{:<30}{:>10}", row.name, row.error, row.count)
}

fn service(row: &Calls, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{:<34}{:>10}", row.name, row.count)
}

fn other_key(row: &OtherKey, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let OtherKey { key, wallet, signatures, .. } = row;
    let place = match row.place {
        KeyPlace::Elsewhere => "not in KMS, says the file",
        KeyPlace::Kms => "in KMS, says the log",
        KeyPlace::OtherBackend => "not in KMS, says the log",
        KeyPlace::Unknown => "perhaps in KMS",
    };
    write!(f, "key {key}")?;
    if let Some(wallet) = wallet {
        write!(f, "  wallet {wallet}")?;
    }
    write!(f, "  {place}  {signatures} signatures")
}

const ROWS_MAX: usize = 20;
