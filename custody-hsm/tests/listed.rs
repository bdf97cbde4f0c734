//! `HAZARDS.md` names tests that exist.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::path::Path;

/// The text of all sources below a folder.
fn sources(folder: &Path) -> String {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = paths.map(|path| match path.is_dir() {
        true => sources(&path),
        false => std::fs::read_to_string(path).unwrap(),
    });
    texts.collect()
}

#[test]
fn each_test_that_hazards_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [root.join("src"), root.join("tests"), root.join("../custody-testkit/src/suite")];
    let texts = folders.map(|folder| sources(&folder)).concat();
    let hazards = std::fs::read_to_string(root.join("HAZARDS.md")).unwrap();
    let rows = hazards.lines().filter(|line| line.starts_with("| ")).skip(1);
    let named: Vec<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 40, "{}", named.len());
    for name in named {
        assert!(texts.contains(&format!("fn {name}(")), "{name}");
    }
}
