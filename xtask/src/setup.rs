//! What a test run needs on this machine, fetched when it is missing.

use crate::process::cargo;

/// One thing the tests need, and how to make sure of it.
struct Need {
    name: &'static str,
    ensure: fn() -> Result<(), String>,
}

/// A need that could not be met.
#[derive(Debug, thiserror::Error)]
#[error("{name} is missing and could not be set up: {reason}")]
pub(crate) struct SetupError {
    name: &'static str,
    reason: String,
}

const NEEDS: [Need; 1] = [Need { name: "cargo-nextest", ensure: nextest }];

/// Makes sure of every need, in order.
pub(crate) fn prepare() -> Result<(), SetupError> {
    for need in NEEDS {
        (need.ensure)().map_err(|reason| SetupError { name: need.name, reason })?;
    }
    Ok(())
}

fn nextest() -> Result<(), String> {
    let found = cargo().args(["nextest", "--version"]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    println!("cargo-nextest is missing: installing it");
    let status = cargo()
        .args(["install", "cargo-nextest", "--locked"])
        .status()
        .map_err(|error| error.to_string())?;
    if status.success() {
        Ok(())
    } else {
        Err("`cargo install cargo-nextest --locked` failed; see https://nexte.st for other ways"
            .to_owned())
    }
}
