//! The search finds a planted secret in each encoding, and nothing in clean output.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::*;

/// Bytes that look random, different for each seed.
fn secret(seed: u8, length: usize) -> Vec<u8> {
    let mut state = u32::from(seed).wrapping_mul(2_654_435_761).wrapping_add(1);
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(length)
    .collect()
}

fn tap(secrets: &[Vec<u8>]) -> String {
    secrets.iter().map(|secret| hex::encode(secret) + "\n").collect()
}

fn scan(secrets: &[Vec<u8>], output: &str) -> Vec<Leak> {
    Secrets::parse(&tap(secrets)).unwrap().scan(output.as_bytes()).unwrap()
}

fn assert_found(secret: &[u8], text: &str, encoding: Encoding) {
    let output = format!("first line\nname=x key={text}.\nlast line\n");
    assert_eq!(scan(&[secret.to_vec()], &output), [Leak { line: 2, encoding }], "{text}");
}

#[test]
fn a_planted_secret_is_found_in_each_text_encoding() {
    for length in [16, 17, 20, 24, 28, 32, 33, 64] {
        let key = secret(3, length);
        assert_found(&key, &hex::encode(&key), Encoding::Hex);
        assert_found(&key, &hex::encode_upper(&key), Encoding::Hex);
        assert_found(&key, &format!("0x{}", hex::encode(&key)), Encoding::Hex);
        for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            assert_found(&key, &engine.encode(&key), Encoding::Base64);
        }
        assert_found(&key, &bs58::encode(&key).into_string(), Encoding::Base58);
    }
}

#[test]
fn a_secret_inside_a_longer_base64_text_is_found_at_every_place() {
    let key = secret(4, 32);
    for before in 0..6 {
        let longer = [vec![0x5a; before], key.clone(), vec![0xa5; 3]].concat();
        assert_found(&key, &STANDARD.encode(longer), Encoding::Base64);
    }
}

#[test]
fn a_planted_secret_is_found_as_words_of_every_length() {
    for length in [16, 20, 24, 28, 32] {
        let key = secret(5, length);
        let words = bip39::Mnemonic::from_entropy(&key).unwrap().to_string();
        assert_found(&key, &words, Encoding::Words);
        assert_found(&key, &words.to_uppercase(), Encoding::Words);
        assert_found(&key, &format!("{:?}", words.split(' ').collect::<Vec<_>>()), Encoding::Words);
    }
}

#[test]
fn numbered_words_on_many_lines_are_found() {
    let key = secret(6, 16);
    let words = bip39::Mnemonic::from_entropy(&key).unwrap().to_string();
    let lines: String =
        (1..).zip(words.split(' ')).map(|(n, word)| format!("{n}. {word}\n")).collect();
    let leaks = scan(&[key], &lines);
    assert_eq!(leaks.first(), Some(&Leak { line: 6, encoding: Encoding::Words }));
}

#[test]
fn a_secret_printed_by_debug_is_found_on_one_line_and_on_many() {
    let key = secret(7, 32);
    assert_found(&key, &format!("{key:?}"), Encoding::ByteList);
    assert_found(&key, &format!("{key:02x?}"), Encoding::ByteList);
    assert_found(&key, &format!("{key:x?}"), Encoding::ByteList);
    let leaks = scan(std::slice::from_ref(&key), &format!("{key:#?}"));
    assert_eq!(leaks.first(), Some(&Leak { line: 9, encoding: Encoding::ByteList }));
}

#[test]
fn half_of_a_secret_is_found() {
    let key = secret(8, 32);
    let (first, second) = key.split_at(16);
    assert_found(&key, &hex::encode(first), Encoding::Hex);
    assert_found(&key, &hex::encode(second), Encoding::Hex);
}

#[test]
fn clean_output_passes() {
    let keys: Vec<_> = (0..100).map(|seed| secret(seed, 32)).collect();
    let other = secret(200, 32);
    let words = bip39::Mnemonic::from_entropy(&other).unwrap();
    let output = format!(
        "{}\n{}\n{words}\n{other:?}\n{}\nTRACE custody_core: sealed key=k-1\n",
        hex::encode(&other),
        STANDARD.encode(&other),
        bs58::encode(&other).into_string(),
    );
    assert_eq!(scan(&keys, &output), []);
    assert_eq!(scan(&keys, ""), []);
}

#[test]
fn a_few_words_of_the_list_in_a_sentence_are_no_leak() {
    let key = secret(9, 16);
    let words = bip39::Mnemonic::from_entropy(&key).unwrap().to_string();
    let five: Vec<_> = words.split(' ').take(5).collect();
    assert_eq!(scan(&[key], &five.join(" ")), []);
}

#[test]
fn a_secret_in_output_that_is_no_text_is_found() {
    let key = secret(10, 32);
    let output = [b"\xff\xfe ".to_vec(), hex::encode(&key).into_bytes()].concat();
    let leaks = Secrets::parse(&tap(&[key])).unwrap().scan(output.as_slice()).unwrap();
    assert_eq!(leaks, [Leak { line: 1, encoding: Encoding::Hex }]);
}

#[test]
fn a_tap_line_that_is_no_secret_is_refused() {
    let good = hex::encode(secret(1, 16));
    let short = hex::encode(secret(1, 15));
    for bad in ["", "zz", &short, &good.to_uppercase(), &format!("0x{good}")] {
        let tap = format!("{good}\n{bad}\n");
        assert_eq!(Secrets::parse(&tap).err(), Some(TapError { line: 2 }), "{bad}");
    }
}

#[test]
fn a_constant_pattern_is_counted_and_not_searched_for() {
    let zeros = vec![0; 32];
    let secrets = Secrets::parse(&tap(std::slice::from_ref(&zeros))).unwrap();
    assert_eq!((secrets.count(), secrets.patterns()), (0, 1));
    assert_eq!(secrets.scan(hex::encode(&zeros).as_bytes()).unwrap(), []);
}

#[test]
fn a_secret_given_out_twice_counts_once() {
    let key = secret(2, 32);
    assert_eq!(Secrets::parse(&tap(&[key.clone(), key])).unwrap().count(), 1);
}

#[test]
fn many_secrets_and_much_output_take_seconds() {
    let keys: Vec<_> =
        (0..50_000_u32).map(|n| [secret(11, 28), n.to_be_bytes().to_vec()].concat()).collect();
    let line = format!("TRACE custody_core::order: digest={} step=admit\n", "5e".repeat(32));
    let output = line.repeat(50_000) + &hex::encode(keys.last().unwrap()) + "\n";
    let leaks = scan(&keys, &output);
    assert_eq!(leaks, [Leak { line: 50_001, encoding: Encoding::Hex }]);
}
