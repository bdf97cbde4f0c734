//! SoftHSM behind a module that fails and lies: what is tried again, and what is believed.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking")]

#[path = "faulty/answers.rs"]
mod answers;
#[path = "faulty/garbage.rs"]
mod garbage;
#[path = "faulty/hanging.rs"]
mod hanging;
#[path = "faulty/making.rs"]
mod making;
#[path = "../../shims/pkcs11_faults.rs"]
mod pkcs11_faults;
#[path = "softhsm/tokens.rs"]
mod softhsm;
#[path = "faulty/token.rs"]
mod token;
#[path = "faulty/trying.rs"]
mod trying;
