//! Ethereum and the chains that are like it: unsigned transactions.
//!
//! Invariant: the bytes that are hashed are the bytes that were decoded, all of them, and a
//! transaction that could be read in two ways is refused.

mod effects;
mod erc20;
mod error;
mod reader;
mod transaction;

use std::collections::BTreeSet;

use alloy_primitives::{Address, U256, keccak256};
use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::{Algorithm, PublicKey, RecoveryId};
use custody_core::effect::DecodeFact;
use custody_core::id::{DecoderId, PayloadFormat};
use custody_core::seam::{
    ContextAccount, DecodeContext, DecodeError, Decoder, Intent, Payload, SigningTask, TaskInput,
    TaskSignature,
};

pub use self::error::EvmError;
use self::transaction::{CHAIN_ID_MAX, Transaction};
use crate::signer::{self, SignerError};

/// Reads the format `evm/transaction` on `eip155` chains: one unsigned transaction, up to 256 KiB.
///
/// Read are legacy transactions (with the fact `replayable`), those of EIP-155 and those of
/// EIP-1559. The first account of the context signs, with ECDSA over secp256k1. The reason of a
/// refusal is an [`EvmError`].
#[derive(Clone, Debug)]
pub struct EvmDecoder {
    id: DecoderId,
    replayable: DecodeFact,
}

impl EvmDecoder {
    /// The decoder `evm/1`.
    ///
    /// # Panics
    /// Never: what it parses are constants.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the constants are well-formed, each test proves it")]
    pub fn new() -> Self {
        Self {
            id: DecoderId::parse(ID).expect("a well-formed decoder id"),
            replayable: DecodeFact::parse(REPLAYABLE).expect("a well-formed fact"),
        }
    }

    fn intent(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, EvmError> {
        let reading = Reading::of(payload, context)?;
        let sender = address(&reading.account.public_key)?;
        let (effects, summary) = effects::describe(&reading.transaction, sender, &context.chain)?;
        let replayable = reading.transaction.chain_id().is_none();
        Ok(Intent {
            chain: context.chain.clone(),
            effects,
            facts: replayable.then(|| self.replayable.clone()).into_iter().collect::<BTreeSet<_>>(),
            tasks: vec![SigningTask {
                key: reading.account.key.clone(),
                algorithm: Algorithm::EcdsaSecp256k1,
                input: TaskInput::Prehash(keccak256(&payload.bytes).0),
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
        format.as_str() == FORMAT && chain_number(chain).is_ok()
    }

    fn account(&self, chain: &ChainId, key: &PublicKey) -> Option<AccountId> {
        chain_number(chain).ok()?;
        effects::account(chain, address(key).ok()?).ok()
    }

    fn decode(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, DecodeError> {
        self.intent(payload, context)
            .map_err(|reason| DecodeError::new(payload.format.clone(), reason))
    }

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

/// A transaction on the chain of its context, with the account that signs and sends it.
struct Reading<'a> {
    transaction: Transaction<'a>,
    account: &'a ContextAccount,
}

impl<'a> Reading<'a> {
    fn of(payload: &'a Payload, context: &'a DecodeContext) -> Result<Self, EvmError> {
        if payload.format.as_str() != FORMAT {
            return Err(EvmError::Format);
        }
        let expected = chain_number(&context.chain)?;
        let account = signer::first(context)?;
        check_algorithm(&account.public_key)?;
        let transaction = Transaction::decode(&payload.bytes)?;
        match transaction.chain_id() {
            Some(found) if found != expected => Err(EvmError::Chain { expected, found }),
            Some(_) | None => Ok(Self { transaction, account }),
        }
    }
}

/// The signed transaction, as a node accepts it.
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
    reading.transaction.signed(odd, r, s)
}

/// The address of a key (Yellow Paper, appendix F).
fn address(key: &PublicKey) -> Result<Address, EvmError> {
    check_algorithm(key)?;
    let point = key.to_uncompressed().ok_or(EvmError::Encoding)?;
    let (_, coordinates) = point.split_first().ok_or(EvmError::Encoding)?;
    Ok(Address::from_word(keccak256(coordinates)))
}

/// Only ECDSA over secp256k1 signs transactions.
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

const ID: &str = "evm/1";
const FORMAT: &str = "evm/transaction";
const REPLAYABLE: &str = "replayable";
