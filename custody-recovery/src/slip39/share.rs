//! A share: what one member holds, as words and read from words. This file opens secrets.
//!
//! ```text
//! identifier 15 | extendable 1 | iteration exponent 4 | group index 4 | group threshold - 1: 4 |
//! group count - 1: 4 | member index 4 | member threshold - 1: 4 | padding 0 to 8 | value |
//! checksum 30
//! ```
//!
//! These are numbers of bits, in words of 10. The padding is of zeros and fills the words of the
//! value (SLIP-39, "Format of the share mnemonic").
//!
//! Invariant: only what stands before the value, and is no secret, decides what is done.

use std::fmt;

use custody_core::secret::Secret;
use zeroize::Zeroizing;

use super::bits::{self, BYTE_BITS, WORD_BITS};
use super::checksum::{self, Mismatch};
use super::words::{self, Numbers};
use super::{MASTER_SECRET_MAX, MASTER_SECRET_MIN};

/// What one member of one group holds.
pub struct Share {
    parameters: Parameters,
    place: Place,
    value: Secret,
}

/// What all shares of a set have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parameters {
    pub(crate) identifier: u16,
    pub(crate) is_extendable: bool,
    pub(crate) iteration_exponent: u8,
    pub(crate) group_threshold: u8,
    pub(crate) group_count: u8,
}

/// Where a share stands in its set, and how many are needed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) group_index: u8,
    pub(crate) member_index: u8,
    pub(crate) member_threshold: u8,
}

impl Share {
    pub(crate) const fn new(parameters: Parameters, place: Place, value: Secret) -> Self {
        Self { parameters, place, value }
    }

    /// Reads the words of a share: UTF-8, in upper or lower case, with spaces or line ends between
    /// them.
    ///
    /// # Errors
    /// Fails on words that are not a share, and names the place of the wrong word where it can; see
    /// [`ShareError`].
    pub fn parse(words: &Secret) -> Result<Self, ShareError> {
        let count = words::count(words);
        let value_length = value_length(count).ok_or(ShareError::Length { words: count })?;
        let numbers =
            words::read(words).map_err(|position| ShareError::UnknownWord { position })?;
        checksum::check(&numbers).map_err(|mismatch| match mismatch {
            Mismatch::At(position) => ShareError::WrongWord { position },
            Mismatch::Somewhere => ShareError::Checksum,
        })?;
        let (header, rest) = numbers.split_at_checked(HEADER_WORDS).unwrap_or_default();
        let (parameters, place) = read_header(header);
        if parameters.group_threshold > parameters.group_count {
            return Err(ShareError::GroupThreshold {
                threshold: parameters.group_threshold,
                count: parameters.group_count,
            });
        }
        let value_words = rest.len().saturating_sub(checksum::WORDS);
        let (value, _) = rest.split_at_checked(value_words).unwrap_or_default();
        let value = read_value(value, value_length).ok_or(ShareError::Padding)?;
        Ok(Self { parameters, place, value })
    }

    /// Writes the words, in lower case, with one space between two of them.
    ///
    /// # Security
    /// Whoever reads the words of enough members has the secret. Show them once, to the member
    /// whose they are; never store, send or log them.
    #[must_use]
    pub fn to_words(&self) -> Secret {
        let value_words = words_for(self.value.len());
        let words = [HEADER_WORDS, value_words, checksum::WORDS];
        let mut numbers: Numbers = Zeroizing::new(Vec::with_capacity(words.into_iter().sum()));
        let header = self.header();
        let mut header = bits::of_bytes(&header);
        numbers.extend((0..HEADER_WORDS).map(|_| bits::next_word(&mut header)));
        let padding = std::iter::repeat_n(0, padding(value_words));
        let mut value = padding.chain(bits::of_bytes(self.value.expose()));
        numbers.extend((0..value_words).map(|_| bits::next_word(&mut value)));
        let checksum = checksum::of(&numbers, self.is_extendable());
        numbers.extend(checksum);
        words::write(&numbers)
    }

    /// The random number, below 2^15, that all shares of a set have.
    #[must_use]
    pub const fn identifier(&self) -> u16 {
        self.parameters.identifier
    }

    /// Whether the set is extendable: see [`Scheme::extendable`](super::Scheme::extendable).
    #[must_use]
    pub const fn is_extendable(&self) -> bool {
        self.parameters.is_extendable
    }

    /// How often the work of a passphrase is doubled, 0 to 15.
    #[must_use]
    pub const fn iteration_exponent(&self) -> u8 {
        self.parameters.iteration_exponent
    }

    /// Which group the share is of, from 0.
    #[must_use]
    pub const fn group_index(&self) -> u8 {
        self.place.group_index
    }

    /// How many groups are needed.
    #[must_use]
    pub const fn group_threshold(&self) -> u8 {
        self.parameters.group_threshold
    }

    /// How many groups there are.
    #[must_use]
    pub const fn group_count(&self) -> u8 {
        self.parameters.group_count
    }

    /// Which member of its group the share is of, from 0.
    #[must_use]
    pub const fn member_index(&self) -> u8 {
        self.place.member_index
    }

    /// How many members of the group are needed. How many there are stands in no share.
    #[must_use]
    pub const fn member_threshold(&self) -> u8 {
        self.place.member_threshold
    }

    /// The value of the polynomials at the place of this member.
    pub(crate) const fn value(&self) -> &Secret {
        &self.value
    }

    pub(crate) const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn header(&self) -> [u8; HEADER_BYTES] {
        let Parameters { identifier, is_extendable, iteration_exponent, .. } = self.parameters;
        let Place { group_index, member_index, member_threshold } = self.place;
        let first = (identifier << 1) | u16::from(is_extendable);
        let [first, second] = first.to_be_bytes();
        let less_one = |count: u8| count.saturating_sub(1);
        let groups = [self.group_threshold(), self.group_count()].map(less_one);
        let nibbles = |high: u8, low: u8| (high << 4) | (low & 0xf);
        [
            first,
            second,
            nibbles(iteration_exponent, group_index),
            nibbles(groups[0], groups[1]),
            nibbles(member_index, less_one(member_threshold)),
        ]
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share")
            .field("parameters", &self.parameters)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

fn read_header(words: &[u16]) -> (Parameters, Place) {
    let mut bits = bits::of_words(words);
    let [first, second, iterations_group, groups, member] =
        [(); HEADER_BYTES].map(|()| bits::next_byte(&mut bits));
    let first = u16::from_be_bytes([first, second]);
    let one_more = |count: u8| count.saturating_add(1);
    let parameters = Parameters {
        identifier: first >> 1,
        is_extendable: first & 1 == 1,
        iteration_exponent: iterations_group >> 4,
        group_threshold: one_more(groups >> 4),
        group_count: one_more(groups & 0xf),
    };
    let place = Place {
        group_index: iterations_group & 0xf,
        member_index: member >> 4,
        member_threshold: one_more(member & 0xf),
    };
    (parameters, place)
}

/// The value in these words; none if what stands before it is not zero.
fn read_value(words: &[u16], length: usize) -> Option<Secret> {
    let mut bits = bits::of_words(words);
    let padding = bits.by_ref().take(padding(words.len())).fold(0, |all, bit| all | bit);
    let value = Secret::try_fill(length, |bytes| {
        bytes.iter_mut().for_each(|byte| *byte = bits::next_byte(&mut bits));
        Ok::<_, std::convert::Infallible>(())
    });
    value.ok().filter(|_| padding == 0)
}

/// How many bytes the value of a share of so many words has, if there are such shares.
fn value_length(words: usize) -> Option<usize> {
    let words = words.checked_sub(HEADER_WORDS.saturating_add(checksum::WORDS))?;
    let bits = words.saturating_mul(WORD_BITS).checked_sub(padding(words))?;
    let is_padded = padding(words) <= PADDING_MAX;
    let length = bits.checked_div(BYTE_BITS)?;
    let is_allowed = (MASTER_SECRET_MIN..=MASTER_SECRET_MAX).contains(&length);
    (is_padded && is_allowed).then_some(length)
}

/// How many words a value of so many bytes takes.
const fn words_for(length: usize) -> usize {
    length.saturating_mul(BYTE_BITS).div_ceil(WORD_BITS)
}

/// How many bits stand before the value in so many words. Values have an even number of bytes.
const fn padding(words: usize) -> usize {
    words.saturating_mul(WORD_BITS) % (2 * BYTE_BITS)
}

/// Why words are not a share. Positions count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// The checksum is wrong, and no single wrong word would explain it: at least two words are.
    #[error("the checksum is wrong, and not by one word only")]
    Checksum,
    /// The share asks for more groups than its set has.
    #[error("{threshold} of {count} groups cannot be needed")]
    GroupThreshold {
        /// How many groups are needed.
        threshold: u8,
        /// How many groups there are.
        count: u8,
    },
    /// No share has so many words.
    #[error("no share has {words} words")]
    Length {
        /// How many words there are.
        words: usize,
    },
    /// The bits before the value are not zeros: whoever wrote the share did not keep to the
    /// standard.
    #[error("the bits before the value are not zeros")]
    Padding,
    /// A word is not in the list.
    #[error("word {position} is not in the list")]
    UnknownWord {
        /// Which word it is.
        position: usize,
    },
    /// The checksum is wrong, and would be right with another word here. All others are right, or
    /// at least three words are wrong.
    #[error("the checksum is wrong: word {position} is another one")]
    WrongWord {
        /// Which word it is.
        position: usize,
    },
}

const HEADER_WORDS: usize = 4;
const HEADER_BYTES: usize = 5;
const PADDING_MAX: usize = 8;

#[cfg(test)]
mod tests;
