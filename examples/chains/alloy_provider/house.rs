//! The house of the quickstart, with one wallet, as a signer that alloy knows.

use std::path::Path;
use std::time::Duration;

use custody_chain::WalletSigner;
use custody_core::caip::{AccountId, ChainId};
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Outcome, Request};
use custody_core::id::{BackendId, BookId, KeyId, OrderId, RequestId, TierId, WalletId};
use custody_core::seam::{Authentication, DerivationPath, Entropy as _};
use custody_core::secret::Secret;
use examples_chains::Failure;
use examples_start::entropy::OsEntropy;
use examples_start::house::House;

/// A new house whose operator has one wallet on `chain` and knows one receiver.
pub(crate) async fn create(directory: &Path, known: &str) -> Result<House, Failure> {
    let passphrase = Secret::try_fill(32, |bytes| OsEntropy.fill(bytes))?;
    let house = House::open(directory, passphrase).await?;
    let wallet = WalletId::parse(WALLET)?;
    let commands = [
        Command::AddAddress {
            book: BookId::parse("customers")?,
            account: AccountId::parse(&format!("{CHAIN}:{known}"))?,
        },
        Command::CreateWallet {
            wallet: wallet.clone(),
            chain: ChainId::parse(CHAIN)?,
            tier: TierId::parse("hot")?,
            backend: BackendId::parse("software")?,
            seed: Some(KeyId::parse("hot.seed")?),
        },
        Command::DeriveAccount {
            wallet,
            key: KeyId::parse(KEY)?,
            path: DerivationPath::parse("m/44'/60'/0'/0/0")?,
            algorithm: Algorithm::EcdsaSecp256k1,
            start: KeyStart::Active,
        },
    ];
    for (number, command) in commands.into_iter().enumerate() {
        let id = RequestId::parse(&format!("set-up-{number}"))?;
        let request = Request::command(house.operator.id().clone(), id, command);
        let answer = house.custodian.submit(request).await?;
        let Outcome::Released(_) = approved(&house, answer).await?.outcome else {
            return Err("the house was not set up".into());
        };
    }
    Ok(house)
}

/// The wallet's key, asked for in the name of the operator.
pub(crate) fn signer(house: &House) -> Result<WalletSigner, Failure> {
    let (wallet, key) = (WalletId::parse(WALLET)?, KeyId::parse(KEY)?);
    let operator = house.operator.id().clone();
    let login = Authentication { factors: 2, age_ms: 60_000, ip: None, signed: false };
    Ok(WalletSigner::new(house.custodian.clone(), operator, wallet, key)?.authenticated(login))
}

/// Has both treasurers approve an order, in case that it waits for them.
pub(crate) async fn approve(house: &House, order: &OrderId) -> Result<Answer, Failure> {
    let answer = house.custodian.order(order).await?;
    approved(house, answer).await
}

/// Has the operator take an order back.
pub(crate) async fn cancel(house: &House, order: &OrderId) -> Result<Answer, Failure> {
    let answer = house.custodian.order(order).await?;
    let until = house.clock.now().after(HOUR);
    let word = house.operator.cancel(&house.custodian.id(), &answer, "operator", until);
    Ok(house.custodian.cancel(word?).await?)
}

async fn approved(house: &House, mut answer: Answer) -> Result<Answer, Failure> {
    for treasurer in &house.treasurers {
        if !matches!(answer.outcome, Outcome::Pending { .. }) {
            break;
        }
        let until = house.clock.now().after(HOUR);
        let word = treasurer.approve(&house.custodian.id(), &answer, "treasurer", until)?;
        answer = house.custodian.approve(word).await?;
    }
    Ok(answer)
}

/// The chain that the node plays.
pub(crate) const CHAIN: &str = "eip155:1";
const WALLET: &str = "hot";
const KEY: &str = "hot.0";
const HOUR: Duration = Duration::from_secs(3_600);
