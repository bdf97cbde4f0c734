//! Bitcoin: partially signed transactions and messages.
//!
//! Invariant: nothing in a payload is believed that a key, a script or a hash does not prove; every
//! byte is accounted for, or the payload is refused.

mod address;
mod change;
mod descriptor;
mod effects;
mod error;
mod inputs;
mod keys;
mod message;
pub(crate) mod network;
mod psbt;
mod sighash;
mod size;
mod tasks;

use std::collections::BTreeSet;

use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::PublicKey;
use custody_core::id::{DecoderId, PayloadFormat};
use custody_core::seam::{
    ContextAccount, DecodeContext, DecodeError, Decoder, DescriptorError, DescriptorReader, Intent,
    Payload, TaskSignature, WalletDescriptor,
};

pub use self::address::{AddressKind, BitcoinAddress, BitcoinAddressError, Branch};
pub use self::descriptor::BitcoinDescriptorError;
use self::descriptor::Branches;
pub use self::error::BitcoinError;
use self::message::Message;
use self::psbt::Reading;
pub use self::sighash::SighashAllowance;

/// Reads the formats `bitcoin/psbt`, a PSBT of version 0 up to 8 MiB, and `bitcoin/message` on
/// `bip122` chains.
///
/// Inputs of P2PKH, P2WPKH, P2SH-P2WPKH, P2WSH and P2TR are signed where a key of the context's
/// accounts proves them the wallet's. The reason of a refusal is a [`BitcoinError`].
#[derive(Clone, Debug)]
pub struct BitcoinDecoder {
    id: DecoderId,
    allowed: BTreeSet<SighashAllowance>,
}

impl BitcoinDecoder {
    /// The decoder `bitcoin/2`. It signs whole transactions only.
    ///
    /// # Panics
    /// Never: what it parses is a constant.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the constant is well-formed, each test proves it")]
    pub fn new() -> Self {
        Self {
            id: DecoderId::parse(ID).expect("a well-formed decoder id"),
            allowed: BTreeSet::new(),
        }
    }

    /// Allows signatures that cover less than the whole transaction. Each is a `sign_opaque` effect
    /// beside the others, and a fact.
    ///
    /// # Security
    /// See [`SighashAllowance`].
    #[must_use]
    pub fn allowing(mut self, kind: SighashAllowance) -> Self {
        self.allowed.insert(kind);
        self
    }

    fn intent(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, BitcoinError> {
        match payload.format.as_str() {
            MESSAGE => Message::of(payload, context)?.intent(context),
            PSBT => intent(&Reading::of(payload, context, &self.allowed)?, context),
            _ => Err(BitcoinError::Format),
        }
    }

    fn assembled(
        &self,
        payload: &Payload,
        context: &DecodeContext,
        signatures: &[TaskSignature],
    ) -> Result<Vec<u8>, BitcoinError> {
        if payload.format.as_str() == MESSAGE {
            return Message::of(payload, context)?.assemble(signatures);
        }
        if payload.format.as_str() != PSBT {
            return Err(BitcoinError::Format);
        }
        let reading = Reading::of(payload, context, &self.allowed)?;
        intent(&reading, context)?;
        tasks::assemble(reading, signatures)
    }
}

impl Default for BitcoinDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder for BitcoinDecoder {
    fn id(&self) -> &DecoderId {
        &self.id
    }

    fn reads(&self, format: &PayloadFormat, chain: &ChainId) -> bool {
        matches!(format.as_str(), MESSAGE | PSBT) && network::of(chain).is_some()
    }

    /// P2WPKH of an ECDSA key, P2TR of a BIP-340 key, which is then the output key.
    fn account(&self, chain: &ChainId, key: &PublicKey) -> Option<AccountId> {
        let network = network::of(chain)?;
        let scripts = keys::scripts(key);
        let (_, script) = scripts.first()?;
        network::account(chain, network, script).ok()?
    }

    fn descriptors(&self) -> Option<&dyn DescriptorReader> {
        Some(self)
    }

    fn decode(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, DecodeError> {
        self.intent(payload, context)
            .map_err(|reason| DecodeError::new(payload.format.clone(), reason))
    }

    /// Of a message, the text of its signature. Of a PSBT, the PSBT with our signatures: inputs that
    /// are complete have their final scripts, and the host extracts the transaction once all are
    /// (BIP-174, "Transaction Extractor").
    fn assemble(
        &self,
        payload: &Payload,
        context: &DecodeContext,
        signatures: &[TaskSignature],
    ) -> Result<Vec<u8>, DecodeError> {
        self.assembled(payload, context, signatures)
            .map_err(|reason| DecodeError::new(payload.format.clone(), reason))
    }
}

impl DescriptorReader for BitcoinDecoder {
    fn check(
        &self,
        chain: &ChainId,
        descriptor: &WalletDescriptor,
        accounts: &[ContextAccount],
    ) -> Result<(), DescriptorError> {
        let network = network::of(chain).ok_or(BitcoinDescriptorError::Chain);
        network
            .and_then(|network| Branches::read(descriptor, network))
            .and_then(|branches| branches.check(accounts))
            .map_err(DescriptorError::new)
    }
}

fn intent(reading: &Reading<'_>, context: &DecodeContext) -> Result<Intent, BitcoinError> {
    let tasks = tasks::tasks(reading)?;
    let (effects, summary) = effects::describe(reading, context)?;
    let facts = effects::facts(reading)?;
    Ok(Intent { chain: context.chain.clone(), effects, facts, tasks, summary })
}

const ID: &str = "bitcoin/2";
const MESSAGE: &str = "bitcoin/message";
const PSBT: &str = "bitcoin/psbt";
