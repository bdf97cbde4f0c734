//! A decoder of a small JSON format, and ones that deny, lie or panic.
//!
//! Invariant: like a real decoder these are pure functions of payload and context.

mod denying;
mod json;
mod lying;

pub use denying::DenyingDecoder;
pub use json::{TestDecoder, TestTransfer};
pub use lying::{DecoderLie, LyingDecoder, PanickingDecoder};
