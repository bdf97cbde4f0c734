//! The life of a key, through commands.

use std::time::Duration;

use custody_core::command::{Command, CommandResult, KeyStart, Resolution};
use custody_core::document::{Conclusion, EventBody, Hold, Verdict};
use custody_core::id::KeyId;
use custody_core::key::KeyState;
use custody_core::ledger::{CommandRefusal, LedgerError};

use crate::house::{Asked, House, create_key, create_wallet, key_id, key_result};

const DONE: CommandResult = CommandResult::Done {};

fn destroy(key: &str, wait_ms: u64) -> Command {
    Command::DestroyKey { key: key_id(key), wait_ms }
}

/// A house whose key `key-1` has come into this state by commands.
fn in_state(state: KeyState) -> House {
    let key = || key_id("key-1");
    let mut house = House::bare();
    house.execute(create_wallet("hot", None), DONE);
    let is_new = state == KeyState::PreActivation;
    let start = if is_new { KeyStart::PreActivation } else { KeyStart::Active };
    house.create_key("key-1", 11, start);
    match state {
        KeyState::PreActivation | KeyState::Active => {}
        KeyState::Suspended => house.execute(Command::SuspendKey { key: key() }, DONE),
        KeyState::Deactivated => house.execute(Command::DeactivateKey { key: key() }, DONE),
        KeyState::Compromised => house.execute(Command::CompromiseKey { key: key() }, DONE),
        KeyState::Destroyed => {
            house.execute(Command::DeactivateKey { key: key() }, DONE);
            house.execute(destroy("key-1", 0), DONE);
            house.push(EventBody::KeyDestroyed(key())).unwrap();
        }
    }
    assert_eq!(house.ledger.key(&key()).unwrap().state(), state);
    house
}

fn due_now(house: &House) -> Vec<KeyId> {
    house.ledger.due_destructions(house.now).cloned().collect()
}

#[test]
fn each_command_moves_a_key_from_the_states_of_the_table_only() {
    use KeyState::{Active, Compromised, Deactivated, Destroyed, PreActivation, Suspended};
    type Make = fn(KeyId) -> Command;
    let table: [(Make, KeyState, &[KeyState]); 6] = [
        (|key| Command::ActivateKey { key }, Active, &[PreActivation]),
        (|key| Command::SuspendKey { key }, Suspended, &[Active]),
        (|key| Command::ResumeKey { key }, Active, &[Suspended]),
        (|key| Command::DeactivateKey { key }, Deactivated, &[Active, Suspended]),
        (
            |key| Command::CompromiseKey { key },
            Compromised,
            &[PreActivation, Active, Suspended, Deactivated],
        ),
        (
            |key| Command::DestroyKey { key, wait_ms: 0 },
            Destroyed,
            &[PreActivation, Deactivated, Compromised],
        ),
    ];
    for (make, next, from) in table {
        for state in KeyState::ALL {
            let mut house = in_state(state);
            let command = make(key_id("key-1"));
            let name = command.action();
            if !from.contains(&state) {
                let refused = CommandRefusal::KeyState { state };
                assert_eq!(house.ledger.check(&command), Err(refused), "{name} from {state}");
                continue;
            }
            house.execute(command, DONE);
            if next == Destroyed {
                house.push(EventBody::KeyDestroyed(key_id("key-1"))).unwrap();
            }
            assert_eq!(house.ledger.key(&key_id("key-1")).unwrap().state(), next, "{name}");
        }
    }
}

#[test]
fn a_destruction_waits_until_it_is_due() {
    let mut house = in_state(KeyState::Deactivated);
    house.execute(destroy("key-1", 1_000), DONE);
    let due = house.now.after(Duration::from_millis(1_000));
    assert_eq!(house.ledger.key(&key_id("key-1")).unwrap().destruction(), Some(due));
    house.wait(Duration::from_millis(999));
    assert_eq!(due_now(&house), []);
    assert_eq!(house.push(EventBody::KeyDestroyed(key_id("key-1"))), Err(LedgerError::Time));
    house.wait(Duration::from_millis(1));
    assert_eq!(due_now(&house), [key_id("key-1")]);
    house.push(EventBody::KeyDestroyed(key_id("key-1"))).unwrap();
    let key = house.ledger.key(&key_id("key-1")).unwrap();
    assert_eq!((key.state(), key.destruction()), (KeyState::Destroyed, None));
    assert_eq!(due_now(&house), []);
}

#[test]
fn a_destruction_can_be_taken_back_and_scheduled_again() {
    let mut house = in_state(KeyState::Compromised);
    let cancel = || Command::CancelDestroy { key: key_id("key-1") };
    assert_eq!(house.ledger.check(&cancel()), Err(CommandRefusal::State { what: "key" }));
    house.execute(destroy("key-1", 0), DONE);
    assert_eq!(
        house.ledger.check(&destroy("key-1", 0)),
        Err(CommandRefusal::State { what: "key" })
    );
    house.execute(cancel(), DONE);
    assert_eq!(house.push(EventBody::KeyDestroyed(key_id("key-1"))), Err(LedgerError::Time));
    house.execute(destroy("key-1", 0), DONE);
    house.push(EventBody::KeyDestroyed(key_id("key-1"))).unwrap();
}

#[test]
fn a_key_whose_destruction_is_scheduled_can_only_be_compromised() {
    let mut house = in_state(KeyState::PreActivation);
    house.execute(destroy("key-1", 1_000), DONE);
    let refused = Err(CommandRefusal::State { what: "key whose destruction is scheduled" });
    assert_eq!(house.ledger.check(&Command::ActivateKey { key: key_id("key-1") }), refused);
    house.execute(Command::CompromiseKey { key: key_id("key-1") }, DONE);
}

#[test]
fn a_destruction_waits_at_most_thirty_days() {
    let house = in_state(KeyState::Deactivated);
    let most = 30 * 86_400_000;
    assert_eq!(house.ledger.check(&destroy("key-1", most)), Ok(()));
    let refused = Err(CommandRefusal::Malformed { what: "waiting period" });
    assert_eq!(house.ledger.check(&destroy("key-1", most + 1)), refused);
}

#[test]
fn a_key_with_reserved_or_unknown_orders_is_neither_deactivated_nor_destroyed() {
    let mut house = House::new();
    let order = house.pay(1);
    let deactivate = Command::DeactivateKey { key: key_id("key-1") };
    assert_eq!(house.ledger.check(&deactivate), Ok(()), "a pending order reserves nothing");
    house.decide(&order, Verdict::Allowed).unwrap();
    let refused = Err(CommandRefusal::OpenOrders { count: 1 });
    assert_eq!(house.ledger.check(&deactivate), refused);
    let outcome = Conclusion::Unknown { reason: Hold::TimedOut, suspends: None };
    house.conclude(&order, outcome).unwrap();
    assert_eq!(house.ledger.check(&deactivate), refused);
    house.execute(Command::CompromiseKey { key: key_id("key-1") }, DONE);
    assert_eq!(house.ledger.check(&destroy("key-1", 0)), refused);
}

#[test]
fn a_destruction_that_is_due_waits_for_orders_under_way() {
    let mut house = House::new();
    house.create_key("key-2", 12, KeyStart::Active);
    house.execute(Command::DeactivateKey { key: key_id("key-1") }, DONE);
    house.execute(destroy("key-1", 1_000), DONE);
    let order = house.pay(1);
    house.decide(&order, Verdict::Allowed).unwrap();
    house.wait(Duration::from_secs(2));
    assert_eq!(due_now(&house), []);
    let destroyed = || EventBody::KeyDestroyed(key_id("key-1"));
    let refused = Err(LedgerError::Command(CommandRefusal::OpenOrders { count: 1 }));
    assert_eq!(house.push(destroyed()), refused, "no log has it either");
    house.conclude(&order, Conclusion::Failed { reason: Hold::Frozen }).unwrap();
    assert_eq!(due_now(&house), [key_id("key-1")]);
    house.push(destroyed()).unwrap();
}

#[test]
fn no_log_has_a_key_destroyed_that_an_order_may_have_kept() {
    let destroyed = || EventBody::KeyDestroyed(key_id("key-1"));
    let cancel = || Command::CancelDestroy { key: key_id("key-1") };
    let mut house = in_state(KeyState::Deactivated);
    house.execute(destroy("key-1", 1_000), DONE);
    let order = house.submit("ada", Asked::Command(cancel()));
    house.wait(Duration::from_secs(2));
    house.clone().push(destroyed()).expect("an order that waits keeps nothing");
    house.decide(&order, Verdict::Allowed).unwrap();
    let what = "order that may keep the key";
    let refused = Err(LedgerError::Command(CommandRefusal::State { what }));
    assert_eq!(house.push(destroyed()), refused, "while it is reserved");
    let mut failed = house.clone();
    failed.conclude(&order, Conclusion::Failed { reason: Hold::BackendRefused }).unwrap();
    failed.push(destroyed()).expect("nothing was kept");
    let mut kept = house.clone();
    kept.conclude(&order, Conclusion::Executed { result: DONE }).unwrap();
    assert_eq!(kept.push(destroyed()), Err(LedgerError::Time));
    house.conclude(&order, Conclusion::Unknown { reason: Hold::TimedOut, suspends: None }).unwrap();
    assert_eq!(house.push(destroyed()), refused, "while nobody knows");
    assert_eq!(due_now(&house), []);
    let resolution = Resolution::Failed { reason: "the backend was asked".to_owned() };
    house.execute(Command::ResolveOrder { order, resolution }, DONE);
    house.push(destroyed()).unwrap();
}

#[test]
fn a_signature_that_does_not_verify_suspends_its_key() {
    let mut house = House::new();
    let order = house.pay(1);
    house.decide(&order, Verdict::Allowed).unwrap();
    let suspends = Some(key_id("key-1"));
    house.conclude(&order, Conclusion::Unknown { reason: Hold::BadSignature, suspends }).unwrap();
    assert_eq!(house.ledger.key(&key_id("key-1")).unwrap().state(), KeyState::Suspended);
}

#[test]
fn two_key_ids_never_get_one_public_key() {
    let mut house = House::new();
    let refused = house.try_execute(create_key("key-2", KeyStart::Active), key_result(11));
    assert_eq!(refused, Err(LedgerError::Result));
    assert!(house.ledger.key(&key_id("key-2")).is_none());
}

#[test]
fn a_result_that_does_not_fit_its_command_is_refused() {
    for (command, result) in [
        (create_key("key-2", KeyStart::Active), DONE),
        (create_key("key-2", KeyStart::Active), seed()),
        (create_wallet("cold", Some("seed-1")), DONE),
        (create_wallet("cold", None), seed()),
    ] {
        let mut house = House::new();
        let name = command.action();
        assert_eq!(house.try_execute(command, result), Err(LedgerError::Result), "{name}");
    }
}

fn seed() -> CommandResult {
    CommandResult::Seed { handle: custody_core::digest::Digest::of(b"seed") }
}

#[test]
fn what_suspends_a_key_calls_off_whatever_is_to_make_it_active() {
    let again =
        |house: &mut House| house.execute(Command::SuspendKey { key: key_id("key-1") }, DONE);
    let wrong = |house: &mut House| {
        let order = house.pay(5);
        house.decide(&order, Verdict::Allowed).unwrap();
        let suspends = Some(key_id("key-1"));
        let lost = Conclusion::Unknown { reason: Hold::BadSignature, suspends };
        house.conclude(&order, lost).unwrap();
    };
    let stops: [fn(&mut House); 2] = [again, wrong];
    for stop in stops {
        let mut house = in_state(KeyState::Suspended);
        let resume = Command::ResumeKey { key: key_id("key-1") };
        let order = house.submit("ada", Asked::Command(resume.clone()));
        house.decide(&order, Verdict::Allowed).unwrap();
        stop(&mut house);
        let late = house.conclude(&order, Conclusion::Executed { result: DONE });
        let expected = CommandRefusal::State { what: "key that was suspended since" };
        assert_eq!(late, Err(LedgerError::Command(expected)));
        assert_eq!(house.rebuilt(), house.ledger);
        house.conclude(&order, Conclusion::Failed { reason: Hold::Conflict }).unwrap();
        house.execute(resume, DONE);
        let state = house.ledger.key(&key_id("key-1")).unwrap().state();
        assert_eq!(state, KeyState::Active);
    }
}
