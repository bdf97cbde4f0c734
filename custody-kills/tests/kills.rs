//! Real kills of a real process; see the crate's documentation.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests: a check fails by panicking, and a run tells its figures"
)]

use std::path::Path;
use std::time::Duration;

use custody_core::amount::Units;
use custody_core::bytes::HexBytes;
use custody_core::command::FreezeScope;
use custody_core::digest::Digest;
use custody_core::id::OrderId;
use custody_kills::creation::creations;
use custody_kills::driver::{Driver, Finding, Plan};
use custody_kills::house;
use custody_kills::life::Manner;
use custody_store::{OpenError, SqliteStore};
use custody_testkit::oracle::{Breach, Given, Heard, Invariant, Oracle, Promises};

/// A run that a failure can be asked for again, as far as threads let it.
fn plan(kills: u64, manner: Manner) -> Plan {
    let seed = number("CUSTODY_KILLS_SEED").unwrap_or(20_260_101);
    Plan { program: env!("CARGO_BIN_EXE_custody-kills").into(), kills, seed, manner }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_caller_was_given_is_lost_by_a_kill() {
    let kills = if std::env::var_os("CUSTODY_LONG").is_some() { 2_000 } else { 500 };
    let plan = plan(number("CUSTODY_KILLS").unwrap_or(kills), Manner::Honest);
    let seed = plan.seed;
    let since = std::time::Instant::now();
    let mut driver = Driver::new(plan).await.unwrap();
    match driver.run().await {
        Ok(tally) => {
            let seconds = since.elapsed().as_secs();
            println!("figures: kills: seed {seed}: {tally}, in {seconds} s");
            let hit = [tally.kills_in_opening, tally.kills_in_closing, tally.left];
            let figures = [hit.as_slice(), &[tally.released]].concat();
            assert!(tally.kills < 100 || !figures.contains(&0), "these kills hit nothing");
            let ruled = [tally.approved, tally.limited];
            assert!(tally.kills < 100 || !ruled.contains(&0), "no approval or no limit counted");
        }
        Err(finding) => panic!("seed {seed}, kept in {}: {finding}", driver.keep().display()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_that_was_killed_while_it_was_made_can_be_finished() {
    let kills = if std::env::var_os("CUSTODY_LONG").is_some() { 200 } else { 50 };
    let plan = plan(kills, Manner::Honest);
    let seed = plan.seed;
    match creations(&plan).await {
        Ok(left) => {
            println!("figures: kills while a house is made: seed {seed}: {left:?}");
            assert!(left.nothing > 0, "no kill came before the genesis event");
            let is_begun = left.genesis > 0 || left.whole > 0;
            assert!(is_begun, "no kill came after the genesis event");
        }
        Err((finding, kept)) => panic!("seed {seed}, kept in {}: {finding}", kept.display()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_goes_back_to_an_older_copy_is_caught() {
    let mut driver = Driver::new(plan(6, Manner::Honest)).await.unwrap();
    driver.lives().await.unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_all(&driver.house(), copy.path());
    driver.go_on(6).await.unwrap();
    std::fs::remove_dir_all(driver.house()).unwrap();
    copy_all(copy.path(), &driver.house());
    // A copy of everything opens: nothing outside of it was asked to remember the head.
    assert_eq!(breach(driver.go_on(0).await).invariant(), Invariant::Log);
    let list: Vec<_> = driver.list().unwrap().map(Result::unwrap).collect();
    let lost = stranger(&driver).await.hear(&list).unwrap_err().invariant();
    assert!(matches!(lost, Invariant::Answers | Invariant::Durable | Invariant::Log), "{lost:?}");
}

fn breach(run: Result<(), Finding>) -> Breach {
    match run {
        Err(Finding::Breach { breach, .. }) => breach,
        other => panic!("{other:?}"),
    }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_tells_a_freeze_before_it_is_durable_is_caught() {
    let run = Driver::new(plan(100, Manner::Hasty)).await.unwrap().run().await;
    assert_eq!(breach(run.map(drop)).invariant(), Invariant::Freezes);
}

/// What a tampered list says, and which invariant that must break.
type Row = (&'static str, Invariant, fn(&mut Vec<Given>));

const ROWS: [Row; 13] = [
    ("a signature is gone", Invariant::Answers, |list| {
        let Heard::Released { signatures, .. } = released(list, 0) else { panic!() };
        signatures.clear();
    }),
    ("the same order was signed otherwise", Invariant::Answers, |list| {
        let mut twin = list[payments(list)[0]].clone();
        let Given::Answer { heard, .. } = &mut twin else { panic!() };
        let Heard::Released { signed, .. } = heard.as_mut() else { panic!() };
        *signed = Some(HexBytes::new(vec![1]));
        list.push(twin);
    }),
    ("a receipt is of another order", Invariant::Log, |list| {
        let Heard::Released { index, receipt, .. } = released(list, 0).clone() else { panic!() };
        let Heard::Released { index: other, receipt: others, .. } = released(list, 1) else {
            panic!()
        };
        (*other, *others) = (index, receipt);
    }),
    ("a receipt has another digit", Invariant::Log, |list| {
        let Heard::Released { receipt, .. } = released(list, 0) else { panic!() };
        *receipt = receipt.replacen("\nindex ", "\nindex 1", 1);
    }),
    ("a released order was denied", Invariant::Answers, |list| *released(list, 0) = Heard::Denied),
    ("a released order failed", Invariant::Answers, |list| *released(list, 0) = Heard::Failed),
    ("a released order was taken back", Invariant::Answers, |list| {
        *released(list, 0) = Heard::Cancelled;
    }),
    ("a denied order was released", Invariant::Answers, |list| {
        let release = released(list, 0).clone();
        let denied = list.iter_mut().find_map(|given| match given {
            Given::Answer { heard, .. } if **heard == Heard::Denied => Some(heard),
            _ => None,
        });
        **denied.unwrap() = release;
    }),
    ("an order has another document", Invariant::Answers, |list| {
        let place = payments(list)[0];
        let Given::Answer { digest, .. } = &mut list[place] else { panic!() };
        *digest = Digest::of(b"another");
    }),
    ("an order is not there", Invariant::Durable, |list| {
        let place = payments(list)[0];
        let Given::Answer { order, .. } = &mut list[place] else { panic!() };
        let other = format!("{}{}", &order.as_str()[..order.as_str().len() - 4], "0000");
        *order = OrderId::parse(&other).unwrap();
    }),
    ("two requests are one order", Invariant::OneRequest, |list| {
        let places = payments(list);
        let Given::Answer { request: first, .. } = list[places[0]].clone() else { panic!() };
        let Given::Answer { request, .. } = &mut list[places[1]] else { panic!() };
        *request = first;
    }),
    ("a head was another", Invariant::Log, |list| {
        let note = list.iter_mut().find_map(|given| match given {
            Given::Head(note) => Some(note),
            _ => None,
        });
        let note = note.unwrap();
        *note = note.replacen("\n1", "\n2", 1).replacen("\n\n", "\nmore\n\n", 1);
    }),
    ("a freeze was told", Invariant::Freezes, |list| {
        let wallet = custody_kills::requests::seeded().unwrap();
        list.push(Given::Frozen(FreezeScope::Wallet(wallet)));
    }),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_of_tampering_with_the_list_is_caught() {
    let mut driver = Driver::new(plan(8, Manner::Honest)).await.unwrap();
    driver.lives().await.unwrap();
    let list: Vec<_> = driver.list().unwrap().map(Result::unwrap).collect();
    assert_eq!(stranger(&driver).await.hear(&list), Ok(()));
    for (name, invariant, tamper) in ROWS {
        let mut list = list.clone();
        tamper(&mut list);
        let breach = stranger(&driver).await.hear(&list).expect_err(name);
        assert_eq!(breach.invariant(), invariant, "{name}: {breach}");
    }
    let mut lost = house::oracle(&driver.house(), house::promises().unwrap()).unwrap();
    assert_eq!(lost.hear(&list).unwrap_err().invariant(), Invariant::Durable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_breaks_a_promise_is_caught() {
    let mut driver = Driver::new(plan(8, Manner::Honest)).await.unwrap();
    driver.lives().await.unwrap();
    let (kept, wei) = (house::promises().unwrap(), Units::from(1_u64));
    let a_day = Promises { a_day: Some(wei), ..kept.clone() };
    let alone = Promises { alone: Some((wei, 1)), ..kept };
    for (promises, invariant) in [(a_day, Invariant::Limits), (alone, Invariant::Approvals)] {
        let mut oracle = house::oracle(&driver.house(), promises).unwrap();
        let store = store(&driver);
        let breach = oracle.follow(&store).await.unwrap_err();
        assert_eq!(breach.invariant(), invariant, "{breach}");
    }
}

/// An oracle that has read what the house has now, and has heard nothing.
async fn stranger(driver: &Driver) -> Oracle {
    let mut oracle = house::oracle(&driver.house(), house::promises().unwrap()).unwrap();
    let store = store(driver);
    oracle.follow(&store).await.unwrap();
    oracle
}

/// The store of the house, once the process that had it last is gone.
fn store(driver: &Driver) -> SqliteStore {
    for _ in 0..1_000 {
        match house::store(&driver.house()) {
            Ok(store) => return store,
            Err(refused) if matches!(refused.downcast_ref(), Some(OpenError::InUse)) => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(refused) => panic!("{refused}"),
        }
    }
    panic!("the store stays in use")
}

/// Where payments were released to their requesters, each of another order.
fn payments(list: &[Given]) -> Vec<usize> {
    let mut orders = std::collections::BTreeSet::new();
    let places = list.iter().enumerate().filter_map(|(place, given)| match given {
        Given::Answer { order, heard, request: Some(_), .. }
            if matches!(heard.as_ref(), Heard::Released { signed: Some(_), .. })
                && orders.insert(order.clone()) =>
        {
            Some(place)
        }
        _ => None,
    });
    places.collect()
}

/// What was heard of the `number`-th payment that was released.
fn released(list: &mut [Given], number: usize) -> &mut Heard {
    let place = payments(list)[number];
    match &mut list[place] {
        Given::Answer { heard, .. } => heard,
        other => panic!("{other:?}"),
    }
}
