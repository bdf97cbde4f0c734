use std::collections::{BTreeMap, BTreeSet};

use custody_core::command::Command;
use custody_core::digest::Digest;
use custody_core::document::{EventBody, EventDocument};
use custody_core::id::OrderId;
use custody_core::seam::{Record, RecordKey, Store, StoreError};

use super::{Breach, Invariant, Oracle};

impl Oracle {
    /// Takes every event of a store that it has not taken yet.
    ///
    /// # Errors
    /// Names the invariant that the store breaks.
    pub async fn follow(&mut self, store: &dyn Store) -> Result<(), Breach> {
        let head = store.head().await.map_err(|error| unreadable(&error))?;
        if head < self.position() {
            return Err(Invariant::Log.broken(format!("the log went back to {head}")));
        }
        loop {
            let page = store.events(self.position(), PAGE).await;
            let page = page.map_err(|error| unreadable(&error))?;
            if page.is_empty() {
                return Ok(());
            }
            let events: Vec<_> = page.into_iter().map(|event| event.bytes).collect();
            let documents = self.documents(store, &events).await?;
            for bytes in &events {
                self.event(bytes, &documents)?;
            }
        }
    }

    /// Every document that these events may name.
    async fn documents(
        &self,
        store: &dyn Store,
        events: &[Vec<u8>],
    ) -> Result<BTreeMap<Digest, Vec<u8>>, Breach> {
        let mut prefixes = BTreeSet::new();
        let mut documents = BTreeMap::new();
        for event in events.iter().filter_map(|bytes| EventDocument::read(bytes).ok()) {
            prefixes.extend(self.prefixes(&event.event));
        }
        for prefix in prefixes {
            let prefix = RecordKey::parse(&prefix).expect("ids are visible ASCII");
            let found = all(store, &prefix).await.map_err(|error| unreadable(&error))?;
            documents.extend(found.into_iter().map(|r| (Digest::of(&r.value), r.value)));
        }
        Ok(documents)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "an event of a new kind does not replay")]
    fn prefixes(&self, event: &EventBody) -> Vec<String> {
        let of = |order: &OrderId| format!("document/{order}/");
        match event {
            EventBody::ApprovalAdded(approval) => vec![of(&approval.statement.order)],
            EventBody::Genesis(_) => vec!["document/genesis/".to_owned()],
            EventBody::OrderClosed(closed) => vec![of(&closed.order)],
            EventBody::OrderConcluded(concluded) => {
                let order = self.history.order(&concluded.order);
                let resolved = match order.and_then(|order| order.command.as_ref()) {
                    Some(Command::ResolveOrder { order, .. }) => Some(of(order)),
                    _ => None,
                };
                resolved.into_iter().chain([of(&concluded.order)]).collect()
            }
            EventBody::OrderDecided(decided) => vec![of(&decided.order)],
            EventBody::OrderSubmitted(submitted) => vec![of(&submitted.order)],
            EventBody::Snapshot(_) => vec!["document/snapshot/".to_owned()],
            _ => Vec::new(),
        }
    }
}

async fn all(store: &dyn Store, prefix: &RecordKey) -> Result<Vec<Record>, StoreError> {
    let mut found: Vec<Record> = Vec::new();
    loop {
        let after = found.last().map(|record| record.key.clone());
        let page = store.scan(prefix, after.as_ref(), 100).await?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
    }
}

fn unreadable(error: &StoreError) -> Breach {
    Invariant::Durable.broken(format!("the store cannot be read: {error:?}"))
}

const PAGE: u16 = 500;
