#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod benchmarked;
#[cfg(feature = "harness")]
pub mod harness;
mod recorder;

pub use benchmarked::{Benchmarked, Measured, Operation};
/// The histograms that are recorded.
pub use hdrhistogram;
