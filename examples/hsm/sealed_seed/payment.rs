//! A coin of one of the addresses, to a registered receiver.

use bitcoin::Transaction;
use custody_core::custodian::{Answer, Outcome};
use examples_hsm::Failure;
use examples_hsm::coin::{self, Coin};
use examples_hsm::house::House;

use crate::accounts;

/// Registers the receiver.
pub(crate) async fn register(house: &House) -> Result<(), Failure> {
    house.register("receiver", &format!("{}:{RECEIVER}", coin::CHAIN)).await
}

/// Asks for the payment of what lies at an address, and has a treasurer approve. Each fee makes
/// another payment.
pub(crate) async fn pay(house: &House, number: u32, fee: u64) -> Result<Answer, Failure> {
    let payload = coin::payload(&of_account(house, number)?.spend(RECEIVER, fee)?)?;
    let name = format!("payment-{number}-{fee}");
    let asked = house.submit(&name, &accounts::wallet()?, payload).await?;
    let [theo, _] = &house.treasurers;
    house.approve(theo, &asked.order).await
}

/// The transaction, if Bitcoin Core takes it.
pub(crate) fn check(house: &House, number: u32, answer: Answer) -> Result<Transaction, Failure> {
    let Outcome::Released(release) = answer.outcome else {
        return Err(format!("the payment is not released: {:?}", answer.outcome).into());
    };
    let transaction = coin::finished(&release.signed.ok_or("nothing was signed")?)?;
    if of_account(house, number)?.may_be_spent_by(&transaction) {
        return Ok(transaction);
    }
    Err("the transaction is invalid".into())
}

fn of_account(house: &House, number: u32) -> Result<Coin, Failure> {
    let key = house.custodian.key(&accounts::key(number)?).ok_or("there is no key")?;
    Coin::of(key.public_key(), coin::SATOSHI / 4)
}

const RECEIVER: &str = "bcrt1qs758ursh4q9z627kt3pp5yysm78ddny6txaqgw";
