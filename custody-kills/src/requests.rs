//! Requests that their ids alone make, so that any life can make any of them again.

use std::time::Duration;

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, TxKind, U256};
use custody_core::caip::{AccountId, ChainId};
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Request};
use custody_core::digest::Digest;
use custody_core::id::{
    BackendId, BookId, CustodianId, KeyId, PayloadFormat, PrincipalId, RequestId, RoleId, TierId,
    WalletId,
};
use custody_core::principal::{SignedStatement, Statement, Verb};
use custody_core::seam::{Authentication, DerivationPath, Exportability, Payload};
use custody_core::time::Timestamp;
use custody_testkit::people::TestPerson;

use crate::Failure;
use crate::house::ETH;

/// An address in the book `customers`.
const KNOWN: [u8; 20] = [0x70; 20];
/// An address in no book: payments to it take two treasurers.
const STRANGER: [u8; 20] = [0x33; 20];

/// The wallet that payments of a life leave from. It changes, so that limits run out and come back.
pub fn hot(life: u64) -> Result<WalletId, Failure> {
    Ok(WalletId::parse(&format!("hot-{}", life / LIVES_OF_A_WALLET))?)
}

/// The wallet that is frozen and thawed all the time.
pub fn cool() -> Result<WalletId, Failure> {
    Ok(WalletId::parse("cool")?)
}

/// The wallet whose accounts are derived.
pub fn seeded() -> Result<WalletId, Failure> {
    Ok(WalletId::parse("seeded")?)
}

/// A payment that one person may make; a few are from the wallet that is often frozen.
pub fn small(life: u64, caller: u64, number: u64) -> Result<Request, Failure> {
    let id = format!("small-{life}-{caller}-{number}");
    let wallet = if number.is_multiple_of(4) { cool()? } else { hot(life)? };
    payment(&id, wallet, ETH / 10_000 + u128::from(number))
}

/// A payment that takes two treasurers. In the last lives of a wallet some are so large that only
/// one of them fits into a day, so that each wallet comes to its limit, however many payments a
/// machine gets done in a life; before that there is place for all.
pub fn large(life: u64, caller: u64, number: u64) -> Result<Request, Failure> {
    let id = format!("large-{life}-{caller}-{number}");
    let wei = match life % LIVES_OF_A_WALLET >= 14 && caller.is_multiple_of(2) && number == 0 {
        true => 35 * ETH,
        false => ETH + ETH / 10 * u128::from(1 + number % 5),
    };
    payment(&id, hot(life)?, wei)
}

/// Another payment under the id of this one.
pub fn other_under_the_id_of(request: &Request) -> Result<Request, Failure> {
    let other = payment("another", cool()?, 1)?;
    Ok(Request { id: request.id.clone(), ..other })
}

/// A command of olivia's.
pub fn command(id: &str, command: Command) -> Result<Request, Failure> {
    let olivia = PrincipalId::parse("olivia")?;
    let request = Request::command(olivia, RequestId::parse(id)?, command);
    Ok(request.authenticated(authentication()))
}

/// What a house needs before anybody can pay: ids and commands, the same in each life.
pub fn furniture(life: u64) -> Result<Vec<(String, Command)>, Failure> {
    let account = AccountId::parse(&format!("eip155:1:{:#x}", Address::from(KNOWN)))?;
    let book = BookId::parse("customers")?;
    let (hot, cool, seeded) = (hot(life)?, cool()?, seeded()?);
    let seed = KeyId::parse("seeded.seed")?;
    Ok(vec![
        ("book".to_owned(), Command::AddAddress { book, account }),
        ("wallet-cool".to_owned(), wallet(&cool, SOFTWARE, None)?),
        ("key-cool".to_owned(), key(&cool, "0")?),
        ("wallet-seeded".to_owned(), wallet(&seeded, SOFTWARE, Some(seed))?),
        (format!("wallet-{hot}"), wallet(&hot, SOFTWARE, None)?),
        (format!("key-{hot}"), key(&hot, "0")?),
    ])
}

/// Makes a key of a wallet.
pub fn key(wallet: &WalletId, name: &str) -> Result<Command, Failure> {
    Ok(Command::CreateKey {
        wallet: wallet.clone(),
        key: KeyId::parse(&format!("{wallet}.{name}"))?,
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    })
}

/// Derives an account of the seeded wallet.
pub fn account(number: u64) -> Result<Command, Failure> {
    Ok(Command::DeriveAccount {
        wallet: seeded()?,
        key: KeyId::parse(&format!("seeded.{number}"))?,
        path: DerivationPath::parse(&format!("m/44'/60'/0'/0/{number}"))?,
        algorithm: Algorithm::EcdsaSecp256k1,
        start: KeyStart::PreActivation,
    })
}

/// The signed word of `person` about the order of `answer`, for an hour.
pub fn says(
    (person, role): (&TestPerson, &str),
    custodian: &CustodianId,
    verb: Verb,
    answer: &Answer,
    now: Timestamp,
) -> Result<SignedStatement, Failure> {
    let statement = Statement {
        verb,
        order: answer.order.clone(),
        digest: answer.digest,
        principal: person.id().clone(),
        credential: person.credential_id().clone(),
        role: RoleId::parse(role)?,
        valid_until: now.after(Duration::from_secs(3_600)),
    };
    Ok(person.say(custodian, statement))
}

/// Makes a hot wallet whose keys are in a backend.
pub fn wallet(wallet: &WalletId, backend: &str, seed: Option<KeyId>) -> Result<Command, Failure> {
    Ok(Command::CreateWallet {
        wallet: wallet.clone(),
        chain: ChainId::parse("eip155:1")?,
        tier: TierId::parse("hot")?,
        backend: BackendId::parse(backend)?,
        seed,
    })
}

/// A payment of otto's to an address that is known.
pub fn payment(id: &str, wallet: WalletId, wei: u128) -> Result<Request, Failure> {
    payment_to(KNOWN, id, wallet, wei)
}

/// A payment of otto's to an address that nobody knows, which takes two treasurers.
pub fn payment_to_a_stranger(id: &str, wallet: WalletId, wei: u128) -> Result<Request, Failure> {
    payment_to(STRANGER, id, wallet, wei)
}

fn payment_to(to: [u8; 20], id: &str, wallet: WalletId, wei: u128) -> Result<Request, Failure> {
    let digest = Digest::of(id.as_bytes());
    let nonce = u32::from_be_bytes(*digest.as_bytes().first_chunk().expect("32 bytes"));
    let transaction = TxEip1559 {
        chain_id: 1,
        nonce: u64::from(nonce),
        gas_limit: 21_000,
        max_fee_per_gas: 1_000_000_000,
        max_priority_fee_per_gas: 1_000_000,
        to: TxKind::Call(Address::from(to)),
        value: U256::from(wei),
        ..TxEip1559::default()
    };
    let mut bytes = Vec::new();
    transaction.encode_for_signing(&mut bytes);
    let payload = Payload { format: PayloadFormat::parse("evm/transaction")?, bytes };
    let requester = PrincipalId::parse("otto")?;
    let request = Request::payload(requester, RequestId::parse(id)?, wallet, payload);
    Ok(request.authenticated(authentication()))
}

/// A fresh login with two factors.
const fn authentication() -> Authentication {
    Authentication { factors: 2, age_ms: 60_000, ip: None, signed: false }
}

/// How many lives pay from one wallet.
const LIVES_OF_A_WALLET: u64 = 20;
/// The backend of the software keys.
pub const SOFTWARE: &str = "software";
