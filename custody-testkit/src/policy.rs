//! A rule engine over a tiny text format, engines that deny or lie, and orders as tests write them.
//!
//! Invariant: like a real engine these are pure functions of the facts.

mod denying;
mod facts;
mod lying;
mod rules;

pub use denying::DenyingCompiler;
pub use facts::{EffectCase, OrderFacts};
pub use lying::{EngineLie, LyingCompiler};
pub use rules::TestRules;
