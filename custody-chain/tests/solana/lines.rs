//! What the lines of a summary say.

use crate::programs::stake;
use crate::support::{MEMO, TOKEN, decode, ix, message, other, system};

#[test]
fn lines_tell_the_arguments() {
    let (a, b, c) = (other(1), other(2), other(3));
    let program = other(9).to_string();
    let hand_over = [&[6, 2, 1][..], &c.to_bytes()].concat();
    for (name, instruction, expected) in [
        (
            "an authority",
            ix(TOKEN, &[a], &hand_over),
            format!("change who controls {a} by 0x06, authority=\"account_owner\", new=\"{c}\""),
        ),
        (
            "the owner of an account",
            system(1, &[a], &[&c.to_bytes()]),
            format!("change who controls {a} by 0x01000000, owner=\"{c}\""),
        ),
        (
            "who withdraws stake",
            stake(1, &[a], &[&c.to_bytes(), &[1, 0, 0, 0]]),
            format!("change who controls {a} by 0x01000000, withdrawer=\"{c}\""),
        ),
        (
            "where lamports go",
            ix(TOKEN, &[a, b, c], &[9]),
            format!("call 0x09 of {TOKEN}, account=\"{a}\", destination=\"{b}\", owner=\"{c}\""),
        ),
        (
            "a memo",
            ix(MEMO, &[], "Rechnung 7 ✓".as_bytes()),
            format!("call  of {MEMO}, memo=\"Rechnung 7 ✓\""),
        ),
        (
            "a memo that looks like two arguments",
            ix(MEMO, &[], b"7\", to=\"me"),
            format!("call  of {MEMO}, memo=\"7\\\", to=\\\"me\""),
        ),
        (
            "anything else",
            ix(&program, &[a], &[1, 2]),
            format!("call 0x0102 of {program}, account_0=\"{a}\", accounts=\"1\", data=\"0102\""),
        ),
        ("nothing", ix(TOKEN, &[a, b, c], &[10]), format!("change who controls {a} by 0x0a")),
    ] {
        let intent = decode(&message(&[instruction])).unwrap();
        assert_eq!(intent.summary[0], expected, "{name}");
    }
}
