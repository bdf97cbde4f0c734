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
use serde::Deserialize;

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

/// The versions that the lock file has of what is measured. If it has several, the one that this
/// package itself names; all of them, if it names none.
fn locked(lock: &str) -> BTreeMap<String, String> {
    let Ok(lock) = toml::from_str::<Lock>(lock) else { return BTreeMap::new() };
    let own = lock.package.iter().find(|package| package.name == env!("CARGO_PKG_NAME"));
    // Where there are several, an entry is the name and the version.
    let named: Vec<_> = own
        .map(|own| own.dependencies.iter().filter_map(|entry| entry.split_once(' ')).collect())
        .unwrap_or_default();
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for package in lock.package.iter().filter(|package| CRATES.contains(&package.name.as_str())) {
        let is_other =
            |(name, version): &(&str, &str)| *name == package.name && *version != package.version;
        if named.iter().any(is_other) {
            continue;
        }
        let known = found.entry(package.name.clone()).or_default();
        let separator = if known.is_empty() { "" } else { ", " };
        known.push_str(&format!("{separator}{}", package.version));
    }
    found
}

/// The lock file of Cargo, as far as it is read.
#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    #[serde(default)]
    dependencies: Vec<String>,
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
        let package = |name: &str, version: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n\n")
        };
        let lock = [("k256", "0.13.4"), ("other", "1.0.0"), ("k256", "0.14.0"), ("tokio", "1.1.0")]
            .map(|(name, version)| package(name, version))
            .concat();
        let all = [("k256", "0.13.4, 0.14.0"), ("tokio", "1.1.0")];
        let expected = |crates: [(&str, &str); 2]| {
            BTreeMap::from(crates.map(|(name, version)| (name.to_owned(), version.to_owned())))
        };
        assert_eq!(locked(&lock), expected(all));
        let own = package("benches", "0.1.0") + "dependencies = [\"k256 0.14.0\", \"tokio\"]\n";
        assert_eq!(locked(&(lock + &own)), expected([("k256", "0.14.0"), ("tokio", "1.1.0")]));
        let built = build().crates;
        assert!(built.contains_key("tokio") && !built["k256"].contains(','), "{built:?}");
    }
}
