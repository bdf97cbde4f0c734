//! What an endpoint of KMS can do for custody, row by row.
//!
//! ```text
//! cargo run --release --example kms_doctor -- --endpoint https://kms.eu-central-1.amazonaws.com --region eu-central-1
//! cargo xtask with-kms sh -c 'cargo run --release --example kms_doctor -- --endpoint $CUSTODY_KMS_STAND_IN --region eu-central-1 --json'
//! ```
//!
//! The credentials are those of `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if there is one,
//! `AWS_SESSION_TOKEN`.
//!
//! **It makes keys**: some ten, one of them with a replica in another region, and an alias. Each has the
//! tag `custody-doctor`. In the end it deletes the alias and schedules the keys for deletion after seven
//! days, which is the shortest time; the last row says how many it could not. They stay if it is stopped
//! in between. It touches no other key, though it lists all. KMS counts some hundred calls, and those
//! of the rates: as many as it answers in `--measure-ms`.
//!
//! Exits with 2 and a line of reason if there is nothing to try things on.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks")]

mod answer;
mod encryption;
mod keys;
mod names;
mod patient;
mod rate;
mod regions;
mod rotation;
mod row;
mod states;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use custody_kms::aws_sdk_kms::config::Credentials;
use examples_kms::Failure;

use crate::patient::{Patient, Place};
use crate::row::{Row, Topic};

/// Tells what an endpoint of KMS can do. It makes keys there, and schedules their deletion afterwards.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// The endpoint: https, or http on this machine.
    #[arg(long)]
    endpoint: String,
    /// The region.
    #[arg(long)]
    region: String,
    /// The region of a replica.
    #[arg(long, default_value = "eu-west-1")]
    replica_region: String,
    /// How long each rate is measured, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    measure_ms: u64,
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("refused: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<String, Failure> {
    let place = Place::parse(&arguments.endpoint, &arguments.region, credentials()?)?;
    let rows = tokio::runtime::Runtime::new()?.block_on(examine(arguments, place))?;
    if arguments.json {
        return Ok(serde_json::to_string_pretty(&rows)?);
    }
    let mut lines = vec![row::header()];
    lines.extend(rows.iter().map(Row::line));
    Ok(lines.join("\n"))
}

async fn examine(arguments: &Arguments, place: Place) -> Result<Vec<Row>, Failure> {
    let (time, elsewhere) =
        (Duration::from_millis(arguments.measure_ms), place.elsewhere(&arguments.replica_region)?);
    let mut patient = Patient::admit(place).await?;
    eprintln!("makes keys at {} and schedules their deletion", arguments.endpoint);
    let mut rows = vec![Row::new(Topic::Endpoint, &arguments.endpoint, true, "answers")];
    for algorithm in keys::ALGORITHMS {
        rows.extend(keys::rows(&mut patient, algorithm, time).await);
    }
    rows.extend(states::rows(&mut patient).await);
    rows.extend(encryption::rows(&mut patient, time).await);
    rows.extend(rotation::rows(&mut patient).await);
    rows.extend(regions::rows(&mut patient, elsewhere).await);
    rows.extend(names::rows(&mut patient).await);
    rows.push(patient.discharge().await);
    Ok(rows)
}

fn credentials() -> Result<Credentials, Failure> {
    let told = |name| env::var(name).map_err(|_| format!("the environment has no {name}"));
    let (id, secret) = (told("AWS_ACCESS_KEY_ID")?, told("AWS_SECRET_ACCESS_KEY")?);
    let token = env::var("AWS_SESSION_TOKEN").ok().filter(|token| !token.is_empty());
    Ok(Credentials::new(id, secret, token, None, "environment"))
}
