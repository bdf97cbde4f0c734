//! What a test run needs on this machine, fetched when it is missing.

use std::fs;
use std::path::Path;
use std::process::Command;

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

const NEEDS: [Need; 3] = [
    Need { name: "cargo-nextest", ensure: nextest },
    Need { name: "a C compiler called cc", ensure: compiler },
    Need { name: "a Python with the packages of the examples", ensure: python },
];

/// Makes sure of every need, in order.
pub(crate) fn prepare() -> Result<(), SetupError> {
    for need in NEEDS {
        (need.ensure)().map_err(|reason| SetupError { name: need.name, reason })?;
    }
    Ok(())
}

fn nextest() -> Result<(), String> {
    if succeeds(cargo().args(["nextest", "--version"])) {
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

/// What builds the libraries under `shims/`, with which tests make disks fail.
fn compiler() -> Result<(), String> {
    if succeeds(Command::new("cc").arg("--version")) {
        return Ok(());
    }
    println!("cc is missing: installing gcc");
    let install = ["install", "--yes", "--no-install-recommends", "gcc", "libc6-dev"];
    for arguments in [&["update"][..], &install] {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
        if !apt.status().is_ok_and(|status| status.success()) {
            return Err(format!("`apt-get {}` failed; install a C compiler", arguments.join(" ")));
        }
    }
    Ok(())
}

/// What plays the networks of the examples: an environment below `target/` with exact versions.
fn python() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (folder, wanted) =
        (root.join("target/python"), root.join("examples/chains/requirements.txt"));
    let wanted_text = fs::read(&wanted).map_err(|error| error.to_string())?;
    let installed = folder.join("requirements.txt");
    if fs::read(&installed).is_ok_and(|text| text == wanted_text) {
        return Ok(());
    }
    println!("the Python packages of the examples are missing: installing them");
    let run = |command: &mut Command, name: &str| match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) | Err(_) => Err(format!("`{name}` failed; install Python 3 with venv and pip")),
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder), "python3 -m venv")?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&wanted);
    run(&mut pip, "pip install")?;
    fs::write(installed, wanted_text).map_err(|error| error.to_string())
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
