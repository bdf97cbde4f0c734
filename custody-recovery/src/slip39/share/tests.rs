#![expect(clippy::arithmetic_side_effects, reason = "tests count")]

use proptest::prelude::*;
use static_assertions::assert_not_impl_any;

use super::*;

assert_not_impl_any!(Share: Clone, Copy, PartialEq, std::fmt::Display);

fn share(value: Vec<u8>) -> Share {
    let parameters = Parameters {
        identifier: 7,
        is_extendable: true,
        iteration_exponent: 1,
        group_threshold: 2,
        group_count: 3,
    };
    let place = Place { group_index: 1, member_index: 4, member_threshold: 5 };
    Share::new(parameters, place, Secret::new(value))
}

fn arb_share() -> impl Strategy<Value = Share> {
    let parameters = (0_u16..0x8000, any::<bool>(), 0_u8..16, 1_u8..=16, 1_u8..=16);
    let place = (0_u8..16, 0_u8..16, 1_u8..=16);
    let value = (8_usize..=32).prop_flat_map(|half| prop::collection::vec(any::<u8>(), half * 2));
    (parameters, place, value).prop_map(|(parameters, place, value)| {
        let (identifier, is_extendable, iteration_exponent, one, other) = parameters;
        let (group_threshold, group_count) = (one.min(other), one.max(other));
        let (group_index, member_index, member_threshold) = place;
        let parameters = Parameters {
            identifier,
            is_extendable,
            iteration_exponent,
            group_threshold,
            group_count,
        };
        let place = Place { group_index, member_index, member_threshold };
        Share::new(parameters, place, Secret::new(value))
    })
}

/// Words with another checksum, which is right.
fn with_checksum(mut numbers: Vec<u16>) -> Secret {
    numbers.truncate(numbers.len() - checksum::WORDS);
    let is_extendable = numbers[1] & 0x10 != 0;
    let checksum = checksum::of(&numbers, is_extendable);
    numbers.extend(checksum);
    words::write(&numbers)
}

fn numbers(share: &Share) -> Vec<u16> {
    words::read(&share.to_words()).unwrap().to_vec()
}

proptest! {
    #[test]
    fn words_are_read_as_what_was_written(share in arb_share()) {
        let read = Share::parse(&share.to_words()).unwrap();
        prop_assert_eq!(read.parameters, share.parameters);
        prop_assert_eq!(read.place, share.place);
        prop_assert!(read.value.expose() == share.value.expose());
        prop_assert!(read.to_words().expose() == share.to_words().expose());
    }

    #[test]
    fn a_wrong_word_is_named_by_its_position(
        share in arb_share(),
        at: prop::sample::Index,
        change in 1_u16..1024,
    ) {
        let mut numbers = numbers(&share);
        let at = at.index(numbers.len());
        numbers[at] ^= change;
        let error = Share::parse(&words::write(&numbers)).unwrap_err();
        prop_assert_eq!(error, ShareError::WrongWord { position: at + 1 });
    }

    #[test]
    fn two_words_that_changed_places_are_found(share in arb_share(), at: prop::sample::Index) {
        let mut numbers = numbers(&share);
        let at = at.index(numbers.len() - 1);
        prop_assume!(numbers[at] != numbers[at + 1]);
        numbers.swap(at, at + 1);
        prop_assert!(Share::parse(&words::write(&numbers)).is_err());
    }

    #[test]
    fn any_text_is_a_share_or_an_error(text: String) {
        drop(Share::parse(&Secret::new(text.into_bytes())));
    }
}

#[test]
fn a_share_has_as_many_words_as_the_standard_says() {
    for (length, count) in [(16, 20), (18, 22), (20, 23), (24, 27), (32, 33), (64, 59)] {
        let words = share(vec![0x5a; length]).to_words();
        assert_eq!(words::count(&words), count, "{length} bytes");
    }
}

#[test]
fn only_so_many_words_as_values_of_an_even_number_of_bytes_take_are_a_share() {
    let lengths: Vec<_> = (0..=100).filter_map(value_length).collect();
    assert_eq!(lengths, (MASTER_SECRET_MIN..=MASTER_SECRET_MAX).step_by(2).collect::<Vec<_>>());
    let valid = |words: &usize| value_length(*words).is_some();
    assert_eq!((0..=26).filter(valid).collect::<Vec<_>>(), [20, 22, 23, 25]);
    assert_eq!((58..=1000).filter(valid).collect::<Vec<_>>(), [59]);
    for words in [0, 1, 19, 21, 60, 200] {
        let text = Secret::new("academic ".repeat(words).into_bytes());
        assert_eq!(Share::parse(&text).unwrap_err(), ShareError::Length { words });
    }
}

#[test]
fn a_word_that_is_not_in_the_list_is_named_by_its_position() {
    let words = share(vec![3; 16]).to_words();
    let words = String::from_utf8(words.expose().to_vec()).unwrap();
    for position in 1..=20 {
        let with = |word: &str| {
            let mut words: Vec<_> = words.split(' ').collect();
            words[position - 1] = word;
            Share::parse(&Secret::new(words.join(" ").into_bytes())).unwrap_err()
        };
        assert_eq!(with("bitcoin"), ShareError::UnknownWord { position });
        assert_eq!(with("aca\u{308}demic"), ShareError::UnknownWord { position });
    }
}

#[test]
fn capitals_and_lines_do_not_matter() {
    let words = share(vec![3; 16]).to_words();
    let text = String::from_utf8(words.expose().to_vec()).unwrap();
    let text = format!("\n{}\r\n", text.to_uppercase().replace(' ', "\n\t"));
    let read = Share::parse(&Secret::new(text.into_bytes())).unwrap();
    assert!(read.to_words().expose() == words.expose());
}

#[test]
fn each_bit_of_the_padding_is_zero() {
    for (length, padding) in [(16, 2), (18, 6), (20, 0), (22, 4), (24, 8), (32, 4), (64, 8)] {
        let whole = numbers(&share(vec![3; length]));
        for bit in 0..padding {
            let mut numbers = whole.clone();
            numbers[HEADER_WORDS] |= 0x200 >> bit;
            let error = Share::parse(&with_checksum(numbers)).unwrap_err();
            assert_eq!(error, ShareError::Padding, "{length} bytes, bit {bit}");
        }
        let mut numbers = whole;
        numbers[HEADER_WORDS] ^= 0x200 >> padding;
        assert!(Share::parse(&with_checksum(numbers)).is_ok(), "{length} bytes");
    }
}

#[test]
fn no_share_needs_more_groups_than_there_are() {
    let mut wrong = share(vec![3; 16]);
    wrong.parameters.group_threshold = 4;
    let error = ShareError::GroupThreshold { threshold: 4, count: 3 };
    assert_eq!(Share::parse(&wrong.to_words()).unwrap_err(), error);
    wrong.parameters.group_threshold = 3;
    assert!(Share::parse(&wrong.to_words()).is_ok());
}

#[test]
fn a_share_shows_what_it_is_of_and_nothing_of_its_value() {
    let shown = format!("{:?}", share(vec![0xa5; 16]));
    assert!(shown.starts_with("Share { parameters: Parameters { identifier: 7,"), "{shown}");
    assert!(shown.ends_with(", .. }"), "{shown}");
    for secret in ["165", "a5", "A5", "value"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn errors_name_positions_and_numbers_only() {
    for (error, text) in [
        (ShareError::Checksum, "the checksum is wrong, and not by one word only"),
        (ShareError::WrongWord { position: 3 }, "the checksum is wrong: word 3 is another one"),
        (ShareError::UnknownWord { position: 3 }, "word 3 is not in the list"),
        (ShareError::Length { words: 19 }, "no share has 19 words"),
        (ShareError::Padding, "the bits before the value are not zeros"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}
