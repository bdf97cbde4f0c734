//! What stands in for AWS KMS. What each does and does not do as AWS does is told in
//! `../stand-ins/README.md`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// Proof of who one is.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: Option<String>,
}

/// An account of AWS of its own: in no other one is anything of it seen. There is one for each
/// number of twelve digits.
#[derive(Debug)]
pub(crate) struct Account(String);

impl Account {
    /// One that nobody else uses.
    pub(crate) fn new() -> Self {
        let random = RandomState::new().build_hasher().finish();
        // It does not begin with 0, so that it stays one when it is read as a number.
        let number = random.checked_rem(FIRST_ID.saturating_mul(9)).unwrap();
        Self(FIRST_ID.saturating_add(number).to_string())
    }

    pub(crate) fn id(&self) -> &str {
        &self.0
    }

    /// Its root as none of them checks it: it may do everything, whatever a key policy says, with
    /// any secret and at any time.
    pub(crate) fn root(&self) -> Credentials {
        let secret_access_key = "unchecked".to_owned();
        let access_key_id = self.0.clone();
        Credentials { access_key_id, secret_access_key, session_token: None }
    }
}

/// What `cargo xtask test` says about a stand-in.
pub(crate) fn told(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run `cargo xtask test custody-kms`"))
}

const FIRST_ID: u64 = 100_000_000_000;
