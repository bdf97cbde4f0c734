//! Rules in a language of one's own: `policy.rs` is the whole engine, and a custodian with it denies,
//! waits for approvals and signs as the table says. This file opens secrets.
#![expect(clippy::print_stdout, reason = "a program that talks")]

mod policy;
mod steps;

use examples_start::Failure;

fn main() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let told = runtime.block_on(steps::run(directory.path()));
    // Whatever still held the store is gone with the runtime, and nothing is written any more.
    drop(runtime);
    directory.close()?;
    for line in told? {
        println!("{line}");
    }
    Ok(())
}
