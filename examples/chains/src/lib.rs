//! What the examples about payloads have in common: which decoder reads what, and how a payload is
//! given on a command line.
//!
//! Invariant: nothing here signs.

mod named;
mod payload;
mod report;

use std::sync::Arc;

use custody_chain::{EvmDecoder, OpaqueDecoder};
use custody_core::seam::Decoder;

pub use named::named_keys;
pub use payload::{InputError, default_format, read_payload};
pub use report::inspect;

/// All decoders, the opaque one last.
#[must_use]
pub fn decoders() -> Vec<Arc<dyn Decoder>> {
    vec![Arc::new(EvmDecoder::new()), Arc::new(OpaqueDecoder::new())]
}

/// Whatever stopped an example.
pub type Failure = Box<dyn std::error::Error>;
