//! Builds the libraries in C of this folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use custody_core::digest::Digest;

/// The library of this name, built with `cc` if this source of it was not built yet.
pub(crate) fn library(name: &str, linked: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let source = source.map(|folder| folder.join(format!("shims/{name}.c")));
    let source = source.into_iter().find(|path| path.is_file()).expect("the source of the shim");
    let digest = Digest::of(&fs::read(&source).unwrap()).to_string();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shims");
    let library = folder.join(format!("{name}-{digest}.so"));
    if !library.exists() {
        fs::create_dir_all(&folder).unwrap();
        let draft = folder.join(format!("{}.draft", std::process::id()));
        let mut compiler = Command::new("cc");
        compiler.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]);
        let built = compiler.arg("-o").arg(&draft).arg(&source).arg(linked).output();
        let built = built.expect("a C compiler called cc");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        fs::rename(draft, &library).unwrap();
    }
    library
}
