//! What is frozen, and how keys stand.

use super::*;

/// What is done to a key.
type Stop = fn(&mut Log);

#[test]
fn nothing_is_allowed_or_released_while_its_wallet_or_the_house_is_frozen() {
    let words = "the house was frozen";
    for scope in [FreezeScope::House, FreezeScope::Wallet(wallet("hot"))] {
        let mut log = Log::new();
        let (waiting, reserved) =
            (log.payment("friend", &["one"]), log.reserved("friend", &["one"]));
        let (lost, _) = log.lost(None);
        log.execute(Command::Freeze { scope: scope.clone() });
        assert_breaks(log.allow(&waiting), Invariant::Freezes, words);
        assert_breaks(log.sign(&reserved, &["one"]), Invariant::Freezes, words);
        // What people say about a signature that exists is a command, and no freeze stops those.
        let resolution = Resolution::Signed { signatures: vec![signature("one")] };
        log.execute(Command::ResolveOrder { order: lost, resolution });
        log.execute(Command::Thaw { scope });
        log.allow(&waiting).unwrap();
        log.sign(&reserved, &["one"]).unwrap();
    }
    let mut log = Log::new();
    let reserved = log.reserved("friend", &["one"]);
    log.execute(Command::Freeze { scope: FreezeScope::Wallet(wallet("cold")) });
    log.sign(&reserved, &["one"]).unwrap();
}

#[test]
fn a_recovery_that_lacks_what_a_known_head_is_over_freezes_the_house() {
    let mut log = Log::new();
    log.push(recovered(None)).unwrap();
    let _freely = log.reserved("friend", &["one"]);
    let mut log = Log::new();
    log.push(recovered(Some(head(9)))).unwrap();
    let order = log.payment("friend", &["one"]);
    assert_breaks(log.allow(&order), Invariant::Freezes, "the house was frozen");
    log.execute(Command::Thaw { scope: FreezeScope::House });
    log.allow(&order).unwrap();
}

#[test]
fn only_active_keys_of_the_wallet_sign() {
    let stops: [(&str, Stop); 5] = [
        ("Suspended", |log| {
            log.execute(Command::SuspendKey { key: key_id("one") });
        }),
        ("Suspended", |log| {
            log.lost(Some("one"));
        }),
        ("Deactivated", |log| {
            log.execute(Command::DeactivateKey { key: key_id("one") });
        }),
        ("Compromised", |log| {
            log.execute(Command::CompromiseKey { key: key_id("one") });
        }),
        ("Destroyed", |log| {
            log.push(EventBody::KeyDestroyed(key_id("one"))).unwrap();
        }),
    ];
    for (state, stop) in stops {
        let mut log = Log::new();
        let (reserved, other) =
            (log.reserved("friend", &["two", "one"]), log.reserved("friend", &["two"]));
        let waiting = log.payment("friend", &["one"]);
        stop(&mut log);
        let words = format!("which is Some({state})");
        assert_breaks(log.sign(&reserved, &["two", "one"]), Invariant::Keys, &words);
        assert_breaks(log.allow(&waiting), Invariant::Keys, &words);
        log.sign(&other, &["two"]).unwrap();
        if state == "Suspended" {
            log.execute(Command::ResumeKey { key: key_id("one") });
            log.sign(&reserved, &["two", "one"]).unwrap();
        }
    }
    let mut log = Log::new();
    log.create("hot", "later", KeyStart::PreActivation);
    log.create("cold", "other", KeyStart::Active);
    for (id, state) in [("later", "Some(PreActivation)"), ("other", "None"), ("nobody", "None")] {
        let order = log.payment("friend", &[id]);
        assert_breaks(log.allow(&order), Invariant::Keys, &format!("which is {state}"));
    }
    log.execute(Command::ActivateKey { key: key_id("later") });
    let order = log.reserved("friend", &["later"]);
    assert_breaks(log.sign(&order, &["one"]), Invariant::Signatures, "by other keys");
    log.sign(&order, &["later"]).unwrap();
}

#[test]
fn a_key_that_was_compromised_before_a_bad_signature_stays_so() {
    let mut log = Log::new();
    let reserved = log.reserved("friend", &["one"]);
    log.execute(Command::CompromiseKey { key: key_id("one") });
    let unknown = Conclusion::Unknown { reason: Hold::BadSignature, suspends: Some(key_id("one")) };
    log.conclude(&reserved, unknown).unwrap();
    let order = log.payment("friend", &["one"]);
    assert_breaks(log.allow(&order), Invariant::Keys, "which is Some(Compromised)");
}

#[test]
fn a_deactivated_key_sweeps_to_active_keys_of_its_wallet_and_does_nothing_else() {
    let mut log = Log::new();
    log.create("cold", "other", KeyStart::Active);
    log.execute(Command::DeactivateKey { key: key_id("one") });
    let (reserved, later) = (log.reserved("two", &["one"]), log.reserved("two", &["one"]));
    log.sign(&reserved, &["one"]).unwrap();
    for to in ["friend", "other", "one"] {
        let order = log.payment(to, &["one"]);
        assert_breaks(log.allow(&order), Invariant::Keys, "which is Some(Deactivated)");
    }
    let deploys = log.paying(vec![Effect::Deploy], &["one"]);
    assert_breaks(log.allow(&deploys), Invariant::Keys, "which is Some(Deactivated)");
    log.execute(Command::SuspendKey { key: key_id("two") });
    let signed = log.sign(&later, &["one"]);
    assert_breaks(signed, Invariant::Keys, "which is Some(Deactivated)");
}
