//! States that a snapshot keeps: what is read is written again to the same bytes, and answers
//! every question.

use std::sync::Arc;

use custody_core::command::{Command, FreezeScope};
use custody_core::ledger::Ledger;
use custody_core::seam::{PolicyCompiler as _, PolicyEngine};
use custody_core::time::Timestamp;
use custody_testkit::policy::TestRules;

use crate::input::{flip, patched};
use crate::{Seed, custodian_sequences, kept};

pub(crate) fn parts() -> Vec<&'static str> {
    vec!["state"]
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let ledger = kept::read(bytes, Timestamp::default())?;
    let written = kept::lines(&ledger);
    let again = kept::read(&written, ledger.began()).unwrap();
    assert_eq!(again, ledger, "what is written reads the same");
    assert_eq!(kept::lines(&again), written, "it is always written alike");
    ask(&ledger);
    Some("state")
}

/// Asks what a custodian that starts from this state asks; nothing may panic.
fn ask(ledger: &Ledger) {
    let engine = engine();
    for now in
        [Timestamp::from_millis(0), Timestamp::from_millis(1_767_225_600_000), Timestamp::MAX]
    {
        assert!(ledger.due_destructions(now).all(|key| ledger.key(key).is_some()));
        assert!(ledger.expired(now).all(|order| ledger.order(order).is_some()));
        for order in ledger.orders() {
            let decision = ledger.decide(engine.as_ref(), order, now);
            let held = ledger.hold(order.document(), now).is_some();
            assert!(!(held && decision.allowed), "what is held is not allowed");
            let _missing = ledger.missing(engine.as_ref(), order, now);
            let _stopped = ledger.stop(order);
        }
    }
    for order in ledger.orders() {
        let document = order.document();
        assert!(ledger.open_of_requester(&document.requester) > 0);
        if let Some(wallet) = &document.wallet {
            assert!(ledger.open_of_wallet(wallet) > 0);
        }
    }
    let freeze = ledger.check(&Command::Freeze { scope: FreezeScope::House }).is_ok();
    let thaw = ledger.check(&Command::Thaw { scope: FreezeScope::House }).is_ok();
    assert_ne!(freeze, thaw, "a house is frozen or it is not");
}

fn engine() -> Arc<dyn PolicyEngine> {
    let rules = TestRules::document(&["treasurer"], "allow\nneed treasurer 2\nlimit-day 1000\n");
    TestRules::new().compile(&rules).unwrap()
}

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, bytes) in custodian_sequences::seeds() {
        let Some(ledger) = custodian_sequences::ledger_after(&bytes) else { continue };
        let state = kept::lines(&ledger);
        if state.len() > crate::corpus::FILE_MAX || seeds.len() >= 24 {
            continue;
        }
        let halved = state[..state.len() / 2].to_vec();
        let damaged = patched(&state, &flip(600, 1));
        seeds.push((format!("{name}-halved"), halved));
        seeds.push((format!("{name}-damaged"), damaged));
        seeds.push((name, state));
    }
    seeds
}
