//! The signers that other libraries know, over a whole custodian: what is released, what waits, what
//! is denied, and how each is found in the errors of those libraries.

use std::sync::Arc;

use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEnvelope, TypedTransaction};
use alloy_network::{Ethereum, EthereumWallet, NetworkWallet, TxSigner};
use alloy_primitives::{Address, B256, U256, address};
use alloy_signer::Signer as _;
use custody_chain::{AdapterError, EvmDecoder, OpaqueDecoder, WalletSigner};
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::digest::Digest;
use custody_core::id::{KeyId, WalletId};
use custody_core::seam::{Authentication, Decoder};
use examples_start::house;
use signature::hazmat::AsyncPrehashSigner as _;
use signature::{AsyncSigner as _, Keypair as _};

use crate::world::work::{ETH, KNOWN};
use crate::world::{Kind, Setup, World};

fn signer(world: &World) -> WalletSigner {
    let (wallet, key) = (WalletId::parse("hot").unwrap(), KeyId::parse("hot.0").unwrap());
    let custodian = world.custodian.clone();
    let login = Authentication { factors: 2, age_ms: 60_000, ip: None, signed: false };
    let signer = WalletSigner::new(custodian, world.people.olivia.id.clone(), wallet, key).unwrap();
    signer.authenticated(login)
}

fn transaction(wei: u128, nonce: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: 1,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: KNOWN.parse::<Address>().unwrap().into(),
        value: U256::from(wei),
        ..TxEip1559::default()
    }
}

/// What alloy's wallet makes of a transaction.
async fn send(signer: &WalletSigner, tx: TxEip1559) -> Result<TxEnvelope, alloy_signer::Error> {
    let wallet = EthereumWallet::from(signer.clone());
    let from = TxSigner::address(signer);
    let tx = TypedTransaction::Eip1559(tx);
    NetworkWallet::<Ethereum>::sign_transaction_from(&wallet, from, tx).await
}

fn found(error: &alloy_signer::Error) -> &AdapterError {
    AdapterError::find_in(error).unwrap_or_else(|| panic!("{error:?}"))
}

#[tokio::test]
async fn alloys_wallet_signs_what_the_rules_allow() {
    let world = World::new(Kind::Memory).await;
    let signer = signer(&world);
    let tx = transaction(ETH / 10, 1);
    let signed = send(&signer, tx.clone()).await.unwrap();
    let TxEnvelope::Eip1559(envelope) = &signed else { panic!("{signed:?}") };
    let recovered = envelope.signature().recover_address_from_prehash(&tx.signature_hash());
    assert_eq!(recovered.unwrap(), TxSigner::address(&signer));
    assert_eq!(world.sign_calls(), 1);
    let again = send(&signer, tx).await.unwrap();
    assert_eq!((again, world.sign_calls()), (signed, 1), "the same intent is the same order");
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn what_waits_names_its_order_and_is_signed_once_people_have_approved() {
    let world = World::new(Kind::Memory).await;
    let signer = signer(&world);
    let tx = transaction(20 * ETH, 1);
    let error = send(&signer, tx.clone()).await.unwrap_err();
    let AdapterError::Pending { order } = found(&error) else { panic!("{error:?}") };
    assert_eq!(found(&error).order(), Some(order));
    let waiting = world.order(order).await.unwrap();
    let _released = world.approve_all(waiting).await.unwrap();
    let signed = send(&signer, tx.clone()).await.unwrap();
    let TxEnvelope::Eip1559(envelope) = signed else { panic!() };
    let recovered = envelope.signature().recover_address_from_prehash(&tx.signature_hash());
    assert_eq!((recovered.unwrap(), world.sign_calls()), (TxSigner::address(&signer), 1));
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn what_is_denied_stays_denied_until_it_is_another_attempt() {
    let world = World::new(Kind::Memory).await;
    let signer = signer(&world);
    let mut orders = Vec::new();
    for attempt in [0, 0, 1] {
        let signer = signer.clone().attempt(attempt);
        let error = send(&signer, transaction(1_000 * ETH, 1)).await.unwrap_err();
        let AdapterError::Denied { order, rules } = found(&error) else { panic!("{error:?}") };
        assert!(!rules.is_empty());
        orders.push(order.clone());
    }
    assert_eq!(orders[0], orders[1]);
    assert_ne!(orders[1], orders[2]);
    assert_eq!(world.sign_calls(), 0);
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn no_hash_is_signed_for_alloy_and_messages_wait_for_people() {
    let world = World::new(Kind::Memory).await;
    let mut signer = signer(&world);
    let hash = signer.sign_hash(&B256::repeat_byte(7)).await;
    assert!(matches!(hash, Err(alloy_signer::Error::UnsupportedOperation(_))), "{hash:?}");
    let error = signer.sign_message(b"hello").await.unwrap_err();
    let AdapterError::Pending { order } = found(&error) else { panic!("{error:?}") };
    let waiting = world.order(order).await.unwrap();
    let _released = world.approve_all(waiting).await.unwrap();
    let signed = signer.sign_message(b"hello").await.unwrap();
    assert_eq!(signed.recover_address_from_msg("hello").unwrap(), TxSigner::address(&signer));
    signer.set_chain_id(Some(5));
    let error = send(&signer, transaction(ETH / 10, 1)).await.unwrap_err();
    let mismatch = matches!(error, alloy_signer::Error::TransactionChainIdMismatch { .. });
    assert!(mismatch, "{error:?}");
    assert_eq!(world.sign_calls(), 1);
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn typed_data_goes_through_the_decoder() {
    let world = World::new(Kind::Memory).await;
    let signer = signer(&world);
    let document = serde_json::json!({
        "types": {
            "EIP712Domain": [{ "name": "chainId", "type": "uint256" }],
            "Note": [{ "name": "text", "type": "string" }],
        },
        "primaryType": "Note", "domain": { "chainId": 1 }, "message": { "text": "hi" },
    });
    let typed: alloy_dyn_abi::TypedData = serde_json::from_value(document).unwrap();
    let error = signer.sign_dynamic_typed_data(&typed).await.unwrap_err();
    let AdapterError::Pending { order } = found(&error) else { panic!("{error:?}") };
    let waiting = world.order(order).await.unwrap();
    let _released = world.approve_all(waiting).await.unwrap();
    let signed = signer.sign_dynamic_typed_data(&typed).await.unwrap();
    let digest = typed.eip712_signing_hash().unwrap();
    let recovered = signed.recover_address_from_prehash(&digest).unwrap();
    assert_eq!(recovered, TxSigner::address(&signer));
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn what_is_opaque_is_denied_unless_a_rule_names_the_wallet() {
    let digest = *Digest::of(b"anything").as_bytes();
    let decoders: Vec<Arc<dyn Decoder>> =
        vec![Arc::new(EvmDecoder::new()), Arc::new(OpaqueDecoder::new())];
    let setup = Setup { decoders, ..Setup::new(Kind::Memory) };
    let world = World::with(setup.clone()).await;
    for error in [
        signer(&world).sign_async(b"anything").await.unwrap_err(),
        signer(&world).sign_prehash_async(&digest).await.unwrap_err(),
    ] {
        let found = AdapterError::find_in(&error);
        assert!(matches!(found, Some(AdapterError::Denied { .. })), "{error:?}");
    }
    assert_eq!(world.sign_calls(), 0);
    let _oracle = world.verify().await;
    let rules = house::TREASURY.replace(
        "forbid (principal, action == Action::\"sign_opaque\", resource);",
        "permit (principal, action == Action::\"sign_opaque\", resource == Wallet::\"hot\");",
    );
    assert_ne!(rules, house::TREASURY);
    let world = World::with(Setup { rules, ..setup }).await;
    let signer = signer(&world);
    let signature = signer.sign_prehash_async(&digest).await.unwrap();
    let key = signer.verifying_key();
    assert_eq!(key.algorithm(), Algorithm::EcdsaSecp256k1);
    signature.verify(&key, SignInput::Prehash(&digest)).unwrap();
    let short = signer.sign_prehash_async(&digest[1..]).await.unwrap_err();
    assert!(matches!(AdapterError::find_in(&short), Some(AdapterError::Custodian(_))), "{short:?}");
    let hashed = alloy_primitives::keccak256(b"anything").0;
    let signature = signer.sign_async(b"anything").await.unwrap();
    signature.verify(&key, SignInput::Prehash(&hashed)).unwrap();
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_signer_needs_a_key_of_the_wallet() {
    let world = World::new(Kind::Memory).await;
    for (wallet, key) in [("hot", "hot.9"), ("cold", "hot.0")] {
        let (wallet, key) = (WalletId::parse(wallet).unwrap(), KeyId::parse(key).unwrap());
        let requester = world.people.olivia.id.clone();
        let signer = WalletSigner::new(world.custodian.clone(), requester, wallet, key);
        assert!(matches!(signer, Err(AdapterError::Key)), "{signer:?}");
    }
    assert_ne!(
        address!("0000000000000000000000000000000000000000"),
        TxSigner::address(&signer(&world))
    );
}
