//! Folds what an archive gives, in one pass and without keeping what went by.
//!
//! Invariant: memory grows with the custodian's state (its keys, people and open orders), not with
//! the number of its events.

use std::collections::BTreeMap;

use custody_core::crypto::PublicKey;
use custody_core::digest::Digest;
use custody_core::id::{CustodianId, KeyId};
use custody_core::ledger::Ledger;
use custody_core::replay::{Depth, Replay};
use custody_core::seam::{Event, Head, KeyHandle, Record};
use custody_core::tree::Tree;

use super::RestoreError;
use crate::archive::{Header, owner};

/// A fold under way.
pub(super) struct Fold {
    replay: Replay,
    tree: Tree,
    told: Head,
    /// Whether the events led to the head that the header tells.
    is_there: bool,
    log_key: PublicKey,
    /// Whether that key was the log's at that head, or has become it since: whoever makes an
    /// archive asks the log for its head first, and then for its key.
    is_log_key: bool,
    /// Documents that came since the last event: those that the next one names are among them.
    documents: BTreeMap<Digest, Vec<u8>>,
    handles: BTreeMap<KeyId, KeyHandle>,
    orders: u64,
}

/// What was folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Folded {
    /// The head over all events.
    pub head: Head,
    /// Number of orders.
    pub orders: u64,
}

impl Fold {
    pub(super) fn new(header: &Header) -> Self {
        Self::of(*header.custodian(), header.checkpoint().head, header.log_key().clone())
    }

    fn of(custodian: CustodianId, told: Head, log_key: PublicKey) -> Self {
        let tree = Tree::default();
        // Over nothing there is only one head.
        let is_there = tree.head() == told;
        Self {
            replay: Replay::new(custodian, Depth::Fold, None, Vec::new()),
            tree,
            told,
            is_there,
            log_key,
            is_log_key: false,
            documents: BTreeMap::new(),
            handles: BTreeMap::new(),
            orders: 0,
        }
    }

    pub(super) fn event(&mut self, event: &Event) -> Result<(), RestoreError> {
        self.tree.append(&event.bytes);
        if self.tree.size() == self.told.size {
            self.is_there = self.tree.head() == self.told;
            if !self.is_there {
                return Err(self.astray());
            }
        }
        let position = event.position.value();
        let folded = self.replay.event(&event.bytes, &self.documents);
        folded.map_err(|source| RestoreError::Event { position, source })?;
        self.documents.clear();
        if self.tree.size() >= self.told.size {
            let in_force = self.replay.state().map(Ledger::log_key);
            self.is_log_key |= in_force == Some(&self.log_key);
        }
        Ok(())
    }

    pub(super) fn record(&mut self, record: &Record) {
        let key = record.key.as_str();
        if let Some(key) = key.strip_prefix("handle/") {
            // A handle of no key is of no use, and harms nothing.
            if let Ok(key) = KeyId::parse(key) {
                self.handles.insert(key, KeyHandle::new(record.value.clone()));
            }
        } else if owner(&record.key).is_some() {
            self.documents.insert(Digest::of(&record.value), record.value.clone());
        } else if key.starts_with("request/") {
            // Each order has one.
            self.orders = self.orders.saturating_add(1);
        }
    }

    /// The state, the handles, and how much there was.
    pub(super) fn finish(
        self,
    ) -> Result<(Ledger, BTreeMap<KeyId, KeyHandle>, Folded), RestoreError> {
        if !self.is_there {
            return Err(self.astray());
        }
        let head = self.tree.head();
        let ledger = self.replay.into_state().ok_or(RestoreError::Empty)?;
        if !self.is_log_key {
            return Err(RestoreError::LogKey { size: self.told.size.value() });
        }
        Ok((ledger, self.handles, Folded { head, orders: self.orders }))
    }

    const fn astray(&self) -> RestoreError {
        RestoreError::Head { size: self.told.size.value() }
    }
}
