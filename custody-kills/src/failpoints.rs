//! Failpoints on both sides of every call of every seam: each in turn fails, panics or hangs while
//! callers work over stores in memory and in virtual time, or ends a process that works over
//! SQLite. Below SQLite, calls of the disk fail, hang, or end the process. Then everything is
//! opened again, asked for again, and held against the one oracle.
//!
//! **Invariant:** a failpoint that was not reached is a failure, and so are a caller who hears
//! nothing in time and a panic that no failpoint planned.

pub mod abort;
pub mod below;
pub mod callers;
pub mod disk;
mod doubles;
pub mod judge;
pub mod matrix;
pub mod memory;
pub mod panics;
pub mod seams;
pub mod switches;
pub mod workload;
