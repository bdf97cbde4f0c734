//! The steps, and what is told about them.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_chain::SolanaDecoder;
use custody_core::amount::Asset;
use custody_core::caip::{AssetId, ChainId};
use custody_core::crypto::Algorithm;
use custody_core::custodian::Outcome;
use custody_core::id::PayloadFormat;
use custody_core::seam::Payload;
use examples_chains::Failure;
use examples_chains::house::{House, Plan};
use examples_chains::network::Network;
use serde_json::{Value, json};
use solana_address::Address;
use solana_message::{Hash, Message};
use solana_system_interface::instruction;

/// Runs all steps; one that does not end as it should is an error.
pub(crate) async fn run(directory: &Path) -> Result<Vec<String>, Failure> {
    let mut told = Vec::new();
    let house = House::create(directory, plan()?).await?;
    told.push(format!("wallet hot: {}", house.address()));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("solana_transfer/svm.py");
    let mut network = Network::start(&script)?;
    let begun = network.ask(&json!({ "airdrop": house.address(), "lamports": 10 * SOL }))?;
    let blockhash = text(&begun, "blockhash")?;

    let small = message(house.address(), 2 * SOL, &blockhash)?;
    let Outcome::Released(release) = house.submit("small", small).await?.outcome else {
        return Err("2 SOL were not released".into());
    };
    let wire = release.signed.ok_or("nothing was signed")?;
    told.push(format!("2 SOL: released, receipt at entry {}", release.receipt.index));

    let mut changed = wire.clone();
    if let Some(last) = changed.last_mut() {
        *last ^= 1;
    }
    let refused = send(&mut network, &changed)?;
    told.push(format!("with one byte changed: refused, {}", text(&refused, "refused")?));
    let done = send(&mut network, &wire)?;
    told.push(format!("as it was signed: executed as {}", text(&done, "signature")?));
    let again = send(&mut network, &wire)?;
    told.push(format!("a second time: refused, {}", text(&again, "refused")?));

    let large = message(house.address(), 6 * SOL, &blockhash)?;
    let Outcome::Denied { rules } = house.submit("large", large).await?.outcome else {
        return Err("6 SOL were not denied".into());
    };
    let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
    told.push(format!("6 SOL: denied by {}", rules.join(", ")));

    for (whose, address, expected) in
        [("receiver", RECEIVER, 2 * SOL), ("wallet", house.address(), 8 * SOL - FEE)]
    {
        let answer = network.ask(&json!({ "balance": address }))?;
        let lamports = answer.get("lamports").and_then(Value::as_u64).ok_or("no balance")?;
        told.push(format!("balance of the {whose}: {lamports} lamports"));
        if lamports != expected {
            return Err(format!("the {whose} should have {expected} lamports").into());
        }
    }
    house.close().await?;
    Ok(told)
}

/// A Solana wallet: the first account of SLIP-44, and rules for small payments.
fn plan() -> Result<Plan, Failure> {
    Ok(Plan {
        chain: ChainId::parse(CHAIN)?,
        coin: Asset::new(AssetId::parse(&format!("{CHAIN}/slip44:501"))?, 9),
        decoder: Arc::new(SolanaDecoder::new()),
        path: SolanaDecoder::path(0).ok_or("there is no path")?,
        algorithm: Algorithm::Ed25519,
        rules: RULES,
    })
}

/// What the host's own software builds: a message that pays `lamports` to the receiver.
fn message(from: &str, lamports: u64, blockhash: &str) -> Result<Payload, Failure> {
    let (from, to) = (from.parse::<Address>()?, RECEIVER.parse::<Address>()?);
    let pay = instruction::transfer(&from, &to, lamports);
    let message = Message::new_with_blockhash(&[pay], Some(&from), &blockhash.parse::<Hash>()?);
    let bytes = wincode::serialize(&message)?;
    Ok(Payload { format: PayloadFormat::parse("solana/message")?, bytes })
}

fn send(network: &mut Network, wire: &[u8]) -> Result<Value, Failure> {
    network.ask(&json!({ "send": STANDARD.encode(wire) }))
}

fn text(answer: &Value, field: &str) -> Result<String, Failure> {
    let text = answer.get(field).and_then(Value::as_str);
    Ok(text.ok_or_else(|| format!("no {field} in {answer}"))?.to_owned())
}

const CHAIN: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
const RECEIVER: &str = "4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM";
const SOL: u64 = 1_000_000_000;
const FEE: u64 = 5_000;
const RULES: &str = r#"
@id("small")
permit (principal in Role::"operator", action == Action::"transfer", resource in Tier::"hot")
when { context.asset == Asset::"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/slip44:501"
    && context.order.total.lessThanOrEqual(decimal("5.0"))
    && context.spent.wallet.h24.lessThanOrEqual(decimal("20.0")) };
@id("fee")
permit (principal in Role::"operator", action == Action::"pay_fee", resource in Tier::"hot")
when { context.asset == Asset::"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/slip44:501"
    && context.amount.lessThanOrEqual(decimal("0.01")) };
@id("too-large")
forbid (principal, action == Action::"transfer", resource)
when { context.asset == Asset::"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/slip44:501"
    && context.order.total.greaterThan(decimal("5.0")) };
@id("house")
permit (principal in Role::"operator", action in [Action::"create_wallet",
    Action::"derive_account", Action::"update_policy"], resource);
"#;
