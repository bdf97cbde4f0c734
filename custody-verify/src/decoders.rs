//! The decoders of this verifier.
//!
//! Invariant: an order is decoded again by the decoder whose name it carries, or not at all. There
//! is one decoder of Ethereum, with the names that the user gives, if any. Beside one with names,
//! the one without them is there only if the user asks for it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use custody_chain::{
    AbiError, AbiRegistry, BitcoinDecoder, EvmDecoder, OpaqueDecoder, SolanaDecoder,
};
use custody_core::seam::Decoder;

use crate::arguments::Arguments;
use crate::failure::Failure;

/// Which decoders there are.
#[derive(Clone, Debug)]
pub(crate) struct Decoders(Vec<Arc<dyn Decoder>>);

impl Decoders {
    /// All of `custody-chain`, with what the user says about contracts.
    pub(crate) fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let registry = registry(arguments)?;
        let is_plain = registry == AbiRegistry::new();
        let mut decoders: Vec<Arc<dyn Decoder>> = Vec::new();
        if is_plain || arguments.accept_plain {
            decoders.push(Arc::new(EvmDecoder::new()));
        }
        if !is_plain {
            decoders.push(Arc::new(EvmDecoder::new().with_abis(registry)));
        }
        decoders.push(Arc::new(BitcoinDecoder::new()));
        decoders.push(Arc::new(SolanaDecoder::new()));
        decoders.push(Arc::new(OpaqueDecoder::new()));
        Ok(Self(decoders))
    }

    /// The decoders for one replay.
    pub(crate) fn all(&self) -> Vec<Arc<dyn Decoder>> {
        self.0.clone()
    }
}

fn registry(arguments: &Arguments) -> Result<AbiRegistry, Failure> {
    let mut registry = AbiRegistry::new();
    for (contract, path) in &arguments.abis {
        let added = registry.add_json_abi(contract, &read(path)?);
        added.map_err(|source| refused(path, source))?;
    }
    for path in &arguments.descriptors {
        registry.add_erc7730(&read(path)?).map_err(|source| refused(path, source))?;
    }
    for contract in &arguments.wrapped {
        registry.add_wrapped_native(contract).map_err(|source| Failure::Wrapped { source })?;
    }
    Ok(registry)
}

fn read(path: &Path) -> Result<String, Failure> {
    let bytes = fs::read(path)
        .map_err(|error| Failure::Unreadable { path: path.to_owned(), kind: error.kind() })?;
    String::from_utf8(bytes).map_err(|_| Failure::NotText { path: path.to_owned() })
}

fn refused(path: &Path, source: AbiError) -> Failure {
    Failure::Abi { path: path.to_owned(), source }
}
