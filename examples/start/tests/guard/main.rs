//! What must never be released, and what must never be done without its quorum: the whole custodian
//! against its own people, its own rules, its own backend and its own store.
//!
//! Each attack ends with the number of signatures that a backend was asked for.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests: a check fails by panicking"
)]

#[expect(dead_code, reason = "not every test binary uses all of it")]
#[path = "../world/world.rs"]
mod world;

mod adapters;
mod anchors;
mod approvals;
mod authority;
mod commands;
mod doubles;
mod fields;
mod host;
mod incidents;
mod keys;
mod liars;
mod logins;
mod many_tasks;
mod no_snapshots;
mod policies;
mod psbts;
mod records;
mod resealing;
mod resolving;
mod rules;
mod sealed;
mod solana_adapters;
mod solana_keychain;
mod stream;

use custody_core::custodian::{Answer, Outcome};

#[track_caller]
fn assert_pending(answer: &Answer) {
    assert!(matches!(answer.outcome, Outcome::Pending { .. }), "{:?}", answer.outcome);
}

#[track_caller]
fn assert_released(answer: &Answer) {
    assert!(matches!(answer.outcome, Outcome::Released(_)), "{:?}", answer.outcome);
}

/// The same order with the same end; receipts may be under later heads.
#[track_caller]
fn assert_same(answer: &Answer, earlier: &Answer) {
    assert_eq!((&answer.order, &answer.digest), (&earlier.order, &earlier.digest));
    match (&answer.outcome, &earlier.outcome) {
        (Outcome::Released(now), Outcome::Released(then)) => {
            assert_eq!((&now.signed, &now.signatures), (&then.signed, &then.signatures));
            assert_eq!(now.result, then.result);
        }
        (now, then) => assert_eq!(now, then),
    }
}
