//! What people do in the house: wallets, payments, ceremonies, drills.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use custody_core::caip::ChainId;
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Outcome, Request};
use custody_core::id::{BackendId, KeyId, PayloadFormat, TierId, WalletId};
use custody_core::seam::{DerivationPath, Payload};
use custody_recovery::ceremony::{
    Ceremonies, CeremonyCommand as _, CeremonyRecord, Confirm, FolderJournal, SealedDesk,
};
use custody_recovery::drill::{DrillHandler, Evidence};
use custody_recovery::{Challenge, ShareKey, X25519SecretKey};
use examples_start::transactions;

use crate::Failure;
use crate::entropy::OsEntropy;
use crate::holders::{Holders, Post};
use crate::house::{House, Parts, People, request_id};
use crate::keys::{self, SoftKeys};
use crate::vault::{self, Vault};

/// The hot wallet, and its account.
pub const WALLET: &str = "hot";
/// The account's key.
pub const ACCOUNT: &str = "hot.0";

/// A drill with an older archive shows nothing.
const ARCHIVE_AGE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// The parts of a house with software keys, ceremonies and drills.
pub fn parts(
    directory: &Path,
    keys: SoftKeys,
    post: &Post,
    vault: &Arc<Vault>,
) -> Result<Parts, Failure> {
    let desk_key = X25519SecretKey::generate(&OsEntropy)?;
    let desk = SealedDesk::new(Arc::new(post.clone()), desk_key, Arc::new(OsEntropy));
    let journal = directory.with_added_extension("journal");
    fs::create_dir_all(&journal)?;
    let journal = Arc::new(FolderJournal::new(journal));
    let mut handlers = Ceremonies::new(Arc::new(desk), journal, Arc::new(OsEntropy)).handlers()?;
    handlers.push(Arc::new(DrillHandler::new(Arc::<Vault>::clone(vault), ARCHIVE_AGE_MAX)?));
    Ok(Parts { directory: directory.to_owned(), keys, others: Vec::new(), handlers })
}

/// Makes a hot wallet with one account. Answers its address.
pub async fn wallet(house: &House, people: &People) -> Result<String, Failure> {
    let wallet = WalletId::parse(WALLET)?;
    let create = Command::CreateWallet {
        wallet: wallet.clone(),
        chain: ChainId::parse("eip155:1")?,
        tier: TierId::parse("hot")?,
        backend: BackendId::parse(keys::BACKEND)?,
        seed: Some(KeyId::parse("hot.seed")?),
    };
    house.execute(people, &people.operator, create).await?;
    let derive = Command::DeriveAccount {
        wallet,
        key: KeyId::parse(ACCOUNT)?,
        path: DerivationPath::parse("m/44'/60'/0'/0/0")?,
        algorithm: Algorithm::EcdsaSecp256k1,
        start: KeyStart::Active,
    };
    house.execute(people, &people.operator, derive).await?;
    house.address(&KeyId::parse(ACCOUNT)?)
}

/// Pays from the hot wallet, with approvals if the rules want them; the signature must be the
/// address's.
pub async fn pay(
    house: &House,
    people: &People,
    transaction: &str,
    address: &str,
) -> Result<String, Failure> {
    pay_from(house, people, (WALLET, address), transaction).await
}

/// Pays from a wallet with this address.
pub async fn pay_from(
    house: &House,
    people: &People,
    (wallet, address): (&str, &str),
    transaction: &str,
) -> Result<String, Failure> {
    let bytes = transactions::parse(transaction)?;
    let payload = Payload { format: PayloadFormat::parse("evm/transaction")?, bytes };
    let (operator, wallet) = (people.operator.id().clone(), WalletId::parse(wallet)?);
    let request = Request::payload(operator, request_id()?, wallet, payload);
    let answer = house.ask(&people.operator, request).await?;
    let waited = matches!(answer.outcome, Outcome::Pending { .. });
    let answer = house.approved(people, answer).await?;
    let Answer { outcome: Outcome::Released(release), .. } = answer else {
        return Err(format!("a payment was not made: {:?}", answer.outcome).into());
    };
    let raw = release.signed.as_ref().ok_or("nothing was signed")?;
    let sender = transactions::sender(raw)?;
    if !sender.eq_ignore_ascii_case(address) {
        return Err("another key has signed".into());
    }
    let how = if waited { "approved by two treasurers" } else { "within the limit" };
    Ok(format!("paid {how}, signed by {sender}, entry {} of the log", release.receipt.index))
}

/// A set is made and handed out; each holder opens the own packet and confirms.
pub async fn ceremony(
    house: &House,
    people: &People,
    holders: &Holders,
    post: &Post,
) -> Result<CeremonyRecord, Failure> {
    let command = holders.split()?.to_command()?;
    let release = house.execute(people, &people.operator, command).await?;
    let answer = release.extension.ok_or("the order has no answer")?;
    let record = CeremonyRecord::read(&answer)?;
    let expires = house.clock().now().after(Duration::from_secs(600));
    for (place, holder) in record.distribution.holders() {
        let custodian = house.custodian.id();
        let challenge = Challenge::ask(custodian, record.set, place, expires, &OsEntropy)?;
        let share = holders.open(&record, place, post)?;
        let confirm = Confirm::answer(&challenge, &ShareKey::of(&share)?).to_command()?;
        house.execute(people, holders.person(&holder.principal)?, confirm).await?;
    }
    Ok(record)
}

/// A drill by an order: its evidence stands in the log.
pub async fn drill(house: &House, people: &People) -> Result<String, Failure> {
    let command = vault::drill_command()?;
    let release = house.execute(people, &people.operator, command).await?;
    let answer = release.extension.ok_or("the drill has no evidence")?;
    let evidence = Evidence::read(&answer)?;
    Ok(format!(
        "drill: {} keys and {} seeds proved in {} ms",
        evidence.keys, evidence.seeds, evidence.took_ms
    ))
}
