//! Ceremonies that stop in the middle, and that are asked for again.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use custody_core::command::{Command, Resolution};
use custody_core::custodian::{Answer, CommandHandler, Custodian, Outcome};
use custody_core::document::Hold;
use custody_core::id::{CustodianId, OrderId};
use custody_core::seam::{BackendError, Clock as _, ErrorKind};
use custody_recovery::SetId;
use custody_recovery::ceremony::{
    Begun, Ceremonies, CeremonyCommand as _, CeremonyRecord, FolderJournal, Journal, Split,
};
use custody_testkit::runtime::TestEntropy;
use futures::future::{Either, select};

use crate::doubles::Drawer;
use crate::house::{House, share, split};

async fn asked(house: &House, custodian: &Custodian) -> Answer {
    let request = house.request(custodian, "tara", split().to_command().unwrap());
    house.done(custodian, request).await.unwrap()
}

fn handler(ceremonies: &Ceremonies) -> Arc<dyn CommandHandler> {
    let mut handlers = ceremonies.handlers().unwrap().into_iter();
    handlers.find(|handler| handler.name().as_str() == Split::NAME).unwrap()
}

fn refusal(ceremonies: &Ceremonies) -> BackendError {
    let call = async {
        handler(ceremonies).run(&custodian(), &order("one"), &document()).await.unwrap_err()
    };
    pollster::block_on(call)
}

fn custodian() -> CustodianId {
    CustodianId::new(custody_core::digest::Digest::of(b"custodian"))
}

fn order(text: &str) -> OrderId {
    text.parse().unwrap()
}

fn document() -> Vec<u8> {
    serde_json::to_vec(&split()).unwrap()
}

#[test]
fn a_failed_hand_out_is_told_by_what_may_have_left() {
    for (after, kind, outcome) in [
        (0, ErrorKind::Unavailable, Outcome::Failed { reason: Hold::BackendUnavailable }),
        (0, ErrorKind::Refused, Outcome::Failed { reason: Hold::BackendRefused }),
        (0, ErrorKind::Indeterminate, Outcome::Unknown { reason: Hold::BackendIndeterminate }),
        (1, ErrorKind::Unavailable, Outcome::Unknown { reason: Hold::BackendIndeterminate }),
        (2, ErrorKind::Refused, Outcome::Unknown { reason: Hold::BackendIndeterminate }),
        (2, ErrorKind::Indeterminate, Outcome::Unknown { reason: Hold::BackendIndeterminate }),
    ] {
        let house = House::new();
        house.run(async {
            let custodian = house.create().await;
            house.drawer.fail(after, kind);
            let answer = asked(&house, &custodian).await;
            assert_eq!(answer.outcome, outcome, "{after} {kind:?}");
            let transcript = house.transcript(custodian.id());
            assert_eq!(transcript.sets().all(), [], "{after} {kind:?}");
            let is_unknown = matches!(outcome, Outcome::Unknown { .. });
            let broken_off = if is_unknown { vec![answer.order.clone()] } else { Vec::new() };
            assert_eq!(transcript.stray(), broken_off, "{after} {kind:?}");
            assert_eq!(house.journal.of(custodian.id(), &answer.order), Some(None));
        });
    }
}

#[test]
fn after_a_ceremony_that_was_broken_off_another_is_held() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        house.drawer.fail(1, ErrorKind::Unavailable);
        let lost = asked(&house, &custodian).await;
        house.drawer.mend();
        let resolution = Resolution::Failed { reason: "the set is void".to_owned() };
        let command = Command::ResolveOrder { order: lost.order.clone(), resolution };
        let request = house.request(&custodian, "tara", command);
        let settled = custodian.submit(request).await.unwrap();
        assert!(matches!(settled.outcome, Outcome::Released(_)), "{:?}", settled.outcome);

        let record = house.made(&custodian, &split()).await;
        house.confirm_all(&custodian, &record).await;
        let transcript = house.transcript(custodian.id());
        assert_eq!(transcript.sets().in_force().unwrap().record(), &record);
        assert_eq!(transcript.sets().all().len(), 1);
        // The share that left is of no set.
        let set = SetId::of(&custodian.id(), &lost.order);
        assert!(record.commitments.locate(&house.share(set, share(0))).is_err());
    });
}

#[test]
fn a_desk_that_does_not_answer_leaves_the_order_unknown() {
    let house = House::new();
    house.run(async {
        let custodian = house.create().await;
        house.drawer.hang();
        let answer = asked(&house, &custodian).await;
        assert_eq!(answer.outcome, Outcome::Unknown { reason: Hold::TimedOut });
        assert_eq!(house.transcript(custodian.id()).stray(), [answer.order]);
    });
}

#[test]
fn a_process_that_dies_while_shares_leave_makes_no_set() {
    let house = House::new();
    let (id, pending) = house.run(async {
        let custodian = house.create().await;
        house.drawer.hang();
        let request = house.request(&custodian, "tara", split().to_command().unwrap());
        let pending = custodian.submit(request).await.unwrap();
        let soon = house.clock.sleep_until(house.clock.monotonic() + Duration::from_secs(1));
        match select(pin!(house.approved(&custodian, &pending.clone())), soon).await {
            Either::Left(_) => panic!("the order has ended"),
            Either::Right(_) => (custodian.id(), pending),
        }
    });
    assert_eq!(house.drawer.all().len(), 1);
    let house = house.crashed();
    house.run(async {
        house.drawer.mend();
        let custodian = house.open(id).await;
        drop(custodian.resume().await.unwrap());
        let order = custodian.order(&pending.order).await.unwrap();
        assert!(matches!(order.outcome, Outcome::Unknown { .. }), "{:?}", order.outcome);
        assert_eq!(house.drawer.all().len(), 1);
        let transcript = house.transcript(id);
        assert_eq!(transcript.sets().all(), []);
        assert_eq!(transcript.stray(), [pending.order]);
    });
}

#[test]
fn a_second_call_for_an_order_changes_nothing_more() {
    let house = House::new();
    let (first, again) = house.run(async {
        // Another life has other entropy, and would make another secret.
        let (first, again) = (handler(&house.ceremonies()), handler(&house.ceremonies()));
        let call = |handler: Arc<dyn CommandHandler>| async move {
            handler.run(&custodian(), &order("one"), &document()).await.unwrap()
        };
        (call(first).await, call(again).await)
    });
    assert_eq!(first, again);
    assert_eq!(house.drawer.calls(), 3);
    assert_eq!(house.journal.of(custodian(), &order("one")), Some(Some(first.clone())));
    let record = CeremonyRecord::read(&first).unwrap();
    let held = house.share(record.set, share(0));
    assert_eq!(record.commitments.locate(&held), Ok(share(0)));
}

#[test]
fn a_second_call_after_a_broken_one_hands_out_nothing() {
    let house = House::new();
    house.run(async {
        house.drawer.fail(1, ErrorKind::Unavailable);
        for _ in 0..2 {
            let handler = handler(&house.ceremonies());
            let error = handler.run(&custodian(), &order("one"), &document()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Indeterminate);
            house.drawer.mend();
        }
        assert_eq!(house.drawer.all().len(), 1);
        let handler = handler(&house.ceremonies());
        assert!(handler.run(&custodian(), &order("two"), &document()).await.is_ok());
    });
}

/// A journal of which one call fails.
#[derive(Debug)]
struct Torn {
    begin: Option<ErrorKind>,
    finish: Option<ErrorKind>,
}

#[async_trait]
impl Journal for Torn {
    async fn begin(&self, _: &SetId) -> Result<Begun, BackendError> {
        let fail = |kind| Err(BackendError::new(kind, "begin"));
        self.begin.map_or(Ok(Begun::First), fail)
    }

    async fn finish(&self, _: &SetId, _: &[u8]) -> Result<(), BackendError> {
        self.finish.map_or(Ok(()), |kind| Err(BackendError::new(kind, "finish")))
    }

    async fn record(&self, _: &SetId) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(None)
    }
}

#[test]
fn without_a_journal_nothing_begins_and_nothing_counts() {
    let kinds = [ErrorKind::Unavailable, ErrorKind::Indeterminate];
    for kind in kinds {
        let begin = Torn { begin: Some(kind), finish: None };
        let finish = Torn { begin: None, finish: Some(kind) };
        // The order may have been run before, and its shares be out.
        for (journal, calls) in [(begin, 0), (finish, 3)] {
            let drawer = Drawer::default();
            let entropy = Arc::new(TestEntropy::seeded(1));
            let ceremonies = Ceremonies::new(Arc::new(drawer.clone()), Arc::new(journal), entropy);
            let error = refusal(&ceremonies);
            let found = (error.kind(), drawer.calls());
            assert_eq!(found, (ErrorKind::Indeterminate, calls), "{kind:?}");
        }
    }
}

#[test]
fn without_entropy_no_share_leaves() {
    // The source dries up after each number of calls that is not enough.
    let handed_out = |calls| {
        let drawer = Drawer::default();
        let folder = tempfile::tempdir().unwrap();
        let journal = FolderJournal::new(folder.path());
        let entropy = Arc::new(TestEntropy::failing_after(calls));
        let ceremonies = Ceremonies::new(Arc::new(drawer.clone()), Arc::new(journal), entropy);
        let run =
            async { handler(&ceremonies).run(&custodian(), &order("one"), &document()).await };
        let kind = pollster::block_on(run).map(drop).map_err(|error| error.kind());
        (kind, drawer.calls())
    };
    let enough = (0..20).find(|calls| handed_out(*calls) == (Ok(()), 3)).unwrap();
    assert!(enough >= 3, "secret, identifier and shares are drawn");
    for calls in 0..enough {
        assert_eq!(handed_out(calls), (Err(ErrorKind::Refused), 0), "{calls}");
    }
}
