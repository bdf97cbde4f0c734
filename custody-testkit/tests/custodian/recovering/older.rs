//! Copies that lack something, and what is learned of a copy later.

use custody_core::command::{Command, FreezeScope};
use custody_core::custodian::{Answer, Error, Older, OpenError, Recovery};
use custody_core::digest::Digest;
use custody_core::seam::{Head, HeadAnchor as _, Position};
use custody_testkit::audit::MemoryAnchor;

use crate::house::{govern, said};

use super::{OVER_LIMIT, approve, lost, opaque, pay, recovery, stands, transfer};

#[test]
fn an_older_copy_is_frozen_until_a_quorum_thaws_it() {
    let lost = lost();
    lost.house.run(async {
        let anchor = MemoryAnchor::new();
        lost.house.store.restore(&lost.early.store);
        let recovery =
            Recovery { vouched: vec![lost.late.head], older: Older::Freeze, ..recovery(1) };
        let custodian = lost.recover(lost.parts(&anchor), recovery.clone()).await.unwrap();
        let behind = custodian.recovered().unwrap().behind().copied().unwrap();
        assert_eq!(Head::from(behind), lost.late.head);
        let frozen = |answer: Result<Answer, Error>| {
            let said = said(&answer);
            assert!(said.starts_with("Pending"), "{said}");
            answer.unwrap()
        };
        let waits = frozen(pay(&custodian, opaque("frozen")).await);
        let thaw = Command::Thaw { scope: FreezeScope::House };
        let thaw = govern(&custodian, "thaw", thaw).await.unwrap();
        let _still = frozen(approve(&custodian, &thaw, "tom").await);
        let _still = frozen(custodian.judge_again(&waits.order).await);
        assert_eq!(said(&approve(&custodian, &thaw, "tara").await), "released");
        assert_eq!(said(&custodian.judge_again(&waits.order).await), "released");
        assert_eq!(custodian.exhausted(), [true; 4], "a thaw gives no limits back");
        custodian.close().await.unwrap();
        // The fresh anchor keeps the new log, and the old head is no news any more.
        assert!(anchor.load().await.unwrap().is_some());
        let custodian = lost.recover(lost.parts(&anchor), recovery).await.unwrap();
        assert_eq!(said(&pay(&custodian, opaque("again")).await), "released");
        lost.assert_replays().await;
    });
}

#[test]
fn the_same_archive_is_recovered_once_and_another_one_anew() {
    let lost = lost();
    lost.house.run(async {
        let anchor = MemoryAnchor::new();
        lost.house.store.restore(&lost.middle.store);
        let custodian = lost.recover(lost.parts(&anchor), recovery(1)).await.unwrap();
        let waits = custodian.submit(transfer(0, 1, "after")).await.unwrap();
        let thaw = Command::Thaw { scope: FreezeScope::House };
        assert_eq!(said(&govern(&custodian, "thaw", thaw).await), "the command cannot be done");
        custodian.close().await.unwrap();
        let events = lost.house.events();
        for _ in 0..2 {
            let custodian = lost.recover(lost.parts(&anchor), recovery(1)).await.unwrap();
            assert_eq!(stands(&custodian, &waits.order).await, OVER_LIMIT);
            custodian.close().await.unwrap();
        }
        let custodian = lost.open(lost.parts(&anchor)).await.unwrap();
        custodian.close().await.unwrap();
        assert_eq!(lost.house.events(), events, "nothing more was written");
        let custodian = lost.recover(lost.parts(&anchor), recovery(2)).await.unwrap();
        assert_eq!(stands(&custodian, &waits.order).await, OVER_LIMIT);
        assert_eq!(lost.house.events(), events + 1);
        lost.assert_replays().await;
    });
}

#[test]
fn what_is_learned_later_of_the_same_archive_freezes_it_too() {
    let lost = lost();
    lost.house.run(async {
        let anchor = MemoryAnchor::new();
        lost.house.store.restore(&lost.middle.store);
        let custodian = lost.recover(lost.parts(&anchor), recovery(1)).await.unwrap();
        custodian.close().await.unwrap();
        let vouched = vec![lost.late.head];
        let refused = lost.recover(lost.parts(&anchor), Recovery { vouched, ..recovery(1) }).await;
        let refused = refused.err().unwrap();
        let is_fork = matches!(refused, OpenError::RolledBack { .. } | OpenError::Corrupt { .. });
        assert!(is_fork, "{refused}");
        let vouched = vec![Head { size: Position::new(1_000), root: Digest::new([7; 32]) }];
        let older = Older::Freeze;
        let later = Recovery { vouched, older, ..recovery(1) };
        let custodian = lost.recover(lost.parts(&anchor), later).await.unwrap();
        assert!(custodian.recovered().unwrap().behind().is_some());
        assert!(said(&pay(&custodian, opaque("frozen")).await).starts_with("Pending"));
        lost.assert_replays().await;
    });
}
