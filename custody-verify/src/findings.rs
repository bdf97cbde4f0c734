//! What was checked, as far as it was.

use std::collections::BTreeMap;

use custody_core::id::DecoderId;
use serde::Serialize;

/// What was checked so far. A part that is missing was not reached, or not asked for.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Findings {
    /// Name, size and root of the log.
    pub(crate) log: Option<LogFound>,
    /// The genesis event's hash, seen to be the id that was given.
    pub(crate) genesis: Option<String>,
    /// What the entries say.
    pub(crate) entries: EntriesFound,
    /// Which decoders the payloads of the orders were read with.
    pub(crate) decoders: DecodersFound,
    /// The orders that had not ended at the last entry, and spend all the same.
    pub(crate) left: Option<LeftFound>,
    /// Whether the decisions were judged again.
    pub(crate) decisions: DecisionsFound,
    /// The key that signed the checkpoint.
    pub(crate) key: Option<KeyFound>,
    /// The files beside the log.
    pub(crate) documents: Option<DocumentsFound>,
    /// The user's checkpoint.
    pub(crate) checkpoint: Option<HeldCheckpoint>,
    /// The user's receipts.
    pub(crate) receipts: Option<HeldReceipts>,
}

/// Name, size and root of the log.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LogFound {
    pub(crate) origin: String,
    pub(crate) entries: u64,
    pub(crate) root: String,
}

/// What the entries say, each seen to follow from the entries before it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct EntriesFound {
    pub(crate) checked: u64,
    pub(crate) orders: u64,
    pub(crate) approvals: u64,
    pub(crate) releases: u64,
    pub(crate) signatures: u64,
    pub(crate) commands: u64,
}

/// The orders whose payloads each decoder has read.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct DecodersFound(BTreeMap<DecoderId, DecodedFound>);

/// The orders whose payloads one decoder has read.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct DecodedFound {
    pub(crate) orders: u64,
    /// The entry of the first of them.
    pub(crate) first: u64,
    /// The entry of the last of them.
    pub(crate) last: u64,
}

impl DecodersFound {
    /// Adds orders that stand behind those that were added before.
    pub(crate) fn add(&mut self, decoder: &DecoderId, later: DecodedFound) {
        let none = DecodedFound { orders: 0, ..later };
        let found = self.0.entry(decoder.clone()).or_insert(none);
        found.orders = found.orders.saturating_add(later.orders);
        found.last = later.last;
    }

    /// Each decoder with its orders, by name.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&DecoderId, &DecodedFound)> {
        self.0.iter()
    }
}

/// Orders that have not ended and spend.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct LeftFound {
    /// Those that were allowed and have no outcome.
    pub(crate) reserved: u64,
    /// Those of which nobody knows whether they were signed.
    pub(crate) unknown: u64,
}

/// Whether the decisions were judged again.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct DecisionsFound {
    /// Whether all of them were.
    pub(crate) replayed: bool,
    /// How many were, with the same answer.
    pub(crate) count: u64,
    /// How many were not because another engine made them; none if nobody asked.
    pub(crate) not_replayed: Option<u64>,
    /// The engine of this verifier.
    pub(crate) engine: String,
}

/// The key that signed the checkpoint.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct KeyFound {
    pub(crate) in_force: String,
    pub(crate) rotations: u64,
    pub(crate) trusted: TrustedKey,
}

/// Which key of the log the user trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TrustedKey {
    /// The one of the genesis event.
    Genesis,
    /// The one that signed the checkpoint.
    InForce,
}

/// The files beside the log.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DocumentsFound {
    pub(crate) hashed: u64,
    /// Files that are no part of the log.
    pub(crate) foreign: u64,
    /// The first of them.
    pub(crate) foreign_paths: Vec<String>,
}

/// A checkpoint that the user kept, seen to be of this log.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct HeldCheckpoint {
    pub(crate) entries: u64,
    /// Whether it covers all that the log has.
    pub(crate) covers_all: bool,
}

/// Receipts that the user kept, seen to hold.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct HeldReceipts {
    pub(crate) receipts: u64,
    /// How many are about entries that the log does not reach.
    pub(crate) beyond: u64,
}
