//! Under construction.

pub mod house;
pub mod vectors;
