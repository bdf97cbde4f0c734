//! The backend of the example passes the whole suite, and stays short.
#![expect(clippy::unwrap_used, reason = "a fixture fails by panicking")]

#[path = "../custom_backend/backend.rs"]
mod backend;

use std::sync::Arc;

use custody_core::id::{BackendId, BackendIdentity};
use custody_core::seam::KeyBackend;
use custody_testkit::suite::key_backend::{KeyBackendFixture, KeyLifetime};
use hmac::{Hmac, KeyInit as _};

mod suite {
    custody_testkit::key_backend_suite!(super::fixture());
}

#[test]
fn it_is_under_60_lines() {
    let lines = include_str!("../custom_backend/backend.rs").lines();
    assert!(lines.clone().count() < 60, "{} lines", lines.clone().count());
    for line in lines {
        assert!(line.len() <= 100, "{line}");
    }
}

/// Keys are where the master is: a backend made anew over it has the same ones.
fn fixture() -> KeyBackendFixture {
    let again = || Box::pin(async { backend("master", b"a master of tests") }) as _;
    KeyBackendFixture::new(
        backend("master", b"a master of tests"),
        backend("other", b"another master"),
        KeyLifetime::Backend,
    )
    .with_reopen(again)
}

fn backend(identity: &str, master: &[u8]) -> Arc<dyn KeyBackend> {
    Arc::new(backend::MasterBackend(
        BackendId::parse("master").unwrap(),
        BackendIdentity::parse(identity).unwrap(),
        Hmac::new_from_slice(master).unwrap(),
    ))
}
