//! The sealed wallet moves to another key of KMS: a backup of the store then gives nothing away once the
//! first key is deleted. No address changes, and every key can sign all the while.

use std::path::Path;

use custody_core::command::Command;
use custody_core::id::{BackendId, CustodianId};
use examples_kms::Failure;
use examples_kms::account::{self, Account};
use examples_kms::house::House;
use examples_start::reseal::Passage;

use crate::steps::{self, FIRST, NEXT};
use crate::wallets::{self, SEALED};

/// Makes the next key, and seals the seed and every key below it anew.
pub(crate) async fn run(
    directory: &Path,
    account: &Account,
    id: CustodianId,
) -> Result<Vec<String>, Failure> {
    let arn = account.symmetric_key(NEXT).await?;
    let house = open(directory, account, id).await?;
    let addresses = wallets::addresses(&house)?;
    let mut told = vec![format!("wallet {SEALED} moves to {arn}")];
    let tell = |progress: &_| told.push(line(progress));
    let passage = house.reseal("move", (SEALED, PAGE), tell).await?;
    let Passage::Done = passage else { return Err(format!("{passage:?}").into()) };
    if wallets::addresses(&house)? != addresses {
        return Err("addresses have changed".into());
    }
    told.push(format!("  its {} addresses are the same", addresses.len()));
    house.close().await?;
    Ok(told)
}

/// Opens the house with the next key, and the first one for what is sealed under it still; and has the
/// log say so.
pub(crate) async fn open(
    directory: &Path,
    account: &Account,
    id: CustodianId,
) -> Result<House, Failure> {
    let parts = steps::parts(account, NEXT, Some(FIRST)).await?;
    let (backend, identity) = (BackendId::parse(account::SEALED)?, parts.sealed.identity().clone());
    let house = House::open(directory, parts, id).await?;
    house.execute("next-key", Command::RegisterBackend { backend, identity }).await?;
    Ok(house)
}

fn line(progress: &examples_start::reseal::Progress) -> String {
    let rest = if progress.last.is_some() { ", and others follow" } else { ", which is all" };
    format!("  order {}: {} sealed anew{rest}", progress.pages, progress.sealed)
}

/// Keys of one order.
const PAGE: u16 = 8;
