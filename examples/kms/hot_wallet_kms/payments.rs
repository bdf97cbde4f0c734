//! Real Ethereum transactions, and whether what was signed is what was asked for.

use alloy_consensus::TxEnvelope;
use alloy_eips::eip2718::Decodable2718 as _;
use alloy_primitives::keccak256;
use custody_core::custodian::{Answer, Outcome};
use examples_kms::Failure;
use examples_kms::house::House;
use examples_start::small;
use examples_start::transactions::{self, bundled};

use crate::wallets;

/// Pays a little, which is signed at once, and much, which two treasurers must approve; and asks for
/// what is never allowed.
pub(crate) async fn all(house: &House, wallet: &str) -> Result<Vec<String>, Failure> {
    let mut told = at_once(house, ("0.5 ETH", wallet), bundled::SMALL).await?;
    let what = format!("25 ETH from {wallet}");
    let asked = house.submit(&format!("{wallet}-large"), wallet, bundled::LARGE).await?;
    let [first, second] = house.approve(&asked).await?;
    for (when, answer) in [("", &asked), (", approved by theo", &first)] {
        let Outcome::Pending { .. } = answer.outcome else {
            return Err(format!("{what}{when}: {:?}", answer.outcome).into());
        };
        told.extend(tell(&format!("{what}{when}"), answer)?);
    }
    told.extend(tell(&format!("{what}, approved by tara"), &second)?);
    told.push(check(house, wallet, &second, bundled::LARGE)?);

    let what = format!("an allowance without limit from {wallet}");
    let answer = house.submit(&format!("{wallet}-never"), wallet, bundled::ALLOWANCE).await?;
    let Outcome::Denied { .. } = answer.outcome else {
        return Err(format!("{what}: {:?}", answer.outcome).into());
    };
    told.extend(tell(&what, &answer)?);
    Ok(told)
}

/// A payment that is signed at once.
pub(crate) async fn at_once(
    house: &House,
    (amount, wallet): (&str, &str),
    text: &str,
) -> Result<Vec<String>, Failure> {
    let name = format!("{wallet}-{}", amount.replace([' ', '.'], "-"));
    let answer = house.submit(&name, wallet, text).await?;
    let mut told = tell(&format!("{amount} from {wallet}"), &answer)?;
    told.push(check(house, wallet, &answer, text)?);
    Ok(told)
}

/// Whether a signed transaction is the one that was asked for and recovers to the wallet's address,
/// which is reckoned without what signed it.
pub(crate) fn check(
    house: &House,
    wallet: &str,
    answer: &Answer,
    text: &str,
) -> Result<String, Failure> {
    let Outcome::Released(release) = &answer.outcome else {
        return Err(format!("nothing was signed: {:?}", answer.outcome).into());
    };
    let raw = release.signed.as_deref().ok_or("nothing was signed")?;
    let signed = TxEnvelope::decode_2718_exact(raw)?.signature_hash();
    if signed != keccak256(transactions::parse(text)?) {
        return Err("another transaction was signed".into());
    }
    let (address, sender) = (house.address(&wallets::key(wallet, 0))?, transactions::sender(raw)?);
    if sender != address {
        return Err(format!("it recovers to {sender}").into());
    }
    Ok(format!("  verified: recovers to {wallet}, {address}"))
}

fn tell(what: &str, answer: &Answer) -> Result<Vec<String>, Failure> {
    let lines = small::tell(answer)?.into_iter().map(|line| format!("  {line}"));
    Ok(std::iter::once(what.to_owned()).chain(lines).collect())
}
