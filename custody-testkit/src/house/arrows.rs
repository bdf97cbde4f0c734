//! Which of our packages may import which.

use toml::{Table, Value};

use super::{Member, Violation, Workspace};

/// Finds every dependency between members that the design does not allow.
///
/// The ground imports none of ours, a library crate imports the ground only, both may use the
/// testkit in their tests, and nothing imports a tool, an example or a bench, but for an example that
/// shares the parts of another.
#[must_use]
pub fn arrows(workspace: &Workspace) -> Vec<Violation> {
    let judge = |(from, arrow): (&Member, Arrow)| {
        let target = workspace.members.iter().find(|member| member.name == arrow.to)?;
        let share = is_example(from) && is_example(target);
        let what = reason(from, &arrow, is_top(target) && !share)?;
        Some(Violation::new(&from.name, what))
    };
    let from = |member| arrows_of(workspace, member).into_iter().map(move |arrow| (member, arrow));
    workspace.members.iter().flat_map(from).filter_map(judge).collect()
}

struct Arrow {
    to: String,
    for_tests: bool,
}

fn reason(from: &Member, arrow: &Arrow, to_top: bool) -> Option<String> {
    let to = &arrow.to;
    if to_top {
        return Some(format!("imports {to}, which nothing may import"));
    }
    if is_top(from) || (arrow.for_tests && to == TESTKIT) {
        return None;
    }
    if from.name == CORE {
        return Some(format!("is the ground and imports {to}"));
    }
    let section = if arrow.for_tests { "its tests import" } else { "imports" };
    (to != CORE).then(|| format!("{section} its sibling {to}"))
}

/// Tools, examples and benches: they may import everything, and nothing imports them.
fn is_top(member: &Member) -> bool {
    let room = member.path.split('/').next().unwrap_or_default();
    TOP.contains(&room)
}

fn is_example(member: &Member) -> bool {
    member.path.starts_with("examples/")
}

fn arrows_of(workspace: &Workspace, member: &Member) -> Vec<Arrow> {
    let per_target = member.manifest.get("target").and_then(Value::as_table);
    let per_target = per_target.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    let mut found = Vec::new();
    for table in std::iter::once(&member.manifest).chain(per_target) {
        for (section, for_tests) in SECTIONS {
            let entries = table.get(section).and_then(Value::as_table);
            for (key, entry) in entries.into_iter().flatten() {
                found.push(Arrow { to: package_name(workspace, key, entry), for_tests });
            }
        }
    }
    found
}

/// The package behind a dependency, which may carry another name in the manifest.
fn package_name(workspace: &Workspace, key: &str, entry: &Value) -> String {
    let renamed = |entry: &Value| entry.get("package")?.as_str().map(str::to_owned);
    let shared = || {
        let dependencies = workspace.manifest.get("workspace")?.get("dependencies")?;
        renamed(dependencies.get(key)?)
    };
    renamed(entry).or_else(shared).unwrap_or_else(|| key.to_owned())
}

const CORE: &str = "custody-core";
const TESTKIT: &str = "custody-testkit";
const TOP: [&str; 7] =
    ["benches", "custody-kills", "custody-sim", "custody-verify", "examples", "fuzz", "xtask"];
const SECTIONS: [(&str, bool); 3] =
    [("build-dependencies", false), ("dependencies", false), ("dev-dependencies", true)];
