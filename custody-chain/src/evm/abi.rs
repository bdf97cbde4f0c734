//! What functions and their arguments are called, as far as a host says so.
//!
//! Invariant: names change no effect's action and no amount; a call becomes no more than a call with
//! arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use alloy_dyn_abi::{DynSolType, DynSolValue, JsonAbiExt as _, Specifier as _};
use alloy_json_abi::{Function as Signature, JsonAbi, Param};
use alloy_primitives::Address;
use custody_core::caip::{AccountId, ChainId};
use custody_core::digest::Digest;
use custody_core::effect::{Arguments, EffectTextError};

use super::names::account;
use super::story::Function;
use super::words;
use crate::text::{digest_of, shown};

/// What a host knows about contracts: the names of their functions' arguments, and which of them are
/// wrapped native coins.
///
/// A call of a named function carries its arguments into the effect, so that rules can speak about
/// them and people read them. It stays a `call`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AbiRegistry {
    contracts: BTreeMap<AccountId, BTreeMap<[u8; 4], Signature>>,
    wrapped: BTreeSet<AccountId>,
}

/// Why a description of a contract is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AbiError {
    /// The account is not a contract on an `eip155` chain.
    #[error("the contract is no account of an eip155 chain")]
    Contract,
    /// It names no contract, or no function.
    #[error("there is nothing in the description")]
    Empty,
    /// Two functions of one contract have one selector.
    #[error("two functions of a contract have one selector")]
    Exists,
    /// It is not JSON of the expected form.
    #[error("the description is malformed")]
    Malformed,
    /// It has too many bytes.
    #[error("the description has {length} bytes, allowed are {limit}")]
    TooLong {
        /// Length found, in bytes.
        length: usize,
        /// Largest length allowed, in bytes.
        limit: usize,
    },
}

impl AbiRegistry {
    /// Names nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { contracts: BTreeMap::new(), wrapped: BTreeSet::new() }
    }

    /// Adds the functions of a JSON ABI (Solidity's "Contract ABI Specification", section "JSON")
    /// that stands at `contract`.
    ///
    /// # Errors
    /// Fails on malformed JSON, an ABI without functions, and a function that is known already.
    pub fn add_json_abi(&mut self, contract: &AccountId, json: &str) -> Result<(), AbiError> {
        check_length(json)?;
        let abi = JsonAbi::from_json_str(json).map_err(|_| AbiError::Malformed)?;
        self.add(std::slice::from_ref(contract), abi.functions().cloned().collect())
    }

    /// Adds the functions of a descriptor of ERC-7730: those whose formats it describes by their
    /// signature, at each of its deployments.
    ///
    /// # Errors
    /// Fails on malformed JSON, a descriptor without deployments or functions, and a function that
    /// is known already.
    pub fn add_erc7730(&mut self, json: &str) -> Result<(), AbiError> {
        check_length(json)?;
        let descriptor: Descriptor = serde_json::from_str(json).map_err(|_| AbiError::Malformed)?;
        let contracts: Result<Vec<_>, _> = descriptor
            .context
            .contract
            .deployments
            .iter()
            .map(|at| AccountId::parse(&format!("eip155:{}:{}", at.chain_id, at.address)))
            .collect();
        let contracts = contracts.map_err(|_| AbiError::Contract)?;
        let signatures = descriptor.display.formats.keys().filter(|key| key.contains('('));
        let functions: Result<Vec<_>, _> =
            signatures.map(|signature| Signature::parse(signature)).collect();
        self.add(&contracts, functions.map_err(|_| AbiError::Malformed)?)
    }

    /// Adds a wrapped native coin: a contract whose `deposit` and `withdraw` do what those of WETH do.
    /// The best known ones are known without it.
    ///
    /// # Errors
    /// Fails on an account that is no address on an `eip155` chain.
    pub fn add_wrapped_native(&mut self, contract: &AccountId) -> Result<(), AbiError> {
        check_contract(contract)?;
        self.wrapped.insert(contract.clone());
        Ok(())
    }

    /// What is named, as a digest: decoders with other names are other decoders.
    pub(super) fn digest(&self) -> Option<Digest> {
        if self.contracts.is_empty() && self.wrapped.is_empty() {
            return None;
        }
        let mut text = String::new();
        for contract in &self.wrapped {
            let _infallible = writeln!(text, "{} wraps", contract.as_str());
        }
        for (contract, functions) in &self.contracts {
            for function in functions.values() {
                let _infallible = writeln!(text, "{} {}", contract.as_str(), named(function));
            }
        }
        Some(Digest::of(text.as_bytes()))
    }

    /// The arguments of a call, if its function is known here and it is encoded as it must be.
    pub(super) fn arguments(&self, chain: &ChainId, function: Function<'_>) -> Option<Arguments> {
        if self.contracts.is_empty() {
            return None;
        }
        let functions = self.contracts.get(&account(chain, function.contract).ok()?)?;
        let (selector, _) = function.data.split_first_chunk::<4>()?;
        read(functions.get(selector)?, function.data)
    }

    pub(super) fn is_wrapped_native(&self, chain: &ChainId, contract: Address) -> bool {
        !self.wrapped.is_empty()
            && account(chain, contract).is_ok_and(|contract| self.wrapped.contains(&contract))
    }

    fn add(&mut self, contracts: &[AccountId], functions: Vec<Signature>) -> Result<(), AbiError> {
        if contracts.is_empty() || functions.is_empty() {
            return Err(AbiError::Empty);
        }
        // A type is made as large as it says when it is resolved: its size comes first.
        let is_known = |function: &Signature| {
            size(&function.inputs) <= WORDS_MAX
                && function.inputs.iter().all(|it| it.resolve().is_ok())
        };
        if !functions.iter().all(is_known) {
            return Err(AbiError::Malformed);
        }
        let mut changed = self.contracts.clone();
        for contract in contracts {
            check_contract(contract)?;
            let known = changed.entry(contract.clone()).or_default();
            for function in &functions {
                if known.insert(function.selector().0, function.clone()).is_some() {
                    return Err(AbiError::Exists);
                }
            }
        }
        self.contracts = changed;
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct Descriptor {
    context: DescriptorContext,
    display: Display,
}

#[derive(serde::Deserialize)]
struct DescriptorContext {
    contract: DescriptorContract,
}

#[derive(serde::Deserialize)]
struct DescriptorContract {
    deployments: Vec<Deployment>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Deployment {
    chain_id: u64,
    address: String,
}

#[derive(serde::Deserialize)]
struct Display {
    formats: BTreeMap<String, serde::de::IgnoredAny>,
}

fn check_contract(contract: &AccountId) -> Result<(), AbiError> {
    let address = contract.address();
    let is_address = address.starts_with("0x") && address.parse::<Address>().is_ok();
    let is_evm = contract.chain().starts_with("eip155:");
    if is_evm && is_address { Ok(()) } else { Err(AbiError::Contract) }
}

fn check_length(json: &str) -> Result<(), AbiError> {
    let length = json.len();
    if length > LIMIT { Err(AbiError::TooLong { length, limit: LIMIT }) } else { Ok(()) }
}

/// How many words parameters have at least, whatever a call says: arrays of a fixed size take their
/// room before a byte is read. Arrays in too many arrays count as too large.
fn size(parameters: &[Param]) -> usize {
    let words = |parameter: &Param| {
        let inside = match parameter.components.as_slice() {
            // A tuple that does not say what is in it.
            [] if parameter.ty.contains('(') => usize::MAX,
            [] => 1,
            components => size(components),
        };
        let mut sizes = parameter.ty.split('[').skip(1).map(|size| size.trim_end_matches(']'));
        let words = sizes.by_ref().take(ARRAYS_MAX).fold(inside, |words, size| match size {
            "" => words,
            fixed => fixed.parse().map_or(usize::MAX, |size| words.saturating_mul(size)),
        });
        if sizes.next().is_none() { words } else { usize::MAX }
    };
    parameters.iter().map(words).fold(0, usize::saturating_add)
}

/// A signature with the names of its arguments.
fn named(function: &Signature) -> String {
    let inputs: Vec<_> = function.inputs.iter().map(named_parameter).collect();
    format!("{}({})", function.name, inputs.join(","))
}

fn named_parameter(parameter: &Param) -> String {
    let components: Vec<_> = parameter.components.iter().map(named_parameter).collect();
    format!("{}({}) {}", parameter.ty, components.join(","), parameter.name)
}

/// The arguments of calldata under a signature with names.
pub(super) fn arguments_of(signature: &str, data: &[u8]) -> Option<Arguments> {
    read(&Signature::parse(signature).ok()?, data)
}

fn read(function: &Signature, data: &[u8]) -> Option<Arguments> {
    let arguments = data.get(4..)?;
    let types: Result<Vec<DynSolType>, _> = function.inputs.iter().map(Param::resolve).collect();
    if !words::have_room(&types.ok()?, arguments) {
        return None;
    }
    let values = function.abi_decode_input(arguments).ok()?;
    if !values.iter().all(is_of_its_type) || function.abi_encode_input(&values).ok()? != data {
        return None;
    }
    let mut named = Named::default();
    named.parameters("", &function.inputs, &values);
    Some(named.end(data))
}

/// Whether numbers and bytes are as short as their types, which a contract insists on.
fn is_of_its_type(value: &DynSolValue) -> bool {
    match value {
        DynSolValue::Int(value, bits) => {
            usize::try_from(value.bits()).is_ok_and(|own| own <= *bits)
        }
        DynSolValue::Uint(value, bits) => value.bit_len() <= *bits,
        DynSolValue::FixedBytes(word, size) => word.iter().skip(*size).all(|byte| *byte == 0),
        DynSolValue::Array(values)
        | DynSolValue::FixedArray(values)
        | DynSolValue::Tuple(values)
        | DynSolValue::CustomStruct { tuple: values, .. } => values.iter().all(is_of_its_type),
        DynSolValue::Address(_)
        | DynSolValue::Bool(_)
        | DynSolValue::Bytes(_)
        | DynSolValue::Function(_)
        | DynSolValue::String(_) => true,
    }
}

/// Arguments as they are found.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    arguments: Arguments,
    /// They are too many, or one cannot be written down.
    overflows: bool,
}

impl Named {
    pub(super) fn insert(&mut self, name: &str, value: &str) {
        self.overflows |= self.arguments.insert(name, &shown(value)).is_err();
    }

    /// The same of bytes, by their digest.
    fn insert_digest(&mut self, name: &str, bytes: &[u8]) {
        self.overflows |= self.arguments.insert(name, &digest_of(bytes)).is_err();
    }

    /// A value and everything inside of it; `inside` are the parameters of a tuple.
    pub(super) fn value(&mut self, name: &str, value: &DynSolValue, inside: &[Param]) {
        match value {
            DynSolValue::Bool(value) => self.insert(name, if *value { "true" } else { "false" }),
            DynSolValue::Int(value, _) => self.insert(name, &value.to_string()),
            DynSolValue::Uint(value, _) => self.insert(name, &value.to_string()),
            DynSolValue::FixedBytes(word, size) => {
                let bytes = word.get(..*size).unwrap_or_default();
                self.insert(name, &alloy_primitives::hex::encode_prefixed(bytes));
            }
            DynSolValue::Address(address) => {
                self.insert(name, &alloy_primitives::hex::encode_prefixed(address));
            }
            DynSolValue::Function(function) => {
                self.insert(name, &alloy_primitives::hex::encode_prefixed(function));
            }
            DynSolValue::Bytes(bytes) if bytes.len() > SHOWN_MAX => {
                self.insert_digest(name, bytes);
            }
            DynSolValue::Bytes(bytes) => {
                self.insert(name, &alloy_primitives::hex::encode_prefixed(bytes));
            }
            DynSolValue::String(text) => self.insert(name, text),
            DynSolValue::Array(values) | DynSolValue::FixedArray(values) => {
                for (number, value) in values.iter().enumerate() {
                    self.value(&below(name, &number.to_string()), value, inside);
                }
            }
            DynSolValue::Tuple(values) => self.parameters(name, inside, values),
            // What an ABI calls it is told whatever the type in the source is called.
            DynSolValue::CustomStruct { tuple, .. } if !inside.is_empty() => {
                self.parameters(name, inside, tuple);
            }
            DynSolValue::CustomStruct { prop_names, tuple, .. } => {
                for (inner, value) in prop_names.iter().zip(tuple) {
                    self.value(&below(name, inner), value, &[]);
                }
            }
        }
    }

    /// What was found; if it was too much, the digest of `whole` under the name `all`.
    pub(super) fn end(self, whole: &[u8]) -> Arguments {
        self.end_or(Self::default(), whole)
    }

    /// What was found; if it was too much, `head` and the digest of `whole` under the name `all`.
    pub(super) fn end_or(self, head: Self, whole: &[u8]) -> Arguments {
        if !self.overflows {
            return self.arguments;
        }
        let mut arguments = head.arguments;
        let inserted: Result<(), EffectTextError> = arguments.insert("all", &digest_of(whole));
        debug_assert!(inserted.is_ok(), "a digest is plain text");
        arguments
    }

    fn parameters(&mut self, name: &str, parameters: &[Param], values: &[DynSolValue]) {
        for (number, value) in values.iter().enumerate() {
            let parameter = parameters.get(number);
            let own = parameter.map(|parameter| parameter.name.as_str());
            let own = own.filter(|own| !own.is_empty());
            let number = number.to_string();
            let inside = parameter.map_or(&[][..], |parameter| &parameter.components);
            self.value(&below(name, own.unwrap_or(&number)), value, inside);
        }
    }
}

fn below(name: &str, inner: &str) -> String {
    if name.is_empty() { inner.to_owned() } else { [name, ".", inner].concat() }
}

const LIMIT: usize = 1024 * 1024;
/// The words that the parameters of a function have at most without an array of any size.
const WORDS_MAX: usize = 4_096;
/// How many arrays may be in each other.
const ARRAYS_MAX: usize = 8;
/// Byte strings up to this length are told in full.
const SHOWN_MAX: usize = 120;
