//! What callers do: each task one caller, without end.

pub mod admin;
pub mod payers;
