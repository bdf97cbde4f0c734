//! The steps, and what is told about them.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use bdk_wallet::{KeychainKind, Wallet};
use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version as BlockVersion};
use bitcoin::hashes::Hash as _;
use bitcoin::transaction::Version;
use bitcoin::{
    Address, Amount, Block, CompactTarget, FeeRate, Network, OutPoint, Psbt, Transaction, TxIn,
    TxMerkleNode, TxOut, Txid, consensus,
};
use bitcoinconsensus::{Utxo, VERIFY_ALL_PRE_TAPROOT, VERIFY_TAPROOT};
use custody_chain::{
    AdapterError, AddressKind, BitcoinDecoder, Branch, WalletSigner, bdk_descriptors,
};
use custody_core::amount::Asset;
use custody_core::caip::{AssetId, ChainId};
use custody_core::command::Command;
use custody_core::crypto::Algorithm;
use custody_core::id::PayloadFormat;
use custody_core::seam::{Payload, WalletDescriptor};
use examples_chains::Failure;
use examples_chains::house::{House, Plan};

/// Runs all steps with a wallet of this kind; one that does not end as it should is an error.
pub(crate) async fn run(directory: &Path, kind: AddressKind) -> Result<Vec<String>, Failure> {
    let chain = ChainId::parse(CHAIN)?;
    let house = House::create(directory, plan(kind)?).await?;
    let descriptor = account(&house, kind).await?;
    let params = Wallet::create_from_two_path_descriptor(descriptor.as_str().to_owned());
    let mut wallet = params.network(Network::Regtest).create_wallet_no_persist()?;
    for (number, descriptor) in bdk_descriptors(&wallet)?.into_iter().enumerate() {
        let command = Command::RegisterDescriptor { wallet: house.wallet().clone(), descriptor };
        house.execute(&format!("descriptor-{number}"), command).await?;
    }
    // Each address whose coins are spent is an account of the custodian's wallet.
    for index in 0..2 {
        let path = kind.key_path(&chain, 0, Branch::Change, index).ok_or("there is no path")?;
        house.derive(&format!("hot.change.{index}"), path, algorithm(kind)).await?;
    }
    let mut told = vec![fund(&mut wallet, &house)?];
    let signer = house.signer()?;
    told.extend(small(&mut wallet, &house, &signer).await?);
    told.extend(large(&mut wallet, &house, &signer).await?);
    told.push(too_large(&mut wallet, &signer).await?);
    house.close().await?;
    Ok(told)
}

/// The descriptor of the first account. The seed stays where it is; what the custodian tells of it is
/// enough to watch.
pub(crate) async fn account(house: &House, kind: AddressKind) -> Result<WalletDescriptor, Failure> {
    let chain = ChainId::parse(CHAIN)?;
    let path = kind.account_path(&chain, 0).ok_or("there is no path")?;
    Ok(kind.account_descriptor(&chain, &house.account_key(&path).await?)?)
}

/// The first address, which BDK and custodian must agree on, receives two coins.
fn fund(wallet: &mut Wallet, house: &House) -> Result<String, Failure> {
    let first = wallet.reveal_next_address(KeychainKind::External).address;
    if first.to_string() != house.address() {
        return Err(format!("BDK has {first}, the custodian {}", house.address()).into());
    }
    receive(wallet, &first)?;
    Ok(format!("{first}: {} confirmed", wallet.balance().confirmed))
}

/// Two coins for an address, in a block that was never mined.
pub(crate) fn receive(wallet: &mut Wallet, address: &Address) -> Result<(), Failure> {
    let input = TxIn {
        previous_output: OutPoint::new(Txid::from_byte_array([7; 32]), 0),
        ..TxIn::default()
    };
    let script_pubkey = address.script_pubkey();
    let output = TxOut { value: Amount::from_sat(2 * COIN), script_pubkey };
    let transaction = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input],
        output: vec![output],
    };
    let header = Header {
        version: BlockVersion::TWO,
        prev_blockhash: wallet.latest_checkpoint().hash(),
        merkle_root: TxMerkleNode::all_zeros(),
        time: 1,
        bits: CompactTarget::from_consensus(0x207f_ffff),
        nonce: 0,
    };
    let mut block = Block { header, txdata: vec![transaction] };
    block.header.merkle_root = block.compute_merkle_root().ok_or("the block is empty")?;
    Ok(wallet.apply_block(&block, 1)?)
}

/// A payment that the rules allow at once.
async fn small(
    wallet: &mut Wallet,
    house: &House,
    signer: &WalletSigner,
) -> Result<Vec<String>, Failure> {
    let mut psbt = build(wallet, COIN / 5)?;
    let spent = spent(&psbt)?;
    let format = PayloadFormat::parse("bitcoin/psbt")?;
    let effects = house.effects(Payload { format, bytes: psbt.serialize() })?;
    let signed = signer.sign_psbt_of(wallet, &mut psbt).await?;
    let index = signed.released.release.receipt.index;
    let mut told = vec![format!("0.2 coins: released, receipt at entry {index}")];
    told.extend(effects.into_iter().map(|line| format!("  {line}")));
    let transaction = signed.transaction.ok_or("0.2 coins are not finished")?;
    let mut changed = transaction.clone();
    let output = changed.output.first_mut().ok_or("there is no output")?;
    output.value = output.value.checked_sub(Amount::ONE_SAT).ok_or("the output is empty")?;
    if verifies(&changed, &spent)? {
        return Err("a changed transaction is valid".into());
    }
    told.push("  with one satoshi changed: invalid".to_owned());
    if !verifies(&transaction, &spent)? {
        return Err("the transaction is invalid".into());
    }
    told.push("  as it was signed: valid".to_owned());
    wallet.apply_unconfirmed_txs([(transaction, 1)]);
    Ok(told)
}

/// A payment of what came back from the first one, which a treasurer approves.
async fn large(
    wallet: &mut Wallet,
    house: &House,
    signer: &WalletSigner,
) -> Result<Vec<String>, Failure> {
    let mut psbt = build(wallet, 7 * COIN / 10)?;
    let (spent, before) = (spent(&psbt)?, psbt.clone());
    let order = match signer.sign_psbt_of(wallet, &mut psbt).await {
        Err(AdapterError::Pending { order }) => order,
        answer => return Err(format!("0.7 coins do not wait: {answer:?}").into()),
    };
    if psbt != before {
        return Err("a psbt that waits was changed".into());
    }
    let mut told = vec!["0.7 coins: pending".to_owned()];
    let _approved = house.approve(&order).await?;
    let signed = signer.sign_psbt_of(wallet, &mut psbt).await?;
    if signed.released.order != order {
        return Err("the same psbt is another order".into());
    }
    let transaction = signed.transaction.ok_or("0.7 coins are not finished")?;
    if !verifies(&transaction, &spent)? {
        return Err("the transaction is invalid".into());
    }
    told.push("0.7 coins, approved: the same call gives the transaction, valid".to_owned());
    wallet.apply_unconfirmed_txs([(transaction, 2)]);
    Ok(told)
}

/// A payment that nobody can approve.
async fn too_large(wallet: &mut Wallet, signer: &WalletSigner) -> Result<String, Failure> {
    let mut psbt = build(wallet, 9 * COIN / 10)?;
    match signer.sign_psbt_of(wallet, &mut psbt).await {
        Err(AdapterError::Denied { rules, .. }) => {
            let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
            Ok(format!("0.9 coins: denied by {}", rules.join(", ")))
        }
        answer => Err(format!("0.9 coins are not denied: {answer:?}").into()),
    }
}

/// What BDK builds: a PSBT that pays the receiver, with change to the wallet.
pub(crate) fn build(wallet: &mut Wallet, satoshi: u64) -> Result<Psbt, Failure> {
    let receiver = Address::from_str(RECEIVER)?.require_network(Network::Regtest)?;
    let mut builder = wallet.build_tx();
    builder.add_recipient(receiver.script_pubkey(), Amount::from_sat(satoshi));
    builder.fee_rate(FeeRate::from_sat_per_vb_u32(5));
    Ok(builder.finish()?)
}

fn spent(psbt: &Psbt) -> Result<Vec<TxOut>, Failure> {
    Ok(psbt.iter_funding_utxos().map(|spent| spent.cloned()).collect::<Result<_, _>>()?)
}

/// Whether Bitcoin Core finds every input satisfied.
fn verifies(transaction: &Transaction, spent: &[TxOut]) -> Result<bool, Failure> {
    let mut utxos = Vec::new();
    for output in spent {
        utxos.push(Utxo {
            script_pubkey: output.script_pubkey.as_bytes().as_ptr(),
            script_pubkey_len: u32::try_from(output.script_pubkey.len())?,
            value: i64::try_from(output.value.to_sat())?,
        });
    }
    let (bytes, flags) =
        (consensus::serialize(transaction), VERIFY_ALL_PRE_TAPROOT | VERIFY_TAPROOT);
    Ok(spent.iter().enumerate().all(|(index, output)| {
        let (script, amount) = (output.script_pubkey.as_bytes(), output.value.to_sat());
        let utxos = Some(utxos.as_slice());
        bitcoinconsensus::verify_with_flags(script, amount, &bytes, utxos, index, flags).is_ok()
    }))
}

/// The first account of the kind, and rules for payments in steps.
pub(crate) fn plan(kind: AddressKind) -> Result<Plan, Failure> {
    let chain = ChainId::parse(CHAIN)?;
    let path = kind.key_path(&chain, 0, Branch::Receive, 0).ok_or("there is no path")?;
    Ok(Plan {
        coin: Asset::new(AssetId::parse(&format!("{CHAIN}/slip44:1"))?, 8),
        decoder: Arc::new(BitcoinDecoder::new()),
        path,
        algorithm: algorithm(kind),
        rules: RULES,
        chain,
    })
}

fn algorithm(kind: AddressKind) -> Algorithm {
    if kind == AddressKind::Taproot { Algorithm::Bip340 } else { Algorithm::EcdsaSecp256k1 }
}

/// Regtest.
const CHAIN: &str = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328";
const COIN: u64 = 100_000_000;
const RECEIVER: &str = "bcrt1qs758ursh4q9z627kt3pp5yysm78ddny6txaqgw";
const RULES: &str = r#"
@id("small")
permit (principal in Role::"operator", action == Action::"transfer", resource in Tier::"hot")
when { context.asset == Asset::"bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1"
    && context.order.total.lessThanOrEqual(decimal("0.25")) };
@id("large")
permit (principal in Role::"operator", action == Action::"transfer", resource in Tier::"hot")
when { context.asset == Asset::"bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1"
    && context.order.total.lessThanOrEqual(decimal("0.75"))
    && context.approvals.treasurer >= 1 };
@id("too-large")
forbid (principal, action == Action::"transfer", resource)
when { context.asset == Asset::"bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1"
    && context.order.total.greaterThan(decimal("0.75")) };
@id("fee")
permit (principal in Role::"operator", action == Action::"pay_fee", resource in Tier::"hot")
when { context.asset == Asset::"bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1"
    && context.amount.lessThanOrEqual(decimal("0.0001")) };
@id("house")
permit (principal in Role::"operator", action in [Action::"create_wallet",
    Action::"derive_account", Action::"update_policy"], resource);
@id("change")
permit (principal in Role::"operator", action == Action::"register_descriptor", resource)
when { context.approvals.treasurer >= 1 };
"#;
