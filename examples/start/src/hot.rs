//! A new house whose operator has one hot wallet on Ethereum.

use std::path::Path;
use std::time::Duration;

use custody_core::caip::{AccountId, ChainId};
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Outcome, Request};
use custody_core::id::{BackendId, BookId, KeyId, OrderId, RequestId, TierId, WalletId};
use custody_core::principal::SignedStatement;
use custody_core::seam::{DerivationPath, Entropy as _};
use custody_core::secret::Secret;

use crate::Failure;
use crate::entropy::OsEntropy;
use crate::house::House;

/// The wallet.
pub const WALLET: &str = "hot";
/// Its key.
pub const KEY: &str = "hot.0";

/// Makes the house in an empty directory; it knows these receivers.
pub async fn create(directory: &Path, known: &[&str]) -> Result<House, Failure> {
    let passphrase = Secret::try_fill(32, |bytes| OsEntropy.fill(bytes))?;
    let house = House::open(directory, passphrase).await?;
    let wallet = WalletId::parse(WALLET)?;
    let mut commands = Vec::new();
    for account in known {
        let (book, account) = (BookId::parse("customers")?, AccountId::parse(account)?);
        commands.push(Command::AddAddress { book, account });
    }
    commands.push(Command::CreateWallet {
        wallet: wallet.clone(),
        chain: ChainId::parse("eip155:1")?,
        tier: TierId::parse("hot")?,
        backend: BackendId::parse("software")?,
        seed: Some(KeyId::parse("hot.seed")?),
    });
    commands.push(Command::DeriveAccount {
        wallet,
        key: KeyId::parse(KEY)?,
        path: DerivationPath::parse("m/44'/60'/0'/0/0")?,
        algorithm: Algorithm::EcdsaSecp256k1,
        start: KeyStart::Active,
    });
    for (number, command) in commands.into_iter().enumerate() {
        let id = RequestId::parse(&format!("set-up-{number}"))?;
        let request = Request::command(house.operator.id().clone(), id, command);
        let answer = house.custodian.submit(request).await?;
        let Outcome::Released(_) = approve(&house, &answer.order).await?.outcome else {
            return Err("the house was not set up".into());
        };
    }
    Ok(house)
}

/// Has the treasurers approve an order for as long as it waits.
pub async fn approve(house: &House, order: &OrderId) -> Result<Answer, Failure> {
    let mut answer = house.custodian.order(order).await?;
    for word in approvals(house, &answer)? {
        if matches!(answer.outcome, Outcome::Pending { .. }) {
            answer = house.custodian.approve(word).await?;
        }
    }
    Ok(answer)
}

/// What both treasurers say to an order, good for an hour.
pub fn approvals(house: &House, answer: &Answer) -> Result<[SignedStatement; 2], Failure> {
    let (custodian, until) = (house.custodian.id(), house.clock.now().after(HOUR));
    let [theo, tara] = &house.treasurers;
    Ok([
        theo.approve(&custodian, answer, "treasurer", until)?,
        tara.approve(&custodian, answer, "treasurer", until)?,
    ])
}

/// Has the operator take an order back.
pub async fn cancel(house: &House, order: &OrderId) -> Result<Answer, Failure> {
    let answer = house.custodian.order(order).await?;
    let until = house.clock.now().after(HOUR);
    let word = house.operator.cancel(&house.custodian.id(), &answer, "operator", until)?;
    Ok(house.custodian.cancel(word).await?)
}

const HOUR: Duration = Duration::from_secs(3_600);
