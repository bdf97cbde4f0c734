//! `run.json`: what a run was and what it measured. `RUN.md` beside the README explains each
//! field.
//!
//! Invariant: a report follows from this document alone.

use std::collections::BTreeMap;

use custody_core::document::unique_keys;
use serde::{Deserialize, Serialize};

use super::environment::Environment;
use super::plan::Loop;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Run {
    /// Version of this document: 1.
    pub v: u8,
    /// How it ended.
    pub status: Status,
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// What was asked for.
    pub settings: Settings,
    /// Where it ran.
    pub environment: Environment,
    /// What it measured, in the order in which it did.
    pub series: Vec<Series>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "because", deny_unknown_fields)]
#[expect(clippy::exhaustive_enums, reason = "a report has a text for each")]
pub enum Status {
    /// All was measured.
    Complete,
    /// It was interrupted: what is here was measured before.
    Interrupted,
    /// Something signed wrongly: nothing is here.
    Void(String),
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// The backend's name.
    pub backend: String,
    /// What the backend said about itself.
    #[serde(deserialize_with = "unique_keys")]
    pub backend_facts: BTreeMap<String, String>,
    /// The algorithm.
    pub algorithm: String,
    /// Callers at once.
    pub concurrency: Vec<u64>,
    /// How load was made.
    pub loops: Vec<Loop>,
    /// How long each series was timed.
    pub duration_ms: u64,
    /// How long each series ran before.
    pub warm_up_ms: u64,
    /// Whether the governed path was asked for.
    pub governed: bool,
    /// Whether peers were.
    pub peers: bool,
    /// What was signed follows from it.
    pub seed: u64,
}

/// Who signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a report has a text for each")]
pub enum Role {
    /// The bare primitive, over which overheads are told.
    Primitive,
    /// Another peer.
    Peer,
    /// The backend, through the seam.
    Raw,
    /// The backend under a custodian.
    Governed,
}

/// One measurement: who signed, how many at once, under which load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Series {
    /// Its name in the files beside this one.
    pub id: String,
    /// Who signed.
    pub role: Role,
    /// Its name: the backend's or the peer's.
    pub subject: String,
    /// Callers at once.
    pub concurrency: u64,
    /// How load was made.
    pub load: Loop,
    /// From the beginning of the timed part to its last answer.
    pub elapsed_ns: u64,
    /// Calls that were answered with a signature.
    pub count: u64,
    /// Calls that were made or due and had no answer when the series ended.
    pub unanswered: u64,
    /// Whether a closed loop ended before its time, with as many calls as are kept.
    pub is_cut: bool,
    /// Calls that failed, by what was said.
    #[serde(deserialize_with = "unique_keys")]
    pub errors: BTreeMap<String, u64>,
    /// Signatures a second.
    pub rate: f64,
    /// Mean time of the calls.
    pub mean_ns: f64,
    /// Times by which so many of a hundred of the answered calls were answered.
    pub quantiles: Vec<Quantile>,
    /// The longest time.
    pub max_ns: u64,
    /// The times: a histogram of HdrHistogram V2, compressed, in base64.
    pub histogram: String,
    /// How late calls were asked for: open loop only.
    pub lateness: Option<Lateness>,
    /// How long the verification of a signature took, after the timed part.
    pub verify_mean_ns: f64,
    /// The stages of the governed path.
    pub stages: Vec<StageTime>,
}

/// A quantile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Quantile {
    /// Between 0 and 1.
    pub q: f64,
    /// The time.
    pub ns: u64,
}

/// How exact the arrivals of an open loop were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Lateness {
    /// Half of the calls were handed to a caller no later than this after they were due.
    pub p50_ns: u64,
    /// The same for 99 of a hundred.
    pub p99_ns: u64,
    /// The latest.
    pub max_ns: u64,
}

/// A stage, as its seam saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StageTime {
    /// Its name.
    pub stage: String,
    /// How often it was passed; one commit and one seal are for many orders.
    pub count: u64,
    /// Mean time of one pass.
    pub mean_ns: f64,
    /// Half of them took no longer; not told of what was not timed itself.
    pub p50_ns: Option<u64>,
    /// The same for 99 of a hundred.
    pub p99_ns: Option<u64>,
    /// What it adds to the mean time of an order.
    pub share_ns: f64,
}

impl Series {
    /// The time by which this share of the calls were answered, if it is one that is told.
    #[must_use]
    pub fn quantile(&self, wanted: f64) -> Option<u64> {
        let same = |told: &&Quantile| (told.q - wanted).abs() < 1e-9;
        self.quantiles.iter().find(same).map(|told| told.ns)
    }

    /// What it is, in words.
    #[must_use]
    pub fn name(&self) -> String {
        match self.role {
            Role::Primitive | Role::Peer => self.subject.clone(),
            Role::Raw => format!("{} (raw)", self.subject),
            Role::Governed => format!("{} (governed)", self.subject),
        }
    }
}

/// The quantiles that are told.
pub const QUANTILES: [f64; 9] = [0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999];
