//! What a stranger reads in the exported log of a run.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use custody_audit::verify::{KeyHistory, LogDirectory, VerifiedLog};
use custody_core::digest::Digest;
use custody_core::document::{EventBody, EventDocument, OrderDocument, Work, parse};
use custody_core::replay::Documents as _;
use custody_core::secret::Secret;
use examples_start::exported::ExportedDocuments;
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
    let (log, orders) = export(&kept, &target.path().join("log")).await;
    let commands: Vec<_> = orders.iter().filter_map(|order| command(&log, *order)).collect();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_a_link_is_not_read() {
    let kept = Kept::new();
    kept.run(PASSPHRASE, &[]).succeeds();
    let target = tempfile::tempdir().unwrap();
    let (log, orders) = export(&kept, &target.path().join("log")).await;
    let (name, elsewhere) = (orders[0].to_string(), target.path().join("elsewhere"));
    let documents = ExportedDocuments(&log);
    assert!(documents.get(&orders[0]).is_some());
    let place = target.path().join("log/documents").join(name);
    fs::rename(&place, &elsewhere).unwrap();
    symlink(&elsewhere, &place).unwrap();
    assert_eq!(documents.get(&orders[0]), None);
}

/// Exports the log of a house and verifies it; the log, and the documents of all orders in it.
async fn export(kept: &Kept, target: &Path) -> (VerifiedLog, Vec<Digest>) {
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
    (log, orders)
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
