//! `cargo xtask bench-results`: example results of `custody-bench` for every backend that is here.
//!
//! **Invariant:** what is not here is named, and its earlier results stay as they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::cargo;
use crate::project::Project;
use crate::{opencryptoki, setup, stand_in};

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    duration: String,
    profile: String,
    /// Those that are measured; all if there are none.
    names: Vec<String>,
}

impl Asked {
    /// Reads `[--duration 3s] [--profile release] [NAME…]`.
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        let (duration, profile) = ("3s".to_owned(), "release".to_owned());
        let mut asked = Self { duration, profile, names: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().cloned().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--duration" => asked.duration = value()?,
                "--profile" => asked.profile = value()?,
                name if ROWS.iter().any(|row| row.name == name) => asked.names.push(word.clone()),
                other => return Err(format!("there is no result called {other}; {}", known())),
            }
        }
        Ok(asked)
    }
}

/// Measures; whether all that are here were measured.
pub(crate) fn run(asked: &Asked) -> Result<bool, String> {
    let project = Project::read().map_err(|error| error.to_string())?;
    let program = build(&project, &asked.profile)?;
    let (mut failed, mut absent) = (Vec::new(), Vec::new());
    for row in &ROWS {
        if !asked.names.is_empty() && !asked.names.iter().any(|name| name == row.name) {
            continue;
        }
        println!("{}", row.name);
        settle();
        let out = project.target.join("bench-results").join(row.name);
        let words = row.words(&program, &project.target, (&out, &asked.duration));
        match row.needs.run(&words) {
            Ok(true) => keep(&out, row.name)?,
            Ok(false) => failed.push(row.name),
            Err(reason) => absent.push(format!("{} ({reason})", row.name)),
        }
    }
    for (what, names) in
        [("not here", absent), ("failed", failed.iter().map(ToString::to_string).collect())]
    {
        if !names.is_empty() {
            println!("{what}: {}", names.join(", "));
        }
    }
    Ok(failed.is_empty())
}

fn build(project: &Project, profile: &str) -> Result<PathBuf, String> {
    let mut command = cargo();
    command.args(["build", "--profile", profile, "-p", "benches", "--bin", "custody-bench"]);
    let status = command.status().map_err(|error| error.to_string())?;
    let folder = if profile == "dev" { "debug" } else { profile };
    let program = project.target.join(folder).join("custody-bench");
    if status.success() { Ok(program) } else { Err("`cargo build` failed".to_owned()) }
}

/// Copies all but the samples, of which a run has some ten MB, to `benches/results`.
fn keep(out: &Path, name: &str) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/results").join(name);
    let reason = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(reason)?;
    for file in ["run.json", "latency.hlog", "report.md", "report.html"] {
        fs::copy(out.join(file), folder.join(file)).map_err(reason)?;
    }
    Ok(())
}

/// One run.
struct Row {
    name: &'static str,
    backend: &'static str,
    algorithm: &'static str,
    rates: &'static str,
    needs: Needs,
}

/// What a run needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Kms,
    Kryoptic,
    Nothing,
    OpenCryptoki,
    SoftHsm,
}

impl Row {
    fn words(&self, program: &Path, target: &Path, (out, duration): (&Path, &str)) -> Vec<String> {
        let words = [
            &program.display().to_string(),
            "run",
            "--backend",
            self.backend,
            "--algorithm",
            self.algorithm,
            "--governed",
            "--also-closed",
            "--concurrency",
            "1,2,4,16",
            "--rate",
            self.rates,
            "--duration",
            duration,
            "--out",
            &out.display().to_string(),
        ];
        let mut words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        if self.needs == Needs::Kryoptic {
            let module = target.join("shims/kryoptic/release/libkryoptic_module.so");
            words.extend(["--option".to_owned(), format!("module={}", module.display())]);
        }
        words
    }
}

impl Needs {
    /// Runs a program where what it needs is; the error says why that is not here.
    fn run(self, words: &[String]) -> Result<bool, String> {
        match self {
            Self::Kms => stand_in::run(words).map(|status| status.success()),
            Self::OpenCryptoki => opencryptoki::run(words),
            Self::Kryoptic => setup::kryoptic().and_then(|()| plainly(words)),
            Self::SoftHsm => setup::tokens().and_then(|()| plainly(words)),
            Self::Nothing => plainly(words),
        }
    }
}

/// Whether a program ran well. One that does not start has failed: it was just built.
fn plainly(words: &[String]) -> Result<bool, String> {
    let (program, arguments) = words.split_first().ok_or("there is no program to run")?;
    let status = Command::new(program).args(arguments).status();
    if let Err(error) = &status {
        println!("{program}: {error}");
    }
    Ok(status.is_ok_and(|status| status.success()))
}

/// Waits until what ran before is no load any more, or for three minutes.
fn settle() {
    // Hundredths, as the file has them.
    let load = || {
        let text = fs::read_to_string("/proc/loadavg").ok()?;
        text.split(' ').next()?.replace('.', "").parse::<usize>().ok()
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let most = cores.saturating_mul(40);
    for _ in 0..36 {
        if load().is_none_or(|load| load < most) {
            return;
        }
        std::thread::sleep(Duration::from_secs(5));
    }
}

fn known() -> String {
    let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
    format!("there are {}", names.join(", "))
}

pub(crate) const USAGE: &str =
    "cargo xtask bench-results [--duration 3s] [--profile release] [NAME…]";

const fn row(name: &'static str, backend: &'static str, algorithm: &'static str) -> Row {
    Row { name, backend, algorithm, rates: "500,1000,2000", needs: Needs::Nothing }
}

const ROWS: [Row; 8] = [
    row("software-secp256k1", "software", "secp256k1"),
    row("software-ed25519", "software", "ed25519"),
    Row { needs: Needs::SoftHsm, ..row("softhsm-secp256k1", "softhsm", "secp256k1") },
    Row { needs: Needs::Kryoptic, ..row("kryoptic-p256", "kryoptic", "p256") },
    Row { needs: Needs::Kryoptic, ..row("kryoptic-ed25519", "kryoptic", "ed25519") },
    Row {
        needs: Needs::OpenCryptoki,
        ..row("opencryptoki-secp256k1", "opencryptoki", "secp256k1")
    },
    Row { needs: Needs::Kms, rates: "50,100,200", ..row("kms-secp256k1", "kms", "secp256k1") },
    Row { needs: Needs::Kms, ..row("kms-sealed-secp256k1", "kms-sealed", "secp256k1") },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_mean_nothing_are_refused() {
        let parse = |words: &[&str]| {
            Asked::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
        };
        for words in [&["hardware"][..], &["--duration"], &["--profile"], &["--fast"]] {
            assert!(parse(words).is_err(), "{words:?}");
        }
        let asked = parse(&["--duration", "1s", "kryoptic-p256"]).unwrap();
        assert_eq!((asked.duration.as_str(), asked.profile.as_str()), ("1s", "release"));
        assert_eq!(asked.names, ["kryoptic-p256"]);
    }

    #[test]
    fn each_result_has_a_name_of_its_own() {
        let mut names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROWS.len());
    }

    #[test]
    fn kryoptic_is_told_where_its_module_is() {
        let row = &ROWS[3];
        let words = row.words(Path::new("p"), Path::new("/t"), (Path::new("o"), "1s"));
        let module = "module=/t/shims/kryoptic/release/libkryoptic_module.so";
        assert_eq!(words.last().unwrap(), module);
    }
}
