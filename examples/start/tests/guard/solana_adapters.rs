//! What a wallet gives to Solana's SDK, over a whole custodian: a signature that was released, as a
//! signer of that one message.

use std::sync::Arc;

use custody_chain::{AdapterError, EvmDecoder, SolanaDecoder, WalletSigner};
use custody_core::amount::Asset;
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::id::{BackendId, BookId, KeyId, PayloadFormat, TierId, WalletId};
use custody_core::seam::{Authentication, Decoder, Exportability, Payload};
use examples_start::house;
use solana_address::Address;
use solana_message::Hash;
use solana_offchain_message::OffchainMessage;
use solana_transaction::{AccountMeta, Instruction, Message, Transaction};

use crate::world::{Kind, Setup, World};

const CHAIN: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
pub(crate) const SOL: u64 = 1_000_000_000;
const RULES: &str = r#"
@id("sol-small")
permit (principal in Role::"operator", action == Action::"transfer", resource in Tier::"hot")
when { context.asset == Asset::"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/slip44:501"
    && context.order.total.lessThanOrEqual(decimal("5.0")) && context.known };
@id("sol-large")
permit (principal in Role::"operator", action == Action::"transfer", resource in Tier::"hot")
when { context.asset == Asset::"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/slip44:501"
    && context.order.total.lessThanOrEqual(decimal("50.0")) && context.approvals.treasurer >= 2 };
@id("sol-fee")
permit (principal in Role::"operator", action == Action::"pay_fee", resource in Tier::"hot")
when { context.asset == Asset::"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/slip44:501"
    && context.amount.lessThanOrEqual(decimal("0.01")) };
@id("sol-cap")
forbid (principal, action == Action::"transfer", resource)
when { context.asset == Asset::"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/slip44:501"
    && context.order.total.greaterThan(decimal("50.0")) };
"#;

/// A house that has a Solana wallet `sol` beside its other one.
pub(crate) async fn solana_world() -> World {
    let decoders: Vec<Arc<dyn Decoder>> =
        vec![Arc::new(EvmDecoder::new()), Arc::new(SolanaDecoder::new())];
    let rules = format!("{}\n{RULES}", house::TREASURY);
    let world = World::with(Setup { decoders, rules, ..Setup::new(Kind::Memory) }).await;
    let coin = Asset::new(AssetId::parse(&format!("{CHAIN}/slip44:501")).unwrap(), 9);
    world.done("coin", Command::RegisterAsset { asset: coin }).await;
    let account = AccountId::parse(&format!("{CHAIN}:{}", receiver())).unwrap();
    let book = BookId::parse("customers").unwrap();
    world.done("receiver", Command::AddAddress { book, account }).await;
    let wallet = WalletId::parse("sol").unwrap();
    let made = Command::CreateWallet {
        wallet: wallet.clone(),
        chain: ChainId::parse(CHAIN).unwrap(),
        tier: TierId::parse("hot").unwrap(),
        backend: BackendId::parse("software").unwrap(),
        seed: None,
    };
    world.done("wallet-sol", made).await;
    let key = Command::CreateKey {
        wallet,
        key: KeyId::parse("sol.0").unwrap(),
        algorithm: Algorithm::Ed25519,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    };
    world.done("key-sol", key).await;
    world
}

pub(crate) fn signer(world: &World, wallet: &str) -> WalletSigner {
    let key = KeyId::parse(&format!("{wallet}.0")).unwrap();
    let (custodian, wallet) = (world.custodian.clone(), WalletId::parse(wallet).unwrap());
    let login = Authentication { factors: 2, age_ms: 60_000, ip: None, signed: false };
    let signer = WalletSigner::new(custodian, world.people.olivia.id.clone(), wallet, key).unwrap();
    signer.authenticated(login)
}

pub(crate) fn receiver() -> Address {
    "4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM".parse().unwrap()
}

/// Somebody else.
pub(crate) fn other() -> Address {
    Address::from([7; 32])
}

pub(crate) fn address(signer: &WalletSigner) -> Address {
    Address::try_from(signer.public_key().as_bytes()).unwrap()
}

/// A payment to the receiver, from one account and paid for by another.
fn unsigned(from: Address, payer: Address, lamports: u64) -> Transaction {
    let accounts = vec![AccountMeta::new(from, true), AccountMeta::new(receiver(), false)];
    let data = [&2_u32.to_le_bytes()[..], &lamports.to_le_bytes()].concat();
    let pay = Instruction { program_id: Address::default(), accounts, data };
    Transaction::new_unsigned(Message::new(&[pay], Some(&payer)))
}

fn payment(signer: &WalletSigner, lamports: u64) -> Transaction {
    unsigned(address(signer), address(signer), lamports)
}

fn payload(format: &str, bytes: Vec<u8>) -> Payload {
    Payload { format: PayloadFormat::parse(format).unwrap(), bytes }
}

fn message(transaction: &Transaction) -> Payload {
    payload("solana/message", transaction.message_data())
}

#[tokio::test]
async fn a_presigner_signs_what_was_released_and_nothing_else() {
    let world = solana_world().await;
    let signer = signer(&world, "sol");
    let mut transaction = payment(&signer, 2 * SOL);
    let presigner = signer.presigner(message(&transaction)).await.unwrap();
    let again = signer.presigner(message(&transaction)).await.unwrap();
    assert_eq!(format!("{again:?}"), format!("{presigner:?}"));
    assert_eq!(world.sign_calls(), 1, "the same intent is the same order");
    let blockhash = transaction.message.recent_blockhash;
    for lamports in [2 * SOL - 1, 2 * SOL + 1] {
        let mut another = payment(&signer, lamports);
        assert!(another.try_sign(&[&presigner], blockhash).is_err());
        assert!(!another.is_signed());
    }
    let mut later = transaction.clone();
    assert!(later.try_sign(&[&presigner], Hash::from([9; 32])).is_err());
    transaction.try_sign(&[&presigner], blockhash).unwrap();
    transaction.verify().unwrap();
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn what_waits_gives_a_presigner_once_people_have_approved() {
    let world = solana_world().await;
    let signer = signer(&world, "sol");
    let mut transaction = payment(&signer, 20 * SOL);
    let error = signer.presigner(message(&transaction)).await.unwrap_err();
    let AdapterError::Pending { order } = &error else { panic!("{error:?}") };
    assert_eq!(world.sign_calls(), 0);
    let waiting = world.order(order).await.unwrap();
    let _released = world.approve_all(waiting).await.unwrap();
    let presigner = signer.presigner(message(&transaction)).await.unwrap();
    let blockhash = transaction.message.recent_blockhash;
    transaction.try_sign(&[&presigner], blockhash).unwrap();
    transaction.verify().unwrap();
    assert_eq!(world.sign_calls(), 1);
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn what_is_denied_gives_no_presigner_until_it_is_another_attempt() {
    let world = solana_world().await;
    let signer = signer(&world, "sol");
    let mut orders = Vec::new();
    for attempt in [0, 0, 1] {
        let transaction = payment(&signer, 51 * SOL);
        let asked = signer.clone().attempt(attempt).presigner(message(&transaction)).await;
        let Err(AdapterError::Denied { order, rules }) = asked else { panic!("{asked:?}") };
        assert!(rules.iter().any(|rule| rule.as_str() == "sol-cap"), "{rules:?}");
        orders.push(order);
    }
    assert_eq!(orders[0], orders[1]);
    assert_ne!(orders[1], orders[2]);
    assert_eq!(world.sign_calls(), 0);
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_key_of_another_algorithm_gives_no_presigner_and_asks_for_nothing() {
    let world = solana_world().await;
    let (hot, sol) = (signer(&world, "hot"), signer(&world, "sol"));
    let before = world.events().await.len();
    let error = hot.presigner(message(&payment(&sol, SOL))).await.unwrap_err();
    assert!(matches!(error, AdapterError::Unsupported { .. }), "{error:?}");
    assert_eq!((world.events().await.len(), world.sign_calls()), (before, 0));
}

#[tokio::test]
async fn what_is_no_transaction_of_the_wallet_is_refused_without_an_order() {
    let world = solana_world().await;
    let signer = signer(&world, "sol");
    let before = world.events().await.len();
    let bytes = payment(&signer, SOL).message_data();
    let whole = OffchainMessage::new(0, b"hello").unwrap().serialize().unwrap();
    for (name, refused) in [
        ("of others", message(&unsigned(other(), other(), SOL))),
        ("cut", payload("solana/message", bytes[..bytes.len() - 1].to_vec())),
        ("longer", payload("solana/message", [&bytes[..], b"!"].concat())),
        ("a transaction as a message", payload("solana/offchain", bytes)),
        ("a message as a transaction", payload("solana/message", whole)),
        ("plain text as a message", payload("solana/offchain", b"hello".to_vec())),
    ] {
        let error = signer.presigner(refused).await.unwrap_err();
        assert!(matches!(error, AdapterError::Custodian(_)), "{name}: {error:?}");
    }
    assert_eq!((world.events().await.len(), world.sign_calls()), (before, 0));
}

#[tokio::test]
async fn a_transaction_that_others_pay_for_gets_the_wallets_signature_alone() {
    let world = solana_world().await;
    let signer = signer(&world, "sol");
    let mut transaction = unsigned(address(&signer), other(), SOL);
    let presigner = signer.presigner(message(&transaction)).await.unwrap();
    let blockhash = transaction.message.recent_blockhash;
    assert!(transaction.try_sign(&[&presigner], blockhash).is_err(), "the payer has not signed");
    transaction.try_partial_sign(&[&presigner], blockhash).unwrap();
    let [payer, wallet] = transaction.signatures.as_slice() else { panic!() };
    assert_eq!(payer.as_ref(), [0; 64]);
    assert!(wallet.verify(address(&signer).as_ref(), &transaction.message_data()));
    assert_eq!(world.sign_calls(), 1);
    let _oracle = world.verify().await;
}
