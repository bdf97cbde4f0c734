//! A coin of the wallet to a registered receiver, as a PSBT with the transaction that it comes from.

use custody_core::id::KeyId;
use custody_core::seam::Payload;
use examples_hsm::Failure;
use examples_hsm::coin::{self, Coin};
use examples_hsm::house::House;

use crate::wallets;

/// The PSBT, unsigned.
pub(crate) fn payload(house: &House) -> Result<Payload, Failure> {
    coin::payload(&of_wallet(house)?.spend(RECEIVER, FEE)?)
}

/// Whether Bitcoin Core takes the signed transaction, and not one with a satoshi less.
pub(crate) fn check(house: &House, signed: &[u8]) -> Result<Vec<String>, Failure> {
    let (spent, transaction) = (of_wallet(house)?, coin::finished(signed)?);
    if !spent.may_be_spent_by(&transaction) {
        return Err("the transaction is invalid".into());
    }
    if spent.may_be_spent_by(&coin::changed(&transaction)?) {
        return Err("a changed transaction is valid".into());
    }
    Ok(vec![
        format!("  transaction {}: valid", transaction.compute_txid()),
        "  with one satoshi changed: invalid".to_owned(),
    ])
}

/// Who may be paid, as CAIP-10 writes it.
pub(crate) fn receiver() -> String {
    format!("{}:{RECEIVER}", coin::CHAIN)
}

fn of_wallet(house: &House) -> Result<Coin, Failure> {
    let key = house.custodian.key(&KeyId::parse(wallets::COINS)?).ok_or("there is no key")?;
    Coin::of(key.public_key(), coin::SATOSHI / 2)
}

const RECEIVER: &str = "bcrt1qs758ursh4q9z627kt3pp5yysm78ddny6txaqgw";
const FEE: u64 = 1_000;
