//! The records of a store, and when each is due in an archive.

use std::collections::VecDeque;

use custody_core::seam::{Position, Record, RecordKey, Store, StoreError};

use crate::archive::entry::wide;
use crate::archive::sequence::owner;

/// All records of a store, page by page, in byte order of their keys.
///
/// A store is scanned below a prefix, and there is none that all keys have: so one byte after the
/// other is the prefix. Whatever kinds of records there are, none is forgotten.
pub(super) struct Records<'a> {
    store: &'a dyn Store,
    prefixes: std::ops::RangeInclusive<u8>,
    prefix: Option<RecordKey>,
    after: Option<RecordKey>,
}

impl<'a> Records<'a> {
    pub(super) const fn new(store: &'a dyn Store) -> Self {
        Self { store, prefixes: b'!'..=b'~', prefix: None, after: None }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Vec<Record>>, StoreError> {
        loop {
            if let Some(prefix) = &self.prefix {
                let page = self.store.scan(prefix, self.after.as_ref(), RECORDS).await?;
                if let Some(last) = page.last() {
                    self.after = Some(last.key.clone());
                    return Ok(Some(page));
                }
            }
            let Some(first) = self.prefixes.next() else { return Ok(None) };
            self.prefix = RecordKey::parse(char::from(first).encode_utf8(&mut [0; 4])).ok();
            self.after = None;
        }
    }
}

/// How many records a store has.
pub(super) struct RecordCount {
    pub(super) all: u64,
    /// Those that belong to no event.
    pub(super) spread: u64,
}

impl RecordCount {
    pub(super) async fn of(store: &dyn Store) -> Result<Self, StoreError> {
        let (mut records, mut count) = (Records::new(store), Self { all: 0, spread: 0 });
        while let Some(page) = records.next().await? {
            let spread = page.iter().filter(|record| owner(&record.key).is_none()).count();
            count.all = count.all.saturating_add(wide(page.len()));
            count.spread = count.spread.saturating_add(wide(spread));
        }
        Ok(count)
    }
}

/// The records that belong to no event: so many of them before each event that all are written
/// before the last one.
pub(super) struct Spread<'a> {
    records: Records<'a>,
    page: VecDeque<Record>,
    total: u64,
    pub(super) given: u64,
    events: Position,
}

impl<'a> Spread<'a> {
    pub(super) fn new(store: &'a dyn Store, events: Position, total: u64) -> Self {
        let (records, page) = (Records::new(store), VecDeque::new());
        Self { records, page, total, given: 0, events }
    }

    /// The next one that stands before event number `next - 1`; none if it is the event's turn.
    pub(super) async fn due(&mut self, next: Position) -> Result<Option<Record>, StoreError> {
        let share = u128::from(self.total).saturating_mul(u128::from(next.value()));
        let due = share.checked_div(u128::from(self.events.value())).unwrap_or_default();
        if u128::from(self.given) >= due {
            return Ok(None);
        }
        loop {
            while let Some(record) = self.page.pop_front() {
                if owner(&record.key).is_none() {
                    self.given = self.given.saturating_add(1);
                    return Ok(Some(record));
                }
            }
            let Some(page) = self.records.next().await? else { return Ok(None) };
            self.page.extend(page);
        }
    }
}

/// So many records are in memory at once: each may have 16 MiB.
pub(super) const RECORDS: u16 = 16;
