//! Pythons of this machine, and environments of them below `target/`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A Python of just this version ("3.13") that runs: the one in the path, or one of pyenv's.
pub(crate) fn find(version: &str) -> Option<PathBuf> {
    let name = format!("python{version}");
    let pyenv = env::var_os("PYENV_ROOT").map(PathBuf::from);
    let pyenv = pyenv.or_else(|| Some(env::home_dir()?.join(".pyenv")));
    let versions = pyenv.and_then(|folder| fs::read_dir(folder.join("versions")).ok());
    let versions = versions.into_iter().flatten().flatten();
    let versions = versions.map(|entry| entry.path().join("bin").join(&name));
    first([PathBuf::from(&name)].into_iter().chain(versions), version)
}

/// The first of these that runs and says that it is of this version.
fn first(mut candidates: impl Iterator<Item = PathBuf>, version: &str) -> Option<PathBuf> {
    let says_so = |output: Output| {
        output.status.success() && String::from_utf8_lossy(&output.stdout).trim() == version
    };
    candidates.find(|python| {
        let mut command = Command::new(python);
        command.args(["-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"]);
        command.output().is_ok_and(says_so)
    })
}

/// Makes an environment of this Python with the packages of a file, and no others, unless it is
/// there. `install` is tried if a first attempt to make it fails.
pub(crate) fn make(
    python: &Path,
    folder: &Path,
    wanted: &Path,
    install: fn() -> Result<(), String>,
) -> Result<(), String> {
    let text = fs::read(wanted).map_err(|error| format!("{}: {error}", wanted.display()))?;
    let installed = folder.join("requirements.txt");
    if fs::read(&installed).is_ok_and(|there| there == text) {
        return Ok(());
    }
    println!("the packages of {} are missing: installing them", wanted.display());
    let venv = || {
        let mut command = Command::new(python);
        command.args(["-m", "venv", "--clear"]).arg(folder);
        command
    };
    if !venv().output().is_ok_and(|output| output.status.success()) {
        install()?;
        run(venv(), "python3 -m venv")?;
    }
    let mut pip = Command::new(program(folder));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.arg("--requirement").arg(wanted);
    run(pip, "pip install")?;
    fs::write(installed, text).map_err(|error| error.to_string())
}

/// The Python of an environment.
pub(crate) fn program(folder: &Path) -> PathBuf {
    folder.join("bin/python")
}

fn run(mut command: Command, name: &str) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) | Err(_) => Err(format!("`{name}` failed; install Python 3 with venv and pip")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_python_that_does_not_run_or_is_of_another_version_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let found = |names: &[&PathBuf]| first(names.iter().map(|path| (*path).clone()), "3.13");
        let absent = folder.path().join("absent");
        // What pyenv puts in the path for a version that is not chosen.
        let shim = script(folder.path(), "shim", "echo 3.13; exit 127");
        let other = script(folder.path(), "other", "echo 3.11");
        let right = script(folder.path(), "right", "echo 3.13");
        assert_eq!(found(&[&absent, &shim, &other, &right]), Some(right));
        assert_eq!(found(&[&absent, &shim, &other]), None);
        assert_eq!(found(&[]), None);
    }

    #[test]
    fn an_environment_that_is_there_is_not_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let (wanted, there) = (folder.path().join("wanted.txt"), folder.path().join("there"));
        fs::create_dir(&there).unwrap();
        for file in [&wanted, &there.join("requirements.txt")] {
            fs::write(file, "one==1\n").unwrap();
        }
        let make = || make(Path::new("no-such-python"), &there, &wanted, || Err("no".to_owned()));
        assert_eq!(make(), Ok(()));
        fs::write(&wanted, "one==2\n").unwrap();
        assert_eq!(make(), Err("no".to_owned()));
    }

    #[test]
    fn an_environment_that_could_not_be_filled_is_not_taken_for_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (wanted, made) = (folder.path().join("wanted.txt"), folder.path().join("made"));
        fs::write(&wanted, "one==1\n").unwrap();
        // It makes the folder, as venv does, with a Python that fails.
        let text = "mkdir -p \"$4/bin\" && ln -s /bin/false \"$4/bin/python\"";
        let python = script(folder.path(), "python", text);
        let result = make(&python, &made, &wanted, || Ok(()));
        assert!(result.unwrap_err().starts_with("`pip install` failed"));
        assert!(program(&made).exists() && !made.join("requirements.txt").exists());
    }
}
