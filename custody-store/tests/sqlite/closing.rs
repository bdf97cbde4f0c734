//! The end of a store.

use custody_core::seam::{ErrorKind, Position, Store};
use futures::{pin_mut, poll};
use pollster::block_on;

use crate::support::{Folder, event, key, numbered};

#[test]
fn a_closed_store_answers_every_call_unavailable() {
    let folder = Folder::new();
    let store = folder.open();
    store.close();
    block_on(async {
        let kinds = [
            ("commit", store.commit(Position::START, event("late")).await.unwrap_err().kind()),
            ("events", store.events(Position::START, 1).await.unwrap_err().kind()),
            ("get", store.get(&key("a")).await.unwrap_err().kind()),
            ("head", store.head().await.unwrap_err().kind()),
            ("scan", store.scan(&key("a"), None, 1).await.unwrap_err().kind()),
        ];
        for (call, kind) in kinds {
            assert_eq!(kind, ErrorKind::Unavailable, "{call}");
        }
    });
    assert_eq!(block_on(folder.open().head()).unwrap(), Position::START);
}

#[test]
fn closing_twice_is_closing_once() {
    let folder = Folder::new();
    let store = folder.open();
    store.close();
    store.close();
}

#[test]
fn a_commit_that_is_queued_is_finished_by_closing() {
    let folder = Folder::new();
    let store = folder.open();
    let answer = block_on(async {
        let commit = store.commit(Position::START, event("last"));
        pin_mut!(commit);
        let early = poll!(&mut commit);
        store.close();
        match early {
            std::task::Poll::Ready(answer) => answer,
            std::task::Poll::Pending => commit.await,
        }
    });
    assert_eq!(answer.unwrap(), Position::new(1));
    assert_eq!(block_on(folder.open().head()).unwrap(), Position::new(1));
}

#[test]
fn a_read_that_is_queued_is_answered_by_closing() {
    let folder = Folder::new();
    let store = folder.open();
    let answer = block_on(async {
        let read = store.head();
        pin_mut!(read);
        let early = poll!(&mut read);
        store.close();
        match early {
            std::task::Poll::Ready(answer) => answer,
            std::task::Poll::Pending => read.await,
        }
    });
    assert_eq!(answer.unwrap(), Position::START);
}

#[test]
fn a_closed_store_leaves_no_log_behind() {
    let folder = Folder::new();
    folder.fill(20);
    assert!(!folder.path().join("custody.db-wal").exists());
    assert!(!folder.path().join("custody.db-shm").exists());
}

#[test]
fn a_commit_that_nobody_waits_for_leaves_the_store_whole() {
    for round in 0..50 {
        let folder = Folder::new();
        let store = folder.open();
        block_on(async {
            {
                let commit = store.commit(Position::START, numbered(0));
                pin_mut!(commit);
                let _left = poll!(&mut commit);
            }
            // The next commit comes after the one that was left, whether that one happened or not.
            let at_start = store.commit(Position::START, numbered(1)).await;
            let at_one = store.commit(Position::new(1), numbered(2)).await;
            let head = store.head().await.unwrap().value();
            assert!(at_one.is_ok() && head == 2, "round {round}: {at_start:?} {at_one:?}");
            let records = store.scan(&key("order/"), None, 9).await.unwrap().len();
            assert_eq!(records, 2, "round {round}");
        });
    }
}

#[test]
fn more_callers_than_the_queue_holds_are_all_answered() {
    let folder = Folder::new();
    let store = folder.open();
    block_on(async {
        let commits = (0..200).map(|_| store.commit(Position::START, event("one")));
        let answers = futures::future::join_all(commits).await;
        let won = answers.iter().filter(|answer| answer.is_ok()).count();
        let lost = answers.iter().filter_map(|answer| answer.as_ref().err());
        assert_eq!(won, 1);
        assert!(lost.into_iter().all(|error| error.kind() == ErrorKind::Conflict));
        let reads = (0..3_000).map(|_| store.head());
        let heads = futures::future::join_all(reads).await;
        assert!(heads.into_iter().all(|head| head.unwrap() == Position::new(1)));
    });
}
