//! The two wallets, and the receivers that they know.

use custody_core::caip::{AccountId, ChainId};
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::id::{BackendId, BookId, KeyId, TierId, WalletId};
use custody_core::seam::{DerivationPath, Exportability};
use examples_kms::Failure;
use examples_kms::account;
use examples_kms::house::House;
use examples_start::transactions::bundled::KNOWN;

/// Makes both wallets, one with its key and one with its addresses.
pub(crate) async fn create(house: &House) -> Result<(), Failure> {
    for (number, receiver) in KNOWN.into_iter().enumerate() {
        let (book, account) = (BookId::parse("customers")?, AccountId::parse(receiver)?);
        let add = Command::AddAddress { book, account };
        house.execute(&format!("receiver-{number}"), add).await?;
    }
    for (wallet, backend, seed) in
        [(NATIVE, account::NATIVE, None), (SEALED, account::SEALED, Some("sealed.seed"))]
    {
        let create = Command::CreateWallet {
            wallet: WalletId::parse(wallet)?,
            chain: ChainId::parse("eip155:1")?,
            tier: TierId::parse("hot")?,
            backend: BackendId::parse(backend)?,
            seed: seed.map(KeyId::parse).transpose()?,
        };
        house.execute(&format!("wallet-{wallet}"), create).await?;
    }
    let create = Command::CreateKey {
        wallet: WalletId::parse(NATIVE)?,
        key: KeyId::parse(&key(NATIVE, 0))?,
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    };
    house.execute("key", create).await?;
    for number in 0..ADDRESSES {
        let derive = Command::DeriveAccount {
            wallet: WalletId::parse(SEALED)?,
            key: KeyId::parse(&key(SEALED, number))?,
            path: DerivationPath::parse(&format!("m/44'/60'/0'/0/{number}"))?,
            algorithm: Algorithm::EcdsaSecp256k1,
            start: KeyStart::Active,
        };
        house.execute(&format!("address-{number}"), derive).await?;
    }
    Ok(())
}

/// The addresses of the wallet whose keys are sealed.
pub(crate) fn addresses(house: &House) -> Result<Vec<String>, Failure> {
    (0..ADDRESSES).map(|number| house.address(&key(SEALED, number))).collect()
}

/// The id of a wallet's key with this number.
pub(crate) fn key(wallet: &str, number: u32) -> String {
    format!("{wallet}.{number}")
}

/// The wallet whose key is in KMS.
pub(crate) const NATIVE: &str = "native";
/// The wallet whose keys are sealed under a key of KMS.
pub(crate) const SEALED: &str = "sealed";
/// How many addresses it has.
pub(crate) const ADDRESSES: u32 = 20;
