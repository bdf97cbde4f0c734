use std::time::Duration;

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, TxKind, U256};
use custody_core::caip::{AccountId, ChainId};
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Error, Outcome, Request};
use custody_core::digest::Digest;
use custody_core::document::{EventBody, EventDocument};
use custody_core::id::{
    BackendId, BookId, KeyId, OrderId, PayloadFormat, RequestId, TierId, WalletId,
};
use custody_core::principal::{SignedStatement, Verb};
use custody_core::seam::{Authentication, Exportability, Payload, Store};
use custody_testkit::oracle::Given;

use super::World;
use super::people::Person;

/// One ether in wei.
pub(crate) const ETH: u128 = 1_000_000_000_000_000_000;
/// The fee of every payment in wei, which counts like the payment.
pub(crate) const FEE: u128 = 21_000 * 1_000_000_000;
/// An address in a book.
pub(crate) const KNOWN: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
/// Another address in a book.
pub(crate) const OTHER: &str = "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc";
/// An address in no book.
pub(crate) const STRANGER: &str = "0x90f79bf6eb2c4f870365e785982e1f101e93b906";

/// An unsigned transaction that pays `wei`; `nonce` makes it another one.
pub(crate) fn payload(wei: u128, to: &str, nonce: u64) -> Payload {
    let transaction = TxEip1559 {
        chain_id: 1,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 1_000_000_000,
        max_priority_fee_per_gas: 1_000_000,
        to: TxKind::Call(to.parse::<Address>().unwrap()),
        value: U256::from(wei),
        ..TxEip1559::default()
    };
    let mut bytes = Vec::new();
    transaction.encode_for_signing(&mut bytes);
    Payload { format: PayloadFormat::parse("evm/transaction").unwrap(), bytes }
}

/// A request of a command by `person`.
pub(crate) fn command(person: &Person, id: &str, command: Command) -> Request {
    let id = RequestId::parse(id).unwrap();
    Request::command(person.id.clone(), id, command).authenticated(authentication())
}

/// The command that puts the stranger into a book of known addresses.
pub(crate) fn add_stranger() -> Command {
    let account = AccountId::parse(&format!("eip155:1:{STRANGER}")).unwrap();
    Command::AddAddress { book: BookId::parse("customers").unwrap(), account }
}

/// A fresh login with two factors.
fn authentication() -> Authentication {
    Authentication { factors: 2, age_ms: 60_000, ip: None, signed: false }
}

impl World {
    /// A request of olivia's to pay `wei` from the wallet `hot`. The id alone makes the nonce.
    pub(crate) fn request(&self, wei: u128, to: &str, id: &str) -> Request {
        self.request_of(&self.people.olivia, wei, to, id)
    }

    /// A request of `person` to pay `wei` from the wallet `hot`.
    pub(crate) fn request_of(&self, person: &Person, wei: u128, to: &str, id: &str) -> Request {
        let digest = Digest::of(id.as_bytes());
        let nonce = u32::from_be_bytes(*digest.as_bytes().first_chunk().unwrap());
        let payload = payload(wei, to, u64::from(nonce));
        let (id, wallet) = (RequestId::parse(id).unwrap(), WalletId::parse("hot").unwrap());
        Request::payload(person.id.clone(), id, wallet, payload).authenticated(authentication())
    }

    /// Asks for a payment of `wei` from the wallet `hot`, by olivia.
    pub(crate) async fn pay(&self, wei: u128, to: &str, id: &str) -> Result<Answer, Error> {
        self.submit(self.request(wei, to, id)).await
    }

    /// Submits, and checks what is released.
    pub(crate) async fn submit(&self, request: Request) -> Result<Answer, Error> {
        self.checked(Box::pin(self.custodian.submit(request)).await).await
    }

    /// `person` approves the order of `answer`, for an hour from now.
    pub(crate) async fn approve(&self, person: &Person, answer: &Answer) -> Result<Answer, Error> {
        let approval = self.says(person, Verb::Approve, answer);
        self.checked(Box::pin(self.custodian.approve(approval)).await).await
    }

    /// `person` rejects the order of `answer`.
    pub(crate) async fn reject(&self, person: &Person, answer: &Answer) -> Result<Answer, Error> {
        Box::pin(self.custodian.reject(self.says(person, Verb::Reject, answer))).await
    }

    /// `person` cancels the order of `answer`.
    pub(crate) async fn cancel(&self, person: &Person, answer: &Answer) -> Result<Answer, Error> {
        Box::pin(self.custodian.cancel(self.says(person, Verb::Cancel, answer))).await
    }

    /// Both treasurers approve, one after the other, as long as the order waits.
    pub(crate) async fn approve_all(&self, mut answer: Answer) -> Result<Answer, Error> {
        for person in [&self.people.theo, &self.people.tara] {
            if matches!(answer.outcome, Outcome::Pending { .. }) {
                answer = self.approve(person, &answer).await?;
            }
        }
        Ok(answer)
    }

    /// The signed word of `person` about an order.
    pub(crate) fn says(&self, person: &Person, verb: Verb, answer: &Answer) -> SignedStatement {
        let until = self.now().after(Duration::from_secs(3_600));
        person.sign(&self.id, person.statement(verb, answer, until))
    }

    /// Has a command of olivia's done, with the treasurers' approvals.
    pub(crate) async fn govern(&self, id: &str, work: Command) -> Result<Answer, Error> {
        let answer = self.submit(command(&self.people.olivia, id, work)).await?;
        self.approve_all(answer).await
    }

    /// How an order stands, with what is released checked.
    pub(crate) async fn order(&self, order: &OrderId) -> Result<Answer, Error> {
        self.checked(self.custodian.order(order).await).await
    }

    /// Judges a pending order again, with what is released checked.
    pub(crate) async fn judge_again(&self, order: &OrderId) -> Result<Answer, Error> {
        self.checked(self.custodian.judge_again(order).await).await
    }

    /// Goes on with what a crash left, with what is released checked.
    pub(crate) async fn resume(&self) -> Result<Vec<Answer>, Error> {
        let answers = self.custodian.resume().await?;
        for answer in &answers {
            self.check(answer).await;
        }
        Ok(answers)
    }

    async fn checked(&self, answer: Result<Answer, Error>) -> Result<Answer, Error> {
        if let Ok(answer) = &answer {
            self.check(answer).await;
        }
        answer
    }

    /// What leaves the custodian must be durable, under the log's head, and the same each time.
    pub(crate) async fn check(&self, answer: &Answer) {
        self.given.lock().unwrap().push(Given::answer(answer));
        let Outcome::Released(release) = &answer.outcome else { return };
        let index = release.receipt.index;
        let sealed = self.sealed.head().await.unwrap().unwrap().head.size;
        assert!(index < sealed, "released before its outcome was sealed");
        let events = self.store.inner().events(index, 1).await.unwrap();
        let event = EventDocument::read(&events.first().unwrap().bytes).unwrap();
        let concluded = matches!(event.event, EventBody::OrderConcluded(_));
        assert!(concluded, "released before its outcome was durable");
    }

    /// Makes two addresses known, and the wallet `hot` with the active key `hot.0`.
    pub(crate) async fn furnish(&self) {
        let book = BookId::parse("customers").unwrap();
        for (id, address) in [("known", KNOWN), ("other", OTHER)] {
            let account = AccountId::parse(&format!("eip155:1:{address}")).unwrap();
            self.done(id, Command::AddAddress { book: book.clone(), account }).await;
        }
        self.add_wallet("hot").await;
    }

    /// Makes the hot wallet `name` with the active key `name.0`.
    pub(crate) async fn add_wallet(&self, name: &str) {
        let wallet = WalletId::parse(name).unwrap();
        let made = Command::CreateWallet {
            wallet: wallet.clone(),
            chain: ChainId::parse("eip155:1").unwrap(),
            tier: TierId::parse("hot").unwrap(),
            backend: BackendId::parse("software").unwrap(),
            seed: None,
        };
        self.done(&format!("wallet-{name}"), made).await;
        let key = Command::CreateKey {
            wallet,
            key: KeyId::parse(&format!("{name}.0")).unwrap(),
            algorithm: Algorithm::EcdsaSecp256k1,
            exportability: Exportability::Never,
            start: KeyStart::Active,
        };
        self.done(&format!("key-{name}"), key).await;
    }

    /// Has a command done that must succeed.
    pub(crate) async fn done(&self, id: &str, command: Command) {
        let answer = self.govern(id, command).await.unwrap();
        assert!(matches!(answer.outcome, Outcome::Released(_)), "{id}: {:?}", answer.outcome);
    }
}
