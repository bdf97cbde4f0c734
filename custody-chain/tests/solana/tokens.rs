//! What instructions of the token programs become.

use solana_address::Address;

use crate::programs::word;
use crate::support::{
    ASSOCIATED, Ix, MALFORMED, TOKEN, TOKEN_2022, associated, decode, facts, ix, me, message,
    other, sol, told,
};

pub(crate) fn tagged(tag: u8, fields: &[&[u8]]) -> Vec<u8> {
    [&[tag][..], &fields.concat()].concat()
}

fn checked(program: &str, accounts: &[Address], amount: u64) -> Ix {
    ix(program, accounts, &tagged(12, &[&word(amount), &[6]]))
}

fn create(program: &str, owner: Address, mint: Address, data: &[u8]) -> Ix {
    let created = associated(owner, program, mint);
    let accounts = [me(), created, owner, mint, crate::support::SYSTEM, program.parse().unwrap()];
    ix(ASSOCIATED, &accounts, data)
}

/// The lines of one instruction, without the fee, and the facts.
pub(crate) fn one(instruction: Ix) -> (Vec<String>, Vec<String>) {
    let intent = decode(&message(&[instruction])).unwrap();
    let mut lines = told(&intent);
    assert!(lines.pop().unwrap().starts_with("fee "));
    (lines, facts(&intent).into_iter().map(str::to_owned).collect())
}

#[test]
fn a_checked_transfer_names_the_token_and_both_accounts() {
    let (source, mint, destination) = (other(1), other(2), other(3));
    let (lines, found) = one(checked(TOKEN, &[source, mint, destination, me()], 7));
    assert_eq!(lines, [format!("transfer 7 /token:{mint} {source} {destination}")]);
    assert_eq!(found, ["unproved_token_owner"]);
}

#[test]
fn the_owner_of_a_token_account_is_told_where_it_is_proved() {
    let (mint, friend) = (other(2), other(3));
    let [mine, theirs] = [me(), friend].map(|owner| associated(owner, TOKEN, mint));
    let send = checked(TOKEN, &[mine, mint, theirs, me()], 7);
    let rent = sol(2_039_280, me(), friend);
    let proved = format!("transfer 7 /token:{mint} {} {friend}", me());
    let unproved = format!("transfer 7 /token:{mint} {} {theirs}", me());
    let make = |data: &[u8]| create(TOKEN, friend, mint, data);
    let stranger = create(TOKEN, other(4), mint, &[1]);
    let strange_rent = sol(2_039_280, me(), other(4));
    for (name, list, expected, is_proved) in [
        ("alone", vec![send.clone()], vec![unproved.clone()], false),
        ("created", vec![make(&[]), send.clone()], vec![rent.clone(), proved.clone()], true),
        ("by number", vec![make(&[0]), send.clone()], vec![rent.clone(), proved.clone()], true),
        ("idempotent", vec![make(&[1]), send.clone()], vec![rent.clone(), proved], true),
        ("created later", vec![send.clone(), make(&[1])], vec![unproved.clone(), rent], false),
        ("somebody else's", vec![stranger, send], vec![strange_rent, unproved], false),
    ] {
        let intent = decode(&message(&list)).unwrap();
        assert_eq!(told(&intent)[..expected.len()], expected, "{name}");
        assert_eq!(!facts(&intent).contains(&"unproved_token_owner"), is_proved, "{name}");
    }
}

#[test]
fn a_token_account_of_the_wallet_is_told_as_the_wallet() {
    let mint = other(2);
    let mine = associated(me(), TOKEN, mint);
    let (lines, found) = one(checked(TOKEN, &[other(1), mint, mine, other(4)], 7));
    assert_eq!(lines, [format!("transfer 7 /token:{mint} {} {}", other(1), me())]);
    assert!(found.is_empty());
    // The account of another program or another mint is not it.
    for (program, mint) in [(TOKEN_2022, mint), (TOKEN, other(5))] {
        let (lines, found) = one(checked(program, &[other(1), mint, mine, other(4)], 7));
        assert!(lines[0].ends_with(&format!(" {mine}")), "{}", lines[0]);
        assert!(found.contains(&"unproved_token_owner".to_owned()));
    }
}

#[test]
fn a_token_account_that_is_not_derived_is_not_proved() {
    let (mint, friend) = (other(2), other(3));
    let good = create(TOKEN, friend, mint, &[1]);
    let cases: [(&str, usize, Address); 4] = [
        ("another account", 1, other(7)),
        ("another owner", 2, other(7)),
        ("another mint", 3, other(7)),
        ("another program", 5, TOKEN_2022.parse().unwrap()),
    ];
    for (name, position, account) in cases {
        let mut wrong = good.clone();
        wrong.accounts[position] = account;
        let (lines, _) = one(wrong);
        assert!(lines[0].starts_with(&format!("call {ASSOCIATED} 0x01 ")), "{name}: {lines:?}");
    }
    for (name, data, malformed) in [
        ("recover", &[2][..], false),
        ("recover and a byte more", &[2, 0], false),
        ("a byte more", &[1, 0], true),
        ("a byte more than create", &[0, 7], true),
        ("unknown", &[9], false),
    ] {
        let (lines, found) = one(Ix { data: data.to_vec(), ..good.clone() });
        assert!(lines[0].starts_with(&format!("call {ASSOCIATED} ")), "{name}: {lines:?}");
        assert_eq!(found.contains(&MALFORMED.to_owned()), malformed, "{name}");
    }
    let mut short = good;
    short.accounts.truncate(5);
    assert!(one(short).0[0].starts_with(&format!("call {ASSOCIATED} ")));
}

#[test]
fn rent_of_token_2022_is_the_larger_one() {
    let (lines, found) = one(create(TOKEN_2022, other(3), other(2), &[1]));
    assert_eq!(lines, [sol(4_454_400, me(), other(3))]);
    assert_eq!(found, ["token_2022"]);
}

#[test]
fn the_other_instructions_of_both_programs_are_told() {
    let (a, b, c, d) = (other(1), other(2), other(3), other(4));
    let key = d.to_bytes();
    let some = [&[1][..], &key].concat();
    let amount = word(9);
    let make = [&[6][..], &key, &[0]].concat();
    let made = format!(" decimals=6 freeze_authority=none mint_authority={d}");
    let owned = format!(" mint={b} owner={d}");
    for program in [TOKEN, TOKEN_2022] {
        let call = |tag: u8, rest: &str| vec![format!("call {program} 0x{tag:02x} {rest}")];
        let it = |tag: u8, rest: &str| vec![format!("administer {a} 0x{tag:02x}{rest}")];
        let minted = |tag: u8| {
            let moved = format!("transfer 9 /token:{a} {a} {b}");
            vec![moved, format!("administer {a} 0x{tag:02x} amount=9 to={b}")]
        };
        let burnt = vec![format!("transfer 9 /token:{b} {a} {b}")];
        let closed = format!("account={a} destination={b} owner={c}");
        let bare =
            |tag: u8, data: &str| call(tag, &format!("account_0={a} accounts=1 data={data}"));
        for (name, accounts, data, expected) in [
            ("begin a mint", &[a][..], tagged(0, &[&make]), it(0, &made)),
            ("begin", &[a, b, d], tagged(1, &[]), it(1, &owned)),
            ("begin a multisig", &[a], tagged(2, &[&[2]]), it(2, " needed=2")),
            ("revoke", &[a], tagged(5, &[]), bare(5, "05")),
            (
                "give away",
                &[a],
                tagged(6, &[&[2], &some]),
                it(6, &format!(" authority=account_owner new={d}")),
            ),
            ("give up", &[a], tagged(6, &[&[0, 0]]), it(6, " authority=mint_tokens new=none")),
            ("mint", &[a, b, c], tagged(7, &[&amount]), minted(7)),
            ("burn", &[a, b, c], tagged(8, &[&amount]), burnt.clone()),
            ("close", &[a, b, c], tagged(9, &[]), call(9, &closed)),
            ("freeze", &[a, b, c], tagged(10, &[]), it(10, "")),
            ("thaw", &[a, b, c], tagged(11, &[]), it(11, "")),
            (
                "approve, checked",
                &[a, b, c, d],
                tagged(13, &[&amount, &[6]]),
                vec![format!("approve 9 /token:{b} {c}")],
            ),
            ("mint, checked", &[a, b, c], tagged(14, &[&amount, &[6]]), minted(14)),
            ("burn, checked", &[a, b, c], tagged(15, &[&amount, &[6]]), burnt),
            ("begin 2", &[a, b], tagged(16, &[&key]), it(16, &owned)),
            ("sync", &[a], tagged(17, &[]), bare(17, "11")),
            ("begin 3", &[a, b], tagged(18, &[&key]), it(18, &owned)),
            ("begin a multisig 2", &[a], tagged(19, &[&[2]]), it(19, " needed=2")),
            ("begin a mint 2", &[a], tagged(20, &[&make]), it(20, &made)),
            ("fixed owner", &[a], tagged(22, &[]), bare(22, "16")),
        ] {
            let (lines, found) = one(ix(program, accounts, &data));
            assert_eq!(lines, expected, "{name} of {program}");
            let is_2022 = found.contains(&"token_2022".to_owned());
            assert_eq!(is_2022, program == TOKEN_2022, "{name}");
            assert!(!found.contains(&MALFORMED.to_owned()), "{name} of {program}");
            let (lines, found) = one(ix(program, accounts, &[&data[..], &[0]].concat()));
            assert!(lines[0].starts_with(&call(data[0], "")[0]), "{name}, a byte more");
            assert!(found.contains(&MALFORMED.to_owned()), "{name}, a byte more");
        }
    }
}

#[test]
fn facts_say_what_an_amount_cannot() {
    let (a, b, c) = (other(1), other(2), other(3));
    for (name, data, fact) in [
        ("mint", tagged(7, &[&word(1)]), "mint"),
        ("burn", tagged(8, &[&word(1)]), "burn"),
        ("close", tagged(9, &[]), "close_account"),
        ("transfer", tagged(3, &[&word(1)]), "unchecked_token_transfer"),
        ("approve", tagged(4, &[&word(1)]), "unchecked_token_approval"),
    ] {
        assert_eq!(one(ix(TOKEN, &[a, b, c], &data)).1, [fact], "{name}");
    }
}

#[test]
fn without_a_mint_no_amount_is_told() {
    let (a, b, c) = (other(1), other(2), other(3));
    for (tag, data) in [(3, "030900000000000000"), (4, "040900000000000000")] {
        let (lines, _) = one(ix(TOKEN, &[a, b, c], &tagged(tag, &[&word(9)])));
        let named = format!("account_0={a} account_1={b} account_2={c} accounts=3 data={data}");
        assert_eq!(lines, [format!("call {TOKEN} 0x{tag:02x} {named}")]);
    }
}

#[test]
fn what_a_token_program_does_not_read_to_the_end_is_a_call() {
    let (a, b, c, d) = (other(1), other(2), other(3), other(4));
    let good = tagged(12, &[&word(9), &[6]]);
    let all = [a, b, c, d];
    for (name, program, accounts, data) in [
        ("a byte more", TOKEN, &all[..], [&good[..], &[0]].concat()),
        ("a byte less", TOKEN, &all, good[..9].to_vec()),
        ("no data", TOKEN, &all, Vec::new()),
        ("three accounts", TOKEN, &all[..3], good),
        ("approve two accounts", TOKEN, &all[..2], tagged(13, &[&word(9), &[6]])),
        ("mint to nobody", TOKEN, &all[..2], tagged(7, &[&word(9)])),
        ("burn nothing", TOKEN, &all[..2], tagged(8, &[&word(9)])),
        ("close nothing", TOKEN, &all[..2], tagged(9, &[])),
        ("begin nothing", TOKEN, &all[..1], tagged(18, &[&[7; 32]])),
        ("a key that is neither", TOKEN, &all, tagged(6, &[&[2, 2], &[7; 32]])),
        ("an unknown authority", TOKEN, &all, tagged(6, &[&[99, 0]])),
        ("a delegate for ever", TOKEN, &all, tagged(35, &[&[7; 32]])),
        ("a fee", TOKEN, &all, tagged(26, &[&[1], &word(9), &[6], &word(1)])),
        ("a batch", TOKEN, &all, tagged(255, &[&[0, 1, 5]])),
        ("excess lamports", TOKEN_2022, &all, tagged(38, &[])),
        ("unwrap", TOKEN_2022, &all, tagged(45, &[&[0]])),
        ("a hook", TOKEN_2022, &all, tagged(36, &[&[0]])),
        (
            "a fee with a byte more",
            TOKEN_2022,
            &all,
            tagged(26, &[&[1], &word(9), &[6], &word(1), &[0]]),
        ),
        ("fees of a mint", TOKEN_2022, &all, tagged(26, &[&[2]])),
    ] {
        let (lines, _) = one(ix(program, accounts, &data));
        assert_eq!(lines.len(), 1, "{name}");
        assert!(lines[0].starts_with(&format!("call {program} ")), "{name}: {}", lines[0]);
    }
}

#[test]
fn extensions_of_token_2022_are_facts() {
    let (a, b, c, d) = (other(1), other(2), other(3), other(4));
    let moved = format!("transfer 9 /token:{b} {a} {c}");
    let fee = tagged(26, &[&[1], &word(9), &[6], &word(1)]);
    let (lines, found) = one(ix(TOKEN_2022, &[a, b, c, d], &fee));
    assert_eq!(lines, std::slice::from_ref(&moved));
    assert_eq!(found, ["token_2022", "token_2022_fee", "unproved_token_owner"]);

    let set = tagged(26, &[&[5], &[200, 0], &word(7)]);
    let (lines, found) = one(ix(TOKEN_2022, &[a, d], &set));
    assert_eq!(lines, [format!("administer {a} 0x1a05 basis_points=200 fee_max=7")]);
    assert_eq!(found, ["token_2022", "token_2022_fee"]);

    let (lines, found) = one(ix(TOKEN_2022, &[a], &tagged(35, &[&d.to_bytes()])));
    assert_eq!(lines, [format!("administer {a} 0x23 delegate={d}")]);
    assert_eq!(found, ["permanent_delegate", "token_2022"]);

    let (lines, found) = one(checked(TOKEN_2022, &[a, b, c, d, other(5)], 9));
    assert_eq!(lines[0], moved);
    assert!(lines[1].starts_with(&format!("call {TOKEN_2022} 0x0c ")), "{}", lines[1]);
    assert_eq!(found, ["token_2022", "transfer_hook", "unproved_token_owner"]);
}

/// SPL Token calls nobody: more accounts are signers or marks.
#[test]
fn marks_behind_a_transfer_of_spl_token_change_nothing() {
    let (a, b, c, d) = (other(1), other(2), other(3), other(4));
    let (lines, found) = one(checked(TOKEN, &[a, b, c, d, other(5)], 9));
    assert_eq!(lines, [format!("transfer 9 /token:{b} {a} {c}")]);
    assert_eq!(found, ["unproved_token_owner"]);
}
