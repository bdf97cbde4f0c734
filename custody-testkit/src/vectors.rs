//! The published test vectors under `vectors/` at the root of the repository.
//!
//! A missing or unreadable file panics: a test without its vectors must fail, never pass.
#![expect(clippy::panic, reason = "a test without its vectors must fail")]

use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

/// The folder that holds all vectors.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors")
}

/// The bytes of a vector file, such as `tlog/tessera-log/tile/0/000.p/1`.
///
/// # Panics
/// If the file cannot be read.
#[must_use]
pub fn bytes(path: &str) -> Vec<u8> {
    let path = folder().join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text of a vector file; a file that ends in `.gz` is unpacked.
///
/// # Panics
/// If the file cannot be read, or is no text.
#[must_use]
pub fn text(path: &str) -> String {
    let raw = bytes(path);
    let mut text = String::new();
    let read = if path.ends_with(".gz") {
        GzDecoder::new(raw.as_slice()).read_to_string(&mut text)
    } else {
        raw.as_slice().read_to_string(&mut text)
    };
    read.unwrap_or_else(|error| panic!("{path}: {error}"));
    text
}

/// The JSON of a vector file; a file that ends in `.gz` is unpacked.
///
/// # Panics
/// If the file cannot be read, or is no JSON.
#[must_use]
pub fn json(path: &str) -> serde_json::Value {
    serde_json::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
