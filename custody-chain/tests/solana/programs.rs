//! What instructions of the system program, of stake, of memos and of unknown programs become.

use solana_address::Address;

use crate::support::{
    Ix, MALFORMED, MEMO, MESSAGE, STAKE, SYSTEM, address_of, context, decode, decode_as, facts, ix,
    keys, me, message, other, parts, pay, sol, system, told,
};

const FEE: &str = "fee 5000";

pub(crate) fn word(number: u64) -> [u8; 8] {
    number.to_le_bytes()
}

/// A text as these programs have it: its length in eight bytes, then its bytes.
fn text(text: &str) -> Vec<u8> {
    [&word(u64::try_from(text.len()).unwrap())[..], text.as_bytes()].concat()
}

/// Each instruction is told as expected, and with a byte more it is a call and malformed.
fn table(cases: &[(&str, Ix, Vec<String>)]) {
    for (name, instruction, expected) in cases {
        let intent = decode(&message(std::slice::from_ref(instruction)));
        let intent = intent.unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut lines = told(&intent);
        assert_eq!(lines.pop().as_deref(), Some(FEE), "{name}");
        assert_eq!(&lines, expected, "{name}");
        assert_eq!(intent.summary.len(), intent.effects.len(), "{name}");
        assert!(!facts(&intent).contains(&MALFORMED), "{name}");
        let mut longer = instruction.clone();
        longer.data.push(0);
        let intent = decode(&message(&[longer])).unwrap();
        assert!(facts(&intent).contains(&MALFORMED), "{name}, a byte more");
        let lines = told(&intent);
        assert_eq!(lines.len(), 2, "{name}, a byte more");
        let called = format!("call {} ", instruction.program);
        assert!(lines[0].starts_with(&called), "{name}, a byte more: {}", lines[0]);
    }
}

#[test]
fn a_transfer_of_lamports_is_told_as_it_is() {
    let bytes = message(&[pay(me(), other(1), 1_500_000_000)]);
    let intent = decode(&bytes).unwrap();
    assert_eq!(told(&intent), [sol(1_500_000_000, me(), other(1)), FEE.to_owned()]);
    assert!(intent.facts.is_empty());
    assert_eq!(intent.tasks.len(), 1);
    assert_eq!(intent.tasks[0].input.as_input().as_bytes(), bytes);
    let line = format!(
        "transfer 1500000000 solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/slip44:501 to {}",
        other(1)
    );
    assert_eq!(intent.summary[0], line);
}

#[test]
fn the_system_program_moves_lamports_and_changes_owners() {
    let (a, b, c) = (other(1), other(2), other(3));
    let owner = c.to_bytes();
    let seeded = [&c.to_bytes()[..], &text("seed"), &word(5), &word(80), &owner].concat();
    let from_seed = [&word(9)[..], &text("seed"), &owner].concat();
    let allocate_seed = [&c.to_bytes()[..], &text("seed"), &word(80), &owner].concat();
    let assign_seed = [&c.to_bytes()[..], &text("seed"), &owner].concat();
    let create = [&word(5)[..], &word(80), &owner].concat();
    let created = |number: u32| format!("administer {b} 0x{number:02x}000000 owner={c} space=80");
    let it = |number: u32, named: &str| vec![format!("administer {a} 0x{number:02x}000000{named}")];
    let advanced = format!("call {SYSTEM} 0x04000000 authority={c} nonce={a}");
    let upgrade = format!("call {SYSTEM} 0x0c000000 account_0={a} accounts=1 data=0c000000");
    table(&[
        ("create", system(0, &[a, b], &[&create]), vec![sol(5, a, b), created(0)]),
        ("create by seed", system(3, &[a, b], &[&seeded]), vec![sol(5, a, b), created(3)]),
        ("create prefunded", system(13, &[b, a], &[&create]), vec![sol(5, a, b), created(13)]),
        ("assign", system(1, &[a], &[&owner]), it(1, &format!(" owner={c}"))),
        ("transfer", system(2, &[a, b], &[&word(9)]), vec![sol(9, a, b)]),
        ("transfer by seed", system(11, &[a, c, b], &[&from_seed]), vec![sol(9, a, b)]),
        ("advance a nonce", system(4, &[a, b, c], &[]), vec![advanced]),
        ("withdraw a nonce", system(5, &[a, b, c], &[&word(9)]), vec![sol(9, a, b)]),
        ("begin a nonce", system(6, &[a], &[&owner]), it(6, &format!(" authority={c}"))),
        ("authorize a nonce", system(7, &[a], &[&owner]), it(7, &format!(" authority={c}"))),
        ("allocate", system(8, &[a], &[&word(80)]), it(8, " space=80")),
        (
            "allocate by seed",
            system(9, &[a, c], &[&allocate_seed]),
            it(9, &format!(" owner={c} seed=seed space=80")),
        ),
        ("assign by seed", system(10, &[a, c], &[&assign_seed]), it(10, &format!(" owner={c}"))),
        ("upgrade a nonce", system(12, &[a], &[]), vec![upgrade]),
    ]);
}

pub(crate) fn stake(number: u32, accounts: &[Address], fields: &[&[u8]]) -> Ix {
    let data = [&number.to_le_bytes()[..], &fields.concat()].concat();
    ix(STAKE, accounts, &data)
}

#[test]
fn the_stake_program_moves_stake_and_changes_authorities() {
    let (a, b, c, d) = (other(1), other(2), other(3), other(4));
    let key = c.to_bytes();
    let authorized = [key, d.to_bytes()].concat();
    let lockup = [&word(11)[..], &word(12), &b.to_bytes()].concat();
    let seeded = [&key[..], &[1, 0, 0, 0], &text("s"), &key].concat();
    let checked_seed = [&[0, 0, 0, 0][..], &text("s"), &key].concat();
    let some = [&[1][..], &word(11), &[1], &word(12), &[1], &b.to_bytes()].concat();
    let it = |number: u32, named: &str| vec![format!("administer {a} 0x{number:02x}000000{named}")];
    let call =
        |number: u32, named: &str| vec![format!("call {STAKE} 0x{number:02x}000000 {named}")];
    let plain =
        |number: u32, named: &str| call(number, &format!("{named} data={number:02x}000000"));
    let begun =
        format!(" lockup_custodian={b} lockup_epoch=12 lockup_time=11 staker={c} withdrawer={d}");
    let locked = format!(" lockup_custodian={b} lockup_epoch=12 lockup_time=11");
    table(&[
        ("initialize", stake(0, &[a], &[&authorized, &lockup]), it(0, &begun)),
        ("authorize", stake(1, &[a], &[&key, &[1, 0, 0, 0]]), it(1, &format!(" withdrawer={c}"))),
        ("delegate", stake(2, &[a, b], &[]), call(2, &format!("stake={a} vote={b}"))),
        ("split", stake(3, &[a, b], &[&word(9)]), vec![sol(9, a, b)]),
        ("withdraw", stake(4, &[a, b], &[&word(9)]), vec![sol(9, a, b)]),
        ("deactivate", stake(5, &[a], &[]), call(5, &format!("stake={a}"))),
        ("lock up", stake(6, &[a], &[&some]), it(6, &locked)),
        ("lock up nothing", stake(6, &[a], &[&[0, 0, 0]]), it(6, "")),
        ("merge", stake(7, &[a, b], &[]), call(7, &format!("from={b} stake={a}"))),
        ("authorize by seed", stake(8, &[a, b], &[&seeded]), it(8, &format!(" withdrawer={c}"))),
        (
            "initialize, checked",
            stake(9, &[a, b, c, d], &[]),
            it(9, &format!(" staker={c} withdrawer={d}")),
        ),
        (
            "authorize, checked",
            stake(10, &[a, b, d, c], &[&[0, 0, 0, 0]]),
            it(10, &format!(" staker={c}")),
        ),
        (
            "authorize by seed, checked",
            stake(11, &[a, b, d, c], &[&checked_seed]),
            it(11, &format!(" staker={c}")),
        ),
        ("lock up, checked", stake(12, &[a, d, b], &[&some[..18]]), it(12, &locked)),
        (
            "deactivate a delinquent",
            stake(14, &[a], &[]),
            plain(14, &format!("account_0={a} accounts=1")),
        ),
        ("redelegate", stake(15, &[a], &[]), plain(15, &format!("account_0={a} accounts=1"))),
        ("move stake", stake(16, &[a, b], &[&word(9)]), vec![sol(9, a, b)]),
        ("move lamports", stake(17, &[a, b], &[&word(9)]), vec![sol(9, a, b)]),
    ]);
}

#[test]
fn a_memo_is_a_call_that_says_the_memo() {
    let (long, turned) = ("m".repeat(257), "turned \u{202e}round");
    let digest = custody_core::digest::Digest::of(long.as_bytes());
    for (name, data, expected, malformed) in [
        ("plain", "Rechnung 7 ✓".as_bytes(), "memo=Rechnung 7 ✓".to_owned(), false),
        ("empty", b"", "memo=".to_owned(), false),
        (
            "turned round",
            turned.as_bytes(),
            format!("memo=sha256:{}", custody_core::digest::Digest::of(turned.as_bytes())),
            false,
        ),
        ("too long", long.as_bytes(), format!("memo=sha256:{digest}"), false),
        (
            "not printable",
            b"a\nb",
            format!("memo=sha256:{}", custody_core::digest::Digest::of(b"a\nb")),
            false,
        ),
        (
            "like a digest",
            b"sha256:00",
            format!("memo=sha256:{}", custody_core::digest::Digest::of(b"sha256:00")),
            false,
        ),
        ("not UTF-8", &[0xff, 0xfe], "accounts=0 data=fffe".to_owned(), true),
    ] {
        let intent = decode(&message(&[ix(MEMO, &[], data)])).unwrap();
        assert_eq!(told(&intent)[0], format!("call {MEMO}  {expected}"), "{name}");
        assert_eq!(facts(&intent).contains(&"malformed_memo"), malformed, "{name}");
    }
}

#[test]
fn an_unknown_program_is_a_call_with_its_data_and_accounts() {
    let (program, a) = (other(9).to_string(), other(1));
    let long = vec![0xab; 129];
    let many: Vec<_> = (0..3).map(other).cycle().take(101).collect();
    let digest = custody_core::digest::Digest::of(&long);
    for (name, instruction, expected) in [
        (
            "short data",
            ix(&program, &[a], &[1, 2]),
            format!("call {program} 0x0102 account_0={a} accounts=1 data=0102"),
        ),
        ("no data", ix(&program, &[], &[]), format!("call {program}  accounts=0 data=")),
        (
            "long data",
            ix(&program, &[], &long),
            format!("call {program} 0xabababababababab accounts=0 data=sha256:{digest}"),
        ),
    ] {
        assert_eq!(told(&decode(&message(&[instruction])).unwrap())[0], expected, "{name}");
    }
    let line = told(&decode(&message(&[ix(&program, &many, &[1])])).unwrap())[0].clone();
    assert!(line.contains(" accounts=101 accounts_digest=sha256:"), "{line}");
    assert!(!line.contains("account_0"), "{line}");
}

/// What a program calls in its turn does not stand in the message: only the call to it is told.
#[test]
fn a_nested_call_shows_as_the_outer_call_only() {
    let inner = pay(me(), other(1), 5);
    let data = [&inner.program.to_bytes()[..], &inner.data].concat();
    let accounts = [me(), other(1), SYSTEM];
    let intent = decode(&message(&[ix(&other(9).to_string(), &accounts, &data)])).unwrap();
    let lines = told(&intent);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with(&format!("call {} ", other(9))), "{}", lines[0]);
}

#[test]
fn a_batch_with_one_bad_item_tells_every_item() {
    let list =
        [pay(me(), other(1), 1), ix(&other(9).to_string(), &[me()], &[1]), pay(me(), other(2), 2)];
    let lines = told(&decode(&message(&list)).unwrap());
    assert_eq!(lines[0], sol(1, me(), other(1)));
    assert!(lines[1].starts_with(&format!("call {} 0x01", other(9))));
    assert_eq!(lines[2..], [sol(2, me(), other(2)), FEE.to_owned()]);
}

/// Whether a destination looks like a known one is for the custodian to say: it gets it whole.
#[test]
fn a_destination_is_told_whole_and_program_addresses_are_a_fact() {
    let derived = crate::support::associated(other(1), crate::support::TOKEN, other(2));
    let intent = decode(&message(&[pay(me(), derived, 1)])).unwrap();
    assert_eq!(told(&intent)[0], sol(1, me(), derived));
    assert_eq!(facts(&intent), ["off_curve_destination"]);
}

#[test]
fn a_durable_nonce_is_a_fact_only_as_first_instruction() {
    let advance = system(4, &[other(1), other(2), me()], &[]);
    let payment = pay(me(), other(3), 1);
    let first = decode(&message(&[advance.clone(), payment.clone()])).unwrap();
    assert_eq!(facts(&first), ["durable_nonce"]);
    assert_eq!(told(&first).len(), 3);
    let second = decode(&message(&[payment, advance])).unwrap();
    assert!(second.facts.is_empty());
}

#[test]
fn every_account_of_the_wallet_that_must_sign_has_a_task_and_others_have_none() {
    let second = address_of(&keys()[1]);
    let foreign = other(5);
    for (name, signers, tasks, expected) in [
        ("the first", vec![me()], vec!["key-0"], vec![]),
        ("both", vec![me(), second], vec!["key-0", "key-1"], vec![]),
        ("the other way round", vec![second, me()], vec!["key-1", "key-0"], vec![]),
        ("with somebody", vec![me(), foreign], vec!["key-0"], vec!["foreign_signer"]),
        (
            "for somebody",
            vec![foreign, me()],
            vec!["key-0"],
            vec!["foreign_fee_payer", "foreign_signer"],
        ),
    ] {
        let bytes = parts(&signers, &[], &[pay(me(), other(1), 5)]).bytes();
        let intent = decode_as(MESSAGE, &bytes, &context()).unwrap();
        let found: Vec<_> = intent.tasks.iter().map(|task| task.key.as_str()).collect();
        assert_eq!(found, tasks, "{name}");
        assert_eq!(facts(&intent), expected, "{name}");
        assert!(intent.tasks.iter().all(|task| task.input.as_input().as_bytes() == bytes));
        let has_fee = told(&intent).iter().any(|line| line.starts_with("fee "));
        assert_eq!(has_fee, signers[0] != foreign, "{name}");
    }
}
