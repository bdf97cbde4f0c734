#![doc = include_str!("../README.md")]

mod cache;
mod case;
mod comparison;
mod compiler;
mod engine;
mod finding;
mod index;
mod leaf;
mod lint;
mod lower;
mod missing;
mod names;
mod rule;
mod schema;
mod ticks;
mod values;

pub use crate::compiler::CedarCompiler;
pub use crate::engine::CedarEngine;
