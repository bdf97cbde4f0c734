//! Ethereum and the chains that are like it: unsigned transactions, authorisations, typed data and
//! messages.
//!
//! Invariant: the bytes that are hashed are the bytes that were decoded, all of them, and a payload
//! that could be read in two ways is refused.

mod abi;
mod address;
mod authorization;
mod calls;
mod error;
mod message;
mod names;
mod reader;
mod story;
mod transaction;
mod typed_data;
mod words;

use std::collections::BTreeSet;

use alloy_primitives::{U256, keccak256};
use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::{Algorithm, PublicKey, RecoveryId};
use custody_core::effect::{Arguments, DecodeFact};
use custody_core::id::{DecoderId, PayloadFormat};
use custody_core::seam::{
    ContextAccount, DecodeContext, DecodeError, Decoder, Intent, Payload, SigningTask, TaskInput,
    TaskSignature,
};

pub use self::abi::{AbiError, AbiRegistry};
pub use self::address::{EvmAddress, EvmAddressError};
use self::authorization::Authorization;
use self::calls::Call;
pub use self::error::EvmError;
use self::names::Names;
use self::story::{Story, amount};
use self::transaction::{CHAIN_ID_MAX, Transaction};
use self::typed_data::Typed;
use crate::signer::{self, SignerError};

/// Reads what is signed on `eip155` chains, up to 256 KiB of it:
///
/// | format | payload |
/// |---|---|
/// | `evm/transaction` | an unsigned transaction, as it is hashed |
/// | `evm/authorization` | an authorisation of EIP-7702, as it is hashed |
/// | `evm/typed-data` | typed data of EIP-712, as JSON |
/// | `evm/message` | a message, which is signed as EIP-191 says |
///
/// Transactions are legacy ones (with the fact `replayable`), those of EIP-155, EIP-2930, EIP-1559,
/// EIP-4844 and EIP-7702. The first account of the context signs, with ECDSA over secp256k1. The
/// reason of a refusal is an [`EvmError`].
#[derive(Clone, Debug)]
pub struct EvmDecoder {
    id: DecoderId,
    abis: AbiRegistry,
    names: Names,
    replayable: DecodeFact,
    unbound_chain: DecodeFact,
}

impl EvmDecoder {
    /// The decoder `evm/5`.
    ///
    /// # Panics
    /// Never: what it parses are constants.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the constants are well-formed, each test proves it")]
    pub fn new() -> Self {
        Self {
            id: DecoderId::parse(ID).expect("a well-formed decoder id"),
            abis: AbiRegistry::new(),
            names: Names::new(),
            replayable: DecodeFact::parse(REPLAYABLE).expect("a well-formed fact"),
            unbound_chain: DecodeFact::parse(UNBOUND_CHAIN).expect("a well-formed fact"),
        }
    }

    /// The decoder that names the arguments of these functions. It has another id for other names.
    ///
    /// # Panics
    /// Never: the id that it parses is well-formed.
    #[must_use]
    #[expect(clippy::expect_used, reason = "letters and digits are well-formed")]
    pub fn with_abis(self, abis: AbiRegistry) -> Self {
        let id = match abis.digest().map(|digest| digest.to_string()) {
            Some(digest) => [ID, "/", digest.get(..ID_DIGITS).unwrap_or(&digest)].concat(),
            None => ID.to_owned(),
        };
        let id = DecoderId::parse(&id).expect("a well-formed decoder id");
        Self { id, abis, ..self }
    }

    fn intent(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, EvmError> {
        let reading = Reading::of(payload, context)?;
        let signer = self.names.signer(&context.chain, &reading.account.public_key)?;
        let mut story = Story::new(&context.chain, signer, &self.names, &self.abis);
        let (digest, fact) = match &reading.content {
            Content::Transaction(transaction) => {
                tell_transaction(&mut story, transaction)?;
                let is_replayable = transaction.chain_id().is_none();
                (keccak256(&payload.bytes).0, is_replayable.then_some(&self.replayable))
            }
            Content::Authorization(authorization) => {
                tell_authorization(&mut story, authorization)?;
                let is_replayable = authorization.chain_id == 0;
                (keccak256(&payload.bytes).0, is_replayable.then_some(&self.replayable))
            }
            Content::TypedData(typed) => {
                typed.describe(&mut story)?;
                (typed.digest, typed.chain_id()?.is_none().then_some(&self.unbound_chain))
            }
            Content::Message(bytes) => (message::describe(&mut story, bytes)?, None),
        };
        let (effects, summary) = story.end();
        Ok(Intent {
            chain: context.chain.clone(),
            effects,
            facts: fact.cloned().into_iter().collect::<BTreeSet<_>>(),
            tasks: vec![SigningTask {
                key: reading.account.key.clone(),
                algorithm: Algorithm::EcdsaSecp256k1,
                input: TaskInput::Prehash(digest),
            }],
            summary,
        })
    }
}

impl Default for EvmDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder for EvmDecoder {
    fn id(&self) -> &DecoderId {
        &self.id
    }

    fn reads(&self, format: &PayloadFormat, chain: &ChainId) -> bool {
        FORMATS.contains(&format.as_str()) && chain_number(chain).is_ok()
    }

    fn account(&self, chain: &ChainId, key: &PublicKey) -> Option<AccountId> {
        chain_number(chain).ok()?;
        names::account(chain, names::address(key).ok()?).ok()
    }

    fn decode(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, DecodeError> {
        self.intent(payload, context)
            .map_err(|reason| DecodeError::new(payload.format.clone(), reason))
    }

    /// The signed transaction; the authorisation as a transaction carries it; the 65 bytes `r`, `s`
    /// and 27 or 28 of a message or of typed data.
    fn assemble(
        &self,
        payload: &Payload,
        context: &DecodeContext,
        signatures: &[TaskSignature],
    ) -> Result<Vec<u8>, DecodeError> {
        assemble(payload, context, signatures)
            .map_err(|reason| DecodeError::new(payload.format.clone(), reason))
    }
}

/// A payload on the chain of its context, with the account that signs it.
struct Reading<'a> {
    content: Content<'a>,
    account: &'a ContextAccount,
}

/// What a payload is.
enum Content<'a> {
    Authorization(Authorization),
    Message(&'a [u8]),
    Transaction(Box<Transaction<'a>>),
    TypedData(Box<Typed>),
}

impl<'a> Reading<'a> {
    fn of(payload: &'a Payload, context: &'a DecodeContext) -> Result<Self, EvmError> {
        let bytes = payload.bytes.as_slice();
        let is_read = FORMATS.contains(&payload.format.as_str());
        if !is_read {
            return Err(EvmError::Format);
        }
        let expected = chain_number(&context.chain)?;
        let account = signer::first(context)?;
        check_algorithm(&account.public_key)?;
        let content = match payload.format.as_str() {
            TRANSACTION => Content::Transaction(Box::new(Transaction::decode(bytes)?)),
            AUTHORIZATION => Content::Authorization(Authorization::decode(bytes)?),
            TYPED_DATA => Content::TypedData(Box::new(Typed::decode(bytes)?)),
            _ => Content::Message(bytes),
        };
        match content.chain_id()? {
            Some(found) if found != expected => Err(EvmError::Chain { expected, found }),
            Some(_) | None => Ok(Self { content, account }),
        }
    }
}

impl Content<'_> {
    /// The chain that it is for; none if it does not say.
    fn chain_id(&self) -> Result<Option<u64>, EvmError> {
        match self {
            Self::Authorization(authorization) => {
                Ok(Some(authorization.chain_id).filter(|chain| *chain != 0))
            }
            Self::Message(_) => Ok(None),
            Self::Transaction(transaction) => Ok(transaction.chain_id()),
            Self::TypedData(typed) => typed.chain_id(),
        }
    }
}

/// Everything that a transaction does: its call, those who hand themselves over in it, its fee.
fn tell_transaction(story: &mut Story<'_>, transaction: &Transaction<'_>) -> Result<(), EvmError> {
    let Transaction { nonce, to, value, data, fee, .. } = transaction;
    let from = story.sender();
    match to {
        Some(to) => {
            calls::describe(story, Call { from, to: *to, value: *value, data, depth: 0 })?;
        }
        None => {
            let contract = from.create(*nonce);
            if !value.is_zero() {
                let native = story.native();
                story.transfer(from, contract, amount(native, *value))?;
            }
            story.deploy(contract, data.len())?;
        }
    }
    for signed in transaction.authorizations() {
        tell_authorization(story, &signed.authorization)?;
    }
    let native = story.native();
    story.pay_fee(amount(native, *fee))
}

fn tell_authorization(
    story: &mut Story<'_>,
    authorization: &Authorization,
) -> Result<(), EvmError> {
    let Authorization { chain_id, code, nonce } = authorization;
    let mut arguments = Arguments::new();
    arguments.insert("chainId", &chain_id.to_string())?;
    arguments.insert("nonce", &nonce.to_string())?;
    story.hand_over(*code, arguments)
}

fn assemble(
    payload: &Payload,
    context: &DecodeContext,
    signatures: &[TaskSignature],
) -> Result<Vec<u8>, EvmError> {
    let reading = Reading::of(payload, context)?;
    let signature = signer::only(signatures, reading.account)?;
    let odd = match signature.recovery_id().map(RecoveryId::value) {
        Some(0) => false,
        Some(1) => true,
        Some(_) | None => return Err(EvmError::RecoveryId),
    };
    let (r, s) = signature.as_bytes().split_at(32);
    let (r, s) = (U256::from_be_slice(r), U256::from_be_slice(s));
    match reading.content {
        Content::Transaction(transaction) => transaction.signed(odd, r, s),
        Content::Authorization(authorization) => Ok(authorization.signed(odd, r, s)),
        Content::Message(_) | Content::TypedData(_) => {
            let mut bytes = signature.as_bytes().to_vec();
            bytes.push(if odd { 28 } else { 27 });
            Ok(bytes)
        }
    }
}

/// Only ECDSA over secp256k1 signs on these chains.
fn check_algorithm(key: &PublicKey) -> Result<(), SignerError> {
    let (expected, found) = (Algorithm::EcdsaSecp256k1, key.algorithm());
    if found == expected { Ok(()) } else { Err(SignerError::Algorithm { expected, found }) }
}

/// The number of an `eip155` chain, written as CAIP-2 wants it: decimal, without leading zeros.
fn chain_number(chain: &ChainId) -> Result<u64, EvmError> {
    let reference = chain.reference();
    let number = reference.parse::<u64>().map_err(|_| EvmError::ContextChain)?;
    let plain = !reference.starts_with('0');
    if chain.namespace() != "eip155" || !plain || number > CHAIN_ID_MAX {
        return Err(EvmError::ContextChain);
    }
    Ok(number)
}

const ID: &str = "evm/5";
/// So much of the digest of the names stands in the id.
const ID_DIGITS: usize = 32;
const TRANSACTION: &str = "evm/transaction";
const AUTHORIZATION: &str = "evm/authorization";
const TYPED_DATA: &str = "evm/typed-data";
const MESSAGE: &str = "evm/message";
const FORMATS: [&str; 4] = [TRANSACTION, AUTHORIZATION, TYPED_DATA, MESSAGE];
const REPLAYABLE: &str = "replayable";
const UNBOUND_CHAIN: &str = "unbound_chain";
