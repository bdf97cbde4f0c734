//! Debian 13 in a folder, in which tests run over openCryptoki. That of Debian 12 is too old: its
//! soft tokens have no elliptic curves.
//!
//! **Invariant:** each command has namespaces of its own, so that no mount and no daemon is left
//! when it ends, however it ends.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::process::succeeded;
use crate::project::Project;
use crate::setup::{install, is_there};

/// Runs a program in it, with new tokens; whether it succeeded.
pub(crate) fn run(words: &[String]) -> Result<bool, String> {
    let project = Project::read().map_err(|error| error.to_string())?;
    let system = System::prepare(&project.target)?;
    let (program, arguments) = system.runner.split_first().ok_or("there is no runner")?;
    let status = Command::new(program).args(arguments).args(words).status();
    status.map(|status| status.success()).map_err(|error| error.to_string())
}

/// The folder, and how a program is run in it.
pub(crate) struct System {
    /// What stands before the program.
    runner: Vec<String>,
}

impl System {
    /// Makes it below `target` unless it is there, and tries it. The error says why no test can run
    /// in it: on this machine, or now.
    pub(crate) fn prepare(target: &Path) -> Result<Self, String> {
        // Tried first, for where this is not allowed nothing need be fetched.
        succeeded(Command::new("unshare").args(NAMESPACES).arg("true"))
            .map_err(|reason| format!("cannot mount in a namespace: {reason}"))?;
        let folder = target.join(FOLDER);
        if !folder.exists() {
            tools()?;
            println!("Debian 13 with openCryptoki is missing: making it, which takes a minute");
            make(&folder, MIRROR)?;
        }
        let system = Self::new(target);
        let (program, arguments) = system.runner.split_first().ok_or("there is no runner")?;
        succeeded(Command::new(program).args(arguments).arg("true"))?;
        Ok(system)
    }

    fn new(target: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCRIPT);
        let paths = [&script, &target.join(FOLDER), target].map(|path| path.display().to_string());
        let words = ["unshare"].iter().chain(&NAMESPACES).chain(&["sh"]).copied();
        Self { runner: words.map(str::to_owned).chain(paths).collect() }
    }

    /// As the configuration of cargo that makes it run each test in here.
    pub(crate) fn configuration(&self) -> String {
        // A list of strings in JSON is one in TOML.
        let runner = serde_json::Value::from(self.runner.as_slice());
        format!("target.\"cfg(all())\".runner = {runner}")
    }
}

fn tools() -> Result<(), String> {
    if is_there("debootstrap") && Path::new(KEYS).exists() {
        return Ok(());
    }
    println!("debootstrap or the keys of Debian are missing: installing them");
    install(&["debootstrap", "debian-archive-keyring"], "install debootstrap")
}

/// Makes the folder. Under its name it is whole: a draft that was not finished is made anew.
fn make(folder: &Path, mirror: &str) -> Result<(), String> {
    let draft = folder.with_extension("draft");
    let reason = |error: io::Error| format!("{}: {error}", draft.display());
    if draft.exists() {
        fs::remove_dir_all(&draft).map_err(reason)?;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "timeout", LIMIT, "debootstrap", "--variant=minbase"]);
    command.args(["--include=opencryptoki", "--force-check-gpg", "--keyring", KEYS, "trixie"]);
    succeeded(command.arg(&draft).arg(mirror))?;
    fs::rename(&draft, folder).map_err(reason)
}

/// Whoever changes what is in it gives it another name.
const FOLDER: &str = "trixie-opencryptoki";
const MIRROR: &str = "http://deb.debian.org/debian";
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// How long the making may take, in seconds.
const LIMIT: &str = "600";
const NAMESPACES: [&str; 5] = ["--mount", "--pid", "--ipc", "--fork", "--kill-child"];
const SCRIPT: &str = "../shims/opencryptoki/enter.sh";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_the_folder_and_what_is_shared_with_it() {
        let text = System::new(Path::new("/a folder/target")).configuration();
        let (key, list) = text.split_once(" = ").unwrap();
        assert_eq!(key, "target.\"cfg(all())\".runner");
        let words: Vec<String> = serde_json::from_str(list).unwrap();
        assert_eq!(words[0], "unshare");
        let paths = ["/a folder/target/trixie-opencryptoki", "/a folder/target"];
        assert_eq!(words[words.len() - 2..], paths);
        assert!(Path::new(&words[words.len() - 3]).is_file(), "{words:?}");
    }

    #[test]
    fn what_could_not_be_made_is_not_taken_for_done() {
        let target = tempfile::tempdir().unwrap();
        let folder = target.path().join(FOLDER);
        let cut_off = folder.with_extension("draft").join("half");
        fs::create_dir_all(&cut_off).unwrap();
        assert!(make(&folder, "file:///no-such-mirror").is_err());
        assert!(!folder.exists() && !cut_off.exists());
    }
}
