//! The real backends, their peers and the governed path, wired into `custody-bench`.

mod crypto;
mod governor;
mod http;
mod kms;
mod pkcs11;
mod software;

use std::collections::BTreeMap;

use custody_bench::harness::environment::Build;
use custody_bench::harness::{Backends, Bench};

pub use governor::House;

/// All that this program measures. A program of yours adds its own to [`backends`].
#[must_use]
pub fn bench() -> Bench {
    Bench::new(backends(), build()).with_governor(House).with_peer_file(http::read)
}

/// The backends of the family.
#[must_use]
pub fn backends() -> Backends {
    Backends::new()
        .with(software::Software)
        .with(pkcs11::Module)
        .with(pkcs11::SoftHsm)
        .with(pkcs11::Kryoptic)
        .with(pkcs11::OpenCryptoki)
        .with(kms::Native)
        .with(kms::Sealed)
}

/// How this program was built, and from which versions of what is measured.
fn build() -> Build {
    let features = [
        ("libsecp256k1", cfg!(feature = "libsecp256k1")),
        ("mimalloc", cfg!(feature = "mimalloc")),
    ];
    let features = features.into_iter().filter(|(_, is_on)| *is_on);
    Build {
        compiler: env!("BENCHES_COMPILER").to_owned(),
        flags: env!("BENCHES_FLAGS").to_owned(),
        profile: env!("BENCHES_PROFILE").to_owned(),
        features: features.map(|(name, _)| name.to_owned()).collect(),
        commit: env!("BENCHES_COMMIT").to_owned(),
        crates: locked(include_str!("../../Cargo.lock")),
    }
}

/// The versions that the lock file has of what is measured; all of them, if there are several.
fn locked(lock: &str) -> BTreeMap<String, String> {
    let value = |line: &str, name: &str| {
        Some(line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"')?.to_owned())
    };
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut name = None;
    for line in lock.lines() {
        if let Some(next) = value(line, "name") {
            name = CRATES.contains(&next.as_str()).then_some(next);
        } else if let (Some(version), Some(name)) = (value(line, "version"), name.take()) {
            let known = found.entry(name).or_default();
            let separator = if known.is_empty() { "" } else { ", " };
            known.push_str(&format!("{separator}{version}"));
        }
    }
    found
}

const CRATES: [&str; 14] = [
    "aws-lc-rs",
    "aws-sdk-kms",
    "cedar-policy",
    "cryptoki",
    "custody-bench",
    "custody-core",
    "ed25519-dalek",
    "hdrhistogram",
    "k256",
    "mimalloc",
    "p256",
    "rusqlite",
    "secp256k1",
    "tokio",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        let lock = "[[package]]\nname = \"k256\"\nversion = \"0.13.4\"\n\n[[package]]\n\
                    name = \"other\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"k256\"\n\
                    version = \"0.14.0\"\n";
        let expected = BTreeMap::from([("k256".to_owned(), "0.13.4, 0.14.0".to_owned())]);
        assert_eq!(locked(lock), expected);
        assert!(build().crates.contains_key("tokio"));
    }
}
