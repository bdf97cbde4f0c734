use custody_core::crypto::PublicKey;
use custody_core::seam::{ErrorKind, Event, Head, Position, Receipt};

use super::AuditLogFixture;
use crate::audit::ReceiptFile;

/// Each sealed event, in trees of many sizes, has a receipt of its index that carries the event
/// and verifies offline; a receipt that was changed does not.
pub async fn each_sealed_event_has_a_receipt_that_verifies(fixture: AuditLogFixture) {
    let key = fixture.log.public_key().await;
    for count in [1, 1, 1, 2, 4, 8, 17, 240] {
        let through = fixture.add(count).await;
        fixture.seal(through).await;
        let events = fixture.events().await;
        let step = if events.len() > 40 { 7 } else { 1 };
        for event in events.iter().step_by(step).chain(events.last()) {
            let receipt = fixture.log.receipt(event.position).await.unwrap();
            let head = assert_receipt(&receipt, event, &key);
            assert!(head.size > event.position);
        }
    }
    let receipt = fixture.log.receipt(Position::new(3)).await.unwrap();
    let other = receipt.proof.replacen("index 3", "index 4", 1);
    let changed = ReceiptFile::parse(&other).unwrap();
    assert!(changed.verify(&key).is_err(), "a receipt verifies for another index");
}

/// Receipts handed out under a smaller head still verify, and new ones for the same events too.
pub async fn older_receipts_hold_under_later_heads(fixture: AuditLogFixture) {
    let key = fixture.log.public_key().await;
    let through = fixture.add(5).await;
    fixture.seal(through).await;
    let mut receipts = Vec::new();
    for index in 0..5 {
        receipts.push(fixture.log.receipt(Position::new(index)).await.unwrap());
    }
    let through = fixture.add(9).await;
    fixture.seal(through).await;
    let events = fixture.events().await;
    for (older, event) in receipts.iter().zip(&events) {
        assert_receipt(older, event, &key);
        let newer = fixture.log.receipt(event.position).await.unwrap();
        assert_receipt(&newer, event, &key);
    }
}

/// An event past the newest head, committed or not, is `NotFound`.
pub async fn an_event_not_sealed_has_no_receipt(fixture: AuditLogFixture) {
    fixture.add(2).await;
    assert_not_found(&fixture, 0).await;
    let sealed = fixture.seal(Position::new(2)).await.head.size.value();
    fixture.add(2).await;
    for index in [sealed, sealed + 1, sealed + 2, u64::MAX] {
        assert_not_found(&fixture, index).await;
    }
}

/// If a sealed event was changed in the store, its receipt is `Corrupt`, or is still one of the
/// event that was sealed.
pub async fn a_receipt_of_a_tampered_event_is_never_given(fixture: AuditLogFixture) {
    let key = fixture.log.public_key().await;
    let through = fixture.add(6).await;
    fixture.seal(through).await;
    let sealed = fixture.events().await;
    fixture.store.replace_event(Position::new(2), b"{\"v\":1,\"event\":\"forged\"}".to_vec());
    match fixture.log.receipt(Position::new(2)).await {
        Ok(receipt) => {
            assert_receipt(&receipt, &sealed[2], &key);
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt),
    }
}

fn assert_receipt(receipt: &Receipt, event: &Event, key: &PublicKey) -> Head {
    assert_eq!(receipt.index, event.position, "the receipt is of another event");
    let file = ReceiptFile::parse(&receipt.proof).unwrap_or_else(|error| panic!("{error}"));
    let (index, entry, head) = file.verify(key).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((index, entry), (event.position.value(), event.bytes.as_slice()));
    head
}

async fn assert_not_found(fixture: &AuditLogFixture, index: u64) {
    let answer = fixture.log.receipt(Position::new(index)).await;
    let kind = answer.expect_err("a receipt of an event that is not sealed").kind();
    assert_eq!(kind, ErrorKind::NotFound, "event {index}");
}
