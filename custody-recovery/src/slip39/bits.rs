//! Numbers as bits and bits as numbers, most significant first.
//!
//! Invariant: which steps are taken depends on lengths only, never on a bit.

/// Bits of a word.
pub(crate) const WORD_BITS: usize = 10;

/// Bits of a byte.
pub(crate) const BYTE_BITS: usize = 8;

/// The bits of words.
pub(crate) fn of_words(words: &[u16]) -> impl Iterator<Item = u16> {
    words.iter().flat_map(|word| bits(*word, WORD_BITS))
}

/// The bits of bytes.
pub(crate) fn of_bytes(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.iter().flat_map(|byte| bits(u16::from(*byte), BYTE_BITS))
}

/// The next word out of bits; what has ended gives zeros.
pub(crate) fn next_word(bits: &mut impl Iterator<Item = u16>) -> u16 {
    (0..WORD_BITS).fold(0, |word, _| (word << 1) | bits.next().unwrap_or(0))
}

/// The next byte out of bits; what has ended gives zeros.
pub(crate) fn next_byte(bits: &mut impl Iterator<Item = u16>) -> u8 {
    let byte = (0..BYTE_BITS).fold(0_u16, |byte, _| (byte << 1) | bits.next().unwrap_or(0));
    let [_, low] = byte.to_be_bytes();
    low
}

/// The lowest bits of a number.
fn bits(number: u16, count: usize) -> impl Iterator<Item = u16> {
    (0..count).rev().map(move |at| (number >> at) & 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_most_significant_bit_comes_first() {
        assert_eq!(of_words(&[0b10_0000_0001]).collect::<Vec<_>>(), [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(of_bytes(&[0b1000_0010]).collect::<Vec<_>>(), [1, 0, 0, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn bits_that_have_ended_are_zeros() {
        let mut bits = of_bytes(&[0xff]);
        assert_eq!(next_word(&mut bits), 0b11_1111_1100);
        assert_eq!((next_byte(&mut bits), next_word(&mut bits)), (0, 0));
    }

    proptest! {
        #[test]
        fn five_bytes_are_four_words_and_back(bytes: [u8; 5]) {
            let mut bits = of_bytes(&bytes);
            let words = [(); 4].map(|()| next_word(&mut bits));
            let mut bits = of_words(&words);
            prop_assert_eq!([(); 5].map(|()| next_byte(&mut bits)), bytes);
        }
    }
}
