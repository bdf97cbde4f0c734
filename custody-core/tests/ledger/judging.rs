//! What the rules are told about an order, and what holds it whatever they say.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use custody_core::amount::Units;
use custody_core::command::{Command, CommandResult, FreezeScope, KeyStart};
use custody_core::digest::Digest;
use custody_core::document::{Hold, Verdict};
use custody_core::id::{BookId, OrderId, PolicyId, RuleId};
use custody_core::ledger::{CommandRefusal, Decision, LedgerError};
use custody_core::seam::{
    Authentication, DestinationFacts, Facts, Judgement, Missing, MoneyFacts, PolicyEngine,
    Requirement,
};
use custody_core::time::Timestamp;

use crate::house::{
    Asked, DAY, House, START, account, credential, credential_id, key_id, newcomer, policy,
    principal, wallet,
};
use crate::state::read;

/// An engine that answers as it is told, and remembers what it was told.
#[derive(Debug)]
struct Told {
    allowed: bool,
    errors: Vec<RuleId>,
    missing: Missing,
    heard: Mutex<Vec<(Option<MoneyFacts>, Option<DestinationFacts>)>>,
}

impl Told {
    fn new(allowed: bool) -> Self {
        let (errors, missing) = (Vec::new(), Missing::Never);
        Self { allowed, errors, missing, heard: Mutex::default() }
    }
}

impl PolicyEngine for Told {
    fn id(&self) -> PolicyId {
        PolicyId::new(Digest::of(b"told"))
    }

    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        let heard = facts.effects.iter();
        let heard = heard.map(|effect| (effect.money.clone(), effect.destination.clone()));
        self.heard.lock().unwrap().extend(heard);
        let errors = self.errors.clone();
        Judgement { allowed: self.allowed, rules: Vec::new(), errors }
    }

    fn missing(&self, _: &Facts<'_>) -> Missing {
        self.missing.clone()
    }
}

fn decide(house: &House, engine: &Told, order: &OrderId) -> Decision {
    house.ledger.decide(engine, house.ledger.order(order).unwrap(), house.now)
}

/// What the engine is told about money and destination of a payment.
fn told(house: &House, order: &OrderId) -> (MoneyFacts, DestinationFacts) {
    let engine = Told::new(false);
    assert!(!decide(house, &engine, order).allowed);
    let (money, destination) = engine.heard.into_inner().unwrap().remove(0);
    (money.unwrap(), destination.unwrap())
}

/// The rule that made a denial, if none of the engine's did, and whether it is for good.
fn held(house: &House, order: &OrderId) -> Option<(String, bool)> {
    let engine = Told::new(true);
    let decision = decide(house, &engine, order);
    let asked = !engine.heard.into_inner().unwrap().is_empty();
    assert_eq!(decision.allowed, asked, "an engine is asked if and only if nothing holds");
    decision.rules.first().map(|rule| (rule.to_string(), decision.is_final))
}

fn stopped(house: &House, order: &OrderId) -> Option<Hold> {
    house.ledger.stop(house.ledger.order(order).unwrap())
}

fn done(house: &mut House, command: Command) {
    house.execute(command, CommandResult::Done {});
}

fn address(book: &str, number: u64) -> Command {
    Command::AddAddress { book: BookId::parse(book).unwrap(), account: account(number) }
}

#[test]
fn an_order_is_allowed_by_a_judgement_without_errors_only() {
    let mut house = House::new();
    let order = house.pay(1);
    for (allowed, errors, expected) in
        [(true, 0, true), (true, 1, false), (false, 0, false), (false, 1, false)]
    {
        let errors = vec![RuleId::parse("broken").unwrap(); errors];
        let engine = Told { errors: errors.clone(), ..Told::new(allowed) };
        let decision = decide(&house, &engine, &order);
        assert_eq!((decision.allowed, &decision.errors), (expected, &errors), "{allowed}");
        assert!(!decision.is_final, "approvals and time may change it");
    }
}

#[test]
fn what_no_rule_can_change_is_said_before_the_rules_are_asked() {
    let remove = || Command::RemovePrincipal { principal: principal("olivia") };
    let final_ = |rule: &str| Some((rule.to_owned(), true));
    let frozen = Some(("frozen".to_owned(), false));
    let freeze = |scope| Command::Freeze { scope };
    for (command, expected) in [
        (freeze(FreezeScope::House), frozen.clone()),
        (freeze(FreezeScope::Wallet(wallet("hot"))), frozen),
        (Command::SuspendKey { key: key_id("key-1") }, final_("key-state")),
        (Command::CompromiseKey { key: key_id("key-1") }, final_("key-state")),
        (remove(), final_("requester-removed")),
    ] {
        let mut house = House::new();
        let order = house.pay(1);
        assert_eq!(held(&house, &order), None);
        let name = command.action();
        done(&mut house, command);
        assert_eq!(held(&house, &order), expected, "{name}");
    }
    let mut house = House::new();
    let order = house.pay(1);
    house.wait(DAY);
    assert_eq!(held(&house, &order), None, "in its last millisecond");
    house.wait(Duration::from_millis(1));
    assert_eq!(held(&house, &order), final_("expired"));
}

#[test]
fn rules_under_which_they_could_never_be_changed_are_refused() {
    let house = House::new();
    let rules = String::from_utf8(policy("// new").to_bytes().unwrap()).unwrap();
    let check = |engine: &Told| house.ledger.check_succession(&rules, engine, house.now);
    let someday = Missing::Await { options: vec![Requirement::default()], complete: true };
    assert_eq!(check(&Told::new(true)), Ok(()));
    assert_eq!(check(&Told { missing: someday, ..Told::new(false) }), Ok(()));
    let refused = check(&Told::new(false));
    assert!(
        matches!(refused, Err(LedgerError::Command(CommandRefusal::Policy { .. }))),
        "{refused:?}"
    );
    assert!(house.ledger.check_succession("{}", &Told::new(true), house.now).is_err());
}

#[test]
fn a_freeze_holds_no_command() {
    let mut house = House::new();
    let order = house.submit("ada", Asked::Command(Command::ConfirmClock {}));
    done(&mut house, Command::Freeze { scope: FreezeScope::House });
    assert_eq!(held(&house, &order), None);
    assert_eq!(stopped(&house, &order), None);
}

#[test]
fn a_deactivated_key_pays_nobody_but_an_active_account_of_its_wallet() {
    let mut house = House::new();
    let order = house.pay(1);
    done(&mut house, Command::DeactivateKey { key: key_id("key-1") });
    let refused = Some(("key-state".to_owned(), true));
    assert_eq!(held(&house, &order), refused, "to an account of no key");
    // Payments go to this account.
    house.create_key("key-2", 2, KeyStart::Active);
    assert_eq!(held(&house, &order), None, "to an active account");
    done(&mut house, Command::SuspendKey { key: key_id("key-2") });
    assert_eq!(held(&house, &order), refused, "to an account whose key is suspended");
}

#[test]
fn an_allowed_order_stops_when_somebody_who_was_counted_or_asked_is_removed() {
    for (name, expected) in [
        ("tara", Some(Hold::ApproverRemoved)),
        ("olivia", Some(Hold::ApproverRemoved)),
        ("theo", None),
        ("ada", None),
    ] {
        let mut house = House::new();
        let order = house.pay(1);
        house.approve(&order, "tara").unwrap();
        house.decide(&order, Verdict::Allowed).unwrap();
        assert_eq!(stopped(&house, &order), None);
        done(&mut house, Command::RemovePrincipal { principal: principal(name) });
        assert_eq!(stopped(&house, &order), expected, "{name}");
    }
}

#[test]
fn an_order_stays_stopped_when_whoever_was_removed_is_enrolled_again() {
    for (name, seed, expected) in [
        ("tara", 3, Some(Hold::ApproverRemoved)),
        ("olivia", 2, Some(Hold::ApproverRemoved)),
        ("theo", 4, None),
    ] {
        let mut house = House::new();
        let order = house.pay(1);
        house.approve(&order, "tara").unwrap();
        house.decide(&order, Verdict::Allowed).unwrap();
        let before = house.ledger.order(&order).unwrap().clone();
        done(&mut house, Command::RemovePrincipal { principal: principal(name) });
        done(&mut house, Command::EnrollPrincipal { principal: newcomer(name, seed) });
        assert_eq!(stopped(&house, &order), expected, "{name}");
        // As a job has it that began before.
        assert_eq!(house.ledger.stop(&before), expected, "{name}");
        assert_eq!(house.rebuilt(), house.ledger, "{name}");
        let written = house.ledger.documents(&BTreeSet::new()).unwrap();
        assert_eq!(read(&written), house.ledger, "{name}");
    }
}

#[test]
fn what_was_asked_for_before_a_removal_is_held_for_good_though_its_requester_is_enrolled_again() {
    // With the old key, and with another.
    for seed in [2, 44] {
        let mut house = House::new();
        let order = house.pay(1);
        house.approve(&order, "theo").unwrap();
        let command = house.submit("olivia", Asked::Command(Command::ConfirmClock {}));
        done(&mut house, Command::RemovePrincipal { principal: principal("olivia") });
        done(&mut house, Command::EnrollPrincipal { principal: newcomer("olivia", seed) });
        let expected = Some(("requester-removed".to_owned(), true));
        assert_eq!(held(&house, &order), expected);
        assert_eq!(held(&house, &command), expected);
        let own = house.pay(2);
        assert_eq!(held(&house, &own), None, "it is judged as any other");
        assert_eq!((can_be_released(&house, &order), can_be_released(&house, &own)), (false, true));
        assert_eq!(house.rebuilt(), house.ledger);
        let written = house.ledger.documents(&BTreeSet::new()).unwrap();
        assert_eq!(read(&written), house.ledger);
        // What waits for no thaw is not said to.
        done(&mut house, Command::Freeze { scope: FreezeScope::House });
        assert_eq!(held(&house, &order), expected);
        assert_eq!(held(&house, &own), Some(("frozen".to_owned(), false)));
        // Nor does a log release it that claims that it was allowed.
        house.decide(&order, Verdict::Allowed).unwrap();
        done(&mut house, Command::Thaw { scope: FreezeScope::House });
        assert_eq!(stopped(&house, &order), Some(Hold::ApproverRemoved));
    }
}

/// Whether approvals could release an order, under rules that ask for some.
fn can_be_released(house: &House, order: &OrderId) -> bool {
    let missing = Missing::Await { options: vec![Requirement::default()], complete: true };
    let engine = Told { missing, ..Told::new(false) };
    let order = house.ledger.order(order).unwrap();
    house.ledger.missing(&engine, order, house.now) != Missing::Never
}

#[test]
fn a_removed_credential_has_signed_nothing_that_waits() {
    let signed = || Authentication { factors: 2, signed: true, ..Authentication::default() };
    let payment = || Asked::Payment { key: "key-1", units: Units::from(1_u64) };
    let says = |house: &House, order: &OrderId| {
        let order = house.ledger.order(order).unwrap();
        let said = |facts: &Facts<'_>| facts.authentication.clone();
        house.ledger.facts_at(order, house.now, said).unwrap()
    };
    let mut house = House::new();
    let order = house.submit_as("olivia", payment(), signed());
    let allowed = house.submit_as("olivia", payment(), signed());
    house.decide(&allowed, Verdict::Allowed).unwrap();
    let other = house.submit_as("tara", Asked::Command(Command::ConfirmClock {}), signed());
    assert_eq!(says(&house, &order), signed());
    let (olivia, lost) = (principal("olivia"), credential_id(2));
    let (again, name) = (olivia.clone(), lost.clone());
    done(&mut house, Command::RemoveCredential { principal: olivia, credential: lost });
    assert_eq!(says(&house, &order), Authentication { signed: false, ..signed() });
    for untouched in [&allowed, &other] {
        assert_eq!(says(&house, untouched), signed());
    }
    let key = credential(44);
    done(&mut house, Command::EnrollCredential { principal: again, credential: name, key });
    assert!(!says(&house, &order).signed, "another key of the same name has not signed it");
    let own = house.submit_as("olivia", payment(), signed());
    assert_eq!(says(&house, &own), signed());
    assert_eq!(house.rebuilt(), house.ledger);
    let written = house.ledger.documents(&BTreeSet::new()).unwrap();
    assert_eq!(read(&written), house.ledger);
}

#[test]
fn an_allowed_order_stops_by_a_freeze_or_its_key_and_not_by_time() {
    let freeze = |scope| Command::Freeze { scope };
    for (command, expected) in [
        (freeze(FreezeScope::House), Hold::Frozen),
        (freeze(FreezeScope::Wallet(wallet("hot"))), Hold::Frozen),
        (Command::SuspendKey { key: key_id("key-1") }, Hold::KeyState),
    ] {
        let mut house = House::new();
        let order = house.pay(1);
        house.decide(&order, Verdict::Allowed).unwrap();
        house.wait(DAY * 2);
        assert_eq!(stopped(&house, &order), None);
        done(&mut house, command);
        assert_eq!(stopped(&house, &order), Some(expected));
    }
}

#[test]
fn a_destination_is_known_since_it_stands_in_its_first_book() {
    let mut house = House::new();
    let order = house.pay(1);
    assert_eq!(told(&house, &order).1, DestinationFacts::default());
    done(&mut house, address("contracts", 7));
    assert_eq!(told(&house, &order).1, DestinationFacts::default(), "another address");
    done(&mut house, address("vendors", 2));
    house.wait(Duration::from_secs(1));
    done(&mut house, address("contracts", 2));
    let books = ["contracts", "vendors"].map(|book| BookId::parse(book).unwrap()).to_vec();
    let expected =
        DestinationFacts { books, known_since: Some(START), self_owned: false, resembles: false };
    assert_eq!(told(&house, &order).1, expected);
    let book = BookId::parse("vendors").unwrap();
    done(&mut house, Command::RemoveAddress { book, account: account(2) });
    let known_since = Some(Timestamp::from_millis(START.as_millis() + 1_000));
    let books = vec![BookId::parse("contracts").unwrap()];
    assert_eq!(
        told(&house, &order).1,
        DestinationFacts { books, known_since, self_owned: false, resembles: false }
    );
}

#[test]
fn an_account_is_the_houses_own_until_its_key_is_lost_or_out_of_use_for_good() {
    let key = || key_id("key-2");
    let destroy = Command::DestroyKey { key: key(), wait_ms: 86_400_000 };
    let compromise = Command::CompromiseKey { key: key() };
    let cancel = Command::CancelDestroy { key: key() };
    for (commands, expected) in [
        (vec![], true),
        (vec![Command::SuspendKey { key: key() }], true),
        (vec![Command::DeactivateKey { key: key() }], false),
        (vec![compromise.clone()], false),
        (vec![compromise, destroy.clone(), cancel], false),
    ] {
        let mut house = House::new();
        // Payments go to this account.
        house.create_key("key-2", 2, KeyStart::Active);
        let order = house.pay(1);
        let said = format!("{commands:?}");
        commands.into_iter().for_each(|command| done(&mut house, command));
        let told = told(&house, &order).1;
        assert_eq!((told.self_owned, told.resembles), (expected, false), "{said}");
    }
    let mut house = House::new();
    house.create_key("key-2", 2, KeyStart::PreActivation);
    let order = house.pay(1);
    assert!(told(&house, &order).1.self_owned);
    done(&mut house, destroy);
    assert!(!told(&house, &order).1.self_owned);
}

#[test]
fn money_is_told_with_decimals_the_orders_total_and_what_was_spent_with_it() {
    let mut house = House::new();
    let first = house.pay(5);
    house.decide(&first, Verdict::Allowed).unwrap();
    let order = house.pay(7);
    let (money, _) = told(&house, &order);
    assert_eq!((money.decimals, money.order_total), (Some(18), Units::from(7_u64)));
    assert_eq!((money.fee, money.value), (Units::ZERO, None));
    let twelve = Units::from(12_u64);
    for sums in [money.spent.wallet, money.spent.requester, money.spent.destination] {
        assert_eq!([sums.h1, sums.h24, sums.d7, sums.d30], [twelve; 4]);
    }
    let decision = decide(&house, &Told::new(false), &order);
    assert_eq!(decision.windows.len(), 3);
    assert!(decision.windows.iter().all(|used| used.sums.unwrap().d30 == twelve));
}

#[test]
fn what_passes_the_largest_sum_is_denied_for_good() {
    let mut house = House::new();
    let asked = || Asked::Payment { key: "key-1", units: Units::MAX };
    let (first, second) = (house.submit("olivia", asked()), house.submit("olivia", asked()));
    assert_eq!(held(&house, &second), None);
    house.decide(&first, Verdict::Allowed).unwrap();
    assert_eq!(held(&house, &second), Some(("amount-overflow".to_owned(), true)));
}
