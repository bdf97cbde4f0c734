//! Logs and head anchors in memory, and a reader of what a log hands out.
//!
//! Invariant: everything is computed naively from all leaves (RFC 6962, section 2.1), so that it
//! shares no shortcut with the log under test.

mod anchor;
mod failing;
mod memory;
mod note;
mod proof;
mod tree;

pub use anchor::{AnchorCall, FailingAnchor, MemoryAnchor};
pub use failing::{FailingLog, LogCall};
pub use memory::{LogLie, MemoryLog};
pub use note::{check_note, signed_note};
pub use proof::ReceiptFile;
pub use tree::{inclusion_path, leaf_hash, root, root_of_path};
