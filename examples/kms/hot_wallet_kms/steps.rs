//! The steps, and what is told about them.

use std::path::Path;

use examples_kms::Failure;
use examples_kms::account::{self, Account};
use examples_kms::house::{House, Parts};
use tokio::runtime::Runtime;

use crate::wallets::{NATIVE, SEALED};
use crate::{payments, wallets};

/// Runs all steps; one that does not end as it should is an error.
pub(crate) fn run(directory: &Path, account: &Account) -> Result<Vec<String>, Failure> {
    Runtime::new()?.block_on(pay(directory, account))
}

/// Makes the house and pays from both wallets.
async fn pay(directory: &Path, account: &Account) -> Result<Vec<String>, Failure> {
    let arn = account.symmetric_key(ALIAS).await?;
    let house = House::create(directory, parts(account, ALIAS).await?).await?;
    wallets::create(&house, ADDRESSES).await?;
    let mut told = vec![
        format!("wallet {NATIVE}: {}, its key made in KMS", house.address("native.0")?),
        format!("wallet {SEALED}: {}, the first of {ADDRESSES}", house.address("sealed.0")?),
        format!("  the seed and the keys below it are sealed under {arn}"),
    ];
    for wallet in [NATIVE, SEALED] {
        told.extend(payments::all(&house, wallet).await?);
    }
    house.close().await?;
    Ok(told)
}

/// The parts of a house whose sealed keys are under the key of KMS behind an alias.
pub(crate) async fn parts(account: &Account, alias: &str) -> Result<Parts, Failure> {
    let sealed = account::sealed(account.kek(alias).await?)?;
    Ok(Parts { native: account.native()?, sealed, sealed_by: None })
}

/// The key of KMS that encrypts data keys.
pub(crate) const ALIAS: &str = "alias/hot-wallets";
const ADDRESSES: u32 = 20;
