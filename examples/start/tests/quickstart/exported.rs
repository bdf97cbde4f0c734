//! What a stranger reads in the exported log of a run.

use std::path::Path;

use custody_audit::verify::{KeyHistory, LogDirectory, VerifiedLog};
use custody_core::digest::Digest;
use custody_core::document::{EventBody, EventDocument, OrderDocument, Work, parse};
use custody_core::secret::Secret;
use examples_start::house::House;
use serde_json::{Value, json};

use crate::program::{Kept, PASSPHRASE};

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_at_which_path_the_account_of_each_wallet_was_derived() {
    let kept = Kept::new();
    for _ in 0..2 {
        kept.run(PASSPHRASE, &[]).succeeds();
    }
    let target = tempfile::tempdir().unwrap();
    let commands = commands(&kept, &target.path().join("log")).await;
    let derived: Vec<_> =
        commands.iter().filter_map(|command| command.get("derive_account")).collect();
    let account = |wallet: &str| {
        json!({
            "wallet": wallet,
            "key": format!("{wallet}.0"),
            "path": "m/44'/60'/0'/0/0",
            "algorithm": "ecdsa-secp256k1",
            "start": "active",
        })
    };
    assert_eq!(derived, [&account("hot-1"), &account("hot-2")]);
}

/// Exports the log of a house, verifies it, and reads every command that was ordered in it.
async fn commands(kept: &Kept, target: &Path) -> Vec<Value> {
    let passphrase = Secret::new(PASSPHRASE.trim_end().into());
    let house = House::open(&kept.house(), passphrase).await.unwrap();
    let checkpoint = house.custodian.checkpoint().await.unwrap().unwrap();
    custody_audit::export(house.store.as_ref(), &checkpoint, target).await.unwrap();
    house.custodian.close().await.unwrap();
    let mut orders = Vec::new();
    let replayed = LogDirectory::open(target).unwrap().replay(|_, entry| {
        let event = EventDocument::read(entry)?;
        if let EventBody::OrderSubmitted(submitted) = event.event {
            orders.push(submitted.document.sha256);
        }
        Ok::<_, custody_core::document::DocumentError>(())
    });
    let log = replayed.unwrap().authenticate(KeyHistory::new(house.log_key.clone())).unwrap();
    orders.into_iter().filter_map(|order| command(&log, order)).collect()
}

/// The command of an order, as it is stored; none for a payload.
fn command(log: &VerifiedLog, order: Digest) -> Option<Value> {
    let order: OrderDocument = parse(&log.document(order).unwrap()).unwrap();
    match order.work {
        Work::Command(reference) => {
            let stored = log.document(reference.sha256).unwrap();
            Some(serde_json::from_slice(&stored).unwrap())
        }
        Work::Payload(_) => None,
    }
}
