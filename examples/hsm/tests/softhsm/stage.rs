//! Tokens for a test, in a directory that is gone afterwards. A module is a singleton of its process
//! and reads its environment when it starts, so each test needs a process of its own.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::path::Path;

use examples_hsm::tokens::{self, Tokens};

/// Runs a test with tokens of these labels, and an empty directory.
pub(crate) fn with_tokens(labels: &[&str], test: impl AsyncFnOnce(&Path, &Tokens)) {
    let directory = tempfile::tempdir().unwrap();
    let tokens = Tokens::create(&directory.path().join("softhsm")).unwrap();
    for label in labels {
        tokens.add(label).unwrap();
    }
    temp_env::with_var(tokens::VARIABLE, Some(tokens.configuration()), || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(test(&directory.path().join("house"), &tokens));
    });
}
