//! What fuzzing needs on this machine, fetched when it is missing.

use std::process::Command;

use crate::process::cargo;

/// A need that could not be met.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NeedError {
    #[error("cargo-fuzz is missing, and `cargo install cargo-fuzz --locked` failed")]
    CargoFuzz,
    #[error("a C++ compiler called c++ is missing, and apt-get could not install g++")]
    Compiler,
}

/// Makes sure of `cargo fuzz`, and of the compiler that builds libFuzzer.
pub(crate) fn prepare() -> Result<(), NeedError> {
    if !succeeds(cargo().args(["fuzz", "--version"])) {
        println!("cargo-fuzz is missing: installing it");
        let install = cargo().args(["install", "cargo-fuzz", "--locked"]).status();
        if !install.is_ok_and(|status| status.success()) {
            return Err(NeedError::CargoFuzz);
        }
    }
    if !succeeds(Command::new("c++").arg("--version")) {
        println!("c++ is missing: installing g++");
        for arguments in [&["update"][..], &["install", "--yes", "--no-install-recommends", "g++"]]
        {
            let mut apt = Command::new("apt-get");
            apt.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
            if !apt.status().is_ok_and(|status| status.success()) {
                return Err(NeedError::Compiler);
            }
        }
    }
    Ok(())
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
