//! Bytes and digests that nobody understands: signed under one `sign_opaque` effect.
//!
//! Invariant: nothing is guessed from the bytes. Whoever may sign opaque bytes may sign anything
//! that the key can sign, and the effect says nothing else.

use std::collections::BTreeSet;

use alloy_primitives::keccak256;
use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::digest::Digest;
use custody_core::effect::{Effect, EffectTextError, MessageKind};
use custody_core::id::{DecoderId, PayloadFormat};
use custody_core::seam::{
    DecodeContext, DecodeError, Decoder, Intent, Payload, SigningTask, TaskInput, TaskSignature,
};

use crate::signer::{self, SignerError};

/// Reads the format `opaque`, up to 256 KiB of any bytes, and the format `opaque/prehash`, a digest of
/// 32 bytes that a key with ECDSA signs as it is, of kind `opaque/prehash`.
///
/// The first account of the context signs. Which bytes it signs in the format `opaque` follows from its key and from the
/// chain, never from the payload, and is named by the kind of the effect:
///
/// | key | chain | the signer's input | kind |
/// |---|---|---|---|
/// | Ed25519, BIP-340 | any | the bytes themselves | `opaque/message` |
/// | ECDSA over secp256k1 | `eip155` | Keccak-256 of the bytes | `opaque/keccak256` |
/// | ECDSA over secp256k1 | all other | SHA-256 of the bytes | `opaque/sha256` |
/// | ECDSA over P-256 | any | SHA-256 of the bytes | `opaque/sha256` |
///
/// The reason of a refusal is an [`OpaqueError`].
///
/// # Security
///
/// A rule that permits `sign_opaque` permits everything the key can do: the bytes may be a
/// transaction of this chain or of another one. On Bitcoin the digest of a transaction is hashed
/// twice, so even 32 bytes that look like a harmless hash can spend coins.
#[derive(Clone, Debug)]
pub struct OpaqueDecoder {
    id: DecoderId,
}

impl OpaqueDecoder {
    /// The decoder `opaque/2`.
    ///
    /// # Panics
    /// Never: what it parses is a constant.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the constant is well-formed, each test proves it")]
    pub fn new() -> Self {
        Self { id: DecoderId::parse(ID).expect("a well-formed decoder id") }
    }
}

impl Default for OpaqueDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder for OpaqueDecoder {
    fn id(&self) -> &DecoderId {
        &self.id
    }

    fn reads(&self, format: &PayloadFormat, _chain: &ChainId) -> bool {
        [FORMAT, PREHASH].contains(&format.as_str())
    }

    fn account(&self, _chain: &ChainId, _key: &PublicKey) -> Option<AccountId> {
        None
    }

    fn decode(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, DecodeError> {
        intent(payload, context).map_err(|reason| DecodeError::new(payload.format.clone(), reason))
    }

    /// The 64 bytes of the signature, without a recovery id.
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

fn intent(payload: &Payload, context: &DecodeContext) -> Result<Intent, OpaqueError> {
    check(payload)?;
    let account = signer::first(context)?;
    let algorithm = account.public_key.algorithm();
    let (input, kind) = if payload.format.as_str() == PREHASH {
        (prehash(&payload.bytes, algorithm)?, PREHASH)
    } else {
        input(&payload.bytes, algorithm, &context.chain)
    };
    let length = payload.bytes.len();
    let line = format!("sign {length} {kind} bytes, sha256 {}", Digest::of(&payload.bytes));
    Ok(Intent {
        chain: context.chain.clone(),
        effects: vec![Effect::SignOpaque { kind: MessageKind::parse(kind)? }],
        facts: BTreeSet::new(),
        tasks: vec![SigningTask { key: account.key.clone(), algorithm, input }],
        summary: vec![line],
    })
}

fn assemble(
    payload: &Payload,
    context: &DecodeContext,
    signatures: &[TaskSignature],
) -> Result<Vec<u8>, OpaqueError> {
    check(payload)?;
    let account = signer::first(context)?;
    if payload.format.as_str() == PREHASH {
        prehash(&payload.bytes, account.public_key.algorithm())?;
    }
    let signature = signer::only(signatures, account)?;
    Ok(signature.as_bytes().to_vec())
}

fn check(payload: &Payload) -> Result<(), OpaqueError> {
    if ![FORMAT, PREHASH].contains(&payload.format.as_str()) {
        return Err(OpaqueError::Format);
    }
    let length = payload.bytes.len();
    if length > LIMIT {
        return Err(OpaqueError::TooLong { length, limit: LIMIT });
    }
    Ok(())
}

/// A digest for an algorithm that signs digests.
fn prehash(bytes: &[u8], algorithm: Algorithm) -> Result<TaskInput, OpaqueError> {
    let digest = <[u8; 32]>::try_from(bytes);
    let digest = digest.map_err(|_| OpaqueError::Digest { length: bytes.len() })?;
    if !algorithm.signs_prehash() {
        return Err(OpaqueError::Algorithm { found: algorithm });
    }
    Ok(TaskInput::Prehash(digest))
}

fn input(bytes: &[u8], algorithm: Algorithm, chain: &ChainId) -> (TaskInput, &'static str) {
    if !algorithm.signs_prehash() {
        return (TaskInput::Message(bytes.to_vec()), "opaque/message");
    }
    if algorithm == Algorithm::EcdsaSecp256k1 && chain.namespace() == "eip155" {
        return (TaskInput::Prehash(keccak256(bytes).0), "opaque/keccak256");
    }
    (TaskInput::Prehash(*Digest::of(bytes).as_bytes()), "opaque/sha256")
}

/// Why opaque bytes are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpaqueError {
    /// The key signs no digests.
    #[error("a key of {found} signs no digest")]
    Algorithm {
        /// The key's algorithm.
        found: Algorithm,
    },
    /// The digest has another length.
    #[error("a digest has 32 bytes, not {length}")]
    Digest {
        /// Length found, in bytes.
        length: usize,
    },
    /// The payload has another format.
    #[error("the format is not opaque")]
    Format,
    /// An effect could not be named.
    #[error("the kind is malformed")]
    Kind(#[from] EffectTextError),
    /// Nobody can sign, or a signature is not the payload's.
    #[error("the signer is refused")]
    Signer(#[from] SignerError),
    /// The payload is above its limit.
    #[error("the payload has {length} bytes, allowed are {limit}")]
    TooLong {
        /// Length found, in bytes.
        length: usize,
        /// Largest length allowed, in bytes.
        limit: usize,
    },
}

const ID: &str = "opaque/2";
const FORMAT: &str = "opaque";
const PREHASH: &str = "opaque/prehash";
const LIMIT: usize = 256 * 1024;
