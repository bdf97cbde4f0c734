//! The steps, and what is told about them.

use std::path::Path;
use std::sync::Arc;

use custody_core::custodian::{Answer, Outcome};
use custody_core::id::WalletId;
use custody_core::seam::{KeyBackend, Payload};
use custody_hsm::HsmBackend;
use examples_hsm::Failure;
use examples_hsm::house::{House, outcome};
use examples_hsm::tokens::Tokens;

use crate::{bitcoin_payment, ethereum_payment, export, wallets};

/// The label of the token.
pub(crate) const TOKEN: &str = "cold";

/// Runs all steps; one that does not end as it should is an error.
pub(crate) async fn run(directory: &Path, tokens: &Tokens) -> Result<Vec<String>, Failure> {
    let token = tokens.open(TOKEN).await?;
    let report = token.report().await?;
    let mut told =
        vec![format!("token {}: {}, firmware {}", report.label, report.model, report.firmware)];
    let keys: Arc<dyn KeyBackend> = Arc::<HsmBackend>::clone(&token);
    let house = wallets::create(directory, wallets::parts(Arc::clone(&keys), keys)).await?;
    told.extend(wallets::tell(&house)?);

    let (wallet, payload) = (wallets::ether()?, ethereum_payment::payload(0)?);
    let (lines, signed) = pay(&house, ("2 ETH", "ether"), &wallet, payload).await?;
    told.extend(lines);
    told.push(ethereum_payment::check(&house, &signed)?);

    let (wallet, payload) = (wallets::coins()?, bitcoin_payment::payload(&house)?);
    let (lines, signed) = pay(&house, ("0.5 coins", "coins"), &wallet, payload).await?;
    told.extend(lines);
    told.extend(bitcoin_payment::check(&house, &signed)?);
    house.close().await?;

    told.extend(export::refusals(tokens)?);
    // Whoever opened the module is the last to leave it.
    drop(token);
    Ok(told)
}

/// A payment that two people must approve: nothing is signed for one, nor for one who says it twice.
async fn pay(
    house: &House,
    (what, name): (&str, &str),
    wallet: &WalletId,
    payload: Payload,
) -> Result<(Vec<String>, Vec<u8>), Failure> {
    let asked = house.submit(name, wallet, payload).await?;
    let mut told = vec![waits(what, &asked)?];
    let [theo, tara] = &house.treasurers;
    for what in ["  approved by theo", "  approved by theo again"] {
        told.push(waits(what, &house.approve(theo, &asked.order).await?)?);
    }
    let answer = house.approve(tara, &asked.order).await?;
    told.push(format!("  approved by tara: {}", outcome(&answer)));
    let Outcome::Released(release) = answer.outcome else {
        return Err("two people were not enough".into());
    };
    Ok((told, release.signed.ok_or("nothing was signed")?))
}

fn waits(what: &str, answer: &Answer) -> Result<String, Failure> {
    let line = format!("{what}: {}", outcome(answer));
    let Outcome::Pending { .. } = answer.outcome else { return Err(line.into()) };
    Ok(line)
}
