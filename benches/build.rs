//! Tells the program how it was built: results name it.

use std::process::Command;

fn main() {
    let told = |name: &str| std::env::var(name).unwrap_or_default();
    let compiler = said(&told("RUSTC"), &["--version"]);
    let flags = told("CARGO_ENCODED_RUSTFLAGS").replace('\u{1f}', " ");
    let flags = if flags.is_empty() { "none".to_owned() } else { flags };
    let profile = format!("{}, opt-level {}", profile(&told("OUT_DIR")), told("OPT_LEVEL"));
    let commit = said("git", &["describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"]);
    for (name, value) in [
        ("COMPILER", compiler),
        ("FLAGS", flags),
        ("PROFILE", profile),
        ("COMMIT", if commit.is_empty() { "unknown".to_owned() } else { commit }),
    ] {
        println!("cargo:rustc-env=BENCHES_{name}={value}");
    }
    let head = said("git", &["rev-parse", "--git-path", "HEAD"]);
    let log = said("git", &["rev-parse", "--git-path", "logs/HEAD"]);
    // Whatever is changed in what is measured makes the commit a changed one.
    let siblings = std::fs::read_dir("..").into_iter().flatten().flatten();
    let is_crate = |name: &str| name.starts_with("custody-");
    for entry in siblings.filter(|entry| entry.file_name().to_str().is_some_and(is_crate)) {
        println!("cargo:rerun-if-changed={}", entry.path().join("src").display());
    }
    let files = ["build.rs", "src", "../Cargo.toml", "../Cargo.lock", head.as_str(), log.as_str()];
    // What is not there would be taken for changed each time.
    for path in files.into_iter().filter(|path| std::path::Path::new(path).exists()) {
        println!("cargo:rerun-if-changed={path}");
    }
}

/// The profile's name: the folder of the target folder in which its builds lie. `PROFILE` says only
/// what it inherits from.
fn profile(out: &str) -> String {
    let folder = std::path::Path::new(out).ancestors().nth(3).and_then(|path| path.file_name());
    folder.map_or_else(|| "unknown".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The first line of what a program says, or nothing.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}
