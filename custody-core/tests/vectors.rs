//! The published vectors of every signature algorithm, through the one verification of the crate.
//! Each file's rows are counted; none is left out.
//!
//! ECDSA signatures are normalised to low s when they are read, so a valid signature verifies
//! whichever of its two s it comes with.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a vector that cannot be read must fail its test"
)]

#[path = "vectors/bip340.rs"]
mod bip340;
#[path = "vectors/ecdsa.rs"]
mod ecdsa;
#[path = "vectors/ed25519.rs"]
mod ed25519;

use serde_json::Value;

/// The text of a field.
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text {field} in {value}"))
}

/// The bytes of a field in hex.
fn bytes(value: &Value, field: &str) -> Vec<u8> {
    hex::decode(text(value, field)).unwrap()
}

/// The tests of a Wycheproof file, each with its group; as many as the file says.
fn wycheproof(path: &str, count: usize) -> Vec<(Value, Value)> {
    let file = custody_testkit::vectors::json(path);
    let mut tests = Vec::new();
    for group in file["testGroups"].as_array().unwrap() {
        let rows = group["tests"].as_array().unwrap();
        tests.extend(rows.iter().map(|test| (group.clone(), test.clone())));
    }
    assert_eq!(file["numberOfTests"], count, "{path}");
    assert_eq!(tests.len(), count, "{path}");
    tests
}
