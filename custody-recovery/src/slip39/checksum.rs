//! RS1024, the checksum of the standard: a Reed-Solomon code over GF(1024).
//!
//! It has three words, so that up to three wrong words are always found. One wrong word can also be
//! located: two codewords differ in four words at least, and so what differs from a codeword in one
//! word differs from each other one in three. Two wrong words are not taken for one; three or more
//! may be, once in some ten thousand times, and then the place that is named is a wrong one.
//!
//! Invariant: neither a word nor the difference to the right one leaves this module, and which word
//! is right decides nothing about what is done.

use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

/// Words of the checksum.
pub(crate) const WORDS: usize = 3;

/// What the words do not keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// One wrong word, here, would explain it; counted from 1.
    At(usize),
    /// More than one word is wrong.
    Somewhere,
}

/// The checksum of words.
pub(crate) fn of(words: &[u16], is_extendable: bool) -> [u16; WORDS] {
    let words = words.iter().copied().chain([0; WORDS]);
    let remainder = remainder(words, is_extendable) ^ 1;
    [20, 10, 0].map(|at| low_word(remainder >> at))
}

/// Checks words that end with their checksum. They say themselves whether they are extendable.
pub(crate) fn check(words: &[u16]) -> Result<(), Mismatch> {
    let is_extendable = words.get(FLAG_WORD).is_some_and(|word| word & FLAG != 0);
    let residue = |flag| remainder(words.iter().copied(), flag) ^ 1;
    if residue(is_extendable) == 0 {
        return Ok(());
    }
    // The flag chooses what is hashed before the words. If it is wrong itself, the word with it is.
    let as_read = locate(residue(is_extendable), words.len(), false);
    let as_flipped = locate(residue(!is_extendable), words.len(), true);
    // If both would do, neither is known.
    Err(as_read.xor(as_flipped).map_or(Mismatch::Somewhere, Mismatch::At))
}

/// The place, from 1, of the one word that explains a residue, if there is one: with a flip of the
/// flag, or without.
///
/// A wrong word adds its difference times a power of x to the residue. All differences are tried at
/// all places.
fn locate(residue: u32, count: usize, flips_flag: bool) -> Option<usize> {
    let mut place = 0_u64;
    for difference in 1..=WORD_MASK {
        let mut contribution = difference;
        for number in (1..=count).rev() {
            let flips = number == FLAG_WORD.saturating_add(1) && difference & u32::from(FLAG) != 0;
            let number = u64::try_from(number).unwrap_or(0);
            let fits = contribution.ct_eq(&residue) & u8::from(flips == flips_flag).into();
            place.conditional_assign(&number, fits);
            contribution = step(contribution, 0);
        }
    }
    usize::try_from(place).ok().filter(|place| *place > 0)
}

fn remainder(words: impl Iterator<Item = u16>, is_extendable: bool) -> u32 {
    let customization = if is_extendable { EXTENDABLE } else { ORIGINAL };
    customization.iter().copied().map(u16::from).chain(words).fold(1, step)
}

/// Multiplies by x, adds a word and divides by the generator.
fn step(state: u32, word: u16) -> u32 {
    let high = state >> 20;
    let shifted = ((state & 0x000f_ffff) << 10) ^ u32::from(word);
    let reduce = |sum: u32, (bit, generator): (u32, u32)| {
        sum ^ (generator & ((high >> bit) & 1).wrapping_neg())
    };
    (0..10).zip(GENERATOR).fold(shifted, reduce)
}

fn low_word(number: u32) -> u16 {
    u16::try_from(number & WORD_MASK).unwrap_or(0)
}

const ORIGINAL: &[u8] = b"shamir";
const EXTENDABLE: &[u8] = b"shamir_extendable";

/// Index of the word that holds the extendable flag, and its bit there.
const FLAG_WORD: usize = 1;
const FLAG: u16 = 0x10;

const WORD_MASK: u32 = 0x3ff;

/// What is added for each bit of the word that leaves at the top (SLIP-39, "Checksum").
const GENERATOR: [u32; 10] = [
    0x00e0_e040,
    0x01c1_c080,
    0x0383_8100,
    0x0707_0200,
    0x0e0e_0009,
    0x1c0c_2412,
    0x3808_6c24,
    0x3090_fc48,
    0x21b1_f890,
    0x03f3_f120,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Words with their checksum; the flag in them is as asked.
    fn arb_codeword() -> impl Strategy<Value = Vec<u16>> {
        (prop::collection::vec(0_u16..1024, 17..56), any::<bool>()).prop_map(|(mut words, flag)| {
            words[FLAG_WORD] = words[FLAG_WORD] & !FLAG | if flag { FLAG } else { 0 };
            words.extend(of(&words, flag));
            words
        })
    }

    proptest! {
        #[test]
        fn words_with_their_checksum_pass(words in arb_codeword()) {
            prop_assert_eq!(check(&words), Ok(()));
        }

        #[test]
        fn one_wrong_word_is_located(
            words in arb_codeword(),
            at: prop::sample::Index,
            change in 1_u16..1024,
        ) {
            let (mut words, at) = (words.clone(), at.index(words.len()));
            words[at] ^= change;
            prop_assert_eq!(check(&words), Err(Mismatch::At(at.saturating_add(1))));
        }

        #[test]
        fn two_wrong_words_are_found_and_not_blamed_on_one(
            words in arb_codeword(),
            places: [prop::sample::Index; 2],
            changes in [1_u16..1024, 1_u16..1024],
        ) {
            let mut words = words;
            let [first, second] = places.map(|place| place.index(words.len()));
            prop_assume!(first != second);
            // The flag is another prefix, which is no longer a change of two words only.
            let flips = |(at, change): (usize, u16)| at == FLAG_WORD && change & FLAG != 0;
            let all = [(first, changes[0]), (second, changes[1])];
            prop_assume!(!all.into_iter().any(flips));
            for (at, change) in all {
                words[at] ^= change;
            }
            prop_assert!(check(&words).is_err());
            let residue = remainder(words.iter().copied(), words[FLAG_WORD] & FLAG != 0) ^ 1;
            prop_assert_eq!(locate(residue, words.len(), false), None);
        }
    }

    #[test]
    fn a_wrong_flag_is_a_wrong_second_word_and_never_another_one() {
        let mut words = vec![7; 17];
        words.extend(of(&words, false));
        words[FLAG_WORD] ^= FLAG;
        assert_eq!(check(&words), Err(Mismatch::At(2)));
    }

    #[test]
    fn words_for_one_kind_of_set_do_not_pass_as_the_other() {
        let words = vec![7; 17];
        assert_ne!(of(&words, false), of(&words, true));
        let others = [words.clone(), of(&words, true).to_vec()].concat();
        assert!(check(&others).is_err());
    }
}
