//! What lies beside the code of a crate: its README, its changelog, what it takes over from the
//! workspace, its module files.

use toml::{Table, Value};

use super::workspace::read_text;
use super::{Member, Violation, Workspace};

/// Finds crates without a README or a changelog, and READMEs that do not say which features the
/// crate has: a table with a row for each, or the line that there are none.
///
/// A package that is never published has no reader to write for and needs neither.
#[must_use]
pub fn papers(workspace: &Workspace) -> Vec<Violation> {
    workspace.members.iter().filter(|member| member.is_published()).flat_map(papers_of).collect()
}

/// Finds crates that do not take over the lints of the workspace, or a workspace that does not
/// forbid unsafe code.
#[must_use]
pub fn lints(workspace: &Workspace) -> Vec<Violation> {
    let workspace_level = workspace
        .manifest
        .get("workspace")
        .and_then(|table| table.get("lints")?.get("rust")?.get("unsafe_code")?.as_str());
    let root = (workspace_level != Some("forbid"))
        .then(|| Violation::new("Cargo.toml", "the workspace does not forbid unsafe code"));
    let inherits = |member: &&Member| {
        let lints = member.manifest.get("lints").and_then(|table| table.get("workspace"));
        lints.and_then(Value::as_bool) != Some(true)
    };
    let members = workspace.members.iter().filter(inherits);
    let members =
        members.map(|m| Violation::new(&m.name, "does not take over the workspace lints"));
    root.into_iter().chain(members).collect()
}

/// Finds crates that do not take over the oldest Rust of the workspace, or a workspace that does
/// not name it.
#[must_use]
pub fn rust_versions(workspace: &Workspace) -> Vec<Violation> {
    let named = workspace
        .manifest
        .get("workspace")
        .and_then(|table| table.get("package")?.get("rust-version")?.as_str());
    let root = named
        .is_none()
        .then(|| Violation::new("Cargo.toml", "the workspace names no Rust version"));
    let states_its_own = |member: &&Member| {
        let package = member.manifest.get("package");
        let inherited = package.and_then(|table| table.get("rust-version")?.get("workspace"));
        inherited.and_then(Value::as_bool) != Some(true)
    };
    let members = workspace.members.iter().filter(states_its_own);
    let what = "does not take over the Rust version of the workspace";
    root.into_iter().chain(members.map(|member| Violation::new(&member.name, what))).collect()
}

/// Finds files called `mod.rs`.
#[must_use]
pub fn module_files(workspace: &Workspace) -> Vec<Violation> {
    let sources = workspace.members.iter().flat_map(Member::sources);
    let named = sources.filter(|path| path.file_name().is_some_and(|name| name == "mod.rs"));
    let what = "a module file lies beside its folder";
    named.map(|path| Violation::new(workspace.shown(&path), what)).collect()
}

fn papers_of(member: &Member) -> Vec<Violation> {
    let missing = |name: &&str| !member.folder.join(name).is_file();
    let mut found: Vec<_> = ["README.md", "CHANGELOG.md"]
        .into_iter()
        .filter(missing)
        .map(|name| Violation::new(&member.name, format!("has no {name}")))
        .collect();
    let readme = member.folder.join("README.md");
    if readme.is_file() {
        found.extend(untold_features(member, &read_text(&readme)));
    }
    found
}

fn untold_features(member: &Member, readme: &str) -> Vec<Violation> {
    let features = member.manifest.get("features").and_then(Value::as_table);
    let names = features.into_iter().flat_map(Table::keys).filter(|name| *name != "default");
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        let told = readme.lines().any(|line| line.trim() == NO_FEATURES);
        let what = format!("the README has no line `{NO_FEATURES}`");
        return (!told).then(|| Violation::new(&member.name, what)).into_iter().collect();
    }
    let listed = |name: &&String| {
        let cell = format!("| `{name}` |");
        readme.lines().any(|line| line.starts_with(&cell))
    };
    names
        .into_iter()
        .filter(|name| !listed(name))
        .map(|name| Violation::new(&member.name, format!("the README has no row `| `{name}` |`")))
        .collect()
}

const NO_FEATURES: &str = "This crate has no features.";
