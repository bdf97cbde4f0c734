//! A custodian that is restored from a copy: what is older is refused or frozen, limits start
//! exhausted, and nothing that waited or was reserved goes on.

mod older;

use std::sync::Arc;
use std::time::Duration;

use custody_core::amount::Asset;
use custody_core::command::Command;
use custody_core::custodian::{
    Answer, Custodian, Error, Genesis, Older, OpenError, Outcome, Recovery, Request,
};
use custody_core::digest::Digest;
use custody_core::effect::{Effect, MessageKind};
use custody_core::id::{CustodianId, OrderId, PrincipalId, RequestId, RoleId, WalletId};
use custody_core::principal::{Statement, Verb};
use custody_core::seam::{Clock as _, Head, HeadAnchor as _, Position};
use custody_core::time::Timestamp;
use custody_testkit::audit::{MemoryAnchor, MemoryLog};
use custody_testkit::backend::{BackendCall, FailingBackend};
use custody_testkit::decoder::{TestDecoder, TestTransfer};
use custody_testkit::fault::{Fault, Gate};
use custody_testkit::oracle::{Oracle, Promises};
use custody_testkit::people::People;
use custody_testkit::policy::TestRules;
use custody_testkit::store::StoreSnapshot;

use crate::house::{House, Parts, create_key, create_wallet, govern, key, refusal, said};

mod answers;
mod crashing;
mod forged;

/// A limit for a day, one approval for a payment, and two for a thaw.
const RULES: &str = "\
need treasurer 1 transfer
limit-day 1000
allow sign_opaque
allow create_wallet
allow create_key
allow freeze
allow resolve_order
allow extension
need treasurer 2 thaw
need treasurer 2 update_policy
";

fn people() -> People {
    let treasurer: &[&str] = &["treasurer"];
    People::new(&[("ann", treasurer), ("tom", treasurer), ("tara", treasurer)])
}

fn genesis() -> Genesis {
    Genesis {
        policy: TestRules::document(&["treasurer"], RULES),
        principals: people().principals(),
        assets: vec![Asset::new(TestTransfer::coin(), 2)],
    }
}

/// What there was at one moment.
#[derive(Clone, Debug)]
struct Copy {
    store: StoreSnapshot,
    head: Head,
}

/// A custodian that is lost, and the copies that were made of it.
struct Lost {
    house: House,
    id: CustodianId,
    /// Before the first payment.
    early: Copy,
    /// A payment is signed, one is reserved and one waits.
    middle: Copy,
    /// The reserved one was signed too.
    late: Copy,
    signed: OrderId,
    reserved: OrderId,
    waiting: OrderId,
}

fn transfer(from: u8, units: u64, id: &str) -> Request {
    let nonce = u64::from_be_bytes(*Digest::of(id.as_bytes()).as_bytes().first_chunk().unwrap());
    let payload = TestTransfer::of(units, "friend", &key(from), nonce).payload();
    request(id, payload)
}

fn request(id: &str, payload: custody_core::seam::Payload) -> Request {
    let (ann, hot) = (PrincipalId::parse("ann").unwrap(), WalletId::parse("hot").unwrap());
    Request::payload(ann, RequestId::parse(id).unwrap(), hot, payload)
}

/// A payload that moves nothing, so that no limit concerns it.
fn opaque(id: &str) -> Request {
    let mut payload = TestTransfer::of(1, "friend", &key(0), 0);
    payload.effects = vec![Effect::SignOpaque { kind: MessageKind::parse("test").unwrap() }];
    request(id, payload.payload())
}

/// The approval of `name`.
async fn approve(custodian: &Custodian, answer: &Answer, name: &str) -> Result<Answer, Error> {
    let people = people();
    let person = people.get(name);
    let statement = Statement {
        verb: Verb::Approve,
        order: answer.order.clone(),
        digest: answer.digest,
        principal: person.id().clone(),
        credential: person.credential_id().clone(),
        role: RoleId::parse("treasurer").unwrap(),
        valid_until: custody_core::time::Timestamp::from_millis(4_000_000_000_000),
    };
    custodian.approve(person.say(&custodian.id(), statement)).await
}

/// A payment with tom's approval.
async fn pay(custodian: &Custodian, request: Request) -> Result<Answer, Error> {
    let answer = custodian.submit(request).await?;
    match answer.outcome {
        Outcome::Pending { .. } => approve(custodian, &answer, "tom").await,
        _ => Ok(answer),
    }
}

async fn copy(house: &House, custodian: &Custodian) -> Copy {
    let head = custodian.checkpoint().await.unwrap().unwrap().head;
    Copy { store: house.store.snapshot(), head }
}

fn lost() -> Lost {
    let house = House::new();
    let (id, [early, middle, late], [signed, reserved, waiting]) = house.run(async {
        let backend = Arc::new(FailingBackend::new(Arc::new(house.keys.clone())));
        let parts = Parts { backend: Arc::<FailingBackend>::clone(&backend), ..house.parts() };
        let custodian = house.builder(parts).create(genesis()).await.unwrap();
        for (id, command) in
            [("wallet", create_wallet(None)), ("key", create_key(0)), ("other", create_key(1))]
        {
            assert_eq!(said(&govern(&custodian, id, command).await), "released", "{id}");
        }
        let early = copy(&house, &custodian).await;
        let signed = pay(&custodian, transfer(0, 10, "signed")).await.unwrap();
        assert!(matches!(signed.outcome, Outcome::Released(_)), "{signed:?}");
        let waiting = custodian.submit(transfer(0, 10, "waiting")).await.unwrap();
        let gate = Gate::new();
        backend.plan().next(BackendCall::Sign, Fault::Hold(gate.clone()));
        let held = pay(&custodian, transfer(1, 10, "reserved"));
        let (held, middle) = futures::future::join(held, async {
            gate.reached_by(1).await;
            let middle = copy(&house, &custodian).await;
            gate.open();
            middle
        })
        .await;
        let held = held.unwrap();
        assert!(matches!(held.outcome, Outcome::Released(_)), "{held:?}");
        let late = copy(&house, &custodian).await;
        custodian.close().await.unwrap();
        let orders = [signed, held, waiting].map(|answer| answer.order);
        (custodian.id(), [early, middle, late], orders)
    });
    let house = house.crashed();
    Lost { house, id, early, middle, late, signed, reserved, waiting }
}

fn recovery(archive: u8) -> Recovery {
    let archive = Digest::new([archive; 32]);
    Recovery { archive, vouched: Vec::new(), older: Older::Refuse }
}

impl Lost {
    /// Puts a copy in place: the store's content, a log that was made anew from it, and an anchor.
    fn restore(&self, copy: &Copy, anchored: Option<Head>) -> Parts {
        self.house.store.restore(&copy.store);
        let anchor = MemoryAnchor::new();
        anchor.set(anchored);
        self.parts(&anchor)
    }

    fn parts(&self, anchor: &MemoryAnchor) -> Parts {
        let parts = self.house.parts();
        let key =
            custody_testkit::key::TestKey::seeded(custody_core::crypto::Algorithm::Ed25519, 99);
        let log = MemoryLog::new(Arc::clone(&parts.store), vec![key]);
        Parts { log: Arc::new(log), anchor: Arc::new(anchor.clone()), ..parts }
    }

    async fn recover(&self, parts: Parts, recovery: Recovery) -> Result<Custodian, OpenError> {
        self.house.builder(parts).recover(self.id, recovery).await
    }

    async fn open(&self, parts: Parts) -> Result<Custodian, OpenError> {
        self.house.builder(parts).open(self.id).await
    }

    /// The whole log replays, and no order that the limit of a day concerns was allowed within one.
    async fn assert_replays(&self) {
        let promises = Promises {
            asset: Some(TestTransfer::coin()),
            a_day: Some(custody_core::amount::Units::from(1_000_u64)),
            alone: None,
        };
        let decoder = Arc::new(TestDecoder::new());
        let mut oracle = Oracle::new(self.id, Arc::new(TestRules::new()), vec![decoder], promises);
        oracle.follow(&self.house.store).await.unwrap();
    }

    async fn pass(&self, time: Duration) {
        self.house.clock.sleep_until(self.house.clock.monotonic().saturating_add(time)).await;
    }
}

async fn stands(custodian: &Custodian, order: &OrderId) -> String {
    said(&custodian.order(order).await)
}

const OVER_LIMIT: &str = "denied line-2-limit-day";
const INTERRUPTED: &str = "Unknown { reason: Interrupted }";

#[test]
fn what_waited_is_cancelled_what_was_reserved_is_unknown_and_what_was_signed_is_delivered() {
    let lost = lost();
    lost.house.run(async {
        let parts = lost.restore(&lost.middle, None);
        let before = lost.house.keys.sign_calls();
        let custodian = lost.recover(parts, recovery(1)).await.unwrap();
        assert_eq!(stands(&custodian, &lost.signed).await, "released");
        assert_eq!(stands(&custodian, &lost.reserved).await, INTERRUPTED);
        assert_eq!(stands(&custodian, &lost.waiting).await, "Cancelled");
        assert_eq!(said(&custodian.submit(transfer(0, 10, "waiting")).await), "Cancelled");
        assert_eq!(said(&custodian.submit(transfer(1, 10, "reserved")).await), INTERRUPTED);
        assert!(custodian.resume().await.unwrap().is_empty(), "nothing is left to go on with");
        assert_eq!(lost.house.keys.sign_calls(), before);
        let recovered = custodian.recovered().unwrap();
        assert_eq!(*recovered.archive(), Digest::new([1; 32]));
        assert_eq!((recovered.index(), recovered.behind()), (lost.middle.head.size, None));
        lost.assert_replays().await;
    });
}

#[test]
fn limits_start_exhausted_and_what_they_do_not_concern_goes_on() {
    let lost = lost();
    lost.house.run(async {
        let parts = lost.restore(&lost.early, None);
        let custodian = lost.recover(parts, recovery(1)).await.unwrap();
        assert_eq!(custodian.exhausted(), [true; 4]);
        assert_eq!(said(&pay(&custodian, transfer(0, 1, "at-once")).await), OVER_LIMIT);
        assert_eq!(said(&pay(&custodian, opaque("opaque")).await), "released");
        // A day, and all but the end of the bucket of a quarter of an hour.
        let start = custodian.recovered().unwrap().at().as_millis();
        let end = start - start % 900_000 + 86_400_000 + 900_000;
        for (left, heard) in [(60_000, OVER_LIMIT), (1_000, OVER_LIMIT), (0, "released")] {
            let now = lost.house.clock.now().as_millis();
            lost.pass(Duration::from_millis(end - left - now)).await;
            let id = format!("left-{left}");
            assert_eq!(said(&pay(&custodian, transfer(0, 1, &id)).await), heard, "{left}");
        }
        assert_eq!(custodian.exhausted(), [false, false, true, true]);
        lost.assert_replays().await;
    });
}

/// What stands against an older or a forked copy, and what becomes of it.
#[test]
fn a_copy_that_a_vouched_head_does_not_come_before_is_refused() {
    let lost = lost();
    let other = |size: Position| Head { size, root: Digest::new([7; 32]) };
    let (early, middle, late) = (lost.early.head, lost.middle.head, lost.late.head);
    let rolled_back = |signed: Head| {
        let stored = middle.size;
        format!(
            "the store was rolled back: it has {stored} events, a signed head has {}",
            signed.size
        )
    };
    let fork = "the store is refused: the log was forked from a vouched head".to_owned();
    let ahead = |head: Head| {
        let size = head.size;
        format!("the anchor keeps a head over {size} events that the restored log does not lead to")
    };
    let (refuse, freeze) = (Older::Refuse, Older::Freeze);
    let elsewhere = other(early.size);
    lost.house.run(async {
        for (name, anchored, newest, older, refused) in [
            ("a newer witness", None, Some(late), refuse, rolled_back(late)),
            ("a newer anchor", Some(late), None, refuse, rolled_back(late)),
            ("both", Some(late), Some(late), refuse, rolled_back(late)),
            (
                "a newer anchor, an older witness",
                Some(late),
                Some(early),
                refuse,
                rolled_back(late),
            ),
            ("an older fork", None, Some(elsewhere), refuse, fork.clone()),
            ("an older fork, frozen", None, Some(elsewhere), freeze, fork.clone()),
            ("an older fork, anchored", Some(elsewhere), None, refuse, fork.clone()),
            ("a fork", None, Some(other(middle.size)), refuse, fork.clone()),
            ("a fork, frozen", None, Some(other(middle.size)), freeze, fork.clone()),
            ("an anchored fork", Some(other(middle.size)), None, refuse, fork.clone()),
            ("an anchored fork, frozen", Some(other(middle.size)), None, freeze, fork.clone()),
            ("a newer anchor, frozen", Some(late), None, freeze, ahead(late)),
            ("both, frozen", Some(late), Some(late), freeze, ahead(late)),
            ("an anchored older fork, frozen", Some(elsewhere), None, freeze, fork.clone()),
        ] {
            let parts = lost.restore(&lost.middle, anchored);
            let vouched = newest.into_iter().collect();
            let recovery = Recovery { vouched, older, ..recovery(1) };
            assert_eq!(refusal(lost.recover(parts, recovery).await), refused, "{name}");
            assert_eq!(
                lost.house.events() as u64,
                middle.size.value(),
                "{name}: nothing is written"
            );
        }
        for (anchored, newest) in [(None, None), (Some(early), Some(middle)), (Some(middle), None)]
        {
            let parts = lost.restore(&lost.middle, anchored);
            let recovery = Recovery { vouched: newest.into_iter().collect(), ..recovery(1) };
            let custodian = lost.recover(parts, recovery).await.unwrap();
            assert!(custodian.recovered().unwrap().behind().is_none());
            assert_eq!(said(&pay(&custodian, opaque("opaque")).await), "released");
            custodian.close().await.unwrap();
        }
    });
}

#[test]
fn a_clock_that_is_behind_the_copy_recovers_nothing() {
    let lost = lost();
    lost.house.run(async {
        let parts = lost.restore(&lost.middle, None);
        let now = lost.house.clock.now();
        lost.house.clock.set_wall(Timestamp::from_millis(now.as_millis() - 3_600_000));
        let refused = lost.recover(parts, recovery(1)).await;
        assert!(matches!(refused, Err(OpenError::ClockBehind)), "{refused:?}");
        assert_eq!(lost.house.events() as u64, lost.middle.head.size.value());
        lost.house.clock.set_wall(now);
        let parts = lost.restore(&lost.middle, None);
        lost.recover(parts, recovery(1)).await.unwrap();
    });
}

#[test]
fn an_empty_store_or_one_of_another_custodian_is_refused() {
    let lost = lost();
    lost.house.run(async {
        let parts = lost.restore(&lost.middle, None);
        let other = CustodianId::new(Digest::of(b"other"));
        let refused = lost.house.builder(parts).recover(other, recovery(1)).await;
        let what = "the store is refused: the store is of another custodian";
        assert_eq!(refusal(refused), what);
        let empty = House::new();
        let refused = empty.builder(empty.parts()).recover(lost.id, recovery(1)).await;
        assert_eq!(refusal(refused), "the store is refused: the store is empty");
        assert_eq!(lost.house.events() as u64, lost.middle.head.size.value());
    });
}
