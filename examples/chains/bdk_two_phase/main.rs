//! Payments on Bitcoin: built by a wallet of BDK that only watches, judged and signed by a
//! custodian, finished by BDK, verified by the script verification of Bitcoin Core. Nothing is sent
//! to a network.
#![expect(clippy::print_stdout, reason = "a program that talks")]

mod steps;

use custody_chain::AddressKind;
use examples_chains::Failure;

fn main() -> Result<(), Failure> {
    for kind in [AddressKind::WitnessKeyHash, AddressKind::Taproot] {
        let directory = tempfile::tempdir()?;
        let runtime = tokio::runtime::Runtime::new()?;
        let told = runtime.block_on(steps::run(directory.path(), kind));
        // Whatever still held the store is gone with the runtime, and nothing is written any more.
        drop(runtime);
        directory.close()?;
        for line in told? {
            println!("{line}");
        }
    }
    Ok(())
}
