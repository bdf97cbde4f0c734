#![doc = include_str!("../README.md")]

mod backend;
mod cache;
mod derive;
mod document;
mod extended_key;
mod kek;
mod mnemonic;
mod private_key;
mod recoverable;
mod sealed;
mod seed;
mod signer;
mod taproot;

pub use backend::SoftBackend;
pub use cache::CacheLimits;
pub use document::{KdfParameters, KdfParametersError, KekDocument, KekDocumentError};
pub use kek::PassphraseKek;
pub use mnemonic::{MnemonicLength, WriteMnemonicError, generate_mnemonic, write_mnemonic};
