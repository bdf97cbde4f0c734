//! A payment on Solana: built by the host, judged and signed by a custodian, executed by the virtual
//! machine of Solana in a program beside this one. Nothing is sent to a network.
#![expect(clippy::print_stdout, reason = "a program that talks")]

mod steps;

use examples_chains::Failure;

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
