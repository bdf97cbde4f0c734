use std::sync::Arc;

use custody_core::digest::Digest;
use custody_core::seam::{ErrorKind, Head, HeadAnchor, Position};
use futures::future::join_all;

/// A new anchor has no head.
pub async fn an_anchor_that_is_new_is_empty(anchor: Arc<dyn HeadAnchor>) {
    assert_eq!(anchor.load().await.unwrap(), None);
}

/// Each advance from the anchored head is what is loaded next.
pub async fn an_anchor_keeps_the_newest_head(anchor: Arc<dyn HeadAnchor>) {
    let mut old = None;
    for size in 1..6 {
        let new = head(size, "root");
        anchor.advance(old, new).await.expect("an advance from the anchored head");
        assert_eq!(anchor.load().await.unwrap(), Some(new));
        old = Some(new);
    }
}

/// An advance from no head, another size or another root is a conflict and changes nothing.
pub async fn an_advance_from_another_head_is_a_conflict(anchor: Arc<dyn HeadAnchor>) {
    let (first, new) = (head(3, "root"), head(9, "root"));
    let early = anchor.advance(Some(first), new).await;
    assert_eq!(early.map_err(|error| error.kind()), Err(ErrorKind::Conflict));
    assert_eq!(anchor.load().await.unwrap(), None);
    anchor.advance(None, first).await.unwrap();
    for old in [None, Some(head(2, "root")), Some(head(3, "other")), Some(new)] {
        let answer = anchor.advance(old, new).await;
        assert_eq!(answer.map_err(|error| error.kind()), Err(ErrorKind::Conflict), "{old:?}");
        assert_eq!(anchor.load().await.unwrap(), Some(first));
    }
}

/// An advance to a smaller head, or to another of the same size, is refused and changes nothing.
pub async fn an_anchor_never_goes_back(anchor: Arc<dyn HeadAnchor>) {
    let newest = head(7, "root");
    anchor.advance(None, newest).await.unwrap();
    for new in [head(0, "root"), head(6, "root"), head(7, "other")] {
        let answer = anchor.advance(Some(newest), new).await;
        assert_eq!(answer.map_err(|error| error.kind()), Err(ErrorKind::Refused), "{new:?}");
        assert_eq!(anchor.load().await.unwrap(), Some(newest));
    }
    anchor.advance(Some(newest), head(8, "root")).await.unwrap();
}

/// Of 16 advances from one head one wins, and its head is the anchored one.
pub async fn concurrent_advances_have_one_winner(anchor: Arc<dyn HeadAnchor>) {
    let mut old = None;
    for round in 1..=4_u64 {
        let tasks = (0..16_u64).map(|caller| {
            let anchor = Arc::clone(&anchor);
            let new = head(round * 100 + caller, "root");
            tokio::spawn(async move { anchor.advance(old, new).await.is_ok().then_some(new) })
        });
        let answers = join_all(tasks).await.into_iter().filter_map(Result::unwrap);
        let winners: Vec<Head> = answers.collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(anchor.load().await.unwrap(), Some(winners[0]));
        old = Some(winners[0]);
    }
}

fn head(size: u64, root: &str) -> Head {
    Head { size: Position::new(size), root: Digest::of(root.as_bytes()) }
}
