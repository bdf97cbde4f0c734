//! Writes what the corpora of the fuzz targets begin with: `cargo run -p custody-fuzz --example
//! seeds`. Files that were found by a fuzzer stay as they are.
#![expect(clippy::print_stdout, reason = "a command-line tool talks to its terminal")]

use std::io;

fn main() -> io::Result<()> {
    let chosen: Vec<_> = std::env::args().skip(1).collect();
    for target in custody_fuzz::TARGETS {
        if chosen.is_empty() || chosen.iter().any(|name| name == target.name) {
            let written = custody_fuzz::corpus::write_seeds(target)?;
            println!("{}: {written} seeds", target.name);
        }
    }
    Ok(())
}
