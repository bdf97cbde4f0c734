//! The steps, and what is told about them.

use std::path::Path;
use std::sync::Arc;

use custody_core::id::CustodianId;
use custody_core::seam::KeyEncryption;
use examples_kms::Failure;
use examples_kms::account::{self, Account};
use examples_kms::house::{House, Parts};
use examples_start::transactions::bundled;
use tokio::runtime::Runtime;

use crate::wallets::{ADDRESSES, NATIVE, SEALED};
use crate::{payments, resealing, wallets};

/// Runs all steps; one that does not end as it should is an error. Each of the three is a life of its
/// host: what one has open is gone in the next.
pub(crate) fn run(directory: &Path, account: &Account) -> Result<Vec<String>, Failure> {
    let (mut told, id) = Runtime::new()?.block_on(pay(directory, account))?;
    told.extend(Runtime::new()?.block_on(resealing::run(directory, account, id))?);
    told.extend(Runtime::new()?.block_on(pay_again(directory, account, id))?);
    Ok(told)
}

/// The parts of a house whose sealed keys are under the key of KMS behind an alias, and perhaps still
/// under the one behind another.
pub(crate) async fn parts(
    account: &Account,
    alias: &str,
    previous: Option<&str>,
) -> Result<Parts, Failure> {
    let mut sealed = account::sealed(account.kek(alias).await?)?;
    if let Some(previous) = previous {
        let previous: Arc<dyn KeyEncryption> = account.kek(previous).await?;
        sealed = sealed.with_previous(vec![previous]);
    }
    Ok(Parts { native: account.native()?, sealed: Arc::new(sealed), sealed_by: None })
}

/// Makes the house and pays from both wallets.
async fn pay(directory: &Path, account: &Account) -> Result<(Vec<String>, CustodianId), Failure> {
    let arn = account.symmetric_key(FIRST).await?;
    let house = House::create(directory, parts(account, FIRST, None).await?).await?;
    wallets::create(&house).await?;
    let mut told = vec![
        format!("wallet {NATIVE}: {}, its key made in KMS", house.address("native.0")?),
        format!("wallet {SEALED}: {}, the first of {ADDRESSES}", house.address("sealed.0")?),
        format!("  the seed and the keys below it are sealed under {arn}"),
    ];
    for wallet in [NATIVE, SEALED] {
        told.extend(payments::all(&house, wallet).await?);
    }
    let id = house.custodian().id();
    house.close().await?;
    Ok((told, id))
}

/// Pays from both wallets once the first key of KMS is on its way out.
async fn pay_again(
    directory: &Path,
    account: &Account,
    id: CustodianId,
) -> Result<Vec<String>, Failure> {
    let first = account.kek(FIRST).await?.arn().to_string();
    account.sdk().schedule_key_deletion().key_id(&first).send().await?;
    let mut told = vec![format!("{first} will be deleted")];
    let house = House::open(directory, parts(account, NEXT, None).await?, id).await?;
    for wallet in [NATIVE, SEALED] {
        let payment = ("0.25 ETH", wallet);
        told.extend(payments::at_once(&house, payment, bundled::SMALL_LEGACY).await?);
    }
    house.close().await?;
    Ok(told)
}

/// The key of KMS under which the wallet is sealed first.
pub(crate) const FIRST: &str = "alias/hot-wallets-1";
/// The one to which it moves.
pub(crate) const NEXT: &str = "alias/hot-wallets-2";
