//! The fold over events in any order: what a recorded log says, and what somebody might claim
//! besides, one after the other. Orders and keys move only as they may, and a state that was kept
//! goes on as if it had not been.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use custody_core::command::{Command, CommandResult};
use custody_core::digest::Digest;
use custody_core::document::{
    CloseReason, Conclusion, DocumentReference, EventBody, EventDocument, HeadReference, Hold,
    OrderClosed, OrderConcluded, OrderDecided, OrderDocument, RecoveredEvent, V1, Verdict, Work,
    parse,
};
use custody_core::id::{KeyId, OrderId};
use custody_core::key::KeyState;
use custody_core::ledger::{Attached, Key, Ledger, Wallet};
use custody_core::order::OrderState;
use custody_core::seam::Position;
use custody_core::time::Timestamp;

use crate::Seed;
use crate::input::Input;
use crate::kept;
use crate::record::Record;

pub(crate) fn parts() -> Vec<&'static str> {
    vec!["every step", "some steps"]
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    let pool = &*POOL;
    let (mut ledger, mut folded, mut refused) = (pool.start.clone(), Vec::new(), 0);
    while !input.is_empty() && folded.len() + refused < STEPS_MAX {
        let (body, attached) = &pool.steps[usize::from(input.short()) % pool.steps.len()];
        let waited = WAITS_MS[usize::from(input.byte()) % WAITS_MS.len()];
        let at = ledger.time().after(Duration::from_millis(waited));
        let event = EventDocument { v: V1, at, event: body.clone() };
        match step(&ledger, &event, attached) {
            Some(next) => {
                ledger = next;
                folded.push((event, attached));
            }
            None => refused += 1,
        }
    }
    whole(&ledger, &folded);
    match (folded.len(), refused) {
        (0, _) => None,
        (_, 0) => Some("every step"),
        _ => Some("some steps"),
    }
}

/// The state after an event; none if it is refused.
fn step(before: &Ledger, event: &EventDocument, attached: &Attached) -> Option<Ledger> {
    let mut after = before.clone();
    let answer = after.apply(event, attached);
    let mut again = before.clone();
    assert_eq!(again.apply(event, attached), answer, "twice the same answer");
    answer.ok()?;
    assert_eq!(again, after, "twice the same state");
    assert!(after.time() >= before.time());
    for order in after.orders() {
        let id = &order.document().order;
        let from = before.order(id).map(custody_core::ledger::OpenOrder::state);
        assert!(may_become(from, order.state()), "{id}: {from:?} to {}", order.state());
        assert!(!order.state().is_terminal(), "an order that has ended is not kept");
    }
    keys_move(before, &after);
    Some(after)
}

/// No key is lost, and each is where it may come to.
fn keys_move(before: &Ledger, after: &Ledger) {
    for (id, wallet) in before.wallets() {
        let keys = after.wallet(id).map(Wallet::keys);
        assert!(keys.is_some_and(|keys| keys.starts_with(wallet.keys())), "{id} has lost a key");
    }
    for key in after.wallets().flat_map(|(_, wallet)| wallet.keys()) {
        let state = |ledger: &Ledger| ledger.key(key).map(Key::state);
        let (from, to) = (state(before), state(after));
        assert!(key_may_become(from, to), "{key}: {from:?} to {to:?}");
    }
}

/// The moves of NIST SP 800-57 part 1 revision 5, section 7, written down a second time.
fn key_may_become(from: Option<KeyState>, to: Option<KeyState>) -> bool {
    use KeyState::{Active, Compromised, Deactivated, Destroyed, PreActivation, Suspended};
    let next: &[KeyState] = match from {
        None => &[PreActivation, Active],
        Some(PreActivation) => &[PreActivation, Active, Compromised, Destroyed],
        Some(Active) => &[Active, Suspended, Deactivated, Compromised],
        Some(Suspended) => &[Suspended, Active, Deactivated, Compromised],
        Some(Deactivated) => &[Deactivated, Compromised, Destroyed],
        Some(Compromised) => &[Compromised, Destroyed],
        Some(Destroyed) => &[Destroyed],
    };
    to.is_some_and(|to| next.contains(&to))
}

/// The open states of an order, written down a second time.
fn may_become(from: Option<OrderState>, to: OrderState) -> bool {
    use OrderState::{Pending, Reserved, Unknown};
    from == Some(to)
        || matches!(
            (from, to),
            (None, Pending) | (Some(Pending), Reserved) | (Some(Reserved), Unknown)
        )
}

/// What holds of a state, whatever it came from.
fn whole(ledger: &Ledger, folded: &[(EventDocument, &Attached)]) {
    let mut rebuilt = POOL.start.clone();
    for (event, attached) in folded {
        let read = EventDocument::read(&event.to_bytes().unwrap()).unwrap();
        rebuilt.apply(&read, attached).unwrap();
    }
    assert_eq!(&rebuilt, ledger, "the events make another state when they are folded again");
    let lines = kept::lines(ledger);
    let read = kept::read(&lines, ledger.began()).unwrap();
    assert_eq!(&read, ledger, "a state that was kept is another one");
    assert_eq!(kept::lines(&read), lines);
    for principal in ledger.principals() {
        let own = ledger.orders().filter(|order| order.document().requester == principal.id);
        assert_eq!(own.count(), ledger.open_of_requester(&principal.id));
    }
}

/// A first state, and what may happen.
struct Pool {
    start: Ledger,
    steps: Vec<(EventBody, Attached)>,
    /// How many of the steps are those of the recorded log, in their order.
    recorded: usize,
}

static POOL: LazyLock<Pool> = LazyLock::new(|| {
    let record = Record::shared();
    let events = record.read();
    let EventBody::Genesis(genesis) = &events[0].event else { panic!("a genesis comes first") };
    let policy = &record.documents[&genesis.policy.sha256];
    let start = Ledger::genesis(record.custodian, &events[0], policy).unwrap();
    let mut steps: Vec<_> =
        events[1..].iter().map(|event| (event.event.clone(), attached(&event.event))).collect();
    let recorded = steps.len();
    let orders = events.iter().filter_map(|event| match &event.event {
        EventBody::OrderSubmitted(submitted) => Some(submitted.order.clone()),
        _ => None,
    });
    let claims = orders.flat_map(|order| claims(&order, &start));
    steps.extend(claims.map(|body| (body, Attached::default())));
    let key = EventBody::KeyDestroyed(KeyId::parse("hot.0").unwrap());
    steps.push((key, Attached::default()));
    steps.extend((0..RECOVERIES).map(|size| (recovered(size as u64), Attached::default())));
    steps.push((events[0].event.clone(), Attached::default()));
    Pool { start, steps, recorded }
});

/// What somebody might say about an order.
fn claims(order: &OrderId, start: &Ledger) -> Vec<EventBody> {
    let reference = DocumentReference { sha256: Digest::of(b"signatures"), size: 10 };
    let conclusions = [
        Conclusion::Executed { result: CommandResult::Done {} },
        Conclusion::Failed { reason: Hold::BackendRefused },
        Conclusion::Signed { signatures: reference },
        Conclusion::Unknown { reason: Hold::TimedOut, suspends: None },
        Conclusion::Unknown { reason: Hold::Interrupted, suspends: None },
        Conclusion::Unknown {
            reason: Hold::BadSignature,
            suspends: Some(KeyId::parse("hot.0").unwrap()),
        },
    ];
    let concluded = conclusions
        .into_iter()
        .map(|outcome| EventBody::OrderConcluded(OrderConcluded { order: order.clone(), outcome }));
    let decided = [Verdict::Allowed, Verdict::Denied].into_iter().map(|verdict| {
        EventBody::OrderDecided(OrderDecided {
            order: order.clone(),
            verdict,
            engine: start.engine().clone(),
            policy: start.policy().id(),
            rules: Vec::new(),
            errors: Vec::new(),
            windows: Vec::new(),
        })
    });
    let closed = [CloseReason::Expired {}, CloseReason::Recovered {}]
        .into_iter()
        .map(|reason| EventBody::OrderClosed(OrderClosed { order: order.clone(), reason }));
    concluded.chain(decided).chain(closed).collect()
}

/// That the custodian was restored after so many events, with something lost or not.
fn recovered(size: u64) -> EventBody {
    let head = |size| HeadReference { size: Position::new(size), root: Digest::of(b"root") };
    let archive = Digest::of(&size.to_be_bytes());
    let behind = size.is_multiple_of(2).then(|| head(size + 1));
    EventBody::Recovered(RecoveredEvent { archive, restored: head(size), behind })
}

/// The steps that end orders as a recovery does.
fn claims_of_ends(pool: &Pool) -> impl Iterator<Item = usize> {
    let is_end = |(_, (body, _)): &(usize, &(EventBody, Attached))| match body {
        EventBody::OrderClosed(closed) => closed.reason == CloseReason::Recovered {},
        EventBody::OrderConcluded(concluded) => matches!(
            concluded.outcome,
            Conclusion::Unknown { reason: Hold::Interrupted, suspends: None }
        ),
        _ => false,
    };
    pool.steps.iter().enumerate().filter(is_end).map(|(number, _)| number)
}

/// The documents that folding needs.
fn attached(event: &EventBody) -> Attached {
    let EventBody::OrderSubmitted(submitted) = event else { return Attached::default() };
    let documents = &Record::shared().documents;
    let order: OrderDocument = parse(&documents[&submitted.document.sha256]).unwrap();
    let command = match &order.work {
        Work::Command(reference) => {
            let command: Command = parse(&documents[&reference.sha256]).unwrap();
            Some(Arc::new(command))
        }
        Work::Payload(_) => None,
    };
    Attached { order: Some(Arc::new(order)), command }
}

/// After how many events the custodian may have been restored.
const RECOVERIES: usize = 32;
/// How much later an event is than the one before.
const WAITS_MS: [u64; 6] = [0, 1, 60_000, 3_600_000, 86_400_000, Timestamp::MAX.as_millis()];
const STEPS_MAX: usize = 120;

pub(crate) fn seeds() -> Vec<Seed> {
    let pool = &*POOL;
    let step = |number: usize, wait: u8| {
        let [high, low] = (number as u16).to_be_bytes();
        [high, low, wait]
    };
    let recorded: Vec<u8> = (0..pool.recorded).flat_map(|number| step(number, 0)).collect();
    let slowly: Vec<u8> = (0..pool.recorded).flat_map(|number| step(number, 1)).collect();
    let days: Vec<u8> = (0..pool.recorded).flat_map(|number| step(number, 4)).collect();
    let backwards: Vec<u8> = (0..pool.recorded).rev().flat_map(|number| step(number, 0)).collect();
    let claims = pool.recorded..pool.steps.len();
    let claimed: Vec<u8> = claims.clone().flat_map(|number| step(number, 0)).collect();
    let mixed: Vec<u8> = (0..pool.recorded)
        .flat_map(|number| {
            let claim = pool.recorded + number % claims.len();
            [step(number, 2), step(claim, 0), step(claim + 1, 0), step(claim + 5, 0)]
        })
        .flatten()
        .take(360)
        .collect();
    let mut seeds = vec![
        ("recorded".to_owned(), recorded.clone()),
        ("slowly".to_owned(), slowly),
        ("days".to_owned(), days),
        ("backwards".to_owned(), backwards),
        ("claims-alone".to_owned(), claimed[..360.min(claimed.len())].to_vec()),
        ("mixed".to_owned(), mixed),
        ("genesis-again".to_owned(), step(pool.steps.len() - 1, 0).to_vec()),
        ("end-of-time".to_owned(), [step(0, 5), step(1, 0)].concat()),
    ];
    for steps in [3_usize, 6, 9, 15, 24] {
        let taken = recorded[..recorded.len().min(3 * steps)].to_vec();
        seeds.push((format!("first-{steps}"), taken.clone()));
        let claims = claims.clone().take(24).flat_map(|number| step(number, 0));
        seeds.push((
            format!("first-{steps}-then-claims"),
            taken.iter().copied().chain(claims).collect(),
        ));
        // The genesis event comes before the recorded ones.
        let recovery = pool.steps.len() - 1 - RECOVERIES + steps + 1;
        let ends = claims_of_ends(pool).flat_map(|number| step(number, 0));
        seeds.push((
            format!("first-{steps}-then-recovered"),
            taken.into_iter().chain(step(recovery, 0)).chain(ends).collect(),
        ));
    }
    seeds
}
