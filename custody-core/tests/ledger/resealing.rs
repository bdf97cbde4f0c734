//! Keys that are sealed anew, page by page: which result is the one of a page, and what is left.

use std::collections::BTreeSet;

use custody_core::command::{Command, CommandResult, KeyStart, ResealedKey};
use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::document::EventBody;
use custody_core::key::KeyState;
use custody_core::ledger::{CommandRefusal, LedgerError};
use custody_core::seam::DerivationPath;

use crate::house::{House, create_key, create_wallet, key_id, key_result, wallet};
use crate::state::read;

const DONE: CommandResult = CommandResult::Done {};

/// A house whose wallet `seeded` has a seed and four keys, one of them destroyed; and one of another
/// wallet.
fn house() -> House {
    let mut house = House::new();
    let handle = digest("seed");
    house.execute(create_wallet("seeded", Some("seed-1")), CommandResult::Seed { handle });
    for (number, name) in (0_u64..).zip(["a", "b", "c", "d"]) {
        let path = DerivationPath::parse(&format!("m/{number}")).unwrap();
        let derive = Command::DeriveAccount {
            wallet: wallet("seeded"),
            key: key_id(name),
            path,
            algorithm: Algorithm::Ed25519,
            start: KeyStart::PreActivation,
        };
        house.execute(derive, key_result(30 + number));
    }
    house.execute(Command::DestroyKey { key: key_id("b"), wait_ms: 0 }, DONE);
    house.push(EventBody::KeyDestroyed(key_id("b"))).unwrap();
    house.execute(Command::CompromiseKey { key: key_id("c") }, DONE);
    let states = ["a", "b", "c"].map(|key| house.ledger.key(&key_id(key)).unwrap().state());
    assert_eq!(states, [KeyState::PreActivation, KeyState::Destroyed, KeyState::Compromised]);
    house
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn reseal(after: Option<&str>, limit: u16) -> Command {
    Command::ResealKeys { wallet: wallet("seeded"), after: after.map(key_id), limit }
}

fn resealed(handles: &[(&str, &str)], next: Option<&str>) -> CommandResult {
    let handle =
        |(key, text): &(&str, &str)| ResealedKey { key: key_id(key), handle: digest(text) };
    CommandResult::Resealed {
        handles: handles.iter().map(handle).collect(),
        next: next.map(key_id),
    }
}

fn handle(house: &House, key: &str) -> Digest {
    *house.ledger.key(&key_id(key)).unwrap().handle()
}

#[test]
fn pages_go_from_the_seed_through_the_keys_that_exist_and_replace_their_handles() {
    let mut house = house();
    let before = house.ledger.clone();
    house.execute(reseal(None, 2), resealed(&[("seed-1", "1"), ("a", "2")], Some("a")));
    house.execute(reseal(Some("a"), 1), resealed(&[("c", "3")], Some("c")));
    house.execute(reseal(Some("c"), 9), resealed(&[("d", "4")], None));
    let seeded = house.ledger.wallet(&wallet("seeded")).unwrap();
    assert_eq!(seeded.seed_handle(), Some(&digest("1")));
    let handles = ["a", "c", "d"].map(|key| handle(&house, key));
    assert_eq!(handles, [digest("2"), digest("3"), digest("4")]);
    assert_eq!(handle(&house, "b"), *before.key(&key_id("b")).unwrap().handle());
    for key in ["a", "b", "c", "d", "key-1"].map(key_id) {
        let (now, then) = (house.ledger.key(&key).unwrap(), before.key(&key).unwrap());
        assert_eq!((now.public_key(), now.account()), (then.public_key(), then.account()));
        assert_eq!((now.state(), now.path()), (then.state(), then.path()), "{key}");
    }
    assert_eq!(house.rebuilt(), house.ledger);
    assert_eq!(read(&house.ledger.documents(&BTreeSet::new()).unwrap()), house.ledger);
}

#[test]
fn a_result_that_is_not_the_one_of_its_page_is_refused() {
    let old = key_result_handle(30);
    let first = ("seed-1", "1");
    let mut cases = vec![
        ("nothing", reseal(None, 2), DONE),
        ("no keys", reseal(None, 2), resealed(&[], None)),
        ("a key of another wallet", reseal(None, 1), resealed(&[("key-1", "1")], None)),
        ("an unknown key", reseal(None, 1), resealed(&[("x", "1")], Some("x"))),
        ("not the first", reseal(None, 1), resealed(&[("a", "1")], Some("a"))),
        ("one left out", reseal(None, 3), resealed(&[first, ("c", "2")], Some("c"))),
        ("a destroyed one", reseal(Some("a"), 1), resealed(&[("b", "1")], Some("b"))),
        ("more than the limit", reseal(None, 1), resealed(&[first, ("a", "2")], Some("a"))),
        ("one twice", reseal(None, 2), resealed(&[first, ("seed-1", "2")], Some("seed-1"))),
        ("two with one handle", reseal(None, 2), resealed(&[first, ("a", "1")], Some("a"))),
        ("its own handle", reseal(None, 1), resealed(&[("seed-1", "seed")], Some("seed-1"))),
        ("no end", reseal(Some("c"), 1), resealed(&[("d", "1")], Some("d"))),
        ("an early end", reseal(None, 1), resealed(&[first], None)),
        ("on from elsewhere", reseal(None, 1), resealed(&[first], Some("a"))),
        ("a seed's result", reseal(None, 1), CommandResult::Seed { handle: digest("1") }),
        ("a key's result", reseal(None, 1), key_result(77)),
        ("of another command", create_key("z", KeyStart::Active), resealed(&[first], None)),
    ];
    let stolen = ResealedKey { key: key_id("seed-1"), handle: old };
    let stolen = CommandResult::Resealed { handles: vec![stolen], next: Some(key_id("seed-1")) };
    cases.push(("another key's handle", reseal(None, 1), stolen));
    for (name, command, result) in cases {
        let mut house = house();
        let refused = house.try_execute(command, result);
        assert_eq!(refused, Err(LedgerError::Result), "{name}");
    }
}

/// SHA-256 of the handle in the result of this key's making.
fn key_result_handle(seed: u64) -> Digest {
    let CommandResult::Key { handle, .. } = key_result(seed) else { panic!("no key") };
    handle
}

#[test]
fn a_page_may_end_early_for_keys_that_were_recorded_meanwhile() {
    let mut house = house();
    house.execute(reseal(None, 9), resealed(&[("seed-1", "1"), ("a", "2")], Some("a")));
    house.execute(reseal(Some("a"), 9), resealed(&[("c", "3"), ("d", "4")], None));
}

#[test]
fn a_page_behind_the_last_key_is_empty() {
    let mut house = house();
    house.execute(reseal(Some("d"), 9), resealed(&[], None));
    let refused = house.try_execute(reseal(Some("d"), 9), resealed(&[("d", "1")], None));
    assert_eq!(refused, Err(LedgerError::Result));
    let mut bare = House::bare();
    bare.execute(create_wallet("hot", None), DONE);
    let command = Command::ResealKeys { wallet: wallet("hot"), after: None, limit: 1 };
    bare.execute(command, resealed(&[], None));
}

#[test]
fn a_handle_that_was_replaced_never_comes_back_even_after_a_state_was_read() {
    let mut house = house();
    let first = handle(&house, "a");
    let of_a = |handle: Digest| {
        let handles = vec![ResealedKey { key: key_id("a"), handle }];
        CommandResult::Resealed { handles, next: Some(key_id("a")) }
    };
    house.execute(reseal(Some("seed-1"), 1), of_a(digest("second")));
    for is_read in [false, true] {
        if is_read {
            house.ledger = read(&house.ledger.documents(&BTreeSet::new()).unwrap());
        }
        for old in [first, digest("second"), digest("seed")] {
            let refused = house.try_execute(reseal(Some("seed-1"), 1), of_a(old));
            assert_eq!(refused, Err(LedgerError::Result), "read: {is_read}");
        }
    }
    house.execute(reseal(Some("seed-1"), 1), of_a(digest("third")));
}

#[test]
fn a_key_is_sealed_anew_128_times_and_no_more() {
    let mut house = house();
    for number in 0..128 {
        let handle = number.to_string();
        house.execute(reseal(Some("c"), 1), resealed(&[("d", handle.as_str())], None));
    }
    let refused = Err(CommandRefusal::State { what: "number of a key's former handles" });
    for command in [reseal(Some("c"), 1), reseal(None, 128)] {
        assert_eq!(house.ledger.check(&command), refused);
    }
    assert_eq!(house.ledger.check(&reseal(None, 3)), Ok(()), "the page ends before it");
}
