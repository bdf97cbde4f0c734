//! A decoder of a small JSON format, and ones that lie or panic.
//!
//! Invariant: like a real decoder these are pure functions of payload and context.

mod json;
mod lying;

pub use json::{TestDecoder, TestTransfer};
pub use lying::{DecoderLie, LyingDecoder, PanickingDecoder};
