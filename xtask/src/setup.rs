//! What a test run needs on this machine, fetched when it is missing.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::process::cargo;
use crate::{python, stand_in};

/// One thing the tests need, and how to make sure of it.
struct Need {
    name: &'static str,
    /// The packages whose tests need it; all, if there are none.
    packages: &'static [&'static str],
    ensure: fn() -> Result<(), String>,
}

/// A need that could not be met.
#[derive(Debug, thiserror::Error)]
#[error("{name} is missing and could not be set up: {reason}")]
pub(crate) struct SetupError {
    name: &'static str,
    reason: String,
}

const NEEDS: [Need; 8] = [
    Need { name: "cargo-nextest", packages: &[], ensure: nextest },
    Need { name: "a C compiler called cc", packages: &[], ensure: compiler },
    Need {
        name: "SoftHSM, p11-kit, OpenSC and openssl",
        packages: &["benches", "custody-hsm", "examples-hsm"],
        ensure: tokens,
    },
    Need { name: "kryoptic", packages: &["benches", "custody-hsm"], ensure: kryoptic },
    Need { name: "a node of Ethereum", packages: &["examples-chains"], ensure: node },
    Need {
        name: "a Python with the packages of the examples",
        packages: &["examples-chains"],
        ensure: python,
    },
    Need {
        name: "the reference implementation of SLIP-39",
        packages: &["custody-recovery"],
        ensure: slip39,
    },
    Need { name: "what stands in for AWS KMS", packages: &stand_in::PACKAGES, ensure: stand_ins },
];

/// Makes sure of what the tests of `packages` need, or all tests if there are none.
pub(crate) fn prepare(packages: &[String]) -> Result<(), SetupError> {
    for need in NEEDS {
        let is_needed = |name: &String| need.packages.contains(&name.as_str());
        let is_all = packages.is_empty();
        if is_all || need.packages.is_empty() || packages.iter().any(is_needed) {
            (need.ensure)().map_err(|reason| SetupError { name: need.name, reason })?;
        }
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
    install(&["gcc", "libc6-dev"], "install a C compiler")
}

/// The PKCS#11 module that the tests of `custody-hsm` make tokens with, what puts it at a distance,
/// and the programs that look at its keys.
pub(crate) fn tokens() -> Result<(), String> {
    if ["softhsm2-util", "p11-kit", "pkcs11-tool", "openssl"].iter().all(|name| is_there(name)) {
        return Ok(());
    }
    println!("SoftHSM, p11-kit, OpenSC or openssl is missing: installing them");
    let packages = ["softhsm2", "p11-kit", "opensc", "openssl"];
    install(&packages, "install SoftHSM 2, p11-kit with its modules, OpenSC and openssl")
}

/// Another PKCS#11 module, built once from its crates into `target/shims`, which takes minutes.
pub(crate) fn kryoptic() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = root.join("target/shims/kryoptic");
    if !target.join("release/libkryoptic_module.so").is_file()
        && !["clang", "perl", "make"].iter().all(|name| is_there(name))
    {
        println!("clang, perl or make is missing: installing them");
        install(&["clang", "libclang-dev", "perl", "make"], "install clang, perl and make")?;
    }
    let mut build = cargo();
    build.args(["build", "--quiet", "--release", "--locked", "--manifest-path"]);
    build.arg(root.join("shims/kryoptic/Cargo.toml")).arg("--target-dir").arg(target);
    match build.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) | Err(_) => Err("`cargo build` of shims/kryoptic failed".to_owned()),
    }
}

/// Installs packages of Debian, or says what to do by hand.
pub(crate) fn install(packages: &[&str], otherwise: &str) -> Result<(), String> {
    let install = ["install", "--yes", "--no-install-recommends"];
    for arguments in [vec!["update"], [&install[..], packages].concat()] {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(&arguments);
        if !apt.status().is_ok_and(|status| status.success()) {
            return Err(format!("`apt-get {}` failed; {otherwise}", arguments.join(" ")));
        }
    }
    Ok(())
}

/// What plays the networks of the examples: an environment below `target/` with exact versions.
fn python() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let wanted = root.join("examples/chains/requirements.txt");
    python::make(Path::new("python3"), &root.join("target/python"), &wanted, install_python)
}

/// What the shares of `custody-recovery` are held against: an environment of its own.
fn slip39() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let wanted = root.join("custody-recovery/tests/slip39/requirements.txt");
    python::make(Path::new("python3"), &root.join("target/slip39"), &wanted, install_python)
}

/// What stands in for AWS KMS, LocalStack among them where its Python runs. Where it does not, the
/// line that ends a run says so.
pub(crate) fn stand_ins() -> Result<(), String> {
    let (wanted, folder) = stand_in::environment();
    python::make(Path::new("python3"), &folder, &wanted, install_python)?;
    let Some(python) = stand_in::localstack_python() else { return Ok(()) };
    let (wanted, folder) = stand_in::localstack_environment();
    python::make(&python, &folder, &wanted, || Err("it makes no environments".to_owned()))
}

fn install_python() -> Result<(), String> {
    install(&["python3", "python3-venv"], "install Python 3 with venv")
}

/// The node of Ethereum that an example sends to: a package below `target/` of an exact version.
fn node() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (folder, wanted) = (root.join("target/node"), root.join("examples/chains/package.json"));
    let wanted = fs::read(&wanted).map_err(|error| error.to_string())?;
    let installed = folder.join("installed.json");
    if fs::read(&installed).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    println!("the node of Ethereum is missing: installing it");
    if !succeeds(Command::new("npm").arg("--version")) {
        install(&["nodejs", "npm"], "install npm")?;
    }
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    fs::write(folder.join("package.json"), &wanted).map_err(|error| error.to_string())?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]);
    if !npm.current_dir(&folder).status().is_ok_and(|status| status.success()) {
        return Err("`npm install` failed; it needs npm and its registry".to_owned());
    }
    fs::write(installed, wanted).map_err(|error| error.to_string())
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Whether there is such a program; some know no question that they answer with success.
pub(crate) fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}
