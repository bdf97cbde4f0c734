//! Records of CloudTrail, each once.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::fields::{FieldError, FieldFault, Object};
use super::gzip;
use super::record::{EventId, Record};

/// What CloudTrail recorded. CloudTrail delivers some records twice and none in order; each counts
/// once, as does a call that stands in the trails of two accounts.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    entries: Vec<Entry>,
    by_id: HashMap<EventId, usize>,
    /// The entry that counts among the copies of one call.
    by_shared_id: HashMap<EventId, usize>,
    read: u64,
    duplicates: u64,
    other_services: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    number: u64,
    record: Record,
    counts: bool,
}

impl Trail {
    /// Most bytes that one compressed file may unpack to: 1 GiB, some twenty times the 50 MB that
    /// CloudTrail's own files have at most before (AWS CloudTrail, "Quotas").
    pub const UNPACKED_MAX: usize = 1 << 30;

    /// Reads the text of a log file, `{"Records":[…]}`, or of records one after the other, such as one
    /// on each line: as it is, or compressed with gzip, as CloudTrail delivers it. May be called for one
    /// file after the other, in any order.
    ///
    /// # Errors
    /// Names the first record that is malformed or contradicts another, counted from 1 over all that
    /// was read. Fails on a compressed file that is damaged, cut off or followed by anything else, and on
    /// one of more than [`Self::UNPACKED_MAX`] bytes. The trail is of no use then.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), TrailError> {
        if !gzip::is_gzip(bytes) {
            return self.text(bytes);
        }
        self.text(&gzip::unpack(bytes, Self::UNPACKED_MAX)?)
    }

    fn text(&mut self, bytes: &[u8]) -> Result<(), TrailError> {
        for value in serde_json::Deserializer::from_slice(bytes).into_iter::<&RawValue>() {
            let value = value.map_err(|error| TrailError::Malformed {
                record: self.read.saturating_add(1),
                line: error.line(),
                column: error.column(),
            })?;
            self.value(value)?;
        }
        Ok(())
    }

    /// A log file or one record.
    fn value(&mut self, value: &RawValue) -> Result<(), TrailError> {
        let number = self.read.saturating_add(1);
        let wrong = |error| TrailError::of(number, error);
        let object = Object::parse(value, "Records").map_err(wrong)?;
        if !object.has("Records") {
            return self.record(value);
        }
        let missing = FieldError::new("Records", FieldFault::Missing);
        let records = object.list("Records").map_err(wrong)?.ok_or(wrong(missing))?;
        records.into_iter().try_for_each(|record| self.record(record))
    }

    fn record(&mut self, raw: &RawValue) -> Result<(), TrailError> {
        self.read = self.read.saturating_add(1);
        let number = self.read;
        let record = Record::parse(raw).map_err(|error| TrailError::of(number, error))?;
        let Some(record) = record else {
            self.other_services = self.other_services.saturating_add(1);
            return Ok(());
        };
        let known = self.by_id.get(&record.id).and_then(|index| self.entries.get(*index));
        if let Some(Entry { number: earlier, record: known, .. }) = known {
            let contradiction = TrailError::Contradiction { record: number, earlier: *earlier };
            let is_same = *known == record;
            self.duplicates = self.duplicates.saturating_add(1);
            return if is_same { Ok(()) } else { Err(contradiction) };
        }
        let counts = self.counts(number, &record)?;
        let index = self.entries.len();
        self.by_id.insert(record.id.clone(), index);
        if let Some(shared) = record.shared_id.clone().filter(|_| counts) {
            self.by_shared_id.insert(shared, index);
        }
        self.entries.push(Entry { number, record, counts });
        Ok(())
    }

    /// Whether a record counts. Of the copies of one call it is the one that names the caller, who is
    /// named in the trail of its own account; in all else that is compared they must be alike.
    fn counts(&mut self, number: u64, record: &Record) -> Result<bool, TrailError> {
        let shared = record.shared_id.as_ref().and_then(|id| self.by_shared_id.get(id));
        let Some(known) = shared.and_then(|index| self.entries.get_mut(*index)) else {
            return Ok(true);
        };
        if !known.record.is_copy(record) {
            return Err(TrailError::Contradiction { record: number, earlier: known.number });
        }
        self.duplicates = self.duplicates.saturating_add(1);
        let counts = record.caller.is_named && !known.record.caller.is_named;
        known.counts = !counts;
        Ok(counts)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.entries.iter().filter(|entry| entry.counts).map(|entry| &entry.record)
    }

    /// How many records were read.
    #[must_use]
    pub const fn read_count(&self) -> u64 {
        self.read
    }

    /// How many of them were there already.
    #[must_use]
    pub const fn duplicate_count(&self) -> u64 {
        self.duplicates
    }

    /// How many of them are about other services than KMS.
    #[must_use]
    pub const fn other_service_count(&self) -> u64 {
        self.other_services
    }
}

/// Why a trail was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrailError {
    /// Two records have one id, or are copies of one call, and do not say the same.
    #[error("record {record} contradicts record {earlier}, which has the same id or shared id")]
    Contradiction {
        /// The number of the record.
        record: u64,
        /// The number of the record that it contradicts.
        earlier: u64,
    },
    /// A field of a record is not what it must be.
    #[error("record {record}: the field {field} {fault}")]
    Field {
        /// The number of the record.
        record: u64,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        fault: FieldFault,
    },
    /// The text is no JSON.
    #[error("record {record} is no JSON at line {line}, column {column}")]
    Malformed {
        /// The number of the first record that could not be read.
        record: u64,
        /// Line of its file, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// A compressed file is damaged, cut off or followed by something else.
    #[error("the file is compressed and damaged")]
    Packed,
    /// A compressed file is larger than any of CloudTrail.
    #[error("the file unpacks to more than {bytes_max} bytes")]
    TooLarge {
        /// Most bytes that it may have.
        bytes_max: usize,
    },
}

impl TrailError {
    const fn of(record: u64, error: FieldError) -> Self {
        Self::Field { record, field: error.field, fault: error.fault }
    }
}
