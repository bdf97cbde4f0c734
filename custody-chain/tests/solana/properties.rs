//! What must hold for any bytes whatsoever: on all vectors, on mutations of messages and on random
//! ones.

use custody_core::seam::TaskInput;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{
    ASSOCIATED, BUDGET, Ix, MEMO, Parts, STAKE, SYSTEM, TOKEN, TOKEN_2022, decode, me, message,
    other, parts, pay, system, told,
};

/// Decodes any bytes; what is accepted is one message with one meaning.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(intent) = decode(bytes) else { return };
    assert!((1..=1_024).contains(&intent.effects.len()));
    assert!((1..=2).contains(&intent.tasks.len()));
    assert_eq!(intent.effects.len(), intent.summary.len());
    for task in &intent.tasks {
        assert_eq!(task.input, TaskInput::Message(bytes.to_vec()));
    }
    assert!(decode(&[bytes, &[0]].concat()).is_err());
    assert!(decode(&bytes[..bytes.len() - 1]).is_err());
    assert_eq!(decode(bytes).unwrap(), intent);
}

#[test]
fn every_flip_of_a_message_is_refused_or_another_message() {
    let list = [
        pay(me(), other(1), 5),
        system(4, &[other(1), other(2), me()], &[]),
        Ix { program: MEMO.parse().unwrap(), accounts: vec![], data: b"memo".to_vec() },
    ];
    for version in [None, Some(0)] {
        let bytes = Parts { version, ..parts(&[me()], &[], &list) }.bytes();
        let tasks = decode(&bytes).unwrap().tasks;
        for position in 0..bytes.len() {
            for flip in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                let mut other = bytes.clone();
                other[position] ^= flip;
                check(&other);
                let same = decode(&other).is_ok_and(|it| it.tasks == tasks);
                assert!(!same, "byte {position} is not signed");
            }
            let mut longer = bytes.clone();
            longer.insert(position, 0);
            check(&longer);
        }
    }
}

/// Any instruction of a known program or of an unknown one.
fn arb_instruction() -> impl Strategy<Value = Ix> {
    let programs = [BUDGET, MEMO, STAKE, TOKEN, TOKEN_2022, ASSOCIATED];
    let known = programs.map(|program| program.parse().unwrap()).to_vec();
    let program = prop::sample::select([known, vec![SYSTEM, other(9)]].concat());
    let accounts = vec((0_u64..8).prop_map(|it| if it == 0 { me() } else { other(it) }), 0..7);
    let data = prop_oneof![
        vec(any::<u8>(), 0..80),
        (0_u8..50, vec(any::<u8>(), 0..80)).prop_map(|(tag, rest)| [vec![tag], rest].concat()),
        (0_u8..20, vec(any::<u8>(), 0..80))
            .prop_map(|(tag, rest)| [vec![tag, 0, 0, 0], rest].concat()),
    ];
    (program, accounts, data).prop_map(|(program, accounts, data)| Ix { program, accounts, data })
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        check(&bytes);
    }

    #[test]
    fn any_instructions_are_told(list in vec(arb_instruction(), 1..6)) {
        let bytes = message(&list);
        check(&bytes);
        if let Ok(intent) = decode(&bytes) {
            let budgets = list.iter().filter(|it| it.program == BUDGET.parse().unwrap()).count();
            // Each instruction that is not of the budget, and the fee.
            prop_assert!(told(&intent).len() > list.len() - budgets);
        }
    }

    #[test]
    fn a_transfer_is_told_with_its_amount(lamports in any::<u64>(), to in 1_u64..50) {
        let intent = decode(&message(&[pay(me(), other(to), lamports)])).unwrap();
        prop_assert_eq!(&told(&intent)[0], &crate::support::sol(lamports, me(), other(to)));
    }
}
