#![doc = include_str!("../README.md")]

mod arguments;
mod decoders;
mod documents;
mod entries;
mod evidence;
mod failure;
mod findings;
mod recoveries;
mod report;
mod stretch;
mod trail;
mod verify;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use findings::Findings;
use report::Report;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut findings = Findings::default();
    let result = verify::verify(&arguments, &mut findings);
    let report = Report::new(&findings, result.as_ref().err());
    let mut out = io::stdout().lock();
    let written =
        if arguments.json { report.write_json(&mut out) } else { report.write_text(&mut out) };
    // Whoever closed our output did not read the answer; then the answer is not "verified".
    if written.is_err() { ExitCode::from(report::UNREADABLE) } else { report.exit_code() }
}
