//! Logs and head anchors in memory, honest, denying, failing, lying and slow, and a reader of what
//! a log hands out.
//!
//! Invariant: everything is computed naively from all leaves (RFC 6962, section 2.1), so that it
//! shares no shortcut with the log under test.

mod anchor;
mod intercepted;
mod memory;
mod note;
mod proof;
mod tree;

pub use anchor::{
    AnchorCall, AnchorLie, DenyingAnchor, FailingAnchor, InterceptedAnchor, MemoryAnchor,
    SlowAnchor,
};
pub use intercepted::{DenyingLog, FailingLog, InterceptedLog, LogCall, SlowLog};
pub use memory::{LogLie, MemoryLog};
pub use note::{check_note, signed_note};
pub use proof::ReceiptFile;
pub(crate) use tree::node_hash as join;
pub use tree::{inclusion_path, leaf_hash, root, root_of_path};
