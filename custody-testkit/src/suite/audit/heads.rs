use std::sync::Arc;

use custody_core::seam::Position;
use futures::future::join_all;

use super::AuditLogFixture;

/// Before the first seal there is no head, also if there are events.
pub async fn a_log_that_is_new_has_no_head(fixture: AuditLogFixture) {
    assert_eq!(fixture.log.head().await.unwrap(), None);
    fixture.add(3).await;
    assert_eq!(fixture.log.head().await.unwrap(), None);
    let checkpoint = fixture.seal(Position::new(3)).await;
    assert_eq!(fixture.log.head().await.unwrap(), Some(checkpoint));
}

/// Each head is a C2SP checkpoint of its size and root, signed by the log's key.
pub async fn each_head_is_a_signed_checkpoint(fixture: AuditLogFixture) {
    let key = fixture.log.public_key().await;
    for count in [1, 1, 2, 3, 5] {
        let through = fixture.add(count).await;
        let checkpoint = fixture.seal(through).await;
        AuditLogFixture::assert_signed(&checkpoint, &key);
        let head = fixture.log.head().await.unwrap().expect("a head after a seal");
        AuditLogFixture::assert_signed(&head, &key);
        assert_eq!(head.head, checkpoint.head);
    }
    assert_eq!(fixture.log.public_key().await, key);
}

/// Sealing the same events again, or fewer, answers with the newest head.
pub async fn sealing_again_changes_nothing(fixture: AuditLogFixture) {
    let through = fixture.add(7).await;
    let first = fixture.seal(through).await;
    for again in [7, 7, 6, 1, 0] {
        let found = fixture.seal(Position::new(again)).await;
        assert_eq!(found.head, first.head, "sealed through {again} after 7");
    }
    assert_eq!(fixture.log.head().await.unwrap().unwrap().head, first.head);
}

/// The newest head is never smaller than one before.
pub async fn heads_never_shrink(fixture: AuditLogFixture) {
    let mut newest = Position::START;
    for (count, through) in [(5, 3), (0, 5), (4, 2), (0, 9), (1, 1), (0, 10), (6, 16), (0, 4)] {
        if count > 0 {
            fixture.add(count).await;
        }
        fixture.seal(Position::new(through)).await;
        let head = fixture.log.head().await.unwrap().expect("a head").head.size;
        assert!(head >= newest, "the head went from {newest} to {head}");
        newest = head;
    }
}

/// Many seals at once, of the same and of different sizes, give one root a size.
pub async fn there_are_never_two_heads_of_one_size(fixture: AuditLogFixture) {
    let mut heads = Vec::new();
    for round in 1..=6_u64 {
        fixture.add(4).await;
        let tasks = (0..16_u64).map(|caller| {
            let log = Arc::clone(&fixture.log);
            let through = Position::new((round - 1) * 4 + caller % 4 + 1);
            tokio::spawn(async move { (through, log.seal(through).await) })
        });
        for (through, answer) in join_all(tasks).await.into_iter().map(Result::unwrap) {
            let checkpoint = answer.expect("committed events are sealed");
            assert!(checkpoint.head.size >= through);
            fixture.assert_true(&checkpoint);
            heads.push(checkpoint.head);
        }
        heads.push(fixture.seal(Position::new(round * 4)).await.head);
    }
    for one in &heads {
        let same = heads.iter().filter(|other| other.size == one.size);
        assert!(same.clone().all(|other| other.root == one.root), "two roots of {}", one.size);
    }
}

/// At every size up to past a power of two the root is that of the events, so that each tree is a
/// beginning of every later one (RFC 6962, section 2.1.2).
pub async fn every_head_is_consistent_with_all_earlier_ones(fixture: AuditLogFixture) {
    let mut earlier = Vec::new();
    for _ in 0..35 {
        let through = fixture.add(1).await;
        earlier.push(fixture.seal(through).await);
        for checkpoint in &earlier {
            fixture.assert_true(checkpoint);
        }
    }
    let through = fixture.add(600).await;
    earlier.push(fixture.seal(through).await);
    for checkpoint in &earlier {
        fixture.assert_true(checkpoint);
    }
}

/// No head is signed over more events than there are.
pub async fn events_that_do_not_exist_are_not_sealed(fixture: AuditLogFixture) {
    for through in [1, 5, u64::MAX] {
        let answer = fixture.log.seal(Position::new(through)).await;
        assert!(answer.is_err(), "sealed {through} events where none is");
    }
    assert_eq!(fixture.log.head().await.unwrap(), None);
    let through = fixture.add(3).await;
    let sealed = fixture.seal(through).await;
    assert!(fixture.log.seal(Position::new(4)).await.is_err(), "sealed four events of three");
    assert_eq!(fixture.log.head().await.unwrap().unwrap().head, sealed.head);
    fixture.add(1).await;
    fixture.seal(Position::new(4)).await;
}

/// After a reopen the newest head, its receipts and its key are there, and the log goes on.
pub async fn a_head_is_the_same_after_a_reopen(mut fixture: AuditLogFixture) {
    let mut before = None;
    for _ in 0..3 {
        let key = fixture.log.public_key().await;
        let through = fixture.add(300).await;
        let sealed = fixture.seal(through).await;
        before = Some(sealed.head);
        if let Some(reopen) = &mut fixture.reopen {
            fixture.log = reopen().await;
        }
        let head = fixture.log.head().await.unwrap().expect("a head after a reopen");
        assert_eq!(head.head, sealed.head);
        AuditLogFixture::assert_signed(&head, &key);
        assert_eq!(fixture.log.public_key().await, key);
        fixture.log.receipt(Position::new(through.value() - 1)).await.unwrap();
    }
    assert_eq!(before.map(|head| head.size), Some(Position::new(900)));
}
