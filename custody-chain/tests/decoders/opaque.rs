//! Bytes that nobody understands.

use alloy_primitives::keccak256;
use custody_chain::{OpaqueDecoder, OpaqueError, SignerError};
use custody_core::caip::ChainId;
use custody_core::crypto::{Algorithm, Signature};
use custody_core::digest::Digest;
use custody_core::effect::{Effect, MessageKind};
use custody_core::id::{KeyId, PayloadFormat};
use custody_core::seam::{
    DecodeContext, DecodeError, Decoder, Intent, Payload, TaskInput, TaskSignature,
};
use proptest::prelude::*;

use crate::support::{MAINNET, context_of, key, payload_of, public_of, sign};

const BITCOIN: &str = "bip122:000000000019d6689c085ae165831e93";
const LIMIT: usize = 256 * 1024;

fn payload(bytes: &[u8]) -> Payload {
    payload_of("opaque", bytes)
}

fn reason(error: &DecodeError) -> OpaqueError {
    error.reason.downcast_ref::<OpaqueError>().unwrap().clone()
}

fn decode(bytes: &[u8], context: &DecodeContext) -> Result<Intent, OpaqueError> {
    OpaqueDecoder::new().decode(&payload(bytes), context).map_err(|error| reason(&error))
}

fn sha256(bytes: &[u8]) -> TaskInput {
    TaskInput::Prehash(*Digest::of(bytes).as_bytes())
}

#[test]
fn what_gets_signed_follows_from_key_and_chain() {
    let bytes = b"hello";
    let message = || TaskInput::Message(bytes.to_vec());
    let keccak = || TaskInput::Prehash(keccak256(bytes).0);
    for (algorithm, chain, input, kind) in [
        (Algorithm::Bip340, BITCOIN, message(), "opaque/message"),
        (Algorithm::Bip340, MAINNET, message(), "opaque/message"),
        (Algorithm::EcdsaP256, BITCOIN, sha256(bytes), "opaque/sha256"),
        (Algorithm::EcdsaP256, MAINNET, sha256(bytes), "opaque/sha256"),
        (Algorithm::EcdsaSecp256k1, BITCOIN, sha256(bytes), "opaque/sha256"),
        (Algorithm::EcdsaSecp256k1, MAINNET, keccak(), "opaque/keccak256"),
        (Algorithm::EcdsaSecp256k1, "eip155:8453", keccak(), "opaque/keccak256"),
        (Algorithm::Ed25519, "solana:1", message(), "opaque/message"),
        (Algorithm::Ed25519, MAINNET, message(), "opaque/message"),
    ] {
        let intent = decode(bytes, &context_of(chain, public_of(algorithm))).unwrap();
        let [task] = intent.tasks.as_slice() else { panic!("one task") };
        assert_eq!(task.input, input, "{algorithm} on {chain}");
        assert_eq!((task.algorithm, task.key.as_str()), (algorithm, "key-0"));
        let kind = MessageKind::parse(kind).unwrap();
        assert_eq!(intent.effects, [Effect::SignOpaque { kind }], "{algorithm} on {chain}");
        assert!(intent.facts.is_empty());
        assert_eq!(intent.chain.as_str(), chain);
    }
}

#[test]
fn the_summary_names_length_kind_and_digest() {
    let context = context_of(MAINNET, public_of(Algorithm::Ed25519));
    assert_eq!(
        decode(b"hello", &context).unwrap().summary,
        ["sign 5 opaque/message bytes, sha256 \
          2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"]
    );
}

#[test]
fn a_payload_on_the_limit_is_signed_and_one_past_it_refused() {
    let context = context_of(MAINNET, public_of(Algorithm::Ed25519));
    for length in [0, 1, LIMIT] {
        assert!(decode(&vec![7; length], &context).is_ok(), "{length}");
    }
    let expected = OpaqueError::TooLong { length: LIMIT + 1, limit: LIMIT };
    assert_eq!(decode(&vec![7; LIMIT + 1], &context).unwrap_err(), expected);
    let error =
        OpaqueDecoder::new().assemble(&payload(&vec![7; LIMIT + 1]), &context, &[]).unwrap_err();
    assert_eq!(reason(&error), expected);
}

#[test]
fn contexts_that_do_not_fit_are_refused() {
    let mut context = context_of(MAINNET, public_of(Algorithm::Ed25519));
    context.v = 0;
    let expected = SignerError::ContextVersion { found: 0 };
    assert_eq!(decode(b"hello", &context).unwrap_err(), expected.into());
    context.v = 1;
    context.accounts.clear();
    assert_eq!(decode(b"hello", &context).unwrap_err(), SignerError::NoAccount.into());
}

#[test]
fn only_the_format_opaque_is_read_on_any_chain() {
    let decoder = OpaqueDecoder::new();
    assert_eq!(decoder.id().as_str(), "opaque/2");
    for chain in [MAINNET, BITCOIN, "solana:1"] {
        let chain = ChainId::parse(chain).unwrap();
        assert!(decoder.reads(&PayloadFormat::parse("opaque").unwrap(), &chain));
        assert!(!decoder.reads(&PayloadFormat::parse("evm/transaction").unwrap(), &chain));
        for algorithm in Algorithm::ALL {
            assert_eq!(decoder.account(&chain, &public_of(algorithm)), None);
        }
    }
    let context = context_of(MAINNET, public_of(Algorithm::Ed25519));
    let other = payload_of("evm/transaction", b"hello");
    assert_eq!(reason(&decoder.decode(&other, &context).unwrap_err()), OpaqueError::Format);
    let error = decoder.assemble(&other, &context, &[]).unwrap_err();
    assert_eq!(reason(&error), OpaqueError::Format);
}

#[test]
fn a_digest_is_signed_as_it_is_by_keys_that_sign_digests() {
    let digest = [7; 32];
    let decode = |algorithm, bytes: &[u8]| {
        let context = context_of(MAINNET, public_of(algorithm));
        let payload = payload_of("opaque/prehash", bytes);
        OpaqueDecoder::new().decode(&payload, &context).map_err(|error| reason(&error))
    };
    for algorithm in [Algorithm::EcdsaSecp256k1, Algorithm::EcdsaP256] {
        let intent = decode(algorithm, &digest).unwrap();
        assert_eq!(intent.tasks[0].input, TaskInput::Prehash(digest));
        let Effect::SignOpaque { kind } = &intent.effects[0] else { panic!() };
        assert_eq!((intent.effects.len(), kind.as_str()), (1, "opaque/prehash"));
        for length in [0, 31, 33] {
            let refused = decode(algorithm, &vec![7; length]).unwrap_err();
            assert_eq!(refused, OpaqueError::Digest { length });
        }
    }
    for found in [Algorithm::Ed25519, Algorithm::Bip340] {
        assert_eq!(decode(found, &digest).unwrap_err(), OpaqueError::Algorithm { found });
    }
}

#[test]
fn the_signed_form_is_the_signature_alone() {
    let context = context_of(MAINNET, public_of(Algorithm::EcdsaSecp256k1));
    let intent = decode(b"hello", &context).unwrap();
    let answer = sign(&key(), &intent.tasks[0]);
    let decoder = OpaqueDecoder::new();
    let signed =
        decoder.assemble(&payload(b"hello"), &context, std::slice::from_ref(&answer)).unwrap();
    assert_eq!(signed, answer.signature.as_bytes());
}

#[test]
fn signatures_other_than_the_one_of_the_account_are_refused() {
    let context = context_of(MAINNET, public_of(Algorithm::Ed25519));
    let answer = |algorithm, key: &str| TaskSignature {
        key: KeyId::parse(key).unwrap(),
        signature: Signature::from_bytes(algorithm, &[1; 64]).unwrap(),
    };
    let good = || answer(Algorithm::Ed25519, "key-0");
    let expected = Algorithm::Ed25519;
    let found = Algorithm::Bip340;
    for (signatures, refused) in [
        (vec![], SignerError::Count { found: 0 }),
        (vec![good(), good()], SignerError::Count { found: 2 }),
        (vec![answer(Algorithm::Ed25519, "key-1")], SignerError::Key),
        (vec![answer(found, "key-0")], SignerError::Algorithm { expected, found }),
    ] {
        let error =
            OpaqueDecoder::new().assemble(&payload(b"hello"), &context, &signatures).unwrap_err();
        assert_eq!(reason(&error), refused.into());
    }
}

proptest! {
    #[test]
    fn other_bytes_never_give_the_same_task(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        other in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assume!(bytes != other);
        for algorithm in Algorithm::ALL {
            let context = context_of(MAINNET, public_of(algorithm));
            let tasks = |bytes: &[u8]| decode(bytes, &context).unwrap().tasks;
            prop_assert_ne!(tasks(&bytes), tasks(&other));
        }
    }
}
