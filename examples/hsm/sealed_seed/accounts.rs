//! The wallet, its accounts, and the addresses that they must have.

use std::collections::BTreeSet;

use bitcoin::bip32::{ChildNumber, Xpub};
use bitcoin::secp256k1::{PublicKey, Secp256k1};
use bitcoin::{Address, CompressedPublicKey, KnownHrp, NetworkKind};
use custody_chain::{AddressKind, Branch};
use custody_core::caip::ChainId;
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::id::{BackendId, KeyId, TierId, WalletId};
use custody_core::seam::ExtendedPublicKey;
use examples_hsm::house::House;
use examples_hsm::{Failure, coin};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::sealing::SEALED;

/// Makes the wallet with its seed.
pub(crate) async fn create_wallet(house: &House) -> Result<(), Failure> {
    let create = Command::CreateWallet {
        wallet: wallet()?,
        chain: ChainId::parse(coin::CHAIN)?,
        tier: TierId::parse("cold")?,
        backend: BackendId::parse(SEALED)?,
        seed: Some(KeyId::parse(SEED)?),
    };
    house.execute("wallet", create).await
}

/// Derives so many accounts. Each is an order: the seed is opened for it, and its key sealed.
pub(crate) async fn derive(house: &House, count: u32) -> Result<(), Failure> {
    let orders = futures::stream::iter(0..count).map(|number| derive_one(house, number));
    orders.buffer_unordered(AT_ONCE).try_collect().await
}

/// The addresses of the accounts, as the custodian has them.
pub(crate) fn addresses(house: &House, count: u32) -> Result<Vec<String>, Failure> {
    (0..count).map(|number| house.address(&key(number)?)).collect()
}

/// The addresses that a wallet has which only watches: it knows the account's public key, and nothing
/// of the code that derived the keys.
pub(crate) async fn watched(house: &House, count: u32) -> Result<Vec<String>, Failure> {
    let path = KIND.account_path(&ChainId::parse(coin::CHAIN)?, 0).ok_or("there is no path")?;
    let account = extended(&house.custodian.account_key(&wallet()?, &path).await?)?;
    let (secp, receive) = (Secp256k1::verification_only(), ChildNumber::from(0));
    let address = |number| {
        let key = account.derive_pub(&secp, &[receive, ChildNumber::from(number)])?;
        let key = CompressedPublicKey(key.public_key);
        Ok(Address::p2wpkh(&key, KnownHrp::Regtest).to_string())
    };
    (0..count).map(address).collect()
}

/// Whether the custodian's addresses are those of the wallet that watches, each another one.
pub(crate) fn agree(own: &[String], watched: &[String]) -> bool {
    own == watched && own.iter().collect::<BTreeSet<_>>().len() == own.len()
}

/// The wallet.
pub(crate) fn wallet() -> Result<WalletId, Failure> {
    Ok(WalletId::parse("many")?)
}

/// The key of an account.
pub(crate) fn key(number: u32) -> Result<KeyId, Failure> {
    Ok(KeyId::parse(&format!("many.{number}"))?)
}

async fn derive_one(house: &House, number: u32) -> Result<(), Failure> {
    let chain = ChainId::parse(coin::CHAIN)?;
    let path = KIND.key_path(&chain, 0, Branch::Receive, number).ok_or("there is no path")?;
    let derive = Command::DeriveAccount {
        wallet: wallet()?,
        key: key(number)?,
        path,
        algorithm: Algorithm::EcdsaSecp256k1,
        start: KeyStart::Active,
    };
    house.execute(&format!("account-{number}"), derive).await
}

fn extended(key: &ExtendedPublicKey) -> Result<Xpub, Failure> {
    let last = key.path.indexes().last().ok_or("the path of an account is empty")?;
    Ok(Xpub {
        network: NetworkKind::Test,
        depth: u8::try_from(key.path.indexes().len())?,
        parent_fingerprint: key.parent_fingerprint.into(),
        child_number: ChildNumber::from(*last),
        public_key: PublicKey::from_slice(key.public_key.as_bytes())?,
        chain_code: key.chain_code.into(),
    })
}

/// The seed's id.
pub(crate) const SEED: &str = "many.seed";
const KIND: AddressKind = AddressKind::WitnessKeyHash;
/// Orders under way: fewer than a requester may have open.
const AT_ONCE: usize = 64;
