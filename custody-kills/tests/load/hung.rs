use std::sync::Arc;
use std::time::Duration;

use custody_core::custodian::Config;
use custody_kills::house::Equipment;
use custody_kills::requests;
use custody_testkit::backend::MemoryBackend;

use crate::support::{Call, FEE, Pace, SMALL, Town, wallet};

/// How long a backend may take.
const LIMIT: Duration = Duration::from_secs(2);
/// What an answer may take beyond that, on a machine that is busy.
const MORE: Duration = Duration::from_millis(1_500);
/// Calls that may be in one backend at once.
const PLACES: usize = 8;
/// The wallets, and where their keys are: in the process, and outside of it.
const WALLETS: [(&str, &str); 3] =
    [("inside", requests::SOFTWARE), ("first", "vault-1"), ("second", "vault-2")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_outside_the_process_that_hangs_holds_nobody_else() {
    hangs("first").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_in_the_process_that_hangs_holds_nobody_else() {
    hangs("inside").await;
}

/// The keys of this wallet hang, while the others are used as before.
async fn hangs(hung: &str) {
    let backend = WALLETS.iter().find(|(name, _)| *name == hung).unwrap().1;
    let healthy: Vec<_> = WALLETS.iter().map(|(name, _)| *name).filter(|w| *w != hung).collect();
    let usual = Equipment::default();
    let config = Config { sign_timeout: LIMIT, backend_calls: PLACES, ..usual.config };
    let vault =
        |number| MemoryBackend::seeded(&format!("vault-{number}"), number).outside_process();
    let equipment = Equipment { config, vaults: vec![vault(1), vault(2)], hanging: None };
    let town = Arc::new(Town::new(equipment, &WALLETS).await);

    let length = Duration::from_secs(2);
    let before = both(&town, "before", &healthy, length).await;
    let own = town.pay_on("own", hung, 2, length / 4).await;
    let own_before = Pace::of(&own, length / 4);
    println!("figures: {hung} hangs: the others before: {}, {}", before[0], before[1]);

    let town = town.reopen(Some(backend)).await;
    let fitting = u32::try_from(PLACES).unwrap() - 2;
    let (during, lost) = tokio::join!(
        both(&town, "during", &healthy, length),
        town.pay_on("lost", hung, fitting, length / 2)
    );
    println!("figures: {hung} hangs: the others meanwhile: {}, {}", during[0], during[1]);
    assert_eq!(lost.len(), PLACES - 2);
    for call in &lost {
        assert_eq!(call.word(), "unknown TimedOut", "{}", call.request);
        assert!((LIMIT..LIMIT + MORE).contains(&call.took), "{}: {:?}", call.request, call.took);
    }
    same(&before, &during);

    let (full, refused) = tokio::join!(
        both(&town, "full", &healthy, length),
        town.pay_on("full-of", hung, fitting * 6, length / 2)
    );
    println!("figures: {hung} is full: the others meanwhile: {}, {}", full[0], full[1]);
    let failed = refused.iter().filter(|call| call.word() == "failed BackendUnavailable").count();
    let most = refused.iter().map(|call| call.took).max().unwrap();
    println!("figures: {hung} is full: {failed} of {} failed, after {most:.1?}", refused.len());
    assert!(failed > 0, "everybody had a place");
    let unknown = refused.iter().filter(|call| call.word() == "unknown TimedOut").count();
    assert_eq!(unknown + failed, refused.len());
    assert!(unknown >= PLACES, "the backend was not full");
    assert!(most < 2 * LIMIT + MORE, "{most:?}");
    same(&before, &full);

    let town = town.reopen(None).await;
    let probe = town.call(requests::payment("probe", wallet(hung), SMALL).unwrap()).await;
    assert_eq!(probe.word(), "released", "it works again");
    let order = probe.heard.unwrap().order;
    let spent = own.len() + lost.len() + unknown + 1;
    let spent = u128::try_from(spent).unwrap() * (SMALL + FEE);
    assert_eq!(town.spent_at(&order).await, spent, "what failed does not count, what is lost does");
    let after = town.pay_on("after", hung, 2, length / 4).await;
    println!("figures: {hung}: {own_before} before, {} after", Pace::of(&after, length / 4));
    let _oracle = town.verify().await;
}

/// The paces of both wallets while they are used at once.
async fn both(town: &Arc<Town>, name: &str, wallets: &[&str], length: Duration) -> [Pace; 2] {
    let names = [0, 1].map(|number| format!("{name}-{number}"));
    let (one, other): (Vec<Call>, Vec<Call>) = tokio::join!(
        town.pay_on(&names[0], wallets[0], 4, length),
        town.pay_on(&names[1], wallets[1], 4, length)
    );
    [Pace::of(&one, length), Pace::of(&other, length)]
}

/// Others are as fast as before, as far as a machine that does other things can tell: who is held
/// waits for as long as the backend may take.
fn same(before: &[Pace; 2], now: &[Pace; 2]) {
    for (before, now) in before.iter().zip(now) {
        assert!(now.a_second >= before.a_second / 3, "{before}, then {now}");
        assert!(now.p99 < LIMIT / 4 && now.most < LIMIT, "{before}, then {now}");
    }
}
