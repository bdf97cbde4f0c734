//! The house rules hold in this workspace, and each check finds a planted breach.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use custody_testkit::house::{self, Violation, Workspace};
use tempfile::TempDir;

const LINTED: &str = "[lints]\nworkspace = true\n";
const README: &str = "# A crate\n\n## Features\n\nThis crate has no features.\n";

/// A small workspace on disk that keeps every rule.
struct Tree(TempDir);

/// Two examples.
const ONE: &str = "examples/one";
const TWO: &str = "examples/two";

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        let crates = ["custody-core", "custody-soft", "custody-testkit", "custody-verify"];
        let members: Vec<_> = crates.into_iter().chain(["xtask", ONE, TWO]).collect();
        let list: Vec<_> = members.iter().map(|name| format!("{name:?}")).collect();
        let list = list.join(", ");
        tree.write(
            "Cargo.toml",
            &format!(
                "[workspace]\nmembers = [{list}]\n\
                 [workspace.package]\nrust-version = \"1.95\"\n\
                 [workspace.dependencies]\nground = {{ package = \"custody-core\" }}\n\
                 [workspace.lints.rust]\nunsafe_code = \"forbid\"\n"
            ),
        );
        for name in members {
            tree.write(&format!("{name}/README.md"), README);
            tree.write(&format!("{name}/CHANGELOG.md"), "# Changelog\n");
            tree.write(&format!("{name}/src/lib.rs"), "//! A crate.\n");
            tree.manifest(name, "");
        }
        tree
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn manifest(&self, name: &str, rest: &str) {
        let text =
            format!("[package]\nname = {name:?}\nrust-version.workspace = true\n{rest}\n{LINTED}");
        self.write(&format!("{name}/Cargo.toml"), &text);
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.0.path().join(path)).unwrap();
    }

    fn check(&self, check: fn(&Workspace) -> Vec<Violation>) -> Vec<String> {
        shown(&check(&Workspace::read(self.0.path())))
    }
}

fn shown(violations: &[Violation]) -> Vec<String> {
    violations.iter().map(ToString::to_string).collect()
}

fn assert_holds(check: fn(&Workspace) -> Vec<Violation>) {
    let workspace = Workspace::ours();
    assert!(workspace.members().len() > 5, "the members were not read");
    let found = shown(&check(&workspace));
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

/// A function of this many lines, from `fn` to the closing brace.
fn function(lines: usize) -> String {
    let steps = "    step();\n".repeat(lines.saturating_sub(2));
    format!("fn long() {{\n{steps}}}\n")
}

#[test]
fn our_arrows_point_down() {
    assert_holds(house::arrows);
}

#[test]
fn our_files_and_functions_are_short() {
    assert_holds(house::sizes);
}

#[test]
fn our_crates_have_their_papers() {
    assert_holds(house::papers);
}

#[test]
fn our_crates_take_over_the_lints() {
    assert_holds(house::lints);
}

#[test]
fn our_crates_take_over_the_rust_version() {
    assert_holds(house::rust_versions);
}

#[test]
fn we_have_no_mod_rs() {
    assert_holds(house::module_files);
}

#[test]
fn a_clean_tree_passes_every_check() {
    let tree = Tree::new();
    for check in [
        house::arrows,
        house::lints,
        house::module_files,
        house::papers,
        house::rust_versions,
        house::sizes,
    ] {
        assert_eq!(tree.check(check), Vec::<String>::new());
    }
}

#[test]
fn each_arrow_out_of_the_ground_is_found() {
    let cases = [
        ("[dependencies]\ncustody-soft = \"1\"", "custody-soft"),
        ("[dependencies]\ncustody-testkit = \"1\"", "custody-testkit"),
        ("[dependencies]\nground = { workspace = true }", "custody-core"),
        ("[dev-dependencies]\ncustody-soft = \"1\"", "custody-soft"),
    ];
    for (rest, target) in cases {
        let tree = Tree::new();
        tree.manifest("custody-core", rest);
        let what = format!("custody-core: is the ground and imports {target}");
        assert_eq!(tree.check(house::arrows), [what], "{rest}");
    }
}

#[test]
fn each_arrow_to_a_sibling_is_found() {
    let soft = "custody-soft = \"1\"";
    let renamed = "x = { package = \"custody-soft\" }";
    let cases = [
        (format!("[dependencies]\n{soft}"), "imports"),
        (format!("[dependencies]\n{renamed}"), "imports"),
        (format!("[build-dependencies]\n{soft}"), "imports"),
        (format!("[target.'cfg(unix)'.dependencies]\n{soft}"), "imports"),
        (format!("[dev-dependencies]\n{soft}"), "its tests import"),
    ];
    for (rest, verb) in cases {
        let tree = Tree::new();
        tree.manifest("custody-testkit", &rest);
        let what = format!("custody-testkit: {verb} its sibling custody-soft");
        assert_eq!(tree.check(house::arrows), [what], "{rest}");
    }
}

#[test]
fn the_testkit_is_for_tests_only() {
    for section in ["dependencies", "build-dependencies"] {
        let tree = Tree::new();
        tree.manifest("custody-soft", &format!("[{section}]\ncustody-testkit = \"1\""));
        let what = "custody-soft: imports its sibling custody-testkit";
        assert_eq!(tree.check(house::arrows), [what], "{section}");
    }
}

#[test]
fn an_example_may_share_the_parts_of_another_and_nothing_else_may() {
    for from in [ONE, "custody-soft", "custody-verify", "xtask"] {
        let tree = Tree::new();
        tree.manifest(from, &format!("[dependencies]\n{TWO:?} = \"1\""));
        let what = format!("{from}: imports {TWO}, which nothing may import");
        let expected = if from == ONE { Vec::new() } else { vec![what] };
        assert_eq!(tree.check(house::arrows), expected, "{from}");
    }
    let tree = Tree::new();
    tree.manifest(ONE, "[dependencies]\nxtask = \"1\"");
    let what = format!("{ONE}: imports xtask, which nothing may import");
    assert_eq!(tree.check(house::arrows), [what]);
}

#[test]
fn each_arrow_to_a_tool_is_found() {
    for (from, to) in [("custody-soft", "xtask"), ("xtask", "custody-verify")] {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let tree = Tree::new();
            tree.manifest(from, &format!("[{section}]\n{to} = \"1\""));
            let what = format!("{from}: imports {to}, which nothing may import");
            assert_eq!(tree.check(house::arrows), [what], "{section}");
        }
    }
}

#[test]
fn each_allowed_arrow_passes() {
    let cases = [
        ("custody-core", "[dev-dependencies]\ncustody-testkit = \"1\""),
        ("custody-soft", "[dependencies]\ncustody-core = \"1\""),
        ("custody-soft", "[dependencies]\nground = { workspace = true }"),
        ("custody-soft", "[dev-dependencies]\ncustody-testkit = \"1\""),
        ("custody-testkit", "[dependencies]\ncustody-core = \"1\""),
        ("xtask", "[dependencies]\ncustody-core = \"1\"\ncustody-soft = \"1\""),
    ];
    for (name, rest) in cases {
        let tree = Tree::new();
        tree.manifest(name, rest);
        assert_eq!(tree.check(house::arrows), Vec::<String>::new(), "{name} {rest}");
    }
}

#[test]
fn a_file_of_400_lines_passes_and_one_more_is_found() {
    let tree = Tree::new();
    tree.write("custody-soft/src/long.rs", &"const X: u8 = 0;\n".repeat(400));
    assert_eq!(tree.check(house::sizes), Vec::<String>::new());
    tree.write("custody-soft/src/long.rs", &"const X: u8 = 0;\n".repeat(401));
    assert_eq!(tree.check(house::sizes), ["custody-soft/src/long.rs: 401 lines without tests"]);
}

#[test]
fn test_modules_do_not_count_as_lines_of_their_file() {
    let tree = Tree::new();
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(80));
    tree.write("custody-soft/src/long.rs", &("const X: u8 = 0;\n".repeat(399) + "\n" + &tests));
    assert_eq!(tree.check(house::sizes), Vec::<String>::new());
    let other = tests.replace("cfg(test)", "cfg(any(test, unix))");
    tree.write("custody-soft/src/long.rs", &other);
    let found = tree.check(house::sizes);
    assert_eq!(found, ["custody-soft/src/long.rs: function long: 80 lines"]);
}

#[test]
fn a_test_module_in_its_own_file_is_test_code() {
    let tree = Tree::new();
    let text = "const X: u8 = 0;\n".repeat(500) + &function(80);
    tree.write("custody-soft/src/key/tests.rs", &text);
    tree.write("custody-soft/src/key/tests/more.rs", &text);
    tree.write("custody-soft/src/key.rs", "#[cfg(test)]\nmod tests;\n");
    assert_eq!(tree.check(house::sizes), Vec::<String>::new());
    tree.write("custody-soft/src/key.rs", "mod tests;\n");
    assert_eq!(tree.check(house::sizes).len(), 4);
}

#[test]
fn a_function_of_70_lines_passes_and_one_more_is_found_wherever_it_stands() {
    let places = [
        ("", ""),
        ("mod inner {\n", "}\n"),
        ("struct S;\nimpl S {\n", "}\n"),
        ("trait T {\n", "}\n"),
        ("impl T for S {\n", "}\n"),
    ];
    for (before, after) in places {
        let tree = Tree::new();
        tree.write("custody-soft/src/x.rs", &format!("{before}{}{after}", function(70)));
        assert_eq!(tree.check(house::sizes), Vec::<String>::new(), "{before}");
        tree.write("custody-soft/src/x.rs", &format!("{before}{}{after}", function(71)));
        let found = tree.check(house::sizes);
        assert_eq!(found, ["custody-soft/src/x.rs: function long: 71 lines"], "{before}");
    }
}

#[test]
fn the_docs_of_a_function_do_not_count_and_its_where_clause_does() {
    let tree = Tree::new();
    let documented = "/// A line.\n".repeat(60) + "#[must_use]\npub " + &function(70);
    tree.write("custody-soft/src/x.rs", &documented);
    assert_eq!(tree.check(house::sizes), Vec::<String>::new());
    let bounded = function(70).replace("long() {", "long<T>()\nwhere\n    T: Copy,\n{");
    tree.write("custody-soft/src/x.rs", &bounded);
    assert_eq!(tree.check(house::sizes), ["custody-soft/src/x.rs: function long: 73 lines"]);
}

#[test]
fn files_in_a_tests_folder_may_be_long_and_examples_may_not() {
    let tree = Tree::new();
    tree.write("custody-soft/tests/x.rs", &function(500));
    assert_eq!(tree.check(house::sizes), Vec::<String>::new());
    tree.write("custody-soft/examples/x.rs", &function(71));
    let found = tree.check(house::sizes);
    assert_eq!(found, ["custody-soft/examples/x.rs: function long: 71 lines"]);
}

#[test]
fn each_missing_paper_is_found() {
    for name in ["README.md", "CHANGELOG.md"] {
        let tree = Tree::new();
        tree.remove(&format!("custody-soft/{name}"));
        assert_eq!(tree.check(house::papers), [format!("custody-soft: has no {name}")]);
    }
}

#[test]
fn a_package_that_is_never_published_needs_no_papers() {
    let tree = Tree::new();
    tree.remove("xtask/README.md");
    tree.remove("xtask/CHANGELOG.md");
    assert_eq!(tree.check(house::papers).len(), 2);
    tree.manifest("xtask", "publish = false");
    assert_eq!(tree.check(house::papers), Vec::<String>::new());
}

#[test]
fn a_feature_that_the_readme_does_not_list_is_found() {
    let tree = Tree::new();
    tree.manifest("custody-soft", "[features]\ndefault = []\ntokio = []\n");
    let missing = ["custody-soft: the README has no row `| `tokio` |`"];
    assert_eq!(tree.check(house::papers), missing);
    tree.write("custody-soft/README.md", "The feature `tokio` is good.\n");
    assert_eq!(tree.check(house::papers), missing);
    tree.write("custody-soft/README.md", "| feature | adds |\n|---|---|\n| `tokio` | a clock |\n");
    assert_eq!(tree.check(house::papers), Vec::<String>::new());
}

#[test]
fn a_crate_that_does_not_say_that_it_has_no_features_is_found() {
    let untold = ["custody-soft: the README has no line `This crate has no features.`"];
    for features in ["", "[features]\ndefault = []\n"] {
        let tree = Tree::new();
        tree.manifest("custody-soft", features);
        assert_eq!(tree.check(house::papers), Vec::<String>::new());
        tree.write("custody-soft/README.md", "# A crate\n");
        assert_eq!(tree.check(house::papers), untold, "{features}");
    }
}

#[test]
fn a_crate_with_a_rust_version_of_its_own_is_found() {
    let found = "custody-soft: does not take over the Rust version of the workspace";
    for version in ["", "rust-version = \"1.80\"\n", "rust-version.workspace = false\n"] {
        let tree = Tree::new();
        let manifest = format!("[package]\nname = \"custody-soft\"\n{version}{LINTED}");
        tree.write("custody-soft/Cargo.toml", &manifest);
        assert_eq!(tree.check(house::rust_versions), [found], "{version}");
    }
}

#[test]
fn a_workspace_without_a_rust_version_is_found() {
    let tree = Tree::new();
    let path = tree.0.path().join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("rust-version", "homepage")).unwrap();
    assert_eq!(
        tree.check(house::rust_versions),
        ["Cargo.toml: the workspace names no Rust version"]
    );
}

#[test]
fn a_crate_without_the_workspace_lints_is_found() {
    for lints in ["", "[lints]\nworkspace = false\n", "[lints.rust]\nunsafe_code = \"allow\"\n"] {
        let tree = Tree::new();
        tree.write(
            "custody-soft/Cargo.toml",
            &format!("[package]\nname = \"custody-soft\"\n{lints}"),
        );
        let found = tree.check(house::lints);
        assert_eq!(found, ["custody-soft: does not take over the workspace lints"], "{lints}");
    }
}

#[test]
fn a_workspace_that_does_not_forbid_unsafe_code_is_found() {
    let tree = Tree::new();
    let path = tree.0.path().join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap();
    for weaker in ["deny", "warn", "allow"] {
        fs::write(&path, text.replace("forbid", weaker)).unwrap();
        let found = tree.check(house::lints);
        assert_eq!(found, ["Cargo.toml: the workspace does not forbid unsafe code"], "{weaker}");
    }
}

#[test]
fn a_mod_rs_is_found_in_every_folder() {
    for path in ["custody-soft/src/key/mod.rs", "custody-soft/tests/support/mod.rs"] {
        let tree = Tree::new();
        tree.write(path, "");
        let found = tree.check(house::module_files);
        assert_eq!(found, [format!("{path}: a module file lies beside its folder")]);
    }
}

#[test]
#[should_panic(expected = "Cargo.toml")]
fn a_tree_that_cannot_be_read_does_not_pass() {
    let _ = Workspace::read(Path::new("no-such-folder"));
}
