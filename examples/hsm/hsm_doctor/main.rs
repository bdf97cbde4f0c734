//! What a PKCS#11 module can do for custody, row by row.
//!
//! ```text
//! CUSTODY_HSM_PIN=… cargo run --release --example hsm_doctor -- --module /usr/lib/softhsm/libsofthsm2.so
//! cargo run --release --example hsm_doctor -- --module … --token cold --pin-file pin.txt --json
//! ```
//!
//! It logs in with the user's PIN, which is tried once, and tries things on keys that it makes. Those
//! are objects of its session, where the token makes such, and go with it. Only for the rates of the
//! backend it makes keys in the token, three pairs and an AES key whose labels begin with `custody
//! doctor-` or `custody kek doctor-` and a number that was drawn; it destroys them again, and the last
//! row says how many it could not destroy. They stay if it is stopped in between. It touches no other
//! object. Tokens that count signatures or keep a log of them will show some thousands.
//!
//! Exits with 2 and a line of reason if there is nothing to try things on.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks")]

mod backend;
mod encryption;
mod keys;
mod mechanisms;
mod pair;
mod point;
mod rate;
mod row;
mod wrapping;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use custody_hsm::TokenSelector;
use examples_hsm::Failure;
use examples_hsm::bare::Bare;
use examples_hsm::pin::Pin;

use crate::row::Row;

/// Tells what a PKCS#11 module can do.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// The module.
    #[arg(long)]
    module: PathBuf,
    /// The label of the token, if the module has more than one.
    #[arg(long)]
    token: Option<String>,
    /// A file whose first line is the PIN. Without one it is the value of CUSTODY_HSM_PIN.
    #[arg(long)]
    pin_file: Option<PathBuf>,
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
    let pin = match &arguments.pin_file {
        Some(path) => Pin::read(path)?,
        None => Pin::of_variable(VARIABLE)?,
    };
    let rows = examine(arguments, &pin)?;
    if arguments.json {
        return Ok(serde_json::to_string_pretty(&rows)?);
    }
    let mut lines = vec![row::header()];
    lines.extend(rows.iter().map(Row::line));
    Ok(lines.join("\n"))
}

fn examine(arguments: &Arguments, pin: &Pin) -> Result<Vec<Row>, Failure> {
    let time = Duration::from_millis(arguments.measure_ms);
    let mut rows = Vec::new();
    let serial = {
        let token = arguments.token.clone().map(TokenSelector::Label);
        let bare = Bare::open(&arguments.module, token.as_ref(), pin)?;
        rows.push(mechanisms::token(&bare));
        rows.extend(mechanisms::rows(&bare)?);
        for algorithm in pair::ALGORITHMS {
            rows.extend(keys::rows(bare.session(), algorithm, time));
        }
        rows.extend(encryption::rows(bare.session(), time));
        rows.extend(wrapping::rows(bare.session()));
        bare.info().serial_number().to_owned()
        // The module is finalised here; the backend initialises it for itself.
    };
    rows.extend(backend::rows(&arguments.module, &serial, pin, time)?);
    Ok(rows)
}

/// Where the PIN is if there is no file.
const VARIABLE: &str = "CUSTODY_HSM_PIN";
