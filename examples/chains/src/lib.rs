//! Shared parts of the examples of chains: which decoder reads what, how a payload is given on a
//! command line, a house in a temporary directory, and a program beside it that plays the network.
#![expect(
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    reason = "examples, not a library"
)]

pub mod entropy;
pub mod house;
mod named;
pub mod network;
pub mod node;
mod payload;
mod report;

use std::sync::Arc;

use custody_chain::{BitcoinDecoder, EvmDecoder, OpaqueDecoder, SolanaDecoder};
use custody_core::seam::Decoder;

pub use named::named_keys;
pub use payload::{InputError, default_format, read_payload};
pub use report::inspect;

/// All decoders, the opaque one last.
#[must_use]
pub fn decoders() -> Vec<Arc<dyn Decoder>> {
    vec![
        Arc::new(EvmDecoder::new()),
        Arc::new(BitcoinDecoder::new()),
        Arc::new(SolanaDecoder::new()),
        Arc::new(OpaqueDecoder::new()),
    ]
}

/// Any error of an example.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// An error and its causes in one line.
#[must_use]
pub fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(&format!(": {error}"));
        cause = error.source();
    }
    line.replace('\n', " ")
}
