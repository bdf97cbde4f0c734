//! Whether calldata is as long as what it says. Offsets may point to the same bytes as often as they
//! like, and whoever reads what is there has it as often.
//!
//! Invariant: what passes is read into no more than calldata has words, and every step of looking
//! takes one of them.

use std::iter::repeat_n;

use alloy_dyn_abi::DynSolType;
use alloy_primitives::U256;

/// Whether values of these types, each in words of its own, have room in `data`.
pub(super) fn have_room(types: &[DynSolType], data: &[u8]) -> bool {
    let left = data.len().div_ceil(WORD);
    Walk { data, left }.sequence(types.iter(), 0).is_some()
}

struct Walk<'a> {
    data: &'a [u8],
    /// Words that nothing was read from yet.
    left: usize,
}

impl Walk<'_> {
    /// Values beside each other, from `start` on: those that have their length in themselves, and
    /// the offsets of the others.
    fn sequence<'t>(
        &mut self,
        kinds: impl Iterator<Item = &'t DynSolType>,
        start: usize,
    ) -> Option<()> {
        let mut head = start;
        for kind in kinds {
            let words = if kind.is_dynamic() { 1 } else { kind.minimum_words() };
            // Something without a length takes a word too, or there could be any number of it.
            self.spend(words.max(1))?;
            if kind.is_dynamic() {
                let place = start.checked_add(self.number(head)?)?;
                self.dynamic(kind, place)?;
            }
            head = head.checked_add(words.checked_mul(WORD)?)?;
        }
        Some(())
    }

    fn dynamic(&mut self, kind: &DynSolType, place: usize) -> Option<()> {
        match kind {
            DynSolType::Bytes | DynSolType::String => {
                let length = self.number(place)?;
                self.spend(length.div_ceil(WORD).checked_add(1)?)
            }
            DynSolType::Array(inner) => {
                let count = self.number(place)?;
                self.spend(1)?;
                self.sequence(repeat_n(inner.as_ref(), count), place.checked_add(WORD)?)
            }
            DynSolType::FixedArray(inner, count) => {
                self.sequence(repeat_n(inner.as_ref(), *count), place)
            }
            DynSolType::Tuple(kinds) | DynSolType::CustomStruct { tuple: kinds, .. } => {
                self.sequence(kinds.iter(), place)
            }
            DynSolType::Address
            | DynSolType::Bool
            | DynSolType::FixedBytes(_)
            | DynSolType::Function
            | DynSolType::Int(_)
            | DynSolType::Uint(_) => Some(()),
        }
    }

    /// The number in the word at `place`; none beyond the end, or if it is larger than any length.
    fn number(&self, place: usize) -> Option<usize> {
        let word = self.data.get(place..place.checked_add(WORD)?)?;
        let number: u64 = U256::from_be_slice(word).try_into().ok()?;
        usize::try_from(number).ok()
    }

    fn spend(&mut self, words: usize) -> Option<()> {
        self.left = self.left.checked_sub(words)?;
        Some(())
    }
}

const WORD: usize = 32;

#[cfg(test)]
mod tests {
    use alloy_dyn_abi::DynSolValue;

    use super::*;

    fn kinds(texts: &[&str]) -> Vec<DynSolType> {
        texts.iter().map(|text| DynSolType::parse(text).unwrap()).collect()
    }

    fn word(number: u64) -> [u8; 32] {
        U256::from(number).to_be_bytes()
    }

    #[test]
    fn what_is_encoded_as_it_should_be_has_room_to_the_word() {
        let text = |length: usize| DynSolValue::Bytes(vec![7; length]);
        let number = |number: u64| DynSolValue::Uint(U256::from(number), 256);
        let list = |values: Vec<DynSolValue>| DynSolValue::Array(values);
        for (kind, value) in [
            ("(uint256)", vec![number(1)]),
            ("(bytes)", vec![text(0)]),
            ("(bytes,uint256)", vec![text(33), number(1)]),
            ("(bytes[])", vec![list(vec![text(32), text(0), text(1)])]),
            ("(uint256[])", vec![list(Vec::new())]),
            (
                "((uint256,bytes)[],bool)",
                vec![
                    list(vec![DynSolValue::Tuple(vec![number(1), text(5)]); 3]),
                    DynSolValue::Bool(true),
                ],
            ),
            (
                "(uint256[2],bytes[2])",
                vec![
                    DynSolValue::FixedArray(vec![number(1), number(2)]),
                    DynSolValue::FixedArray(vec![text(1), text(64)]),
                ],
            ),
        ] {
            let DynSolType::Tuple(kinds) = DynSolType::parse(kind).unwrap() else { panic!() };
            let data = DynSolValue::Tuple(value).abi_encode_sequence().unwrap();
            assert!(have_room(&kinds, &data), "{kind}");
            let mut walk = Walk { data: &data, left: data.len() / WORD };
            walk.sequence(kinds.iter(), 0).unwrap();
            assert_eq!(walk.left, 0, "{kind}");
            assert!(!have_room(&kinds, &data[WORD..]), "{kind} without its beginning");
        }
    }

    #[test]
    fn what_is_told_more_often_than_it_is_there_has_no_room() {
        // Two hundred offsets to one element of six kilobytes.
        let (many, long) = (200, 6_000);
        let element = [&word(long)[..], &[7; 6_016]].concat();
        let offsets = word(many * 32).repeat(200);
        let data = [&word(32)[..], &word(many), &offsets, &element].concat();
        assert!(!have_room(&kinds(&["bytes[]"]), &data));
        // A list that holds itself.
        let data = [word(32), word(1), word(0)].concat();
        assert!(!have_room(&kinds(&["uint256[][]"]), &data));
        assert!(!have_room(&kinds(&["uint256[][][][][][][][]"]), &data));
    }

    #[test]
    fn lengths_that_nothing_has_end_at_once() {
        for length in [2, u64::from(u32::MAX), u64::MAX] {
            let data = [word(32), word(length)].concat();
            for kind in ["bytes", "string", "uint256[]", "bytes[]", "()[]"] {
                assert!(!have_room(&kinds(&[kind]), &data), "{length} of {kind}");
            }
        }
        let data = [&[0xff; 32][..], &word(0)].concat();
        assert!(!have_room(&kinds(&["bytes"]), &data));
        assert!(!have_room(&kinds(&["bytes"]), &[]));
    }
}
