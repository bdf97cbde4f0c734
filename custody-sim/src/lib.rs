#![doc = include_str!("../README.md")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "this crate is test support: what cannot be simulated is loud"
)]

mod anchor;
mod dice;
mod disk;
mod executor;
mod house;
mod life;
mod log;
mod quiet;
mod referee;
mod register;
mod sabotage;
mod switches;
mod trace;
mod vault;
mod weather;
mod world;

use std::collections::BTreeMap;
use std::fmt;

pub use referee::Violation;
pub use sabotage::Sabotage;

/// What one seed gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The seed, which gives the same outcome again.
    pub seed: u64,
    /// The part in it that breaks its contract, if there is one.
    pub sabotage: Option<Sabotage>,
    /// What must never happen and did.
    pub violation: Option<Violation>,
    /// Everything that happened, line by line.
    pub trace: Vec<String>,
    /// Lives of the custodian.
    pub lives: u64,
    /// Events that replay.
    pub events: u64,
    /// Orders submitted.
    pub orders: u64,
    /// Orders released with signatures.
    pub released: u64,
    /// How often other things happened, by what they are.
    pub counts: BTreeMap<&'static str, u64>,
}

/// Simulates the world of a seed.
#[must_use]
pub fn simulate(seed: u64) -> Outcome {
    run(seed, None)
}

/// Simulates the world of a seed with a part in it that breaks its contract.
#[must_use]
pub fn simulate_with(seed: u64, sabotage: Sabotage) -> Outcome {
    run(seed, Some(sabotage))
}

fn run(seed: u64, sabotage: Option<Sabotage>) -> Outcome {
    let _quiet = quiet::Quiet::new();
    let mut world = world::World::new(seed, sabotage);
    world.run();
    let report = world.referee.report();
    Outcome {
        seed,
        sabotage,
        violation: world.referee.violation(),
        trace: world.trace.lines(),
        lives: world.lives,
        events: report.events,
        orders: report.orders,
        released: report.released,
        counts: world.trace.counts(),
    }
}

impl fmt::Display for Outcome {
    /// Writes what is wrong, the last steps, and how to see them all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LAST: usize = 40;
        let first = self.trace.len().saturating_sub(LAST);
        for line in self.trace.iter().skip(first) {
            writeln!(f, "{line}")?;
        }
        match &self.violation {
            None => write!(f, "seed {}: nothing wrong", self.seed),
            Some(violation) => {
                writeln!(f, "seed {}: {violation}", self.seed)?;
                write!(f, "replay it: cargo run --release -p custody-sim -- --seed {}", self.seed)?;
                match self.sabotage {
                    None => Ok(()),
                    Some(sabotage) => write!(f, " --sabotage {sabotage:?}"),
                }
            }
        }
    }
}
