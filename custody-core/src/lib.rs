#![doc = include_str!("../README.md")]

pub mod amount;
pub mod bytes;
pub mod caip;
pub mod crypto;
pub mod digest;
pub mod effect;
pub mod envelope;
pub mod id;
pub mod seam;
pub mod secret;
pub mod time;
#[cfg(feature = "tokio")]
pub mod tokio;
