//! The copy of the workspace that mutants are put into.
//!
//! It has a target folder of its own. Files that did not change are left alone, so that what was
//! built of them stays good.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::MutantsError;
use super::patch::Mutant;
use crate::process::cargo;
use crate::project::Package;
use crate::stand_in::StandIns;

/// The copy, and the workspace it is a copy of.
pub(crate) struct Tree {
    source: PathBuf,
    folder: PathBuf,
    /// What runs beside the tests in the copy.
    stand_ins: Option<StandIns>,
}

impl Tree {
    /// Makes `folder` a copy of the workspace at `source`. If files had to be written for that,
    /// what was known about the copy is forgotten. Its `packages` are built fast rather than well,
    /// their dependencies as always.
    pub(crate) fn copy(source: &Path, folder: &Path, packages: &[Package]) -> io::Result<Self> {
        let tree = Self { source: source.to_owned(), folder: folder.to_owned(), stand_ins: None };
        let changed = copy_folder(source, folder, Path::new(""))?;
        let config = fs::read_to_string(source.join(CONFIG))?;
        let fast = packages
            .iter()
            .map(|package| format!("\n[profile.ci.package.{}]\nopt-level = 0\n", package.name));
        let fast: String = [config].into_iter().chain(fast).collect();
        let written = write_if_other(&folder.join(CONFIG), fast)?;
        if changed > 0 || written {
            drop(fs::remove_dir_all(tree.marks()));
        }
        Ok(tree)
    }

    /// The same, with what its tests need beside them.
    pub(crate) fn beside(self, stand_ins: Option<StandIns>) -> Self {
        Self { stand_ins, ..self }
    }

    /// Whether it is known that these tests pass without a mutant.
    pub(crate) fn is_fit(&self, tests: &str) -> bool {
        self.marks().join(tests).exists()
    }

    /// Notes that these tests pass without a mutant.
    pub(crate) fn set_fit(&self, tests: &str) -> io::Result<()> {
        fs::create_dir_all(self.marks())?;
        fs::write(self.marks().join(tests), "")
    }

    fn marks(&self) -> PathBuf {
        self.folder.with_extension("fit")
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts a mutant into the copy.
    pub(crate) fn apply(&self, mutant: &Mutant) -> Result<(), MutantsError> {
        let failed = |error| MutantsError::Patch { name: mutant.name.clone(), error };
        for (path, text) in mutant.files(&self.source).map_err(failed)? {
            fs::write(self.folder.join(path), text)?;
        }
        Ok(())
    }

    /// Takes it out again. The files are new, so that nothing that was built with it is believed.
    pub(crate) fn restore(&self, mutant: &Mutant) -> io::Result<()> {
        for change in &mutant.changes {
            let text = fs::read(self.source.join(&change.path))?;
            fs::write(self.folder.join(&change.path), text)?;
        }
        Ok(())
    }

    /// A cargo that works in the copy.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.folder);
        command.env("CARGO_TARGET_DIR", self.folder.with_file_name("target"));
        command.env("CARGO_TERM_COLOR", "never").env("INSTA_UPDATE", "no");
        if let Some(stand_ins) = &self.stand_ins {
            stand_ins.tell(&mut command);
        }
        command
    }
}

/// Makes `to` have exactly the files of `from`, but for what was built, here or by fuzzing. How many
/// of those that matter had to be written.
fn copy_folder(from: &Path, to: &Path, inside: &Path) -> io::Result<usize> {
    let is_left_out = |name: &std::ffi::OsStr| {
        inside.as_os_str().is_empty() && [".git", "target"].iter().any(|left| name == *left)
    };
    fs::create_dir_all(to)?;
    let mut changed = 0_usize;
    for entry in fs::read_dir(from)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let is_built = path.join(BUILT).exists();
        if is_left_out(&name) || is_built || inside.join(&name) == Path::new(CONFIG) {
            continue;
        }
        let copy = to.join(&name);
        if path.is_dir() {
            let more = copy_folder(&path, &copy, &inside.join(&name))?;
            changed = changed.saturating_add(more);
        } else if write_if_other(&copy, &fs::read(&path)?)? && matters(&inside.join(&name)) {
            changed = changed.saturating_add(1);
        }
    }
    for entry in fs::read_dir(to)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if is_left_out(&name) || from.join(&name).exists() {
            continue;
        }
        if path.is_dir() {
            fs::remove_dir_all(&path)?
        } else {
            fs::remove_file(&path)?
        }
        changed = changed.saturating_add(1);
    }
    Ok(changed)
}

/// Whether a file can change what a test of a crate says.
fn matters(path: &Path) -> bool {
    let is_apart = ["docs", "xtask", super::patch::FOLDER].iter().any(|at| path.starts_with(at));
    !is_apart && path.extension().is_none_or(|extension| extension != "md")
}

fn write_if_other(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<bool> {
    if fs::read(path).is_ok_and(|found| found == bytes.as_ref()) {
        return Ok(false);
    }
    fs::write(path, bytes)?;
    Ok(true)
}

const CONFIG: &str = ".cargo/config.toml";
/// By this file, folders of what was built are known (<https://bford.info/cachedir/>).
const BUILT: &str = "CACHEDIR.TAG";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_follows_its_source_and_keeps_what_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (source, copy) = (folder.path().join("source"), folder.path().join("copy"));
        fs::create_dir_all(source.join(".cargo")).unwrap();
        fs::create_dir_all(source.join("target")).unwrap();
        fs::create_dir_all(source.join("src/target")).unwrap();
        fs::write(source.join(CONFIG), "[alias]\n").unwrap();
        fs::write(source.join("src/a.rs"), "a").unwrap();
        fs::write(source.join("src/target/b.rs"), "b").unwrap();
        fs::write(source.join("target/built"), "built").unwrap();
        fs::create_dir_all(source.join("src/built")).unwrap();
        fs::write(source.join("src/built").join(BUILT), "Signature").unwrap();
        let made = || Tree::copy(&source, &copy, &[]).unwrap();
        let tree = made();
        assert!(!tree.is_fit("some"));
        tree.set_fit("some").unwrap();
        let written = fs::metadata(copy.join("src/a.rs")).unwrap().modified().unwrap();
        assert!(made().is_fit("some") && !made().is_fit("others"));
        assert_eq!(fs::metadata(copy.join("src/a.rs")).unwrap().modified().unwrap(), written);
        assert!(copy.join("src/target/b.rs").exists() && !copy.join("target").exists());
        assert!(!copy.join("src/built").exists());
        assert!(fs::read_to_string(copy.join(CONFIG)).unwrap().starts_with("[alias]\n"));
        tree.set_fit("some").unwrap();
        fs::create_dir_all(source.join("docs")).unwrap();
        fs::write(source.join("docs/a.rs"), "no test reads it").unwrap();
        fs::write(source.join("src/README.md"), "nor this").unwrap();
        assert!(made().is_fit("some"));
        fs::write(copy.join("src/a.rs"), "mutant").unwrap();
        fs::write(copy.join("src/left.rs"), "left over").unwrap();
        assert!(!made().is_fit("some"), "what was known is forgotten");
        assert_eq!(fs::read_to_string(copy.join("src/a.rs")).unwrap(), "a");
        assert!(!copy.join("src/left.rs").exists());
    }
}
