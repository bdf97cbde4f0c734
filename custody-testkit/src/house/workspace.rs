//! The workspace as its manifests and folders describe it.
#![expect(clippy::panic, reason = "a check of a tree that cannot be read must fail")]

use std::path::{Path, PathBuf};

use toml::Table;

/// A workspace: its root manifest and its members.
#[derive(Clone, Debug)]
pub struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) manifest: Table,
    pub(crate) members: Vec<Member>,
}

/// One package of a workspace.
#[derive(Clone, Debug)]
pub struct Member {
    /// The path from the root, such as `examples/start`.
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) manifest: Table,
}

impl Workspace {
    /// Reads the workspace whose root manifest lies in `root`.
    ///
    /// # Panics
    /// If a manifest is missing or no valid manifest.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let manifest = read_manifest(root);
        let paths = manifest.get("workspace").and_then(|table| table.get("members"));
        let paths = paths.and_then(toml::Value::as_array);
        let paths = paths.unwrap_or_else(|| panic!("{}: no members", root.display()));
        let members =
            paths.iter().filter_map(toml::Value::as_str).map(|path| Member::read(root, path));
        let members = members.collect();
        Self { root: root.to_owned(), manifest, members }
    }

    /// The workspace this crate is part of.
    ///
    /// # Panics
    /// If a manifest is missing or no valid manifest.
    #[must_use]
    pub fn ours() -> Self {
        Self::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
    }

    /// The members, in the order of the root manifest.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// A path as it is shown in a violation.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string().replace('\\', "/")
    }
}

impl Member {
    fn read(root: &Path, path: &str) -> Self {
        let folder = root.join(path);
        let manifest = read_manifest(&folder);
        let name = manifest.get("package").and_then(|package| package.get("name"));
        let name = name.and_then(toml::Value::as_str);
        let name = name.unwrap_or_else(|| panic!("{path}: a package without a name")).to_owned();
        Self { path: path.to_owned(), name, folder, manifest }
    }

    /// The name of the package.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the package goes to a registry.
    pub(crate) fn is_published(&self) -> bool {
        let publish = self.manifest.get("package").and_then(|package| package.get("publish"));
        publish.and_then(toml::Value::as_bool).unwrap_or(true)
    }

    /// Every Rust file of the package, sorted.
    pub(crate) fn sources(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect_sources(&self.folder, &mut found);
        found.sort();
        found
    }
}

fn read_manifest(folder: &Path) -> Table {
    let path = folder.join("Cargo.toml");
    read_text(&path).parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn collect_sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).path();
        if path.is_dir() {
            // A nested package is a member of its own, or none of ours.
            if !path.ends_with("target") && !path.join("Cargo.toml").exists() {
                collect_sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

pub(crate) fn read_text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
