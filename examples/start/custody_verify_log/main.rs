//! What a host does each night: exports the log, verifies the copy as an outsider would, holds it
//! against what was verified the night before, and a receipt against it. This file opens secrets.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks")]

mod verification;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use custody_core::caip::AccountId;
use custody_core::command::Command;
use custody_core::custodian::{Outcome, Request};
use custody_core::id::{BookId, RequestId};
use custody_core::seam::{Authentication, Entropy as _};
use custody_core::secret::Secret;
use examples_start::Failure;
use examples_start::entropy::OsEntropy;
use examples_start::house::House;
use examples_start::transactions::bundled;

use verification::{Verification, verify, verify_receipt};

/// Verifies the log of a house that the quickstart has kept, or of a new one.
#[derive(Debug, Parser)]
struct Arguments {
    /// The directory of the house; without it, a new house is made and deleted.
    #[arg(long, requires = "passphrase_file")]
    dir: Option<PathBuf>,
    /// The file with the passphrase that the keys are sealed under.
    #[arg(long, requires = "dir")]
    passphrase_file: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("not verified: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let temporary = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let done = runtime.block_on(verify_house(arguments, temporary.path()));
    // Whatever still held the store is gone with the runtime, and nothing is written any more.
    drop(runtime);
    temporary.close()?;
    done
}

async fn verify_house(arguments: &Arguments, temporary: &Path) -> Result<(), Failure> {
    let (directory, passphrase) = match (&arguments.dir, &arguments.passphrase_file) {
        (Some(directory), Some(file)) => {
            let text = Secret::new(std::fs::read(file)?);
            (directory.clone(), Secret::new(text.expose().trim_ascii_end().to_vec()))
        }
        _ => {
            let passphrase = Secret::try_fill(32, |bytes| OsEntropy.fill(bytes))?;
            (temporary.join("house"), passphrase)
        }
    };
    let house = House::open(&directory, passphrase).await?;
    if house.is_new {
        work(&house).await?;
    }
    if !house.resumed.is_empty() {
        println!("{} orders that a stopped process had left have ended", house.resumed.len());
    }
    let done = nightly(&house, &directory, &temporary.join("export")).await;
    house.custodian.close().await?;
    done
}

/// The nightly job. A host keeps the export, and what was verified last, on another machine.
async fn nightly(house: &House, directory: &Path, target: &Path) -> Result<(), Failure> {
    let checkpoint = house.custodian.checkpoint().await?.ok_or("there is no checkpoint")?;
    let exported = custody_audit::export(house.store.as_ref(), &checkpoint, target).await?;
    println!("exported {} entries and {} documents", exported.entries, exported.documents);

    let (id, key, copy) = (house.custodian.id(), house.log_key.clone(), target.to_owned());
    let verified = tokio::task::spawn_blocking(move || verify(id, &key, &copy)).await??;
    let Verification { log, report, last } = verified;
    let head = log.head().tree();
    println!("verified {} entries under the root {:?}", head.size, head.root);
    println!(
        "         {} decisions judged again, {} signatures, {} approvals",
        report.decisions, report.signatures, report.approvals
    );
    let before = directory.join("verified.checkpoint");
    if let Some(older) = verification::read_checkpoint(&before)? {
        let head = log.continues(&older)?;
        println!("         the same log as the {} entries of last time", head.size);
    }
    std::fs::write(&before, &checkpoint.note)?;

    let order = last.ok_or("no order is concluded")?;
    let Outcome::Released(release) = house.custodian.order(&order).await?.outcome else {
        return Err("the order is not released".into());
    };
    let index = verify_receipt(&release.receipt.proof, &house.log_key, &log)?;
    println!("the receipt of order {order} proves entry {index}, with the log's key alone");
    Ok(())
}

/// Gives a new house something to verify: two treasurers agree to an address.
async fn work(house: &House) -> Result<(), Failure> {
    let [known, _] = bundled::KNOWN;
    let (book, account) = (BookId::parse("customers")?, AccountId::parse(known)?);
    let command = Command::AddAddress { book, account };
    let login = Authentication { factors: 2, age_ms: 60_000, ip: None, signed: false };
    let id = RequestId::parse("first-address")?;
    let request = Request::command(house.operator.id().clone(), id, command).authenticated(login);
    let mut answer = house.custodian.submit(request).await?;
    for treasurer in &house.treasurers {
        let Outcome::Pending { .. } = answer.outcome else { break };
        let until = house.clock.now().after(Duration::from_secs(3_600));
        let approval = treasurer.approve(&house.custodian.id(), &answer, "treasurer", until)?;
        answer = house.custodian.approve(approval).await?;
    }
    let Outcome::Released(_) = answer.outcome else {
        return Err(format!("the address was not added: {:?}", answer.outcome).into());
    };
    Ok(())
}
