#![doc = include_str!("../README.md")]

mod arn;
mod backend;
mod bucket;
pub mod cloud_trail;
mod config;
mod context;
mod create;
mod credentials;
mod data_keys;
mod fault;
mod handle;
mod house;
pub mod iam;
mod kek;
mod kms;
mod observer;
mod places;
mod report;
mod rotation;
mod sharing;
mod signer;
mod switch;
mod toml_error;
mod wrapped;

pub use arn::{KeyArn, KeyArnError};
/// The SDK that this crate is built with.
pub use aws_sdk_kms;
pub use backend::KmsBackend;
pub use config::{Account, DataKeyLimits, KmsConfig, KmsConfigError, KmsLimits, RegionName};
#[doc(hidden)]
pub use create::is_usual_policy;
pub use fault::{KmsFault, KmsReason};
pub use house::HouseName;
pub use kek::KmsKek;
pub use kms::Kms;
pub use observer::{KmsEvent, Observer};
pub use report::RegionReport;
pub use rotation::Rotation;
#[doc(hidden)]
pub use wrapped::wrapped_parts;
