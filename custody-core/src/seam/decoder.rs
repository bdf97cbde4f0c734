use std::collections::BTreeSet;
use std::fmt::{self, Debug};

use serde::{Deserialize, Serialize};

use crate::caip::{AccountId, ChainId};
use crate::crypto::{Algorithm, PublicKey, SignInput, Signature};
use crate::digest::Digest;
use crate::effect::{DecodeFact, Effect};
use crate::id::{DecoderId, KeyId, PayloadFormat, WalletId};
use crate::seam::DerivationPath;

/// Says what a payload does and which bytes get signed: one parse for both.
///
/// A decoder is total and pure: every byte of the payload is accounted for or the payload is
/// refused, the same payload and context always give the same intent, and a payload above its
/// limit is refused before it is parsed.
pub trait Decoder: Debug + Send + Sync {
    /// Its name and version; must change when any intent changes.
    fn id(&self) -> &DecoderId;

    /// Whether it reads this format on this chain.
    fn reads(&self, format: &PayloadFormat, chain: &ChainId) -> bool;

    /// The account that `key` controls on `chain` by itself; none if this decoder knows no such
    /// account form.
    fn account(&self, chain: &ChainId, key: &PublicKey) -> Option<AccountId>;

    /// Reading of descriptors of wallets.
    fn descriptors(&self) -> Option<&dyn DescriptorReader> {
        None
    }

    /// Decodes a payload.
    ///
    /// # Errors
    /// Names what was wrong, never the payload's bytes.
    fn decode(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, DecodeError>;

    /// Puts the signatures into the payload: the signed form that a network accepts.
    ///
    /// # Errors
    /// Fails if the payload does not decode or a task's signature is missing.
    fn assemble(
        &self,
        payload: &Payload,
        context: &DecodeContext,
        signatures: &[TaskSignature],
    ) -> Result<Vec<u8>, DecodeError>;
}

/// Reads what a wallet's addresses follow from.
pub trait DescriptorReader: Debug + Send + Sync {
    /// Passes a descriptor that describes addresses on `chain`, and with which `accounts`, those of
    /// the wallet, agree: where a key's path lies below one of the descriptor's origins, it is
    /// the key that follows from there.
    ///
    /// # Errors
    /// Names what was wrong, never the descriptor's text.
    fn check(
        &self,
        chain: &ChainId,
        descriptor: &WalletDescriptor,
        accounts: &[ContextAccount],
    ) -> Result<(), DescriptorError>;
}

/// Why a descriptor is refused.
#[derive(Debug, thiserror::Error)]
#[error("the descriptor is refused: {reason}")]
#[non_exhaustive]
pub struct DescriptorError {
    /// What was wrong.
    pub reason: Box<dyn std::error::Error + Send + Sync>,
}

impl DescriptorError {
    /// A refusal for this reason.
    #[must_use]
    pub fn new(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { reason: reason.into() }
    }
}

/// What somebody wants signed: bytes of a format, never a digest.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct Payload {
    /// The format, such as `evm/transaction`.
    pub format: PayloadFormat,
    /// The bytes, verbatim.
    pub bytes: Vec<u8>,
}

impl Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({}, {} bytes)", self.format, self.bytes.len())
    }
}

/// What a decoder may know besides the payload. It is stored beside the order and named in it by
/// its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the custodian and tests build it")]
pub struct DecodeContext {
    /// Version of this document: 1.
    pub v: u8,
    /// The wallet.
    pub wallet: WalletId,
    /// The wallet's chain.
    pub chain: ChainId,
    /// The accounts that the payload may be signed for; where a payload does not say who signs it,
    /// it is signed for the first.
    pub accounts: Vec<ContextAccount>,
    /// The wallet's descriptors, in the order in which they were recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub descriptors: Vec<WalletDescriptor>,
}

/// How all addresses of a wallet follow from extended public keys, in a notation that the decoder of
/// the wallet's chain reads, such as that of BIP-380.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct WalletDescriptor(Box<str>);

impl WalletDescriptor {
    /// Longest descriptor, in bytes.
    pub const MAX: usize = 4_096;

    /// Accepts 1 to 4,096 printable characters of ASCII.
    ///
    /// # Errors
    /// Fails on any other text.
    pub fn parse(text: &str) -> Result<Self, WalletDescriptorError> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > Self::MAX || !is_plain {
            return Err(WalletDescriptorError);
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for WalletDescriptor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The text is no descriptor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a descriptor has 1 to 4,096 printable characters of ASCII")]
#[non_exhaustive]
pub struct WalletDescriptorError;

/// An account of the wallet, as a decoder sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the custodian and tests build it")]
pub struct ContextAccount {
    /// The account's key.
    pub key: KeyId,
    /// The key's public key.
    pub public_key: PublicKey,
    /// The key's path below the wallet's seed, if it was derived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<DerivationPath>,
}

/// What a payload does, and every byte string to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "decoders build it")]
pub struct Intent {
    /// The chain the payload is for.
    pub chain: ChainId,
    /// Its effects, at least one, at most 1,024.
    pub effects: Vec<Effect>,
    /// What else rules may speak about.
    pub facts: BTreeSet<DecodeFact>,
    /// What gets signed, at least one task, at most 1,024.
    pub tasks: Vec<SigningTask>,
    /// The effects in words, a line each.
    pub summary: Vec<String>,
}

/// One byte string to sign with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "decoders build it")]
pub struct SigningTask {
    /// The key.
    pub key: KeyId,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The exact input of the signer.
    pub input: TaskInput,
}

/// The exact input of a signer.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an algorithm signs a digest or a message")]
pub enum TaskInput {
    /// A message that the algorithm hashes itself.
    Message(Vec<u8>),
    /// A 32-byte digest.
    Prehash([u8; 32]),
}

impl TaskInput {
    /// The input as a signer takes it.
    #[must_use]
    pub fn as_input(&self) -> SignInput<'_> {
        match self {
            Self::Message(bytes) => SignInput::Message(bytes),
            Self::Prehash(digest) => SignInput::Prehash(digest),
        }
    }

    /// SHA-256 of the exact signer input.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.as_input().as_bytes())
    }
}

impl Debug for TaskInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskInput({})", self.digest())
    }
}

/// A verified signature over a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the custodian and tests build it")]
pub struct TaskSignature {
    /// The key that signed.
    pub key: KeyId,
    /// The signature, with its recovery id for ECDSA over secp256k1.
    pub signature: Signature,
}

/// Why a payload was not decoded.
#[derive(Debug, thiserror::Error)]
#[error("the {format} payload is refused: {reason}")]
#[non_exhaustive]
pub struct DecodeError {
    /// The payload's format.
    pub format: PayloadFormat,
    /// What was wrong.
    pub reason: Box<dyn std::error::Error + Send + Sync>,
}

impl DecodeError {
    /// A refusal of a payload of this format. The reason names positions, lengths and fields, never
    /// the payload's bytes.
    #[must_use]
    pub fn new(
        format: PayloadFormat,
        reason: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { format, reason: reason.into() }
    }
}
