//! A recovery from an archive while something fails: at each failpoint that
//! `CustodianBuilder::recover` comes by, from its first look at the store to the closing of what it
//! opened, a call fails, hangs or panics. Then the copy is recovered once more, callers ask again
//! for what they had asked for, two days go by, and everything is held against the one oracle.
//!
//! All of it is in memory and in virtual time, so that it goes the same way each time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use custody_core::amount::{Amount, Units};
use custody_core::command::FreezeScope;
use custody_core::custodian::{Answer, Custodian, Older, Outcome, Recovery, Request};
use custody_core::digest::Digest;
use custody_core::effect::Effect;
use custody_core::id::{CustodianId, KeyId, PrincipalId, RequestId, WalletId};
use custody_core::seam::{Authentication, Head, Position, Store};
use custody_kills::Failure;
use custody_kills::failpoints::callers::{Callers, Ear, Heard};
use custody_kills::failpoints::judge::{Engine, LIMIT, List, judge, recover};
use custody_kills::failpoints::matrix::Strike;
use custody_kills::failpoints::memory::{Forgets, Memory, Moment};
use custody_kills::failpoints::seams::{Seams, World as _, oracle};
use custody_kills::failpoints::workload::Workload;
use custody_testkit::decoder::TestTransfer;
use custody_testkit::failpoint::{Action, Failpoint, Failpoints};
use custody_testkit::oracle::{Breach, Given};
use futures::future::select;

/// What an archive holds of a custodian that is lost, and what is known about it.
struct Lost {
    id: CustodianId,
    /// Orders wait, are reserved and are unknown, and the last one is under no head.
    copy: Moment,
    /// How many events it has.
    restored: Position,
    recovery: Recovery,
    /// A head that the copy does not lead to.
    behind: Option<Head>,
    /// What callers were given before the copy was made.
    given: Vec<Given>,
}

impl Lost {
    /// A custodian that was lost right after the copy was made, or that went on first.
    fn of(older: Older) -> Result<Self, Failure> {
        let mut world = Memory::new();
        let points = Failpoints::new(world.clock());
        let id = Workload::Recovery.prepare(&mut world, &points)?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let known = asked_for(&mut world, &points, id, &heard)?;
        let restored = cut_short(&mut world, &points, id)?;
        let copy = world.moment();
        let behind = match older {
            Older::Freeze => Some(went_on(&mut world, &points, id)?),
            Older::Refuse => None,
        };
        let vouched = vec![behind.unwrap_or(known)];
        let recovery = Recovery { archive: Digest::new([1; 32]), vouched, older };
        let given = heard.lock().unwrap().clone();
        Ok(Self { id, copy, restored, recovery, behind, given })
    }

    /// Has every failpoint that a recovery reaches do everything that it can.
    fn run(&self, name: &str) {
        let reached = self.strike(None, None).unwrap();
        let mut calls = BTreeMap::<_, u64>::new();
        for (point, count) in &reached {
            let most = calls.entry(point.call()).or_default();
            *most = (*most).max(*count);
        }
        let missed: Vec<_> = NEEDED.iter().filter(|call| !is_reached(&reached, call)).collect();
        assert!(missed.is_empty(), "a recovery does not reach {missed:?}, but {calls:?}");
        let (mut count, mut failures) = (0, Vec::new());
        for strike in reached.iter().flat_map(|(point, count)| strikes(*point, *count)) {
            count += 1;
            if let Err(failure) = self.strike(Some(strike), None) {
                failures.push(format!("{strike}: {failure}"));
            }
        }
        let points = reached.len();
        println!(
            "figures: recovering: {name}: {points} failpoints, {count} strikes; reached: {calls:?}"
        );
        assert!(failures.is_empty(), "{name}: {}", failures.join("\n"));
    }

    /// One strike in a world of its own, which forgets what happened then, if it `forgets`; how
    /// often each failpoint was reached.
    fn strike(
        &self,
        strike: Option<Strike>,
        forgets: Option<Forgets>,
    ) -> Result<BTreeMap<Failpoint, u64>, Failure> {
        let mut world = Memory::from(&self.copy);
        let points = Failpoints::new(world.clock());
        let list = List::default();
        self.given.iter().for_each(|given| list.add(given.clone()));
        if let Some(Strike { point, nth, action, lasting }) = strike {
            points.arm(point, nth, action, lasting);
        }
        world.forget(forgets);
        world.live(async |seams| Box::pin(self.first(&seams, &points, &list)).await)?;
        world.forget(None);
        if strike.is_some() && points.struck() == 0 {
            return Err("it was not reached".into());
        }
        let reached = points.reached();
        points.disarm();
        world.live(async |seams| Box::pin(self.second(&seams, &points, &list)).await)?;
        // A recovery exhausts what may leave a wallet in a day.
        world.clock().advance(TWO_DAYS);
        let words = recover(&mut world, &list, (self.id, Workload::Recovery), &points)?;
        judge(&mut world, &list, self.id, Engine::Sane)?;
        if words != ["released"; 3] {
            return Err(format!("two days later payments ended as {words:?}").into());
        }
        Ok(reached)
    }

    /// Recovers while something fails, and closes what was opened.
    async fn first(&self, seams: &Seams, points: &Failpoints, list: &List) -> Result<(), Failure> {
        let ear = list.ear(seams, LIMIT).pausing(PAUSE);
        let recovering = Box::pin(seams.builder(points)?.recover(self.id, self.recovery.clone()));
        let Heard::Answer(Ok(custodian)) = ear.hear("recover", recovering).await else {
            return ear.check();
        };
        let callers = Callers::new(custodian, seams, ear.clone());
        let asked = ear.hear("a head", Box::pin(callers.custodian.checkpoint())).await;
        if let Heard::Answer(Ok(Some(head))) = asked {
            list.add(Given::head(&head));
        }
        ear.pause().await;
        callers.close().await;
        ear.check()
    }

    /// Recovers with nothing armed, and asks for what was under way when the copy was made.
    async fn second(&self, seams: &Seams, points: &Failpoints, list: &List) -> Result<(), Failure> {
        let recovering = Box::pin(seams.builder(points)?.recover(self.id, self.recovery.clone()));
        let custodian = recovering.await?;
        self.check(&custodian)?;
        let ear = list.ear(seams, LIMIT);
        let callers = Callers::new(custodian, seams, ear.clone());
        if self.behind.is_some() {
            // Whoever thaws the house accepts what is lost.
            list.add(Given::Frozen(FreezeScope::House));
            let thawed = callers.thaw("thaw-the-loss", &FreezeScope::House).await;
            if !matches!(&thawed, Some(Answer { outcome: Outcome::Released(_), .. })) {
                return Err(format!("the house was not frozen and thawed: {thawed:?}").into());
            }
        }
        let left = Box::pin(callers.custodian.resume()).await?;
        if !left.is_empty() {
            return Err(format!("it goes on with what was reserved: {left:?}").into());
        }
        let waited = callers.submit(&waits()?).await;
        let reserved = callers.submit(&reserves()?).await;
        let early = callers.submit(&transfer("too-early", 10, false)?).await;
        let heard = [waited, reserved, early];
        let is_meant = matches!(
            &heard,
            [
                Some(Answer { outcome: Outcome::Cancelled, .. }),
                Some(Answer { outcome: Outcome::Unknown { .. }, .. }),
                Some(Answer { outcome: Outcome::Denied { .. }, .. }),
            ]
        );
        if !is_meant {
            return Err(format!("after the recovery it was heard: {heard:?}").into());
        }
        if !callers.close().await {
            return Err("a custodian without faults does not close".into());
        }
        ear.check()
    }

    /// One event of the recovery stands where the copy ended, however often it was begun.
    fn check(&self, custodian: &Custodian) -> Result<(), Failure> {
        let found = custodian.recovered().ok_or("it is not recovered")?;
        let behind = found.behind().copied().map(Head::from);
        let is_ours = *found.archive() == self.recovery.archive && behind == self.behind;
        if !is_ours || found.index() != self.restored {
            return Err(format!("another recovery is recorded: {found:?}").into());
        }
        match custodian.exhausted() {
            [true, true, true, true] => Ok(()),
            left => Err(format!("not all windows are exhausted: {left:?}").into()),
        }
    }
}

/// A life in which a payment is made, and an order waits for approvals; its last head.
fn asked_for(
    world: &mut Memory,
    points: &Failpoints,
    id: CustodianId,
    heard: &Arc<Mutex<Vec<Given>>>,
) -> Result<Head, Failure> {
    let noted = Arc::clone(heard);
    world.live(async |seams| {
        let custodian = Box::pin(seams.builder(points)?.open(id)).await?;
        let ear = Ear::new(&seams, LIMIT, move |given| noted.lock().unwrap().push(given));
        let callers = Callers::new(custodian, &seams, ear.clone());
        let paid = Workload::Payment.run(&callers, 1).await?;
        let waiting = callers.submit(&waits()?).await;
        let waits = matches!(&waiting, Some(Answer { outcome: Outcome::Pending { .. }, .. }));
        if paid != ["released"; 3] || !waits {
            return Err(format!("nothing to recover: {paid:?}, {waiting:?}").into());
        }
        let head = callers.custodian.checkpoint().await?.ok_or("there is no head")?;
        heard.lock().unwrap().push(Given::head(&head));
        if !callers.close().await {
            return Err("a custodian without faults does not close".into());
        }
        ear.check()?;
        Ok(head.head)
    })
}

/// A life that ends when an order is reserved, and under no head yet; how many events there are.
fn cut_short(
    world: &mut Memory,
    points: &Failpoints,
    id: CustodianId,
) -> Result<Position, Failure> {
    let seal = Failpoint::parse("log.seal.before").ok_or("no such failpoint")?;
    let restored = world.live(async |seams| {
        let custodian = Box::pin(seams.builder(points)?.open(id)).await?;
        points.arm(seal, 0, Action::Hang, true);
        let submit = Box::pin(custodian.submit(reserves()?));
        let deadline = seams.clock.monotonic().saturating_add(A_MOMENT);
        select(submit, seams.clock.sleep_until(deadline)).await;
        let store: &dyn Store = seams.store.as_ref();
        let mut oracle = oracle(id);
        oracle.follow(store).await?;
        if oracle.settled().is_ok() {
            return Err("nothing is reserved".into());
        }
        Ok(oracle.position())
    })?;
    points.disarm();
    if points.struck() == 0 { Err("everything is under a head".into()) } else { Ok(restored) }
}

/// A life after the copy was made, of which only the head is known.
fn went_on(world: &mut Memory, points: &Failpoints, id: CustodianId) -> Result<Head, Failure> {
    world.live(async |seams| {
        let custodian = Box::pin(seams.builder(points)?.open(id)).await?;
        let request = transfer("after-the-copy", 30, false)?;
        let answer = Box::pin(custodian.submit(request)).await?;
        if !matches!(answer.outcome, Outcome::Released(_)) {
            return Err(format!("nothing is lost: {answer:?}").into());
        }
        let head = custodian.checkpoint().await?.ok_or("there is no head")?;
        Box::pin(custodian.close()).await?;
        Ok(head.head)
    })
}

/// The request that waits in the copy.
fn waits() -> Result<Request, Failure> {
    transfer("waits-for-approvals", 100, true)
}

/// The request that is reserved in the copy, and under no head.
fn reserves() -> Result<Request, Failure> {
    transfer("left-at-last", 20, false)
}

/// A transfer; with a spender besides, two treasurers must approve.
fn transfer(id: &str, units: u64, spender: bool) -> Result<Request, Failure> {
    let (wallet, key) = (WalletId::parse("main-1")?, KeyId::parse("main-1.0")?);
    let nonce = u64::try_from(id.len())?;
    let mut transfer = TestTransfer::of(units, "customer", &key, nonce);
    if spender {
        transfer.effects.push(Effect::Approve {
            amount: Amount::new(TestTransfer::coin(), Units::from(1_u64)),
            spender: TestTransfer::account("spender"),
        });
    }
    let (otto, id) = (PrincipalId::parse("otto")?, RequestId::parse(id)?);
    let request = Request::payload(otto, id, wallet, transfer.payload());
    Ok(request.authenticated(Authentication::default()))
}

fn is_reached(reached: &BTreeMap<Failpoint, u64>, call: &str) -> bool {
    let sides = ["before", "after"].map(|side| Failpoint::parse(&format!("{call}.{side}")));
    sides.iter().all(|point| point.is_some_and(|point| reached.contains_key(&point)))
}

/// At the first time and at the last; what is kept outside of the process also goes on failing or
/// hanging.
fn strikes(point: Failpoint, count: u64) -> Vec<Strike> {
    let outside = ["anchor.", "log.", "store."].iter().any(|seam| point.call().starts_with(seam));
    let mut strikes = Vec::new();
    for action in [Action::Error, Action::Hang, Action::Panic] {
        for nth in BTreeSet::from([0, count - 1]) {
            for lasting in [false, true] {
                let goes_on = outside && action != Action::Panic;
                if point.knows(action) && (goes_on || !lasting) {
                    strikes.push(Strike { point, nth, action, lasting });
                }
            }
        }
    }
    strikes
}

#[test]
fn a_recovery_holds_at_every_failpoint() {
    Lost::of(Older::Refuse).unwrap().run("all that there was");
}

#[test]
fn a_recovery_of_an_older_copy_holds_at_every_failpoint() {
    Lost::of(Older::Freeze).unwrap().run("an older copy");
}

/// Callers were given a head over the first recovery; the second one is at another time.
#[test]
fn a_recovery_that_is_forgotten_is_found_by_the_oracle() {
    let lost = Lost::of(Older::Refuse).unwrap();
    let point = Failpoint::parse("clock.now.before").unwrap();
    let late = Strike { point, nth: 0, action: Action::Hang, lasting: false };
    lost.strike(Some(late), None).unwrap();
    let failure = lost.strike(Some(late), Some(Forgets::Everything)).unwrap_err();
    assert!(failure.downcast_ref::<Breach>().is_some(), "{failure:?}");
}

/// What a recovery cannot do without: each has a failpoint on both sides.
const NEEDED: [&str; 14] = [
    "anchor.advance",
    "anchor.load",
    "clock.monotonic",
    "clock.now",
    "compiler.compile",
    "log.head",
    "log.includes",
    "log.public_key",
    "log.seal",
    "store.commit",
    "store.events",
    "store.get",
    "store.head",
    "store.scan",
];

/// How long a request is under way before its process ends.
const A_MOMENT: Duration = Duration::from_millis(200);
/// Longer than a custodian waits before it looks whether something is due.
const PAUSE: Duration = Duration::from_secs(6);
const TWO_DAYS: Duration = Duration::from_secs(2 * 86_400);
