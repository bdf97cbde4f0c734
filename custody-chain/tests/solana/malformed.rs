//! Instructions whose bytes are not all understood: each is a call, and what rules forbid by its
//! facts stays forbidden.

use crate::programs::{stake, word};
use crate::support::{
    MALFORMED, STAKE, SYSTEM, TOKEN, TOKEN_2022, decode, facts, ix, me, message, other, pay,
    system, told,
};
use crate::tokens::{one, tagged};

#[test]
fn what_the_system_program_does_not_read_to_the_end_is_a_call() {
    let (a, b) = (other(1), other(2));
    let unread_seed = system(10, &[a], &[&[7; 32], &word(1), &[0xff], &[7; 32]]);
    for (name, instruction, malformed) in [
        ("a byte more", system(2, &[a, b], &[&word(9), &[0]]), true),
        ("many bytes more", system(4, &[a, b], &[&[0xff; 99]]), true),
        ("a byte less", system(2, &[a, b], &[&word(9)[..7]]), true),
        ("nothing but the number", system(13, &[a, b], &[]), true),
        ("one account", system(2, &[a], &[&word(9)]), false),
        ("no accounts", system(1, &[], &[&a.to_bytes()]), false),
        ("no data", ix(&SYSTEM.to_string(), &[a, b], &[]), false),
        ("a number cut", ix(&SYSTEM.to_string(), &[a, b], &[2, 0, 0]), false),
        ("the number after the last", system(14, &[a, b], &[&word(9)]), false),
        ("an unknown number", system(99, &[a, b], &[&word(9)]), false),
        ("a number in its last byte", system(0x0100_0002, &[a, b], &[&word(9)]), false),
        ("a seed that is no text", unread_seed, true),
        ("a seed without end", system(10, &[a], &[&[7; 32], &[0xff; 8], &[7; 32]]), true),
    ] {
        let intent = decode(&message(&[instruction])).unwrap();
        let lines = told(&intent);
        assert_eq!(lines.len(), 2, "{name}");
        assert!(lines[0].starts_with(&format!("call {SYSTEM} ")), "{name}: {}", lines[0]);
        assert_eq!(facts(&intent).contains(&MALFORMED), malformed, "{name}");
    }
}

#[test]
fn what_the_stake_program_does_not_read_to_the_end_is_a_call() {
    let (a, b) = (other(1), other(2));
    for (name, instruction, malformed) in [
        ("a byte more", stake(4, &[a, b], &[&word(9), &[0]]), true),
        ("a byte less", stake(4, &[a, b], &[&word(9)[..7]]), true),
        ("an unknown role", stake(1, &[a], &[&[7; 32], &[2, 0, 0, 0]]), true),
        ("an option that is neither", stake(6, &[a], &[&[0, 0, 2]]), true),
        ("nothing but the number", stake(17, &[a, b], &[]), true),
        ("one account", stake(4, &[a], &[&word(9)]), false),
        ("no accounts", stake(1, &[], &[&[7; 32], &[1, 0, 0, 0]]), false),
        ("no data", ix(STAKE, &[a, b], &[]), false),
        ("a number cut", ix(STAKE, &[a, b], &[4, 0, 0]), false),
        ("the number after the last", stake(18, &[a, b], &[&word(9)]), false),
    ] {
        let intent = decode(&message(&[instruction])).unwrap();
        let lines = told(&intent);
        assert_eq!(lines.len(), 2, "{name}");
        assert!(lines[0].starts_with(&format!("call {STAKE} ")), "{name}: {}", lines[0]);
        assert_eq!(facts(&intent).contains(&MALFORMED), malformed, "{name}");
    }
}

/// The runtime takes an instruction for the advance of a nonce by its number.
#[test]
fn a_durable_nonce_is_a_fact_whatever_bytes_stand_behind_its_number() {
    let accounts = [other(1), other(2), me()];
    for (name, first, expected) in [
        ("a byte more", system(4, &accounts, &[&[0]]), vec!["durable_nonce", MALFORMED]),
        ("many bytes more", system(4, &accounts, &[&[9; 99]]), vec!["durable_nonce", MALFORMED]),
        ("too few accounts", system(4, &accounts[..2], &[]), vec!["durable_nonce"]),
        ("another number", system(5, &accounts, &[&word(9)]), vec![]),
        ("a number in its last byte", system(0x0100_0004, &accounts, &[]), vec![]),
        ("a number cut", ix(&SYSTEM.to_string(), &accounts, &[4, 0, 0]), vec![]),
        ("another program", stake(4, &accounts, &[&word(9)]), vec![]),
    ] {
        let payment = pay(me(), other(3), 1);
        let intent = decode(&message(&[first.clone(), payment.clone()])).unwrap();
        assert_eq!(facts(&intent), expected, "{name}");
        let later = decode(&message(&[payment, first])).unwrap();
        assert!(!facts(&later).contains(&"durable_nonce"), "{name}, but later");
    }
}

/// Both token programs execute these instructions whatever bytes stand behind what they need.
#[test]
fn facts_of_tokens_follow_from_the_tag_whatever_stands_behind_it() {
    let accounts = [1, 2, 3, 4].map(other);
    let both = vec![
        ("transfer", tagged(3, &[&word(1)]), "unchecked_token_transfer"),
        ("approve", tagged(4, &[&word(1)]), "unchecked_token_approval"),
        ("mint", tagged(7, &[&word(1)]), "mint"),
        ("burn", tagged(8, &[&word(1)]), "burn"),
        ("close", tagged(9, &[]), "close_account"),
        ("mint, checked", tagged(14, &[&word(1), &[6]]), "mint"),
        ("burn, checked", tagged(15, &[&word(1), &[6]]), "burn"),
    ];
    let new = vec![
        ("fees of a mint", tagged(26, &[&[5], &[200, 0], &word(7)]), "token_2022_fee"),
        ("withheld fees", tagged(26, &[&[2]]), "token_2022_fee"),
        ("a delegate for ever", tagged(35, &[&[7; 32]]), "permanent_delegate"),
    ];
    let all = [both.clone(), new].concat();
    for (program, cases) in [(TOKEN, both), (TOKEN_2022, all)] {
        let always: &[&str] = if program == TOKEN_2022 { &["token_2022"] } else { &[] };
        for (name, data, fact) in cases {
            let (_, found) = one(ix(program, &accounts, &data));
            assert_eq!(found, sorted([always, &[fact]].concat()), "{name} of {program}");
            let expected = sorted([always, &[fact, MALFORMED]].concat());
            for more in [&[0][..], &[0xff; 99]] {
                let (lines, found) = one(ix(program, &accounts, &[&data[..], more].concat()));
                assert_eq!(found, expected, "{name} of {program} and more");
                let called = format!("call {program} 0x{:02x} ", data[0]);
                assert!(lines.len() == 1 && lines[0].starts_with(&called), "{name}: {lines:?}");
            }
        }
    }
}

fn sorted(mut facts: Vec<&str>) -> Vec<&str> {
    facts.sort_unstable();
    facts
}

#[test]
fn facts_of_token_2022_are_not_those_of_spl_token() {
    let accounts = [1, 2, 3, 4].map(other);
    for (name, data) in [
        ("a fee", tagged(26, &[&[1], &word(9), &[6], &word(1)])),
        ("a delegate for ever", tagged(35, &[&[7; 32]])),
        ("neither", tagged(12, &[&word(9)])),
    ] {
        for data in [data.clone(), [&data[..], &[0, 0]].concat()] {
            let found = one(ix(TOKEN, &accounts, &data)).1;
            for fact in ["token_2022", "token_2022_fee", "permanent_delegate"] {
                assert!(!found.contains(&fact.to_owned()), "{name}: {fact}");
            }
        }
    }
}

/// Malformed is what is not read although its tag is: not what is not known at all.
#[test]
fn an_instruction_with_a_known_tag_alone_is_malformed() {
    let accounts = [1, 2, 3, 4].map(other);
    let fee = tagged(26, &[&[1], &word(9), &[6], &word(1)]);
    for (name, program, data, malformed) in [
        ("no data", TOKEN, vec![], false),
        ("an unknown tag", TOKEN, vec![99, 0], false),
        ("an unknown tag", TOKEN_2022, vec![200, 0], false),
        ("a close authority", TOKEN, vec![25, 0, 0], false),
        ("a fee", TOKEN, [&fee[..], &[0]].concat(), false),
        ("a delegate for ever", TOKEN, tagged(35, &[&[7; 33]]), false),
        ("unwrap", TOKEN, vec![45, 0, 0], false),
        ("a batch", TOKEN, vec![255, 3, 1, 9], false),
        ("a batch", TOKEN_2022, vec![255, 3, 1, 9], false),
        ("a state by default", TOKEN_2022, vec![28, 0, 1], false),
        ("a hook", TOKEN_2022, tagged(36, &[&[0], &[7; 64]]), false),
        ("no fee at all", TOKEN_2022, vec![26], false),
        ("an unknown fee", TOKEN_2022, vec![26, 6], false),
        ("text", TOKEN_2022, b"\x18any text".to_vec(), false),
        ("no text", TOKEN_2022, vec![24, 0xff], true),
        ("a transfer cut", TOKEN, tagged(12, &[&word(9)]), true),
        ("an unknown authority", TOKEN, vec![6, 99, 0], true),
        ("an option that is neither", TOKEN, vec![6, 2, 2], true),
        ("half an extension", TOKEN, vec![21, 0], true),
        ("a close authority and more", TOKEN_2022, vec![25, 0, 0], true),
        ("half an extension", TOKEN_2022, vec![29, 0], true),
        ("a native mint and more", TOKEN_2022, vec![31, 0], true),
        ("no transfers and more", TOKEN_2022, vec![32, 0], true),
        ("a delegate cut", TOKEN_2022, tagged(35, &[&[7; 31]]), true),
        ("excess lamports and more", TOKEN_2022, vec![38, 0], true),
        ("unwrap and more", TOKEN_2022, vec![45, 0, 0], true),
        ("a fee cut", TOKEN_2022, fee[..18].to_vec(), true),
        ("a fee and more", TOKEN_2022, [&fee[..], &[0]].concat(), true),
    ] {
        let (lines, found) = one(ix(program, &accounts, &data));
        assert!(lines[0].starts_with(&format!("call {program} ")), "{name}: {lines:?}");
        assert_eq!(found.contains(&MALFORMED.to_owned()), malformed, "{name} of {program}");
    }
}

#[test]
fn too_few_accounts_are_not_malformed() {
    let a = other(1);
    for (name, data, fact) in [
        ("transfer, checked", tagged(12, &[&word(9), &[6]]), None),
        ("approve, checked", tagged(13, &[&word(9), &[6]]), None),
        ("mint", tagged(7, &[&word(9)]), Some("mint")),
        ("burn", tagged(8, &[&word(9)]), Some("burn")),
        ("close", tagged(9, &[]), Some("close_account")),
    ] {
        let (lines, found) = one(ix(TOKEN, &[a], &data));
        assert!(lines[0].starts_with(&format!("call {TOKEN} ")), "{name}: {lines:?}");
        assert_eq!(found, Vec::from_iter(fact), "{name}");
    }
}
