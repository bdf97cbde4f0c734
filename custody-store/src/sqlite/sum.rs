//! The sums that stand beside what is stored.
//!
//! **Invariant:** whoever reads a row compares its sum with all of the row. A sum finds what a disk
//! or a memory did to the row; against somebody who writes a new sum it is nothing.

use custody_core::digest::Digest;
use custody_core::seam::Position;

use super::fault::Fault;

/// The sum of an event at its position.
pub(super) fn of_event(position: Position, bytes: &[u8]) -> i64 {
    sum("custody/store/event/v2", &position.value().to_be_bytes(), bytes)
}

/// The sum of a record under its key.
pub(super) fn of_record(key: &str, value: &[u8]) -> i64 {
    sum("custody/store/record/v2", key.as_bytes(), value)
}

/// Passes what has the sum that stands beside it.
pub(super) fn check(stored: i64, computed: i64) -> Result<(), Fault> {
    if stored == computed { Ok(()) } else { Err(Fault::Damaged("a row has another sum")) }
}

/// The first eight bytes of a SHA-256.
fn sum(tag: &str, place: &[u8], bytes: &[u8]) -> i64 {
    let digest = Digest::tagged(tag, &[place, bytes]);
    digest.as_bytes().first_chunk().map_or(0, |first| i64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_pinned() {
        assert_eq!(of_event(Position::new(7), b"{}"), -716_220_723_973_011_966);
        assert_eq!(of_record("a/b", b"v"), 6_101_324_474_298_443_734);
    }

    #[test]
    fn a_sum_binds_the_place_the_bytes_and_the_kind() {
        let sums = [
            of_event(Position::new(7), b"v"),
            of_event(Position::new(8), b"v"),
            of_event(Position::new(7), b"w"),
            of_event(Position::new(7), b""),
            of_record("a", b"v"),
            of_record("b", b"v"),
            of_record("a", b"w"),
            of_record("av", b""),
            of_record("\0\0\0\0\0\0\0\u{7}", b"v"),
        ];
        for (index, sum) in sums.iter().enumerate() {
            assert!(!sums[..index].contains(sum), "{index}");
        }
    }
}
