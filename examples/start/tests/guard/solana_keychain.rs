//! A wallet's key as a signer of solana-keychain, over a whole custodian.

use custody_chain::{AdapterError, KeychainSigner};
use custody_core::command::Command;
use custody_core::id::KeyId;
use solana_address::Address;
use solana_keychain::{SignTransactionResult, SignerError, SolanaSigner};
use solana_offchain_message::OffchainMessage;
use solana_sdk_transaction::{AccountMeta, Instruction, Message, Transaction};

use crate::solana_adapters::{SOL, other, receiver, signer, solana_world};
use crate::world::World;

/// A payment to the receiver, from one account and paid for by another.
fn unsigned(from: Address, payer: Address, lamports: u64) -> Transaction {
    let accounts = vec![AccountMeta::new(from, true), AccountMeta::new(receiver(), false)];
    let data = [&2_u32.to_le_bytes()[..], &lamports.to_le_bytes()].concat();
    let pay = Instruction { program_id: Address::default(), accounts, data };
    Transaction::new_unsigned(Message::new(&[pay], Some(&payer)))
}

fn payment(signer: &KeychainSigner, lamports: u64) -> Transaction {
    unsigned(signer.pubkey(), signer.pubkey(), lamports)
}

async fn keychain() -> (World, KeychainSigner) {
    let world = solana_world().await;
    let signer = signer(&world, "sol").keychain().unwrap();
    (world, signer)
}

#[tokio::test]
async fn a_transaction_gets_its_signature_once_and_is_complete() {
    let (world, signer) = keychain().await;
    assert!(signer.is_available().await);
    let mut transaction = payment(&signer, 2 * SOL);
    let signed = signer.sign_transaction(&mut transaction).await.unwrap();
    let SignTransactionResult::Complete((text, signature)) = signed else { panic!("{signed:?}") };
    transaction.verify().unwrap();
    assert_eq!(transaction.signatures, [signature]);
    assert!(text.len() > 200);
    let again = signer.sign_transaction(&mut transaction).await.unwrap();
    assert_eq!(again.into_signed_transaction(), (text, signature));
    assert_eq!(world.sign_calls(), 1, "the same intent is the same order");
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn what_others_pay_for_is_partly_signed() {
    let (world, signer) = keychain().await;
    let mut transaction = unsigned(signer.pubkey(), other(), SOL);
    let signed = signer.sign_transaction(&mut transaction).await.unwrap();
    let SignTransactionResult::Partial((_, signature)) = signed else { panic!("{signed:?}") };
    assert_eq!(transaction.signatures[1], signature);
    assert!(signature.verify(signer.pubkey().as_ref(), &transaction.message_data()));
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn what_waits_is_not_available_until_people_have_approved() {
    let (world, signer) = keychain().await;
    let mut transaction = payment(&signer, 20 * SOL);
    let before = transaction.clone();
    let error = signer.sign_transaction(&mut transaction).await.unwrap_err();
    assert!(matches!(error, SignerError::NotAvailable(_)));
    assert_eq!((&transaction, world.sign_calls()), (&before, 0));
    let order = KeychainSigner::order_in(&error).unwrap();
    let waiting = world.order(&order).await.unwrap();
    let _released = world.approve_all(waiting).await.unwrap();
    let _signed = signer.sign_transaction(&mut transaction).await.unwrap();
    transaction.verify().unwrap();
    assert_eq!(world.sign_calls(), 1);
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn what_is_denied_is_not_signed_and_names_its_order() {
    let (world, signer) = keychain().await;
    let mut transaction = payment(&signer, 51 * SOL);
    let before = transaction.clone();
    let error = signer.sign_transaction(&mut transaction).await.unwrap_err();
    let SignerError::SigningFailed(text) = &error else { panic!("{error:?}") };
    let order = KeychainSigner::order_in(&error).unwrap();
    assert_eq!(*text, format!("order {order}: order {order} is denied"));
    assert_eq!((&transaction, world.sign_calls()), (&before, 0));
    assert_eq!(KeychainSigner::order_in(&SignerError::Other(text.clone())), None);
    assert_eq!(KeychainSigner::order_in(&SignerError::SigningFailed("order".into())), None);
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_message_is_signed_only_if_it_is_an_off_chain_message() {
    let (world, signer) = keychain().await;
    let before = world.events().await.len();
    let transaction = payment(&signer, SOL).message_data();
    for (name, refused) in [("text", &b"hello"[..]), ("a transaction", &transaction), ("", b"")] {
        let error = signer.sign_message(refused).await.unwrap_err();
        assert!(matches!(error, SignerError::SigningFailed(_)), "{name}: {error:?}");
        assert_eq!(KeychainSigner::order_in(&error), None, "{name}");
    }
    assert_eq!((world.events().await.len(), world.sign_calls()), (before, 0));
    let whole = OffchainMessage::new(0, b"hello").unwrap().serialize().unwrap();
    let error = signer.sign_message(&whole).await.unwrap_err();
    assert!(matches!(error, SignerError::NotAvailable(_)), "{error:?}");
    let waiting = world.order(&KeychainSigner::order_in(&error).unwrap()).await.unwrap();
    let _released = world.approve_all(waiting).await.unwrap();
    let signature = signer.sign_message(&whole).await.unwrap();
    assert!(signature.verify(signer.pubkey().as_ref(), &whole));
    assert_eq!(world.sign_calls(), 1);
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_transaction_of_others_is_refused_without_an_order() {
    let (world, signer) = keychain().await;
    let before = world.events().await.len();
    let mut transaction = unsigned(other(), other(), SOL);
    let error = signer.sign_transaction(&mut transaction).await.unwrap_err();
    assert!(matches!(error, SignerError::SigningFailed(_)), "{error:?}");
    assert_eq!((world.events().await.len(), world.sign_calls()), (before, 0));
}

#[tokio::test]
async fn a_key_of_another_algorithm_is_no_signer_and_a_suspended_one_is_not_available() {
    let (world, keychain) = keychain().await;
    let refused = signer(&world, "hot").keychain().unwrap_err();
    assert!(matches!(refused, AdapterError::Unsupported { .. }), "{refused:?}");
    let key = KeyId::parse("sol.0").unwrap();
    world.done("suspend-sol", Command::SuspendKey { key }).await;
    assert!(!keychain.is_available().await);
    let mut transaction = payment(&keychain, SOL);
    let error = keychain.sign_transaction(&mut transaction).await.unwrap_err();
    assert!(matches!(error, SignerError::SigningFailed(_)), "{error:?}");
    assert_eq!(world.sign_calls(), 0);
    let _oracle = world.verify().await;
}
