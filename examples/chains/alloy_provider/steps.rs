//! The steps, and what is told about them.

use std::path::Path;
use std::time::Duration;

use alloy_consensus::TxEnvelope;
use alloy_network::{Ethereum, EthereumWallet, NetworkWallet, TransactionBuilder as _, TxSigner};
use alloy_primitives::{Address, U256};
use alloy_provider::fillers::{FillProvider, TxFiller};
use alloy_provider::{Provider, ProviderBuilder, SendableTx};
use alloy_rpc_types_eth::TransactionRequest;
use custody_chain::{AdapterError, WalletSigner};
use custody_core::custodian::Outcome;
use custody_core::id::{KeyId, OrderId, WalletId};
use custody_core::seam::Authentication;
use examples_chains::Failure;
use examples_chains::node::Node;
use examples_start::hot;
use examples_start::house::House;

/// Runs all steps; one that does not end as it should is an error.
pub(crate) async fn run(directory: &Path) -> Result<Vec<String>, Failure> {
    let mut told = Vec::new();
    let house = hot::create(directory, &[&format!("eip155:1:{KNOWN}")]).await?;
    let node = Node::start(1)?;
    let signer = signer(&house)?;
    let wallet = TxSigner::address(&signer);
    told.push(format!("wallet hot: {wallet}"));
    // Nonces come from the network each time; they are never counted on from memory.
    let provider = ProviderBuilder::new()
        .disable_recommended_fillers()
        .fetch_chain_id()
        .with_gas_estimation()
        .with_simple_nonce_management()
        .connect(node.url())
        .await?;
    let sender = Sender::new(provider, signer);
    sender.endow(200 * ETHER).await?;

    // What the rules allow is signed at once.
    let small = sender.fill(KNOWN, ETHER / 2).await?;
    let block = sender.send(sender.sign(&small).await?).await?;
    told.push(format!("0.5 ETH, nonce {}: mined in block {block}", nonce(&small)?));

    // What they deny is not sent, and its nonce is the next transaction's.
    let denied = sender.fill(STRANGER, 150 * ETHER).await?;
    let (order, why) = refused(&sender.sign(&denied).await)?;
    told.push(format!("150 ETH, nonce {}: {why}, order {}", nonce(&denied)?, short(&order)));
    let next = sender.fill(KNOWN, ETHER / 4).await?;
    let block = sender.send(sender.sign(&next).await?).await?;
    told.push(format!("0.25 ETH, nonce {}: mined in block {block}", nonce(&next)?));

    // What waits is asked for again with the very same fields.
    let large = sender.fill(STRANGER, 20 * ETHER).await?;
    let (order, why) = refused(&sender.sign(&large).await)?;
    told.push(format!("20 ETH, nonce {}: {why}, order {}", nonce(&large)?, short(&order)));
    let Outcome::Released(_) = hot::approve(&house, &order).await?.outcome else {
        return Err("two treasurers were not enough".into());
    };
    let block = sender.send(sender.sign(&large).await?).await?;
    told.push(format!("the same, approved: mined in block {block}"));

    // What waited and was given up leaves its nonce to the next transaction too.
    let given_up = sender.fill(STRANGER, 30 * ETHER).await?;
    let (order, why) = refused(&sender.sign(&given_up).await)?;
    told.push(format!("30 ETH, nonce {}: {why}, order {}", nonce(&given_up)?, short(&order)));
    let Outcome::Cancelled = hot::cancel(&house, &order).await?.outcome else {
        return Err("the order was not taken back".into());
    };
    let last = sender.fill(KNOWN, ETHER / 8).await?;
    let block = sender.send(sender.sign(&last).await?).await?;
    told.push(format!(
        "it is given up; 0.125 ETH, nonce {}: mined in block {block}",
        nonce(&last)?
    ));

    for (whose, address) in [("known receiver", KNOWN), ("other receiver", STRANGER)] {
        let balance = sender.provider.get_balance(address.parse()?).await?;
        told.push(format!("balance of the {whose}: {balance} wei"));
    }
    drop(sender);
    house.custodian.close().await?;
    Ok(told)
}

/// Fills, signs and sends, each by itself: between signing and sending people may have to approve.
struct Sender<F: TxFiller, P: Provider> {
    provider: FillProvider<F, P>,
    wallet: EthereumWallet,
    from: Address,
}

impl<F: TxFiller, P: Provider> Sender<F, P> {
    fn new(provider: FillProvider<F, P>, signer: WalletSigner) -> Self {
        let from = TxSigner::address(&signer);
        Self { provider, wallet: EthereumWallet::from(signer), from }
    }

    /// Gives the wallet ether that nobody had.
    async fn endow(&self, wei: u128) -> Result<(), Failure> {
        let parameters = (self.from, U256::from(wei));
        let () = self.provider.raw_request("anvil_setBalance".into(), parameters).await?;
        Ok(())
    }

    /// A payment with nonce, gas and fees. Keep it until it is sent or given up.
    async fn fill(&self, to: &str, wei: u128) -> Result<TransactionRequest, Failure> {
        let request = TransactionRequest::default()
            .with_from(self.from)
            .with_to(to.parse()?)
            .with_value(U256::from(wei));
        match self.provider.fill(request).await? {
            SendableTx::Builder(filled) => Ok(filled),
            SendableTx::Envelope(_) => Err("nobody can have signed it".into()),
        }
    }

    /// The signed transaction; an error that holds an [`AdapterError`] if there is none.
    async fn sign(&self, filled: &TransactionRequest) -> Result<TxEnvelope, Failure> {
        let signed = NetworkWallet::<Ethereum>::sign_request(&self.wallet, filled.clone());
        Ok(signed.await?)
    }

    /// Sends, and waits for the block. The node mines at once, and no further block comes that
    /// would tell of the last: so the receipt is asked for until it is there.
    async fn send(&self, signed: TxEnvelope) -> Result<u64, Failure> {
        let hash = *self.provider.send_tx_envelope(signed).await?.tx_hash();
        for _ in 0..LOOKS_MAX {
            let Some(receipt) = self.provider.get_transaction_receipt(hash).await? else {
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            };
            if !receipt.status() {
                return Err("the transaction was reverted".into());
            }
            return Ok(receipt.block_number.ok_or("a receipt without a block")?);
        }
        Err("the transaction was not mined in a minute".into())
    }
}

/// The wallet's key as a signer that alloy knows, asked for in the name of the operator.
fn signer(house: &House) -> Result<WalletSigner, Failure> {
    let (wallet, key) = (WalletId::parse(hot::WALLET)?, KeyId::parse(hot::KEY)?);
    let operator = house.operator.id().clone();
    let login = Authentication { factors: 2, age_ms: 60_000, ip: None, signed: false };
    Ok(WalletSigner::new(house.custodian.clone(), operator, wallet, key)?.authenticated(login))
}

/// Which order was not signed, and why.
fn refused(answer: &Result<TxEnvelope, Failure>) -> Result<(OrderId, &'static str), Failure> {
    let Err(error) = answer else { return Err("it was signed".into()) };
    match AdapterError::find_in(error.as_ref()) {
        Some(AdapterError::Denied { order, .. }) => Ok((order.clone(), "denied")),
        Some(AdapterError::Pending { order }) => Ok((order.clone(), "waits for approvals")),
        Some(_) | None => Err(error.to_string().into()),
    }
}

fn nonce(filled: &TransactionRequest) -> Result<u64, Failure> {
    Ok(filled.nonce.ok_or("the nonce was not filled")?)
}

/// The last characters of an order's id.
fn short(order: &OrderId) -> &str {
    order.as_str().get(24..).unwrap_or(order.as_str())
}

/// How often a receipt is asked for, and how long apart.
const LOOKS_MAX: u32 = 1_200;
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const ETHER: u128 = 1_000_000_000_000_000_000;
const KNOWN: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
const STRANGER: &str = "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc";
