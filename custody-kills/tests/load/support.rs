use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use custody_core::caip::AccountId;
use custody_core::command::Command;
use custody_core::custodian::{Answer, Error, Outcome, Request};
use custody_core::document::{EventBody, EventDocument};
use custody_core::id::{BackendId, BookId, OrderId, RequestId, WalletId};
use custody_core::principal::Verb;
use custody_core::seam::{Position, Store};
use custody_kills::house::{self, ETH, Equipment, House};
use custody_kills::requests;
use custody_testkit::oracle::{Given, Oracle};
use tempfile::TempDir;

/// A house with callers, and all that they were given.
pub(crate) struct Town {
    pub(crate) house: House,
    equipment: Equipment,
    directory: TempDir,
    given: Mutex<Vec<Given>>,
}

/// One call of a caller.
pub(crate) struct Call {
    pub(crate) request: RequestId,
    pub(crate) heard: Result<Answer, Error>,
    /// How long the call took.
    pub(crate) took: Duration,
}

impl Town {
    /// A house with these hot wallets, each in its backend.
    pub(crate) async fn new(equipment: Equipment, wallets: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        House::create_with(directory.path(), &equipment).await.unwrap();
        let house = House::open_with(directory.path(), &equipment).await.unwrap();
        let town = Self { house, equipment, directory, given: Mutex::default() };
        let known = AccountId::parse(&format!("eip155:1:0x{}", "70".repeat(20))).unwrap();
        let book = BookId::parse("customers").unwrap();
        town.govern("book", Command::AddAddress { book, account: known }).await;
        for (name, backend) in wallets {
            let id = wallet(name);
            let made = requests::wallet(&id, backend, None).unwrap();
            town.govern(&format!("wallet-{name}"), made).await;
            town.govern(&format!("key-{name}"), requests::key(&id, "0").unwrap()).await;
        }
        town
    }

    /// Has a command of olivia's done, with theo's approval if it takes one.
    async fn govern(&self, id: &str, command: Command) {
        let custodian = &self.house.custodian;
        let request = requests::command(id, command).unwrap();
        let mut answer = custodian.submit(request).await.unwrap();
        if matches!(answer.outcome, Outcome::Pending { .. }) {
            let theo = (self.house.people.get("theo"), "treasurer");
            let now = self.house.clock.now();
            let said = requests::says(theo, &custodian.id(), Verb::Approve, &answer, now).unwrap();
            answer = custodian.approve(said).await.unwrap();
        }
        assert!(matches!(answer.outcome, Outcome::Released(_)), "{id}: {answer:?}");
    }

    /// Makes a request and waits for its answer.
    pub(crate) async fn call(&self, request: Request) -> Call {
        let (requester, id) = (request.requester.clone(), request.id.clone());
        let since = Instant::now();
        let heard = Box::pin(self.house.custodian.submit(request)).await;
        let took = since.elapsed();
        if let Ok(answer) = &heard {
            let given = Given::answer_to(requester, id.clone(), answer);
            self.given.lock().unwrap().push(given);
        }
        Call { request: id, heard, took }
    }

    /// So many callers pay from a wallet, one payment after the other.
    pub(crate) async fn pay_on(
        self: &Arc<Self>,
        name: &str,
        from: &str,
        callers: u32,
        length: Duration,
    ) -> Vec<Call> {
        let (mut tasks, until) = (tokio::task::JoinSet::new(), Instant::now() + length);
        for caller in 0..callers {
            let (town, from) = (Arc::clone(self), wallet(from));
            let name = format!("{name}-{caller}");
            tasks.spawn(async move {
                let mut calls = Vec::new();
                while Instant::now() < until {
                    let id = format!("{name}-{}", calls.len());
                    let request = requests::payment(&id, from.clone(), SMALL).unwrap();
                    calls.push(town.call(request).await);
                }
                calls
            });
        }
        tasks.join_all().await.into_iter().flatten().collect()
    }

    /// Closes the house and opens it again, with the keys of a backend hanging or with none.
    pub(crate) async fn reopen(self: Arc<Self>, hanging: Option<&str>) -> Arc<Self> {
        let Ok(Self { house, mut equipment, directory, given }) = Arc::try_unwrap(self) else {
            panic!("somebody still calls")
        };
        house.close().await.unwrap();
        equipment.hanging = hanging.map(|id| BackendId::parse(id).unwrap());
        let house = House::open_with(directory.path(), &equipment).await.unwrap();
        Arc::new(Self { house, equipment, directory, given })
    }

    /// The requests that became orders.
    pub(crate) async fn orders(&self) -> BTreeSet<RequestId> {
        let (mut found, mut from) = (BTreeSet::new(), Position::START);
        loop {
            let page = self.house.store.events(from, 1_000).await.unwrap();
            let Some(last) = page.last() else { return found };
            from = last.position.plus(1);
            found.extend(page.iter().filter_map(|event| {
                match EventDocument::read(&event.bytes).unwrap().event {
                    EventBody::OrderSubmitted(submitted) => Some(submitted.request),
                    _ => None,
                }
            }));
        }
    }

    /// What the order's wallet counted in the last day when it was decided, in wei.
    pub(crate) async fn spent_at(&self, order: &OrderId) -> u128 {
        let head = self.house.store.head().await.unwrap();
        let from = Position::new(head.value().saturating_sub(500));
        let events = self.house.store.events(from, 500).await.unwrap();
        let windows = events.iter().find_map(|event| {
            match EventDocument::read(&event.bytes).unwrap().event {
                EventBody::OrderDecided(decided) if decided.order == *order => {
                    Some(decided.windows)
                }
                _ => None,
            }
        });
        let sums = windows.unwrap().into_iter().find_map(|used| {
            let of_wallet =
                matches!(used.window.scope, custody_core::window::WindowScope::Wallet(_));
            (of_wallet && used.window.asset.as_str() == house::ETHER).then_some(used.sums).flatten()
        });
        sums.unwrap().h24.to_string().parse().unwrap()
    }

    /// Closes the house and holds it, and all that was given, against the oracle.
    pub(crate) async fn verify(self: Arc<Self>) -> Oracle {
        let Ok(Self { house, directory, given, .. }) = Arc::try_unwrap(self) else {
            panic!("somebody still calls")
        };
        house.close().await.unwrap();
        let mut oracle = house::oracle(directory.path(), house::promises().unwrap()).unwrap();
        let store = house::store(directory.path()).unwrap();
        assert_eq!(oracle.follow(&store).await, Ok(()));
        assert_eq!(oracle.hear(&given.into_inner().unwrap()), Ok(()));
        store.close();
        oracle
    }
}

impl Call {
    /// How the call ended, in a word or two.
    pub(crate) fn word(&self) -> String {
        match &self.heard {
            Ok(Answer { outcome: Outcome::Denied { rules }, .. }) => {
                format!("denied {}", rules.first().map_or("", |rule| rule.as_str()))
            }
            Ok(Answer { outcome: Outcome::Failed { reason }, .. }) => format!("failed {reason:?}"),
            Ok(Answer { outcome: Outcome::Released(_), .. }) => "released".to_owned(),
            Ok(Answer { outcome: Outcome::Unknown { reason }, .. }) => {
                format!("unknown {reason:?}")
            }
            Ok(answer) => format!("{:?}", answer.outcome),
            Err(Error::Busy { what }) => format!("busy: {what}"),
            Err(error) => format!("{error:?}"),
        }
    }
}

/// How fast calls were answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) a_second: u64,
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
    pub(crate) most: Duration,
}

impl Pace {
    /// The pace of calls that ended within `length`, none of which may have ended otherwise than by
    /// a release.
    #[track_caller]
    pub(crate) fn of(calls: &[Call], length: Duration) -> Self {
        if let Some(call) = calls.iter().find(|call| call.word() != "released") {
            panic!("{}: {}", call.request, call.word());
        }
        Self::of_times(calls.iter().map(|call| call.took).collect(), length)
    }

    pub(crate) fn of_times(mut times: Vec<Duration>, length: Duration) -> Self {
        assert!(!times.is_empty(), "nobody was answered");
        times.sort_unstable();
        let count = u64::try_from(times.len()).unwrap();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        let a_second = count * 1_000 / u64::try_from(length.as_millis()).unwrap();
        Self { a_second, median: at(50), p99: at(99), most: at(100) }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { a_second, median, p99, most } = self;
        write!(f, "{a_second}/s, p50 {median:.1?}, p99 {p99:.1?}, most {most:.1?}")
    }
}

pub(crate) fn wallet(name: &str) -> WalletId {
    WalletId::parse(name).unwrap()
}

/// What a payment of [`Town::pay_on`] moves, in wei.
pub(crate) const SMALL: u128 = ETH / 100_000;
/// The fee of every payment, in wei, which counts like the payment.
pub(crate) const FEE: u128 = 21_000 * 1_000_000_000;
