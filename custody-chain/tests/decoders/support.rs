//! Keys, contexts and payloads for the tests.

use std::sync::LazyLock;

use alloy_primitives::Address;
use custody_chain::{EvmDecoder, EvmError};
use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::{Algorithm, PublicKey, RecoveryId, Signature};
use custody_core::id::{KeyId, PayloadFormat, WalletId};
use custody_core::seam::{
    ContextAccount, DecodeContext, DecodeError, Decoder, Intent, Payload, SigningTask, TaskInput,
    TaskSignature,
};
use k256::ecdsa::SigningKey;

pub(crate) const MAINNET: &str = "eip155:1";
pub(crate) const FORMAT: &str = "evm/transaction";

/// The key that signs in most tests.
pub(crate) fn key() -> SigningKey {
    SigningKey::from_slice(&[0x46; 32]).unwrap()
}

pub(crate) fn public(key: &SigningKey) -> PublicKey {
    let point = key.verifying_key().to_sec1_point(true);
    PublicKey::from_bytes(Algorithm::EcdsaSecp256k1, point.as_bytes()).unwrap()
}

/// A public key of each algorithm.
pub(crate) fn public_of(algorithm: Algorithm) -> PublicKey {
    let text = match algorithm {
        Algorithm::Bip340 => "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
        Algorithm::EcdsaP256 => {
            "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        }
        Algorithm::EcdsaSecp256k1 => return public(&key()),
        Algorithm::Ed25519 => "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        other => panic!("no key for {other}"),
    };
    PublicKey::from_bytes(algorithm, &hex::decode(text).unwrap()).unwrap()
}

pub(crate) fn context_of(chain: &str, public_key: PublicKey) -> DecodeContext {
    DecodeContext {
        v: 1,
        wallet: WalletId::parse("treasury").unwrap(),
        chain: ChainId::parse(chain).unwrap(),
        accounts: vec![ContextAccount {
            key: KeyId::parse("key-0").unwrap(),
            public_key,
            path: None,
        }],
        descriptors: Vec::new(),
    }
}

pub(crate) fn context(chain: &str) -> DecodeContext {
    static PUBLIC: LazyLock<PublicKey> = LazyLock::new(|| public(&key()));
    context_of(chain, PUBLIC.clone())
}

pub(crate) fn payload_of(format: &str, bytes: &[u8]) -> Payload {
    Payload { format: PayloadFormat::parse(format).unwrap(), bytes: bytes.to_vec() }
}

pub(crate) fn payload(bytes: &[u8]) -> Payload {
    payload_of(FORMAT, bytes)
}

/// Why the decoder refused.
pub(crate) fn reason(error: &DecodeError) -> EvmError {
    error.reason.downcast_ref::<EvmError>().unwrap().clone()
}

pub(crate) fn decode_in(bytes: &[u8], context: &DecodeContext) -> Result<Intent, EvmError> {
    EvmDecoder::new().decode(&payload(bytes), context).map_err(|error| reason(&error))
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Intent, EvmError> {
    decode_in(bytes, &context(MAINNET))
}

pub(crate) fn assemble(
    bytes: &[u8],
    context: &DecodeContext,
    signatures: &[TaskSignature],
) -> Result<Vec<u8>, EvmError> {
    EvmDecoder::new().assemble(&payload(bytes), context, signatures).map_err(|error| reason(&error))
}

/// Signs a task the way the custodian does: sign, then check under the recorded key.
pub(crate) fn sign(key: &SigningKey, task: &SigningTask) -> TaskSignature {
    let TaskInput::Prehash(digest) = &task.input else { panic!("not a prehash") };
    let (signature, recovery) = key.sign_prehash_recoverable(digest);
    let signature = Signature::from_bytes(task.algorithm, &signature.to_bytes())
        .unwrap()
        .with_recovery_hint(RecoveryId::new(recovery.to_byte()).unwrap())
        .checked(&public(key), task.input.as_input())
        .unwrap();
    TaskSignature { key: task.key.clone(), signature }
}

/// Decodes, signs and assembles.
pub(crate) fn signed(bytes: &[u8], chain: &str, key: &SigningKey) -> Result<Vec<u8>, EvmError> {
    let context = context_of(chain, public(key));
    let intent = decode_in(bytes, &context)?;
    assemble(bytes, &context, &[sign(key, &intent.tasks[0])])
}

/// The decoder's name for the account of a key.
pub(crate) fn account(chain: &str, key: &PublicKey) -> AccountId {
    EvmDecoder::new().account(&ChainId::parse(chain).unwrap(), key).unwrap()
}

pub(crate) fn address(key: &PublicKey) -> Address {
    account(MAINNET, key).address().parse().unwrap()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).unwrap()
}
