//! PSBTs over a whole custodian: whichever keys of a wallet are needed sign, what comes back is no
//! payment, and nothing else is signed, before or after people have approved.

use std::sync::Arc;

use bitcoin::absolute::LockTime;
use bitcoin::bip32::{ChildNumber, DerivationPath, Xpriv, Xpub};
use bitcoin::hashes::Hash as _;
use bitcoin::psbt::{Input, Output};
use bitcoin::secp256k1::Secp256k1;
use bitcoin::sighash::EcdsaSighashType;
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, CompressedPublicKey, Network, OutPoint, Psbt, ScriptBuf, Transaction, TxIn, TxOut,
    Txid, consensus,
};
use custody_chain::{
    AdapterError, AddressKind, BitcoinDecoder, BitcoinError, EvmDecoder, WalletSigner,
};
use custody_core::amount::Asset;
use custody_core::caip::{AssetId, ChainId};
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Error, Request};
use custody_core::id::{BackendId, KeyId, OrderId, PayloadFormat, RequestId, TierId, WalletId};
use custody_core::seam::{Exportability, Payload, WalletDescriptor};
use examples_start::house;

use crate::world::{Kind, Setup, World};

/// Regtest.
const CHAIN: &str = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328";
const COIN: u64 = 100_000_000;
const FEE: u64 = 2_000;
const RULES: &str = r#"
@id("bitcoin-small")
permit (principal in Role::"operator", action == Action::"transfer", resource in Tier::"hot")
when { context.asset == Asset::"bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1"
    && context.order.total.lessThanOrEqual(decimal("0.5")) };
@id("bitcoin-large")
permit (principal in Role::"operator", action == Action::"transfer", resource in Tier::"hot")
when { context.asset == Asset::"bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1"
    && context.order.total.lessThanOrEqual(decimal("2.0")) && context.approvals.treasurer >= 1 };
@id("bitcoin-too-large")
forbid (principal, action == Action::"transfer", resource)
when { context.asset == Asset::"bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1"
    && context.order.total.greaterThan(decimal("2.0")) };
@id("bitcoin-fee")
permit (principal in Role::"operator", action == Action::"pay_fee", resource in Tier::"hot")
when { context.asset == Asset::"bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1"
    && context.amount.lessThanOrEqual(decimal("0.001")) };
"#;

/// A house with the Bitcoin wallets `coins` and `others` of two keys each, and the descriptor of
/// [`account`] for what comes back to `coins`.
async fn world() -> World {
    let setup = Setup {
        decoders: vec![Arc::new(EvmDecoder::new()), Arc::new(BitcoinDecoder::new())],
        rules: format!("{}{RULES}", house::TREASURY),
        ..Setup::new(Kind::Memory)
    };
    let world = World::with(setup).await;
    let asset = Asset::new(AssetId::parse(&format!("{CHAIN}/slip44:1")).unwrap(), 8);
    world.done("coin", Command::RegisterAsset { asset }).await;
    for name in ["coins", "others"] {
        let wallet = WalletId::parse(name).unwrap();
        let made = Command::CreateWallet {
            wallet: wallet.clone(),
            chain: ChainId::parse(CHAIN).unwrap(),
            tier: TierId::parse("hot").unwrap(),
            backend: BackendId::parse("software").unwrap(),
            seed: None,
        };
        world.done(&format!("wallet-{name}"), made).await;
        for number in 0..2 {
            let key = Command::CreateKey {
                wallet: wallet.clone(),
                key: KeyId::parse(&format!("{name}.{number}")).unwrap(),
                algorithm: Algorithm::EcdsaSecp256k1,
                exportability: Exportability::Never,
                start: KeyStart::Active,
            };
            world.done(&format!("key-{name}-{number}"), key).await;
        }
    }
    let (wallet, descriptor) = (WalletId::parse("coins").unwrap(), descriptor());
    world.done("descriptor", Command::RegisterDescriptor { wallet, descriptor }).await;
    world
}

/// The account that change goes to: the fingerprint of its seed, and its extended public key.
fn account() -> ([u8; 4], Xpub) {
    let secp = Secp256k1::new();
    let root = Xpriv::new_master(Network::Regtest, &[7; 32]).unwrap();
    let path: DerivationPath = "84'/1'/0'".parse().unwrap();
    let account = root.derive_priv(&secp, &path).unwrap();
    (root.fingerprint(&secp).to_bytes(), Xpub::from_priv(&secp, &account))
}

fn descriptor() -> WalletDescriptor {
    let (fingerprint, xpub) = account();
    let chain = ChainId::parse(CHAIN).unwrap();
    AddressKind::WitnessKeyHash.descriptor(&chain, fingerprint, 0, &xpub.to_string()).unwrap()
}

/// The key of the account's first change address.
fn change_key() -> CompressedPublicKey {
    let steps = [1, 0].map(|index| ChildNumber::from_normal_idx(index).unwrap());
    CompressedPublicKey(account().1.derive_pub(&Secp256k1::new(), &steps).unwrap().public_key)
}

fn p2wpkh(key: CompressedPublicKey) -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&key.wpubkey_hash())
}

/// The script of a key of the custodian's.
fn of_key(world: &World, key: &str) -> ScriptBuf {
    let key = world.custodian.key(&KeyId::parse(key).unwrap()).unwrap();
    p2wpkh(CompressedPublicKey::from_slice(key.public_key().as_bytes()).unwrap())
}

/// The script of somebody.
fn stranger(number: u8) -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::from_byte_array([number; 20]))
}

fn transaction(input: Vec<OutPoint>, output: Vec<TxOut>) -> Transaction {
    let input =
        input.into_iter().map(|previous_output| TxIn { previous_output, ..TxIn::default() });
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input: input.collect(), output }
}

/// A PSBT that spends a coin of each of these scripts, and pays.
fn psbt(spent: &[ScriptBuf], pays: &[(ScriptBuf, u64)]) -> Psbt {
    let output = |script: &ScriptBuf, value: u64| TxOut {
        value: Amount::from_sat(value),
        script_pubkey: script.clone(),
    };
    let previous: Vec<Transaction> = (0_u32..)
        .zip(spent)
        .map(|(number, script)| {
            let point = OutPoint::new(Txid::from_byte_array([9; 32]), number);
            transaction(vec![point], vec![output(script, COIN)])
        })
        .collect();
    let points = previous.iter().map(|whole| OutPoint::new(whole.compute_txid(), 0)).collect();
    let outputs = pays.iter().map(|(script, value)| output(script, *value)).collect();
    let mut psbt = Psbt::from_unsigned_tx(transaction(points, outputs)).unwrap();
    for (input, whole) in psbt.inputs.iter_mut().zip(previous) {
        *input = Input { non_witness_utxo: Some(whole), ..Input::default() };
    }
    psbt
}

/// Says of an output that it is the account's first change address.
fn label(output: &mut Output) {
    let path = "84'/1'/0'/1/0".parse().unwrap();
    output.bip32_derivation.insert(change_key().0, (account().0.into(), path));
}

/// A payment of this much from `coins.0`, with change.
fn payment(world: &World, satoshi: u64) -> Psbt {
    let pays = [(stranger(1), satoshi), (p2wpkh(change_key()), 3 * COIN - satoshi - FEE)];
    let own = of_key(world, "coins.0");
    let mut psbt = psbt(&[own.clone(), own.clone(), own], &pays);
    label(&mut psbt.outputs[1]);
    psbt
}

fn signer(world: &World) -> WalletSigner {
    let (wallet, key) = (WalletId::parse("coins").unwrap(), KeyId::parse("coins.1").unwrap());
    let requester = world.people.olivia.id.clone();
    WalletSigner::new(world.custodian.clone(), requester, wallet, key).unwrap()
}

/// Whether Bitcoin Core finds every input of a transaction satisfied that spends what `psbt` does.
fn verifies(transaction: &Transaction, psbt: &Psbt) -> bool {
    let bytes = consensus::serialize(transaction);
    psbt.iter_funding_utxos().enumerate().all(|(index, spent)| {
        let TxOut { value, script_pubkey } = spent.unwrap();
        let script = script_pubkey.as_bytes();
        bitcoinconsensus::verify(script, value.to_sat(), &bytes, None, index).is_ok()
    })
}

/// Whether a refusal is the right one.
type Expected = fn(&BitcoinError) -> bool;

fn pending(error: &AdapterError) -> OrderId {
    let AdapterError::Pending { order } = error else { panic!("{error:?}") };
    order.clone()
}

#[tokio::test]
async fn every_key_that_a_psbt_needs_signs_and_change_is_no_payment() {
    let world = world().await;
    let own = ["coins.0", "coins.1"].map(|key| of_key(&world, key));
    let pays = [(p2wpkh(change_key()), 2 * COIN - COIN / 4 - FEE), (stranger(1), COIN / 4)];
    let mut asked = psbt(&own, &pays);
    label(&mut asked.outputs[0]);
    let mut first = asked.clone();
    let signed = signer(&world).sign_psbt(&mut first).await.unwrap();
    let transaction = signed.transaction.unwrap();
    assert!(verifies(&transaction, &asked));
    assert_eq!(world.sign_calls(), 2);
    let mut again = asked.clone();
    let repeated = signer(&world).sign_psbt(&mut again).await.unwrap();
    assert_eq!((again, repeated.transaction), (first, Some(transaction)));
    assert_eq!((repeated.released.order, world.sign_calls()), (signed.released.order, 2));
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_psbt_that_waits_is_left_alone_and_signed_once_people_have_approved() {
    let world = world().await;
    let asked = payment(&world, COIN);
    let mut psbt = asked.clone();
    let order = pending(&signer(&world).sign_psbt(&mut psbt).await.unwrap_err());
    assert_eq!((&psbt, world.sign_calls()), (&asked, 0));
    let waiting = world.order(&order).await.unwrap();
    let _released = world.approve_all(waiting).await.unwrap();
    let signed = signer(&world).sign_psbt(&mut psbt).await.unwrap();
    assert_eq!(signed.released.order, order);
    assert!(verifies(&signed.transaction.unwrap(), &asked));
    assert_eq!(world.sign_calls(), 3, "one for each input");
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn an_output_that_was_changed_after_the_approval_is_not_signed() {
    let world = world().await;
    let asked = payment(&world, COIN);
    let order = pending(&signer(&world).sign_psbt(&mut asked.clone()).await.unwrap_err());
    let waiting = world.order(&order).await.unwrap();
    let _released = world.approve_all(waiting).await.unwrap();
    let mut changed = asked.clone();
    changed.unsigned_tx.output[0].script_pubkey = stranger(2);
    let other = pending(&signer(&world).sign_psbt(&mut changed.clone()).await.unwrap_err());
    assert_ne!(other, order, "another payment is another order, which nobody has approved");
    assert_eq!(world.sign_calls(), 3);
    let signed = signer(&world).sign_psbt(&mut asked.clone()).await.unwrap();
    let mut transaction = signed.transaction.unwrap();
    assert!(verifies(&transaction, &asked));
    transaction.output[0].script_pubkey = stranger(2);
    assert!(!verifies(&transaction, &asked), "signatures cover the receiver");
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_request_id_never_stands_for_another_psbt() {
    let world = world().await;
    let request = |psbt: &Psbt| {
        let format = PayloadFormat::parse("bitcoin/psbt").unwrap();
        let payload = Payload { format, bytes: psbt.serialize() };
        let (id, wallet) = (RequestId::parse("one").unwrap(), WalletId::parse("coins").unwrap());
        Request::payload(world.people.olivia.id.clone(), id, wallet, payload)
    };
    let psbt = payment(&world, COIN);
    let waiting = world.submit(request(&psbt)).await.unwrap();
    let mut changed = psbt.clone();
    changed.unsigned_tx.output[0].script_pubkey = stranger(2);
    let refused = world.submit(request(&changed)).await;
    assert!(matches!(&refused, Err(Error::RequestReused { order }) if *order == waiting.order));
    assert_eq!(world.sign_calls(), 0);
}

#[tokio::test]
async fn change_that_is_not_the_wallets_is_a_payment_and_denied() {
    let world = world().await;
    let own = of_key(&world, "coins.0");
    let cases: [(&str, ScriptBuf, bool); 3] = [
        ("labelled as the wallet's", stranger(3), true),
        ("of another wallet", of_key(&world, "others.0"), true),
        ("without a label", p2wpkh(change_key()), false),
    ];
    for (name, rest, is_labelled) in cases {
        let pays = [(stranger(1), COIN / 10), (rest, 3 * COIN - COIN / 10 - FEE)];
        let mut psbt = psbt(&[own.clone(), own.clone(), own.clone()], &pays);
        if is_labelled {
            label(&mut psbt.outputs[1]);
        }
        let error = signer(&world).sign_psbt(&mut psbt).await.unwrap_err();
        let AdapterError::Denied { rules, .. } = &error else { panic!("{name}: {error:?}") };
        assert!(rules.iter().any(|rule| rule.as_str() == "bitcoin-too-large"), "{name}");
    }
    assert_eq!(world.sign_calls(), 0);
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn what_nothing_proves_becomes_no_order() {
    let world = world().await;
    let small = || payment(&world, COIN / 10);
    let others = of_key(&world, "others.0");
    let told = |psbt: &mut Psbt| {
        let whole = psbt.inputs[0].non_witness_utxo.take().unwrap();
        psbt.inputs[0].witness_utxo = Some(whole.output[0].clone());
    };
    let cases: [(&str, Psbt, Expected); 6] = [
        ("inputs of another wallet", psbt(&[others], &[(stranger(1), COIN / 10)]), |error| {
            *error == BitcoinError::NothingOfOurs
        }),
        (
            "a signature that leaves the outputs open",
            with(small(), |psbt| psbt.inputs[0].sighash_type = Some(EcdsaSighashType::None.into())),
            |error| *error == BitcoinError::Sighash { input: 0 },
        ),
        (
            "a signature that leaves the inputs open",
            with(small(), |psbt| {
                let kind = EcdsaSighashType::AllPlusAnyoneCanPay;
                psbt.inputs[2].sighash_type = Some(kind.into());
            }),
            |error| *error == BitcoinError::Sighash { input: 2 },
        ),
        ("an output told by itself", with(small(), told), |error| {
            *error == BitcoinError::FullTransaction { input: 0 }
        }),
        ("no output told", with(small(), |psbt| psbt.inputs[1].non_witness_utxo = None), |error| {
            *error == BitcoinError::PreviousOutput { input: 1 }
        }),
        (
            "another transaction than the one that is spent",
            with(small(), |psbt| {
                let whole = psbt.inputs[1].non_witness_utxo.as_mut().unwrap();
                whole.output[0].value = Amount::from_sat(10 * COIN);
            }),
            |error| *error == BitcoinError::PreviousOutput { input: 1 },
        ),
    ];
    let before = world.events().await.len();
    for (name, psbt, is_expected) in cases {
        let mut asked = psbt.clone();
        let error = signer(&world).sign_psbt(&mut asked).await.unwrap_err();
        let AdapterError::Custodian(Error::Decode(refused)) = &error else {
            panic!("{name}: {error:?}")
        };
        assert!(is_expected(refused.reason.downcast_ref().unwrap()), "{name}: {refused:?}");
        assert_eq!(asked, psbt, "{name}");
    }
    assert_eq!((world.events().await.len(), world.sign_calls()), (before, 0));
}

#[tokio::test]
async fn an_input_of_another_wallet_is_left_unsigned_and_nothing_is_finished() {
    let world = world().await;
    let spent = ["coins.0", "others.0"].map(|key| of_key(&world, key));
    let pays = [(stranger(1), COIN / 4), (p2wpkh(change_key()), 2 * COIN - COIN / 4 - FEE)];
    let mut asked = psbt(&spent, &pays);
    label(&mut asked.outputs[1]);
    let signed = signer(&world).sign_psbt(&mut asked).await.unwrap();
    assert_eq!(signed.transaction, None);
    assert!(asked.inputs[0].final_script_witness.is_some());
    assert!(
        asked.inputs[1].final_script_witness.is_none() && asked.inputs[1].partial_sigs.is_empty()
    );
    assert_eq!(world.sign_calls(), 1);
    let _oracle = world.verify().await;
}

fn with(mut psbt: Psbt, change: impl FnOnce(&mut Psbt)) -> Psbt {
    change(&mut psbt);
    psbt
}
