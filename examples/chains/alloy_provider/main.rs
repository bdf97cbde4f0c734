//! Payments on Ethereum through alloy: its provider fills and sends, a custodian judges and signs, and
//! a node on this machine mines. Nothing is sent to a network.
#![expect(clippy::print_stdout, reason = "a program that talks")]

mod steps;

use examples_chains::Failure;

fn main() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let told = runtime.block_on(steps::run(&directory.path().join("house")));
    // Whatever still held the store is gone with the runtime, and nothing is written any more.
    drop(runtime);
    directory.close()?;
    for line in told? {
        println!("{line}");
    }
    Ok(())
}
