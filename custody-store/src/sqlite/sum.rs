//! The sums that stand beside what is stored.
//!
//! **Invariant:** whoever reads a row compares its sum with all of the row. A sum finds what a disk
//! or a memory did to the row; against somebody who writes a new sum it is nothing.

use std::hash::Hasher as _;

use custody_core::seam::Position;
use twox_hash::XxHash64;

use super::fault::Fault;

/// The sum of an event at its position.
pub(super) fn of_event(position: Position, bytes: &[u8]) -> i64 {
    sum(EVENT, &position.value().to_be_bytes(), bytes)
}

/// The sum of a record under its key.
pub(super) fn of_record(key: &str, value: &[u8]) -> i64 {
    sum(RECORD, key.as_bytes(), value)
}

/// Passes what has the sum that stands beside it.
pub(super) fn check(stored: i64, computed: i64) -> Result<(), Fault> {
    if stored == computed { Ok(()) } else { Err(Fault::Damaged("a row has another sum")) }
}

/// XXH64 of the place, its length before it as eight big-endian bytes, and the bytes.
fn sum(kind: u64, place: &[u8], bytes: &[u8]) -> i64 {
    let length = u64::try_from(place.len()).unwrap_or(u64::MAX);
    let mut sum = XxHash64::with_seed(kind);
    sum.write(&length.to_be_bytes());
    sum.write(place);
    sum.write(bytes);
    sum.finish().cast_signed()
}

/// The seeds, one for each kind of row.
const EVENT: u64 = 1;
const RECORD: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_pinned() {
        assert_eq!(of_event(Position::new(7), b"{}"), -7_490_204_217_879_751_361);
        assert_eq!(of_record("a/b", b"v"), -5_942_792_727_580_553_626);
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
