//! Folders of processes.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// An empty folder of this process, among those of one kind; or the one that it was told to use.
pub(crate) fn of_this_process(kind: &str) -> PathBuf {
    if let Some(told) = std::env::var_os(TOLD) {
        return PathBuf::from(told);
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(kind);
    let folder = place.join(std::process::id().to_string());
    fs::create_dir_all(&place).unwrap();
    // Those of processes that have ended; others may be taking them away too.
    for older in fs::read_dir(&place).unwrap() {
        let older = older.unwrap();
        if older.path() == folder || !Path::new("/proc").join(older.file_name()).exists() {
            let _taken = fs::remove_dir_all(older.path());
        }
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Tells a process which folder to use.
pub(crate) const TOLD: &str = "CUSTODY_TEST_FOLDER";
