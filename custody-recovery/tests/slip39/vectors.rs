//! The vectors of the reference implementation, and sets that it generated.

use custody_recovery::slip39::{CombineError, Difference, ShareError};
use custody_testkit::vectors;
use serde_json::Value;

use crate::support::{Refused, combined, secret};

/// The passphrase of the published vectors.
const PASSPHRASE: &str = "TREZOR";

struct Vector {
    number: usize,
    words: Vec<String>,
    secret: String,
    root_key: String,
}

fn published() -> Vec<Vector> {
    let list = vectors::json("slip39/vectors.json");
    let vector = |(number, case): (usize, &Value)| {
        assert!(text(&case[0]).starts_with(&format!("{number}. ")));
        let (secret, root_key) = (text(&case[2]), text(&case[3]));
        Vector { number, words: texts(&case[1]), secret, root_key }
    };
    (1..).zip(list.as_array().unwrap()).map(vector).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(text).collect()
}

#[test]
fn every_valid_vector_gives_its_secret_and_its_root_key() {
    let valid: Vec<_> = published().into_iter().filter(|of| !of.secret.is_empty()).collect();
    assert_eq!(valid.len(), 15);
    for Vector { number, words, secret, root_key } in valid {
        let combined = combined(&words, PASSPHRASE).unwrap();
        assert!(combined == secret, "{number}: another secret");
        let root = bip32::XPrv::new(&hex::decode(combined).unwrap()).unwrap();
        assert!(*root.to_string(bip32::Prefix::XPRV) == root_key, "{number}: another root key");
    }
}

#[test]
fn every_invalid_vector_is_refused_for_what_is_wrong_with_it() {
    let invalid: Vec<_> = published().into_iter().filter(|of| of.secret.is_empty()).collect();
    assert_eq!(invalid.len(), 30);
    for Vector { number, words, .. } in invalid {
        assert_eq!(combined(&words, PASSPHRASE), Err(expected(number)), "{number}");
    }
}

/// What is wrong with a vector, by its name.
fn expected(number: usize) -> Refused {
    let another = |share, difference| Refused::Set(CombineError::AnotherSet { share, difference });
    let share = |error| Refused::Share(1, error);
    match number {
        // "Mnemonic with invalid checksum": the last word is another one.
        2 => share(ShareError::WrongWord { position: 20 }),
        21 => share(ShareError::WrongWord { position: 33 }),
        // "Mnemonic with invalid padding".
        3 | 22 => share(ShareError::Padding),
        // "Basic sharing 2-of-3", with one share.
        5 | 24 => Refused::Set(CombineError::TooFewMembers { group_index: 0, missing: 1 }),
        6 | 25 => another(2, Difference::Identifier),
        7 | 26 => another(2, Difference::IterationExponent),
        8 | 27 => another(3, Difference::GroupThreshold),
        9 | 28 => another(2, Difference::GroupCount),
        // "Mnemonics with greater group threshold than group counts".
        10 | 29 => share(ShareError::GroupThreshold { threshold: 2, count: 1 }),
        // "Mnemonics with duplicate member indices".
        11 | 30 => Refused::Set(CombineError::Contradiction { share: 2, first: 1 }),
        // "Mnemonics with mismatching member thresholds".
        12 | 31 => Refused::Set(CombineError::AnotherGroup { share: 2, group_index: 0 }),
        // "Mnemonics giving an invalid digest".
        13 | 32 => Refused::Set(CombineError::MembersMismatch { group_index: 0 }),
        // "Insufficient number of groups".
        14 | 15 | 33 | 34 => Refused::Set(CombineError::TooFewGroups { missing: 1 }),
        // "Threshold number of groups, but insufficient number of members in one group".
        16 | 35 => Refused::Set(CombineError::TooFewMembers { group_index: 3, missing: 1 }),
        39 => share(ShareError::Length { words: 19 }),
        40 => share(ShareError::Length { words: 21 }),
        _ => panic!("vector {number} is not one of those that must be refused"),
    }
}

#[test]
fn every_share_of_a_valid_vector_is_written_as_it_was_read() {
    let mut shares = 0;
    for vector in published().into_iter().filter(|of| !of.secret.is_empty()) {
        for words in vector.words {
            let share = custody_recovery::slip39::Share::parse(&secret(&words)).unwrap();
            assert!(crate::support::words(&share) == words, "{}", vector.number);
            shares += 1;
        }
    }
    assert_eq!(shares, 35);
}

#[test]
fn every_generated_set_recovers_and_neither_with_a_share_less_nor_with_another_word() {
    let list = vectors::json("generated/slip39.json.gz");
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 15);
    let mut too_few = 0;
    for (number, case) in (1..).zip(list) {
        let passphrase = text(&case["passphrase"]);
        let whole = combined(&texts(&case["mnemonics"]), &passphrase);
        assert!(whole == Ok(text(&case["master_secret"])), "{number}: another secret");
        if !case["too_few"].is_null() {
            let error = combined(&texts(&case["too_few"]), &passphrase).unwrap_err();
            let Refused::Set(error) = error else { panic!("{number}: {error:?}") };
            let is_missing = matches!(
                error,
                CombineError::TooFewGroups { missing: 1 }
                    | CombineError::TooFewMembers { missing: 1, .. }
            );
            assert!(is_missing, "{number}: {error:?}");
            too_few += 1;
        }
        let (right, wrong) = (texts(&case["mnemonics"]), texts(&case["corrupted"]));
        let differs = |(one, other): (&str, &str)| one != other;
        let mut pairs = right[0].split(' ').zip(wrong[0].split(' '));
        let position = pairs.position(differs).unwrap() + 1;
        let expected = Refused::Share(1, ShareError::WrongWord { position });
        assert_eq!(combined(&wrong, &passphrase), Err(expected), "{number}");
    }
    assert_eq!(too_few, TOO_FEW);
}

const TOO_FEW: usize = 8;
