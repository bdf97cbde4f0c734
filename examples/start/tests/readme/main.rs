//! The snippet of the README, as it stands there, pays out of a real house.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests fail by panicking; a host may name every other outcome alike"
)]

use std::time::Duration;

use custody_core::caip::{AccountId, ChainId};
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::id::{BackendId, BookId, KeyId, TierId};
use custody_core::seam::DerivationPath;
use custody_core::secret::Secret;
use examples_start::house::House;
use examples_start::transactions::{bundled, parse, sender};

include!("pay.rs");

const README: &str = include_str!("../../../../README.md");
const SNIPPET: &str = include_str!("pay.rs");

#[test]
fn the_readme_has_exactly_this_snippet_and_it_is_short() {
    let blocks: Vec<_> = README.split("```rust\n").skip(1).collect();
    assert_eq!(blocks.len(), 1);
    assert_eq!(blocks[0].split_once("```").unwrap().0, SNIPPET);
    assert!(SNIPPET.lines().count() <= 20);
}

#[tokio::test]
async fn the_snippet_pays_waits_and_is_denied_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let passphrase = Secret::new(b"correct horse battery staple".to_vec());
    let house = House::open(&directory.path().join("house"), passphrase).await.unwrap();
    let address = prepare(&house).await;

    let payments = [
        ("small", bundled::SMALL, ""),
        ("large", bundled::LARGE, "waits for one of ["),
        ("allowance", bundled::ALLOWANCE, "denied by [RuleId(\"unlimited-allowance\")]"),
    ];
    for (id, transaction, refusal) in payments {
        let answer = pay(&house.custodian, id, parse(transaction).unwrap()).await;
        match answer {
            Ok(signed) => assert_eq!((id, sender(&signed).unwrap()), ("small", address.clone())),
            Err(error) => {
                let error = error.to_string();
                assert!(!refusal.is_empty() && error.starts_with(refusal), "{id}: {error}");
            }
        }
    }
    house.custodian.close().await.unwrap();
}

/// Makes the wallet and the address book of the snippet; the wallet's address.
async fn prepare(house: &House) -> String {
    let wallet = WalletId::parse("hot-1").unwrap();
    let account = AccountId::parse(bundled::KNOWN[0]).unwrap();
    command(house, Command::AddAddress { book: BookId::parse("customers").unwrap(), account })
        .await;
    let create = Command::CreateWallet {
        wallet: wallet.clone(),
        chain: ChainId::parse("eip155:1").unwrap(),
        tier: TierId::parse("hot").unwrap(),
        backend: BackendId::parse("software").unwrap(),
        seed: Some(KeyId::parse("hot-1.seed").unwrap()),
    };
    command(house, create).await;
    let key = KeyId::parse("hot-1.0").unwrap();
    let derive = Command::DeriveAccount {
        wallet,
        key: key.clone(),
        path: DerivationPath::parse("m/44'/60'/0'/0/0").unwrap(),
        algorithm: Algorithm::EcdsaSecp256k1,
        start: KeyStart::Active,
    };
    command(house, derive).await;
    house.custodian.key(&key).unwrap().account().unwrap().address().to_owned()
}

/// Olivia asks; a treasurer approves if one must.
async fn command(house: &House, command: Command) {
    let custodian = &house.custodian;
    let id = RequestId::parse(&format!("set-up-{}", command.action())).unwrap();
    let login = Authentication { factors: 2, age_ms: 60_000, ..Authentication::default() };
    let request = Request::command(house.operator.id().clone(), id, command).authenticated(login);
    let mut answer = custodian.submit(request).await.unwrap();
    if let Outcome::Pending { .. } = answer.outcome {
        let until = house.clock.now().after(Duration::from_secs(3_600));
        let [treasurer, _] = &house.treasurers;
        let approval = treasurer.approve(&custodian.id(), &answer, "treasurer", until).unwrap();
        answer = custodian.approve(approval).await.unwrap();
    }
    assert!(matches!(answer.outcome, Outcome::Released(_)), "{:?}", answer.outcome);
}
