//! What is looked at after a failpoint struck: everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use custody_core::custodian::Error;
use custody_core::id::{CustodianId, KeyId, OrderId};
use custody_core::key::KeyState;
use custody_core::seam::Store;
use custody_testkit::failpoint::Failpoints;
use custody_testkit::oracle::{Given, Heard, Invariant};

use super::callers::{self, Callers, Ear};
use super::seams::{Seams, World, oracle};
use super::workload::{Workload, life, settle};
use crate::Failure;

/// What callers were given, over all lives of a world.
#[derive(Clone, Debug, Default)]
pub struct List {
    given: Arc<Mutex<Vec<Given>>>,
    /// What was answered after the last event.
    last: Arc<Mutex<Vec<Given>>>,
}

impl List {
    /// An ear that writes into the list.
    #[must_use]
    pub fn ear(&self, seams: &Seams, limit: Duration) -> Ear {
        let list = self.clone();
        Ear::new(seams, limit, move |given| list.add(given))
    }

    /// Adds to the list.
    pub fn add(&self, given: Given) {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).push(given);
    }

    /// Adds what was answered when nobody wanted anything any more.
    fn add_last(&self, given: Given) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).push(given);
    }

    fn given(&self) -> Vec<Given> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn last(&self) -> Vec<Given> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether a verifier must find that a decision does not come out as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it must or it must not")]
pub enum Engine {
    /// The engine judged otherwise than its rules say.
    MayHaveLied,
    /// It is a function of its facts.
    Sane,
}

/// One life: opens the custodian, does the workload, closes. Whether it could be opened.
pub async fn work(
    seams: &Seams,
    points: &Failpoints,
    ear: &Ear,
    (id, workload): (CustodianId, Workload),
) -> Result<bool, Failure> {
    let builder = seams.builder(points)?;
    let callers::Heard::Answer(Ok(custodian)) = ear.hear("open", Box::pin(builder.open(id))).await
    else {
        return Ok(false);
    };
    let callers = Callers::new(custodian, seams, ear.clone());
    workload.run(&callers, 1).await?;
    ear.pause().await;
    callers.close().await;
    Ok(true)
}

/// How the orders of both rounds ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// Those of the first round, of which most were asked for again.
    pub(super) first: Vec<&'static str>,
    /// Those of another one, in which nothing failed.
    pub(super) next: Vec<&'static str>,
}

/// Opens the custodian with nothing armed: goes on, settles, does the same again and then all of it
/// in another round; how the orders of that round ended.
pub fn recover(
    world: &mut impl World,
    list: &List,
    of: (CustodianId, Workload),
    points: &Failpoints,
) -> Result<Vec<&'static str>, Failure> {
    let Words { first, next } = rounds(world, list, of, points)?;
    // What failed in the first round stays so, and which order that was is the failpoint's affair:
    // its words need not be those of the next round. But each of its orders must have ended.
    if first.iter().all(|word| of.1.may_end(word)) {
        Ok(next)
    } else {
        Err(format!("the first round was asked for again and ended as {first:?}").into())
    }
}

/// As [`recover`], with the words of both rounds, whatever those of the first are.
pub(super) fn rounds(
    world: &mut impl World,
    list: &List,
    (id, workload): (CustodianId, Workload),
    points: &Failpoints,
) -> Result<Words, Failure> {
    points.disarm();
    world.live(async |seams| {
        Box::pin(still_frozen(&seams, list, id)).await?;
        let custodian = Box::pin(seams.builder(points)?.open(id)).await?;
        let ear = list.ear(&seams, LIMIT);
        let callers = Callers::new(custodian, &seams, ear.clone());
        let resumed = callers.resume().await;
        settle(&callers, &resumed).await?;
        let first = workload.run(&callers.asking_again(), 1).await?;
        let next = workload.run(&callers, 2).await?;
        for round in [1, 2] {
            switched_off(&callers, &seams, &life(round)?).await?;
        }
        // Nobody wants anything any more, and orders live for a day: what is said of them now is
        // said after the last event about them.
        let orders: BTreeSet<_> = list.given().iter().filter_map(order).cloned().collect();
        for order in orders {
            match Box::pin(callers.custodian.order(&order)).await {
                Ok(answer) => list.add_last(Given::answer(&answer)),
                // The oracle knows whether it was given out.
                Err(Error::NotFound { .. }) => {}
                Err(other) => return Err(other.into()),
            }
        }
        if let Some(head) = callers.custodian.checkpoint().await? {
            list.add(Given::head(&head));
        }
        if !callers.close().await {
            return Err("a custodian without faults does not close".into());
        }
        ear.check()?;
        Ok(Words { first, next })
    })
}

/// What was frozen when a life ended is so before anybody has gone on.
async fn still_frozen(seams: &Seams, list: &List, id: CustodianId) -> Result<(), Failure> {
    let mut freezes = list.given();
    freezes.retain(|given| matches!(given, Given::Frozen(_) | Given::Thawing(_)));
    if freezes.is_empty() {
        return Ok(());
    }
    let mut oracle = oracle(id);
    let store: &dyn Store = seams.store.as_ref();
    // What does not replay is found by the judge, who knows whether that may be.
    if oracle.follow(store).await.is_ok() {
        // Whether an answer is lost is asked of the opening first.
        oracle.hear(&freezes)?;
    }
    Ok(())
}

/// A key that is off does not sign at its backend either, once the custodian has come to it.
async fn switched_off(callers: &Callers, seams: &Seams, id: &KeyId) -> Result<(), Failure> {
    let deadline = seams.clock.monotonic().saturating_add(LIMIT);
    while is_off(callers, id) && seams.switches.is_on(id)? {
        let now = seams.clock.monotonic();
        if now >= deadline {
            return Err(format!("the key {id} is off, and its backend signs with it").into());
        }
        seams.clock.sleep_until(now.saturating_add(A_MOMENT)).await;
    }
    Ok(())
}

fn is_off(callers: &Callers, id: &KeyId) -> bool {
    let Some(key) = callers.custodian.key(id) else { return false };
    match key.state() {
        KeyState::Compromised | KeyState::Deactivated | KeyState::Suspended => true,
        KeyState::Active | KeyState::PreActivation => key.destruction().is_some(),
        KeyState::Destroyed => false,
    }
}

/// Holds the whole log and everything that was given against the one oracle.
pub fn judge(
    world: &mut impl World,
    list: &List,
    id: CustodianId,
    engine: Engine,
) -> Result<(), Failure> {
    world.verify()?;
    world.live(async |seams| {
        let mut oracle = oracle(id);
        let store: &dyn Store = seams.store.as_ref();
        match oracle.follow(store).await {
            Ok(()) => {
                oracle.hear(&list.given())?;
                // Nothing was armed any more, so that no key hangs over an order.
                oracle.settled()?;
                Ok(oracle.hear_now(&list.last())?)
            }
            // What it denied is on record, and whoever judges again finds that out. What can still
            // be held against itself is what callers were given.
            Err(breach)
                if engine == Engine::MayHaveLied && breach.invariant() == Invariant::Replay =>
            {
                agree(&[list.given(), list.last()].concat())
            }
            Err(breach) => Err(breach.into()),
        }
    })
}

/// Whether each order was released in one way only.
fn agree(given: &[Given]) -> Result<(), Failure> {
    let mut released = BTreeMap::new();
    for one in given {
        let Given::Answer { order, heard, .. } = one else { continue };
        let Heard::Released { signatures, result, .. } = heard.as_ref() else { continue };
        let way = (signatures, result);
        if *released.entry(order).or_insert(way) != way {
            return Err(format!("{order} was released in two ways").into());
        }
    }
    Ok(())
}

fn order(given: &Given) -> Option<&OrderId> {
    match given {
        Given::Answer { order, .. } => Some(order),
        Given::Frozen(_) | Given::Head(_) | Given::Thawing(_) => None,
    }
}

/// How long a caller may have to wait. One call of a caller asks several things of the store and
/// the log, each of which may take its time limit.
pub const LIMIT: Duration = Duration::from_secs(180);
const A_MOMENT: Duration = Duration::from_millis(50);
