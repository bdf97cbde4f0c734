//! Files as CloudTrail delivers them: compressed.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn compare_trail(house: &House, trail: &Trail) -> Reconciliation {
    let (log, keys) = (house.log(), keys(house));
    let tolerance = Duration::from_secs(60);
    let evidence = Evidence { trail, log: &log, keys: &keys, tolerance, period: Period::ALL };
    reconcile(&evidence).unwrap()
}

#[test]
fn a_compressed_file_says_the_same_as_the_plain_one() {
    let (house, records) = bad_day();
    let expected = compare(&house, &records);
    let (one, two) = records.all.split_at(7);
    let part = |all: &[Value]| Records { all: all.to_vec() };
    for (name, files) in [
        ("one", vec![pack(&records.file())]),
        ("lines", vec![pack(&records.lines())]),
        ("two", vec![pack(&part(one).file()), pack(&part(two).file())]),
        ("a plain one behind", vec![pack(&part(one).file()), part(two).file()]),
        ("two in one", vec![[pack(&part(one).file()), pack(&part(two).file())].concat()]),
    ] {
        let mut trail = Trail::default();
        files.iter().for_each(|file| trail.read(file).unwrap());
        assert_eq!(compare_trail(&house, &trail), expected, "{name}");
    }
}

#[test]
fn a_compressed_file_that_is_cut_off_or_damaged_is_refused() {
    let (house, records) = good_day();
    let packed = pack(&records.file());
    for length in 2..packed.len() {
        let mut trail = Trail::default();
        assert_eq!(trail.read(&packed[..length]), Err(TrailError::Packed), "{length} bytes");
        assert_eq!(trail.read_count(), 0);
    }
    let expected = compare(&house, &records);
    for place in 0..packed.len() {
        let mut damaged = packed.clone();
        damaged[place] ^= 0x10;
        let mut trail = Trail::default();
        match trail.read(&damaged) {
            // The header tells other things than the contents, and there are bits that nobody reads.
            Ok(()) => assert_eq!(compare_trail(&house, &trail), expected, "byte {place}"),
            Err(TrailError::Packed) => assert!(place > 1, "byte {place}"),
            Err(TrailError::Malformed { .. }) => assert!(place < 2, "byte {place}"),
            Err(error) => panic!("byte {place}: {error}"),
        }
    }
    for (name, more) in [("plain", &b"{\"Records\":[]}"[..]), ("a part", &packed[..20])] {
        let longer = [&packed[..], more].concat();
        assert_eq!(Trail::default().read(&longer), Err(TrailError::Packed), "{name} behind");
    }
    let twice = pack(&packed);
    assert!(matches!(Trail::default().read(&twice), Err(TrailError::Malformed { record: 1, .. })));
}

#[test]
fn what_a_compressed_file_holds_is_named_as_in_a_plain_one() {
    let spoiled = format!("{}\n{WORD}", sign(HOT, at(0)));
    let error = Trail::default().read(spoiled.as_bytes()).unwrap_err();
    assert_eq!(Trail::default().read(&pack(spoiled.as_bytes())), Err(error));
    assert!(!format!("{error} {error:?}").contains(WORD), "{error}");
}

#[test]
fn a_file_that_unpacks_to_more_than_the_bound_is_refused() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let blank = vec![b' '; 1 << 20];
    for _ in 0..Trail::UNPACKED_MAX >> 20 {
        encoder.write_all(&blank).unwrap();
    }
    encoder.write_all(b" ").unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < Trail::UNPACKED_MAX / 100);
    let expected = TrailError::TooLarge { bytes_max: Trail::UNPACKED_MAX };
    assert_eq!(Trail::default().read(&bomb), Err(expected));
}
