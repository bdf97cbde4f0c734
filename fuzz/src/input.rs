//! Bytes as choices: what a fuzzer changes is what a body does.

/// Bytes that are read from the front; where they end, zeros follow.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number of two bytes, big-endian.
    pub(crate) fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// One of these.
    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[usize::from(self.byte()) % from.len()]
    }

    /// As many bytes as the next byte says, or what is left.
    pub(crate) fn field(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (field, rest) = self.0.split_at(length);
        self.0 = rest;
        field
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// The first byte chooses the part, by its number; the others are for it.
pub(crate) fn choose<'a, T>(parts: &'a [T], bytes: &'a [u8]) -> Option<(&'a T, &'a [u8])> {
    let (first, rest) = bytes.split_first()?;
    Some((&parts[usize::from(*first) % parts.len()], rest))
}

/// An input for the part of this number.
pub(crate) fn chosen(part: usize, rest: &[u8]) -> Vec<u8> {
    [&[u8::try_from(part).unwrap()], rest].concat()
}

/// `good` with changes of four bytes each: what to do, where, and a byte.
///
/// Bytes are flipped, cut off from somewhere on, put in and taken out.
pub(crate) fn patched(good: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for change in changes.chunks_exact(4) {
        let at = usize::from(u16::from_be_bytes([change[1], change[2]])) % (bytes.len() + 1);
        match change[0] % 4 {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= change[3];
                }
            }
            1 => bytes.truncate(at),
            2 => bytes.insert(at, change[3]),
            _ => {
                if at < bytes.len() {
                    bytes.remove(at);
                }
            }
        }
    }
    bytes
}

/// A change of [`patched`] that flips bits of the byte at `at`.
pub(crate) fn flip(at: u16, bits: u8) -> [u8; 4] {
    let [high, low] = at.to_be_bytes();
    [0, high, low, bits]
}

/// A change of [`patched`] that cuts everything from `at` on.
pub(crate) fn cut(at: u16) -> [u8; 4] {
    let [high, low] = at.to_be_bytes();
    [1, high, low, 0]
}

/// Each text in which one character of this one, which is ASCII, is another, with its place.
pub(crate) fn one_changed(text: &str) -> impl Iterator<Item = (usize, String)> {
    (0..text.len()).map(move |at| {
        let mut changed = text.as_bytes().to_vec();
        changed[at] ^= 1;
        (at, String::from_utf8(changed).unwrap())
    })
}

/// Inputs with names, out of what they are made of.
pub(crate) fn named<const N: usize>(seeds: [(&str, Vec<u8>); N]) -> Vec<crate::Seed> {
    seeds.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_that_has_ended_gives_zeros() {
        let mut input = Input::new(&[1, 2, 3]);
        assert_eq!((input.byte(), input.short(), input.byte(), input.short()), (1, 0x0203, 0, 0));
        assert!(input.is_empty() && input.field().is_empty());
    }

    #[test]
    fn a_field_is_as_long_as_its_first_byte_says_and_no_longer_than_what_is_left() {
        let mut input = Input::new(&[2, 8, 9, 9, 7]);
        assert_eq!((input.field(), input.field()), (&[8, 9][..], &[7][..]));
    }

    #[test]
    fn changes_do_what_they_say() {
        let changed = |changes: &[u8]| patched(b"abc", changes);
        assert_eq!(changed(&[]), b"abc");
        assert_eq!(changed(&flip(1, 1)), b"acc");
        assert_eq!(changed(&cut(1)), b"a");
        assert_eq!(changed(&[2, 0, 3, b'd']), b"abcd");
        assert_eq!(changed(&[3, 0, 0, 0]), b"bc");
        assert_eq!(changed(&[0, 0, 3, 1]), b"abc");
        assert_eq!(changed(&[0, 0]), b"abc");
    }
}
