//! What a crash leaves allowed and not finished, and how it ends when the house is opened again.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

mod gate;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use custody_core::caip::ChainId;
use custody_core::command::Command;
use custody_core::custodian::{Answer, Outcome, Request};
use custody_core::id::{BackendId, KeyId, OrderId, RequestId, TierId, WalletId};
use custody_core::order::OrderState;
use custody_core::secret::Secret;
use examples_start::hot;
use examples_start::house::House;

use gate::Gate;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_crash_left_reserved_ends_when_the_house_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let (running, left) = (folder.path().join("house"), folder.path().join("left"));
    let order = crash(&running, &left).await;

    let house = House::open(&left, passphrase()).await.unwrap();
    let resumed: Vec<_> = house.resumed.iter().map(|answer| &answer.order).collect();
    assert_eq!(resumed, [&order]);
    let answer = house.custodian.order(&order).await.unwrap();
    assert!(matches!(answer.outcome, Outcome::Released(_)), "{answer:?}");
    assert!(house.custodian.wallet(&wallet()).is_some());
    house.custodian.close().await.unwrap();
    drop(house);

    let house = House::open(&left, passphrase()).await.unwrap();
    assert_eq!(house.resumed, [], "it has ended");
    house.custodian.close().await.unwrap();
}

/// Makes a house in `running` and has `left` be what it looks like while an order is reserved.
async fn crash(running: &Path, left: &Path) -> OrderId {
    let gate = Arc::new(Gate::default());
    let entropy = Arc::<Gate>::clone(&gate);
    let house = House::open_drawing(running, passphrase(), entropy).await.unwrap();
    assert_eq!(house.resumed, [], "it is new");
    let asked = ask(&house).await;
    let [approval, _] = hot::approvals(&house, &asked).unwrap();
    gate.shut();
    let custodian = house.custodian.clone();
    let approving = tokio::spawn(async move { custodian.approve(approval).await });
    gate.reached().await;
    let standing = house.custodian.explain(&asked.order).await.unwrap();
    assert_eq!(standing.state, OrderState::Reserved);
    wait_for_log(&house, running).await;
    copy(running, left);
    copy(&anchor(running), &anchor(left));

    gate.open();
    let answer = approving.await.unwrap().unwrap();
    assert!(matches!(answer.outcome, Outcome::Released(_)), "{answer:?}");
    house.custodian.close().await.unwrap();
    asked.order
}

/// Asks for a wallet with a seed, which is drawn once a treasurer has approved.
async fn ask(house: &House) -> Answer {
    let command = Command::CreateWallet {
        wallet: wallet(),
        chain: ChainId::parse("eip155:1").unwrap(),
        tier: TierId::parse("hot").unwrap(),
        backend: BackendId::parse("software").unwrap(),
        seed: Some(KeyId::parse("hot.seed").unwrap()),
    };
    let id = RequestId::parse("wallet").unwrap();
    let request = Request::command(house.operator.id().clone(), id, command);
    house.custodian.submit(request).await.unwrap()
}

/// Waits until the log's files, which are written behind, have come as far as the custodian.
async fn wait_for_log(house: &House, directory: &Path) {
    let newest = house.custodian.checkpoint().await.unwrap().unwrap().note;
    let mut looks = 0..1_000;
    while fs::read_to_string(directory.join("log/checkpoint")).unwrap() != newest {
        assert!(looks.next().is_some(), "the newest head was not written");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}

fn anchor(directory: &Path) -> PathBuf {
    directory.with_added_extension("anchor")
}

fn wallet() -> WalletId {
    WalletId::parse("hot").unwrap()
}

fn passphrase() -> Secret {
    Secret::new(b"correct horse battery staple".to_vec())
}
