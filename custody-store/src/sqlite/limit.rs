//! What a batch may hold.
//!
//! **Invariant:** a batch is looked at as a whole before any of it is written.

use custody_core::seam::Batch;

/// A batch is over a limit, or empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Excess {
    /// An event is too long.
    #[error("event {index} of the batch has {length} bytes; {EVENT_MAX} are allowed")]
    Event { index: usize, length: usize },
    /// There is no event.
    #[error("the batch has no event")]
    NoEvent,
    /// A record is too long.
    #[error("a record of the batch has {length} bytes; {RECORD_MAX} are allowed")]
    Record { length: usize },
}

/// Passes a batch that may be written.
pub(super) fn check(batch: &Batch) -> Result<(), Excess> {
    if batch.events.is_empty() {
        return Err(Excess::NoEvent);
    }
    for (index, event) in batch.events.iter().enumerate() {
        if event.len() > EVENT_MAX {
            return Err(Excess::Event { index, length: event.len() });
        }
    }
    for record in batch.inserts.iter().chain(&batch.puts) {
        if record.value.len() > RECORD_MAX {
            return Err(Excess::Record { length: record.value.len() });
        }
    }
    Ok(())
}

/// Longest event, in bytes: 32 KiB, and room for an envelope around them.
const EVENT_MAX: usize = 32 * 1_024 + ENVELOPE;

/// Longest value of a record, in bytes: 16 MiB, and room for an envelope around them.
const RECORD_MAX: usize = 16 * 1_024 * 1_024 + ENVELOPE;

/// What sealing adds to a value, at most.
const ENVELOPE: usize = 64;
