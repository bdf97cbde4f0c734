//! Signed transactions.

use alloy_consensus::TxEnvelope;
use alloy_eips::eip2718::Decodable2718 as _;
use custody_chain::{EvmError, SignerError};
use custody_core::crypto::{Algorithm, RecoveryId, Signature};
use custody_core::id::KeyId;
use custody_core::seam::TaskSignature;

use crate::rlp::{eip155, eip1559, legacy, list, number, typed, with};
use crate::support::{MAINNET, assemble, context, decode, key, sign, signed, unhex};

fn signature() -> TaskSignature {
    sign(&key(), &decode(&list(&eip155())).unwrap().tasks[0])
}

#[test]
fn the_example_of_eip_155_gets_its_published_signature() {
    let unsigned = "ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76\
                    4000080018080";
    let expected = "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3\
                    a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276\
                    a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";
    assert_eq!(signed(&unhex(unsigned), MAINNET, &key()).unwrap(), unhex(expected));
}

#[test]
fn another_implementation_reads_the_signed_form() {
    for bytes in [list(&legacy()), list(&eip155()), typed(&eip1559())] {
        let raw = signed(&bytes, MAINNET, &key()).unwrap();
        let envelope = TxEnvelope::decode_2718_exact(&raw).unwrap();
        let digest = envelope.signature_hash();
        assert_eq!(digest, alloy_primitives::keccak256(&bytes));
    }
}

#[test]
fn signatures_other_than_the_one_of_the_account_are_refused() {
    let bytes = list(&eip155());
    let context = context(MAINNET);
    let refused = |signatures: &[_]| assemble(&bytes, &context, signatures).unwrap_err();
    assert_eq!(refused(&[]), SignerError::Count { found: 0 }.into());
    assert_eq!(refused(&[signature(), signature()]), SignerError::Count { found: 2 }.into());
    let mut other = signature();
    other.key = KeyId::parse("key-1").unwrap();
    assert_eq!(refused(&[other]), SignerError::Key.into());
    for found in [Algorithm::Bip340, Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let mut other = signature();
        other.signature = Signature::from_bytes(found, other.signature.as_bytes()).unwrap();
        let expected = Algorithm::EcdsaSecp256k1;
        assert_eq!(refused(&[other]), SignerError::Algorithm { expected, found }.into());
    }
}

#[test]
fn a_signature_without_a_recovery_id_of_0_or_1_is_refused() {
    let good = signature();
    let bare = Signature::from_bytes(Algorithm::EcdsaSecp256k1, good.signature.as_bytes()).unwrap();
    let reduced = |id| bare.clone().with_recovery_hint(RecoveryId::new(id).unwrap());
    for signature in [bare.clone(), reduced(2), reduced(3)] {
        for bytes in [list(&legacy()), list(&eip155()), typed(&eip1559())] {
            let answer = TaskSignature { key: good.key.clone(), signature: signature.clone() };
            let error = assemble(&bytes, &context(MAINNET), &[answer]).unwrap_err();
            assert_eq!(error, EvmError::RecoveryId);
        }
    }
}

#[test]
fn what_does_not_decode_is_not_assembled() {
    let signatures = [signature()];
    let refused = |bytes: &[u8]| assemble(bytes, &context(MAINNET), &signatures).unwrap_err();
    assert_eq!(refused(&[]), EvmError::Empty);
    assert_eq!(refused(&list(&with(eip155(), 6, number(0)))), EvmError::ChainId);
    let error = assemble(&list(&eip155()), &context("eip155:5"), &signatures).unwrap_err();
    assert_eq!(error, EvmError::Chain { expected: 5, found: 1 });
    let mut nobody = context(MAINNET);
    nobody.accounts.clear();
    let error = assemble(&list(&eip155()), &nobody, &signatures).unwrap_err();
    assert_eq!(error, SignerError::NoAccount.into());
}

#[test]
fn the_parity_stands_where_each_kind_wants_it() {
    let largest = u128::from(9_223_372_036_854_775_771_u64);
    for parity in [0, 1] {
        let mut answer = signature();
        let id = RecoveryId::new(parity).unwrap();
        answer.signature = answer.signature.with_recovery_hint(id);
        let v = |bytes: &[u8], chain: &str, index: usize| {
            let raw = assemble(bytes, &context(chain), std::slice::from_ref(&answer)).unwrap();
            let start = usize::from(raw[0] == 2);
            crate::rlp::items(&raw[start..]).unwrap()[index].clone()
        };
        let parity = u128::from(parity);
        assert_eq!(v(&list(&legacy()), MAINNET, 6), number(27 + parity));
        assert_eq!(v(&list(&eip155()), MAINNET, 6), number(37 + parity));
        assert_eq!(v(&typed(&eip1559()), MAINNET, 9), number(parity));
        let far = list(&with(eip155(), 6, number(largest)));
        let chain = format!("eip155:{largest}");
        assert_eq!(v(&far, &chain, 6), number(largest * 2 + 35 + parity));
    }
}
