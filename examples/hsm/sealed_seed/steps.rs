//! The steps, and what is told about them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use examples_hsm::Failure;
use examples_hsm::house::outcome;
use examples_hsm::tokens::Tokens;

use crate::sealing::KEK;
use crate::witness::Witness;
use crate::{accounts, loss, payment, sealing};

/// The label of the token whose key seals.
pub(crate) const TOKEN: &str = "seeds";
/// The label of another token.
pub(crate) const OTHER: &str = "other";

/// Runs all steps with so many addresses; one that does not end as it should is an error.
pub(crate) async fn run(
    directory: &Path,
    tokens: &Tokens,
    count: u32,
) -> Result<Vec<String>, Failure> {
    let (token, other) = (tokens.open(TOKEN).await?, tokens.open(OTHER).await?);
    let witness = Arc::new(Witness::default());
    let entropy = Arc::<Witness>::clone(&witness);
    let keys = sealing::backend(&token, entropy).await?;
    let house = sealing::house(directory, keys, Arc::clone(&token), None).await?;
    accounts::create_wallet(&house).await?;
    payment::register(&house).await?;

    let begun = Instant::now();
    accounts::derive(&house, count).await?;
    let mut told = vec![derived(count, begun.elapsed())];
    let begun = Instant::now();
    let watched = accounts::watched(&house, count).await?;
    let watching = begun.elapsed().as_millis();
    if !accounts::agree(&accounts::addresses(&house, count)?, &watched) {
        return Err("the addresses are not those of the account's public key".into());
    }
    told.push(format!("a wallet that only watches has the same addresses, in {watching} ms"));

    let last = count.saturating_sub(1);
    let answer = payment::pay(&house, last, 1_000).await?;
    told.push(format!("0.25 coins of address {last}: {}", outcome(&answer)));
    let transaction = payment::check(&house, last, answer)?;
    told.push(format!("  transaction {}: valid", transaction.compute_txid()));
    let id = house.custodian.id();
    house.close().await?;

    for searched in [directory, tokens.directory()] {
        if let Some(path) = witness.lies_in(searched)?.first() {
            return Err(format!("{} holds a secret in clear", path.display()).into());
        }
    }
    let given = witness.given();
    told.push(format!("the seed and {} data keys: in no file", given.saturating_sub(1)));

    let (kek, of_other) = (token.key_encryption(KEK).await?, other.key_encryption(KEK).await?);
    told.extend(loss::refusals(&kek, &of_other).await?);
    told.push(loss::another_token(directory, (&token, &other), id).await?);
    told.extend(loss::destroyed(directory, (tokens, TOKEN), &token, id).await?);
    Ok(told)
}

fn derived(count: u32, elapsed: Duration) -> String {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let rate = u64::from(count).saturating_mul(1_000).checked_div(millis).unwrap_or_default();
    format!("{count} addresses derived, each by an order of its own, in {millis} ms ({rate}/s)")
}
