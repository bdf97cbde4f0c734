//! What AWS CloudTrail says that KMS did, against what the custodian's log says that orders asked for.
//!
//! CloudTrail does not hold what was signed. A signature of KMS and one of the log are matched by their
//! key and their time: an order explains at most one signature of KMS for each of its tasks, from the
//! decision that allowed it to its end, give or take a tolerance. Where several of one key lie close
//! together, what is left over shows by counting; which of them it is cannot be told, and the report
//! names one.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::time::Duration;
//!
//! use custody_core::digest::Digest;
//! use custody_kms::cloud_trail::{Evidence, OrderLog, Period, Trail, TrailKeys, reconcile};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = TrailKeys::parse(
//!     r#"
//!     custodian = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
//!     principals = ["arn:aws:iam::111122223333:role/custody"]
//!     [signing]
//!     hot-1 = ["arn:aws:kms:eu-central-1:111122223333:key/1234abcd"]
//!     "#,
//! )?;
//! let mut trail = Trail::default();
//! trail.read(br#"{"Records":[]}"#)?;
//! let events: Vec<Vec<u8>> = Vec::new(); // the whole log, from its genesis event
//! let documents: BTreeMap<Digest, Vec<u8>> = BTreeMap::new();
//! # let log = OrderLog::read(keys.custodian(), events, &documents);
//! # assert!(log.is_err(), "a log has a genesis event");
//! # let log = OrderLog::empty(keys.custodian());
//! let evidence = Evidence {
//!     trail: &trail,
//!     log: &log,
//!     keys: &keys,
//!     tolerance: Duration::from_secs(300),
//!     period: Period::ALL,
//! };
//! let report = reconcile(&evidence)?;
//! assert!(report.is_clean());
//! # Ok(())
//! # }
//! ```
//!
//! Invariant: nothing here reads a clock or calls anybody, and no error repeats what it read.
//!
//! # Security
//! The events are taken at their word: verify the log first. A trail says nothing about calls that it
//! does not hold; whether its files are all there is told by CloudTrail's own digest files.
//!
//! Keys of the log that the file does not name are told, since nothing can be said of what KMS signed
//! with them. Which keys encrypt data keys the file alone tells: the log does not name them, and one that
//! is left out is not seen.

mod context;
mod fields;
mod gzip;
mod homes;
mod keys;
mod matching;
mod orders;
mod record;
mod report;
mod sorting;
mod table;
mod time;
mod trail;

use std::time::Duration;

pub use context::ContextFault;
pub use fields::FieldFault;
pub use keys::{TrailKeys, TrailKeysError};
pub use orders::{EventFault, OrderLog, OrderLogError};
pub use record::{CallerName, ErrorCode, EventId, EventName};
pub use report::{
    Calls, ContextFinding, FailedCalls, KeyPlace, MissingSignature, OtherKey, Reason,
    Reconciliation, RecordCounts, SignatureCounts, StrangerCalls, Unexplained,
};
pub use time::{Period, parse_time};
pub use trail::{Trail, TrailError};

use sorting::Sorting;

/// What is compared.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers build it")]
pub struct Evidence<'a> {
    /// The records of CloudTrail.
    pub trail: &'a Trail,
    /// The orders of the custodian.
    pub log: &'a OrderLog,
    /// Which key of the custodian is which of KMS, and who may call.
    pub keys: &'a TrailKeys,
    /// How far the clocks of the custodian and of KMS may be apart.
    pub tolerance: Duration,
    /// What the trail covers. A signature of the log that may lie outside need not be in the trail.
    pub period: Period,
}

/// Compares both sides, in a time of `n log n` for `n` records and signatures.
///
/// # Errors
/// Fails if the log and the keys are of two custodians.
pub fn reconcile(evidence: &Evidence<'_>) -> Result<Reconciliation, CustodianMismatch> {
    if evidence.log.custodian() != evidence.keys.custodian() {
        return Err(CustodianMismatch);
    }
    let mut sorting = Sorting::new(evidence);
    for record in evidence.trail.records() {
        sorting.take(record);
    }
    Ok(sorting.finish())
}

/// The log and the keys are of two custodians.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log and the keys are of two custodians")]
#[non_exhaustive]
pub struct CustodianMismatch;
