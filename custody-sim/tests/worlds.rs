//! Some hundred worlds, that they repeat, that they are rich, and that the referee can object.
#![expect(clippy::panic, reason = "a world in which something is wrong must fail")]

use std::ops::Range;

use custody_sim::{Outcome, Sabotage, simulate, simulate_with};

#[test]
fn in_a_thousand_worlds_no_invariant_is_broken() {
    let worlds = worlds(0..1_000, |outcome| {
        assert!(outcome.violation.is_none(), "{outcome}");
        outcome.released
    });
    let released: u64 = worlds.iter().sum();
    assert!(released > 1_000, "only {released} payments were released");
}

#[test]
fn a_seed_gives_the_same_world_again() {
    for seed in [0, 1, 2, 3, 6, 1_000, u64::MAX] {
        let (first, second) = (simulate(seed), simulate(seed));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_ne!(first.trace, simulate(seed ^ 8).trace, "seed {seed}");
    }
}

#[test]
fn sabotaged_worlds_repeat_too() {
    let (first, second) = (caught(Sabotage::BackendDenies), caught(Sabotage::BackendDenies));
    assert_eq!((first.seed, first.trace), (second.seed, second.trace));
}

#[test]
fn the_worlds_together_hold_everything_that_can_happen() {
    let missing = worlds(2_000..3_600, |outcome| {
        let broken = &outcome.violation;
        assert!(broken.is_none(), "seed {}: {broken:?}\n{outcome}", outcome.seed);
        let mut missing = HAPPENS.to_vec();
        for line in &outcome.trace {
            missing.retain(|what| !line.contains(what));
        }
        missing
    });
    for what in HAPPENS {
        assert!(missing.iter().any(|missing| !missing.contains(&what)), "in no world: {what}");
    }
}

/// What each of these worlds gives, worked out on two threads.
fn worlds<T: Send>(seeds: Range<u64>, work: impl Fn(&Outcome) -> T + Sync) -> Vec<T> {
    let run = |thread: u64| {
        let seeds = seeds.clone().filter(move |seed| seed % 2 == thread);
        seeds.map(|seed| work(&simulate(seed))).collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| run(1));
        let mut all = run(0);
        all.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        all
    })
}

/// Words of the trace.
const HAPPENS: [&str; 50] = [
    " allowed ",
    " denied ",
    " executed",
    " signed",
    " failed BackendRefused",
    " failed Expired",
    " unknown Expired",
    " unknown BackendIndeterminate",
    " unknown BadSignature, suspends",
    " unknown TimedOut",
    " unknown Interrupted",
    " cancelled",
    " expired",
    " rejected",
    " snapshot",
    ": recovered",
    " recovered, behind",
    " cancelled by a recovery",
    "an older copy of ",
    " destroyed",
    "error: the clock jumped",
    "error: the request id was used for another submission",
    "error: busy",
    "a caller went away",
    "does not open",
    "an older copy is put in place: Done(Err(RolledBack",
    "crash: the newest batch is lost",
    "crash: the tiles are lost",
    " tiles are left, the next one is cut",
    "log: a tile that was cut is put anew",
    "resolve_order",
    "rotate_log_key",
    "fault: commit HangsAfter",
    "fault: sign PanicsAfter",
    "closed: Ok",
    " unknown Frozen",
    "nobody is woken any more",
    "the closed custodian is opened again",
    "error: the custodian is closed",
    "error: the commit may have happened",
    "error: the order is not released yet",
    "fault: commit HangsBefore",
    "fault: sign HangsBefore",
    "fault: sign head HangsAfter",
    "fault: advance anchor HangsBefore",
    "vault: Enable ",
    "vault: Disable ",
    "vault: Destroy ",
    "vault: CancelDestroy ",
    "fault: switch HangsAfter",
];

#[test]
fn a_part_that_breaks_its_contract_is_found() {
    for (sabotage, invariants) in [
        (Sabotage::AnchorForgets, &["what was answered stays"][..]),
        (Sabotage::BackendDenies, &["what failed was not signed"]),
        (Sabotage::BackendLeavesKeysOn, &["in calm weather every key that is off is switched off"]),
        (Sabotage::BackendSignsLater, &["what failed is not signed"]),
        (Sabotage::BackendSignsTwice, &["one order is signed once"]),
        (
            Sabotage::FilesCutTiles,
            &["in calm weather the custodian opens", "an older copy is refused"],
        ),
        (Sabotage::LogMixesReceipts, &["a receipt proves its event under a signed head"]),
        (
            Sabotage::LogSignsTwoHeads,
            &["the log only grows, and each head continues all earlier ones"],
        ),
        (
            Sabotage::RulesAllowAll,
            &[
                "approvals are those of distinct people that count now",
                "what is allowed stands within the limits",
                "the log replays",
            ],
        ),
        (Sabotage::StoreDenies, &["an error means that no order changed, or names the order"]),
        (
            Sabotage::StoreForgetsRecords,
            &[
                "documents that events name are durable",
                "the log replays",
                "what was answered once is known",
                "in calm weather everything comes to its end",
            ],
        ),
        (Sabotage::StoreForgetsRequests, &["one request id is one order"]),
    ] {
        let outcome = caught(sabotage);
        let found = outcome.violation.as_ref().map(|violation| violation.invariant);
        assert!(invariants.iter().any(|name| Some(*name) == found), "{sabotage:?}: {outcome}");
    }
    assert_eq!(Sabotage::ALL.len(), 12, "each has a row");
}

/// The first world in which a sabotage is found.
fn caught(sabotage: Sabotage) -> Outcome {
    const SEEDS: u64 = 40;
    let mut worlds = (0..SEEDS).map(|seed| simulate_with(seed, sabotage));
    let found = worlds.find(|outcome| outcome.violation.is_some());
    found.unwrap_or_else(|| panic!("{sabotage:?} is not found in {SEEDS} worlds"))
}
