//! The two wallets, each with one key that the token makes.

use std::path::Path;
use std::sync::Arc;

use custody_core::caip::ChainId;
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::id::{BackendId, KeyId, TierId, WalletId};
use custody_core::seam::{Exportability, KeyBackend};
use examples_hsm::house::{House, Parts};
use examples_hsm::{Failure, coin, tokens};

use crate::{bitcoin_payment, ethereum_payment};

/// The parts of the house: all its keys are native ones.
pub(crate) fn parts(keys: Arc<dyn KeyBackend>, log: Arc<dyn KeyBackend>) -> Parts {
    Parts { keys, log, sealed_by: None, rules: include_str!("cold.cedar") }
}

/// Makes a house in an empty directory, its wallets, and the receivers that may be paid.
pub(crate) async fn create(directory: &Path, parts: Parts) -> Result<House, Failure> {
    let house = House::create(directory, parts).await?;
    for (wallet, key, chain) in
        [(ether()?, ETHER, ethereum_payment::CHAIN), (coins()?, COINS, coin::CHAIN)]
    {
        let create = Command::CreateWallet {
            wallet: wallet.clone(),
            chain: ChainId::parse(chain)?,
            tier: TierId::parse("cold")?,
            backend: BackendId::parse(tokens::BACKEND)?,
            seed: None,
        };
        house.execute(&format!("wallet-{wallet}"), create).await?;
        let create = Command::CreateKey {
            wallet,
            key: KeyId::parse(key)?,
            algorithm: Algorithm::EcdsaSecp256k1,
            exportability: Exportability::Never,
            start: KeyStart::Active,
        };
        house.execute(&format!("key-{key}"), create).await?;
    }
    house.register("receiver-ether", &ethereum_payment::receiver()).await?;
    house.register("receiver-coins", &bitcoin_payment::receiver()).await?;
    Ok(house)
}

/// Where the wallets are.
pub(crate) fn tell(house: &House) -> Result<Vec<String>, Failure> {
    let mut told = Vec::new();
    for (wallet, key) in [(ether()?, ETHER), (coins()?, COINS)] {
        let address = house.address(&KeyId::parse(key)?)?;
        told.push(format!("cold wallet {wallet}: {address}, key {key} made in the token"));
    }
    Ok(told)
}

/// The wallet on Ethereum.
pub(crate) fn ether() -> Result<WalletId, Failure> {
    Ok(WalletId::parse("cold-ether")?)
}

/// The wallet on Bitcoin.
pub(crate) fn coins() -> Result<WalletId, Failure> {
    Ok(WalletId::parse("cold-coins")?)
}

/// Its key.
pub(crate) const ETHER: &str = "ether.0";
/// Its key.
pub(crate) const COINS: &str = "coins.0";
