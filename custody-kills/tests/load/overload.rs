use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use custody_core::custodian::{Config, Request};
use custody_core::id::RequestId;
use custody_kills::house::{ETH, Equipment};
use custody_kills::requests;
use tokio::runtime::Builder;

use crate::support::{Call, FEE, Pace, SMALL, Town, wallet};

/// Calls that may wait for the sequencer.
const QUEUE: usize = 256;
/// Calls that one turn of the sequencer takes in.
const TURN: usize = 256;
/// How much more is offered than can be done.
const TIMES: u64 = 5;
/// Every so many payments is one from the wallet whose limit runs out.
const TIGHT: u64 = 8;
/// A payment from that wallet.
const LARGE: u128 = ETH * 9 / 10;
/// What may leave a wallet in a day.
const A_DAY: u128 = 60 * ETH;

/// A call of the open loop, and how long it took from when it was due.
struct Offered {
    call: Call,
    waited: Duration,
}

/// Offers `a_second` payments a second whatever becomes of them; how many were under way at most.
///
/// The callers have a runtime of their own, as a host's server has: what they wait for is the house,
/// and not the turn of their task among all that were offered to the house's runtime.
async fn offer(town: &Arc<Town>, a_second: u64, length: Duration) -> (Vec<Offered>, usize) {
    let under_way = Arc::new(AtomicUsize::new(0));
    let (town, counter) = (Arc::clone(town), Arc::clone(&under_way));
    let callers = move || {
        let threads = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        let (mut tasks, mut most, since) = (Vec::new(), 0, Instant::now());
        while since.elapsed() < length {
            let due = a_second * u64::try_from(since.elapsed().as_millis()).unwrap() / 1_000;
            for number in u64::try_from(tasks.len()).unwrap()..due {
                let (town, counter) = (Arc::clone(&town), Arc::clone(&counter));
                let (request, since) = (payment(number), Instant::now());
                tasks.push(threads.spawn(async move {
                    counter.fetch_add(1, Ordering::SeqCst);
                    let call = town.call(request).await;
                    counter.fetch_sub(1, Ordering::SeqCst);
                    Offered { call, waited: since.elapsed() }
                }));
            }
            most = most.max(counter.load(Ordering::SeqCst));
            std::thread::sleep(Duration::from_millis(1));
        }
        (threads.block_on(futures::future::try_join_all(tasks)).unwrap(), most)
    };
    tokio::task::spawn_blocking(callers).await.unwrap()
}

fn payment(number: u64) -> Request {
    let id = format!("offered-{number}");
    let tight = number.is_multiple_of(TIGHT);
    let (from, wei) = if tight { ("tight", LARGE) } else { ("hot", SMALL) };
    requests::payment(&id, wallet(from), wei).unwrap()
}

/// Whether the request is of the wallet whose limit runs out.
fn is_tight(request: &RequestId) -> bool {
    let number: u64 = request.as_str().rsplit_once('-').unwrap().1.parse().unwrap();
    number.is_multiple_of(TIGHT)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_offered_five_times_over_is_refused_at_once_or_served_in_time() {
    let usual = Equipment::default();
    let config = Config { queue: QUEUE, ..usual.config };
    let wallets = [("hot", requests::SOFTWARE), ("tight", requests::SOFTWARE)];
    let town = Town::new(Equipment { config, ..usual }, &wallets).await;
    let town = Arc::new(town);
    let length = Duration::from_secs(2);
    let _warm = town.pay_on("warm", "hot", 4, length / 4).await;
    let before = Pace::of(&town.pay_on("before", "hot", 64, length).await, length);
    println!("figures: overload: what can be done: {before}");

    let length = Duration::from_secs(6);
    let (offered, most) = offer(&town, TIMES * before.a_second, length).await;
    let count = offered.len();
    let (refused, taken): (Vec<_>, Vec<_>) =
        offered.into_iter().partition(|offered| offered.call.word() == "busy: the queue is full");
    let pace = |some: &[Offered]| {
        let waited = some.iter().map(|offered| offered.waited).collect();
        let took = some.iter().map(|offered| offered.call.took).collect();
        (Pace::of_times(waited, length), Pace::of_times(took, length))
    };
    let ((answered, _), (told, at_once)) = (pace(&taken), pace(&refused));
    println!("figures: overload: {count} offered, {} taken: {answered}", taken.len());
    println!("figures: overload: {} refused: {told}; the call alone: {at_once}", refused.len());
    println!("figures: overload: at most {most} under way");

    // Five times as much, but for what the callers of this machine could not ask for.
    let asked = u64::try_from(count).unwrap() * 1_000 / 6_000;
    assert!(asked >= TIMES * before.a_second * 9 / 10, "only {asked} a second were offered");
    assert!(refused.len() > count / 2, "only {} of {count} were refused", refused.len());
    assert!(at_once.p99 < Duration::from_millis(20), "a refusal takes {at_once}");
    assert!(at_once.most < Duration::from_secs(1), "a refusal takes {at_once}");
    let places = u64::try_from(QUEUE + 4 * TURN).unwrap();
    let in_time = Duration::from_millis(1_000 + 2 * places * 1_000 / before.a_second);
    assert!(answered.most < in_time, "{answered}, and {in_time:?} were promised");
    assert!(told.most < in_time, "{told}, and {in_time:?} were promised");
    assert!(answered.a_second >= before.a_second / 3, "it does less: {answered}");
    // Little's law: as many as are served within the longest time that anybody may wait.
    let at_once = u128::from(before.a_second) * in_time.as_millis() / 1_000;
    assert!(most as u128 <= at_once, "{most} calls were under way, {at_once} may be");
    limits_hold(&taken);

    let orders = town.orders().await;
    let wrote = refused.iter().filter(|offered| orders.contains(&offered.call.request)).count();
    assert_eq!(wrote, 0, "refusals that were written");
    let taken: BTreeSet<_> = taken.into_iter().map(|offered| offered.call.request).collect();
    assert!(taken.is_subset(&orders), "answers about orders that are not there");

    let after = Pace::of(&town.pay_on("after", "hot", 64, length / 3).await, length / 3);
    println!("figures: overload: what can be done afterwards: {after}");
    assert!(after.a_second >= before.a_second / 2, "{before} before, {after} afterwards");
    for again in refused.iter().filter(|refused| !is_tight(&refused.call.request)).take(20) {
        let number = again.call.request.as_str().rsplit_once('-').unwrap().1.parse().unwrap();
        let call = town.call(payment(number)).await;
        assert_eq!((call.word().as_str(), &call.request), ("released", &again.call.request));
    }
    let _oracle = town.verify().await;
}

/// Exactly as many payments left the wallet as its limit lets, and all others were denied by it.
fn limits_hold(taken: &[Offered]) {
    let words = |tight: bool| {
        let calls = taken.iter().map(|offered| &offered.call);
        calls.filter(move |call| is_tight(&call.request) == tight).map(Call::word)
    };
    assert_eq!(words(false).find(|word| word != "released"), None);
    let fit = usize::try_from(A_DAY / (LARGE + FEE)).unwrap();
    let released = words(true).filter(|word| word == "released").count();
    let denied = words(true).filter(|word| word == "denied daily-limit").count();
    assert!(denied > 0, "the limit was not reached");
    assert_eq!((released, released + denied), (fit, words(true).count()));
}
