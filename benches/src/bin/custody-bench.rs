//! Measures the backends of the family, and what governance costs on top.

use std::process::ExitCode;

/// What servers that allocate much use; bare keys hardly allocate.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    custody_bench::harness::cli::main(&benches::measured::bench())
}
