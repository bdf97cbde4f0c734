//! The words of the standard and their numbers. This file opens secrets.
//!
//! Where a word stands in the list says something about a secret, so that a search which stops, or
//! which halves the list, would show it in its time and in the memory it touches. Here each word is
//! compared with all 1024, and each number finds its word by going through all of them.
//!
//! Invariant: of a text, only how many words it has, how long they are and whether they are letters
//! decides what is done.

use custody_core::secret::Secret;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _, CtOption};
use zeroize::Zeroizing;

/// The numbers of words.
pub(crate) type Numbers = Zeroizing<Vec<u16>>;

/// How many words a text has. Words are what stands between spaces, of any kind of ASCII.
pub(crate) fn count(text: &Secret) -> usize {
    split(text.expose()).count()
}

/// The numbers of the words of a text, in upper or lower case; otherwise the place of the first
/// word that is not in the list, from 1.
pub(crate) fn read(text: &Secret) -> Result<Numbers, usize> {
    let list = list();
    let mut numbers = Zeroizing::new(Vec::with_capacity(count(text)));
    for (position, word) in (1_usize..).zip(split(text.expose())) {
        let found = pack(word).and_then(|packed| find(&list, *packed).into_option());
        numbers.push(found.ok_or(position)?);
    }
    Ok(numbers)
}

/// The words of these numbers, in lower case, with one space between two of them.
pub(crate) fn write(numbers: &[u16]) -> Secret {
    let list = list();
    // A buffer that grows leaves copies behind.
    let length_max = numbers.len().saturating_mul(WORD_LENGTH_MAX.saturating_add(1));
    let mut text = Vec::with_capacity(length_max);
    for number in numbers {
        if !text.is_empty() {
            text.push(b' ');
        }
        let word = Zeroizing::new(Zeroizing::new(select(&list, *number)).to_be_bytes());
        text.extend(word.iter().take_while(|letter| **letter != 0));
    }
    Secret::new(text)
}

fn split(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// The whole list, in order.
fn list() -> Vec<u64> {
    WORDS.lines().filter_map(|word| pack(word.as_bytes())).map(|packed| *packed).collect()
}

/// A word as a number, followed by zeros; none if it is too long or not of letters only.
fn pack(word: &[u8]) -> Option<Zeroizing<u64>> {
    let mut bytes = Zeroizing::new([0; WORD_LENGTH_MAX]);
    if word.len() > WORD_LENGTH_MAX || !word.iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    for (byte, letter) in bytes.iter_mut().zip(word) {
        *byte = letter.to_ascii_lowercase();
    }
    Some(Zeroizing::new(u64::from_be_bytes(*bytes)))
}

fn find(list: &[u64], wanted: u64) -> CtOption<u16> {
    let (mut found, mut number) = (Choice::from(0), 0);
    for (here, word) in (0_u16..).zip(list) {
        let is_same = word.ct_eq(&wanted);
        number.conditional_assign(&here, is_same);
        found |= is_same;
    }
    CtOption::new(number, found)
}

fn select(list: &[u64], number: u16) -> u64 {
    let mut selected = 0;
    for (here, word) in (0_u16..).zip(list) {
        selected.conditional_assign(word, here.ct_eq(&number));
    }
    selected
}

const WORDS: &str = include_str!("words.txt");
const WORD_LENGTH_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<u16>, usize> {
        read(&Secret::new(text.into())).map(|numbers| numbers.to_vec())
    }

    fn written(numbers: &[u16]) -> String {
        String::from_utf8(write(numbers).expose().to_vec()).unwrap()
    }

    #[test]
    fn the_list_has_1024_words_in_order_that_differ_in_their_first_four_letters() {
        let words: Vec<_> = WORDS.lines().collect();
        assert_eq!((words.len(), list().len()), (1024, 1024));
        assert!(words.windows(2).all(|pair| pair[0].get(..4) < pair[1].get(..4)));
        assert!(words.iter().all(|word| (4..=8).contains(&word.len())));
    }

    #[test]
    fn each_word_has_its_number_and_each_number_its_word() {
        for (number, word) in (0..).zip(WORDS.lines()) {
            assert_eq!(read_text(word), Ok(vec![number]), "{word}");
            assert_eq!(written(&[number]), word);
        }
    }

    #[test]
    fn spaces_and_capitals_do_not_matter() {
        assert_eq!(read_text("\n ACADEMIC\tzero  Acid\r\n"), Ok(vec![0, 1023, 1]));
        assert_eq!(written(&[0, 1023, 1]), "academic zero acid");
    }

    #[test]
    fn what_is_no_word_is_named_by_its_place() {
        for (text, position) in [
            ("aci", 1),
            ("academic acids", 2),
            ("zero zero academically", 3),
            ("zero acid\0", 2),
            ("zero acid zero\u{e9}", 3),
            ("zero, acid", 1),
            ("zero acid 1", 3),
        ] {
            assert_eq!(read_text(text), Err(position), "{text:?}");
        }
    }
}
