//! The harness: runs, their reports and their comparison.
//!
//! Invariant: what is measured is written down before it is summarised. Each figure of a report
//! follows from `run.json`, and each histogram in there from `samples.csv.gz`.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    reason = "statistics over what was measured; nothing of it is money"
)]

pub mod cli;
pub mod compare;
pub mod document;
pub mod environment;
mod error;
mod histogram;
pub mod http;
mod load;
mod number;
mod output;
pub mod plan;
mod progress;
mod provider;
pub mod report;
mod run;
pub mod stage;
mod summary;
mod target;

pub use error::HarnessError;
pub use histogram::{HistogramError, decode, encode};
pub use load::Sample;
pub use output::{Samples, check, read_run, read_samples, write_report};
#[doc(hidden)]
pub use output::{agree, parse_run, parse_samples};
pub use provider::{
    Backends, Governed, Governor, Opened, OptionHelp, Options, Peer, Provider, Wanted,
};
pub use run::{Bench, ReadPeer, Stop, run};
pub use target::{Answer, Job, Manner, SignerTarget, Target, Wrong, new_signer};
