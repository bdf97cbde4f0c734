//! A house whose log is verified, an insider who has its log key, and the verifier's answers.

mod answer;
mod house;
mod insider;
mod people;
mod story;
mod transaction;

pub(crate) use answer::{Answer, Verifier, copy_folder};
pub(crate) use house::{House, policy, released, verifier_key};
pub(crate) use insider::{Forgery, Insider, assert_refused, digest};
pub(crate) use people::Person;
pub(crate) use story::Story;
pub(crate) use transaction::{ETHER, call, transfer};
