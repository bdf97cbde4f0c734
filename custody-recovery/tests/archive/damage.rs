//! Whatever is not what was written is refused.

use custody_core::document::DocumentError;
use custody_recovery::archive::{Counts, HeaderError, LockedArchive, ReadError};
use pollster::block_on;
use proptest::prelude::*;

use crate::support::{
    Put, chunks_at, header, key, lines_of, open, other_key, read, small, small_archive,
    split_chunks, write, write_with,
};

/// An archive of six chunks.
fn long() -> Vec<u8> {
    let file = (0..5 * 64 * 1024_u32).map(|at| (at % 251) as u8).collect();
    let counts = Counts { events: 1, files: 1, ..Counts::default() };
    write(counts, &[Put::Event(0, b"{}".to_vec()), Put::File("log/tile", file)]).unwrap()
}

#[test]
fn what_is_written_is_read_again() {
    let lines = read(&small_archive()).unwrap();
    assert_eq!(lines.len(), 11);
    assert_eq!(lines[0], "record document/genesis/1 rules");
    assert_eq!(lines[4], "event 1 {\"second\":2}");
    assert_eq!(lines[5], "file log/checkpoint");
    assert!(lines[8].starts_with("size 0 "));
    assert_eq!(lines[9], "secret kek/main correct horse battery staple");
    assert_eq!(read(&long()).unwrap().len(), 3);
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    let good = small_archive();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            assert!(read(&bytes).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn a_flipped_bit_around_every_edge_of_a_chunk_is_noticed() {
    let good = long();
    let (before, chunks) = split_chunks(&good);
    assert_eq!(chunks.len(), 6);
    let mut edge = before.len();
    for chunk in chunks {
        let places = (0..24).chain(chunk.len() - 20..chunk.len()).chain([chunk.len() / 2]);
        for at in places {
            let mut bytes = good.clone();
            bytes[edge + at] ^= 1;
            assert!(read(&bytes).is_err(), "byte {at} of the chunk at {edge}");
        }
        edge += chunk.len();
    }
}

#[test]
fn an_archive_that_was_cut_is_refused_at_every_length() {
    let good = small_archive();
    for length in 0..good.len() {
        let refused = read(&good[..length]);
        assert!(matches!(refused, Err(ReadError::Truncated)), "{length} bytes: {refused:?}");
    }
    let good = long();
    for length in (chunks_at(&good)..good.len()).step_by(977) {
        assert!(matches!(read(&good[..length]), Err(ReadError::Truncated)), "{length} bytes");
    }
}

#[test]
fn an_archive_that_was_cut_between_chunks_is_refused() {
    let (mut bytes, chunks) = split_chunks(&long());
    for chunk in &chunks[..chunks.len() - 1] {
        assert!(matches!(read(&bytes), Err(ReadError::Truncated)));
        bytes.extend_from_slice(chunk);
    }
    // The last one that is left cannot be made the last.
    let last = bytes.len() - chunks[chunks.len() - 2].len();
    bytes[last] = 1;
    assert!(matches!(read(&bytes), Err(ReadError::Chunk { number: 4 })));
}

#[test]
fn nothing_may_follow_the_end() {
    for more in [&b"\0"[..], b"more", &split_chunks(&small_archive()).1[0]] {
        let bytes = [&small_archive()[..], more].concat();
        assert!(matches!(read(&bytes), Err(ReadError::Trailing)));
    }
}

#[test]
fn chunks_cannot_be_swapped_dropped_or_repeated() {
    let (before, chunks) = split_chunks(&long());
    let read = |chunks: &[Vec<u8>]| read(&[before.clone(), chunks.concat()].concat());
    assert!(read(&chunks).is_ok());
    for one in 0..chunks.len() {
        for other in 0..one {
            let mut swapped = chunks.clone();
            swapped.swap(one, other);
            assert!(read(&swapped).is_err(), "{one} and {other} swapped");
        }
        let mut dropped = chunks.clone();
        dropped.remove(one);
        assert!(read(&dropped).is_err(), "{one} dropped");
        for place in 0..=chunks.len() {
            let mut repeated = chunks.clone();
            repeated.insert(place, chunks[one].clone());
            assert!(read(&repeated).is_err(), "{one} repeated at {place}");
        }
    }
}

#[test]
fn a_chunk_of_another_archive_under_the_same_key_is_refused() {
    let counts = Counts { events: 1, ..Counts::default() };
    let one = write(counts, &[Put::Event(0, b"one".to_vec())]).unwrap();
    let mut draft = crate::support::draft(counts);
    draft.created_at = custody_core::time::Timestamp::from_millis(5);
    let routes = crate::support::routes(&key());
    let other = custody_recovery::archive::Header::new(draft, &key(), routes).unwrap();
    let (other, _) = write_with(&key(), &other, &[Put::Event(0, b"two".to_vec())]).unwrap();
    let mixed = [split_chunks(&one).0, split_chunks(&other).1.concat()].concat();
    assert!(matches!(read(&mixed), Err(ReadError::Chunk { number: 0 })));
    assert!(read(&one).is_ok() && read(&other).is_ok());
}

#[test]
fn a_wrong_key_is_told_from_a_changed_header() {
    let good = small_archive();
    let locked = block_on(LockedArchive::peek(good.as_slice())).unwrap();
    let refused = locked.unlock(&other_key()).unwrap_err();
    assert!(matches!(refused, ReadError::WrongKey));
    assert!(refused.to_string().contains("SLIP-39"), "{refused}");
    let text = String::from_utf8_lossy(&good[21..chunks_at(&good) - 32]).into_owned();
    let at = 21 + text.find("\"files\":2").unwrap() + 8;
    let mut changed = good;
    changed[at] = b'3';
    assert!(matches!(open(&changed), Err(ReadError::HeaderChanged)));
}

#[test]
fn what_is_no_archive_is_told_from_another_version() {
    let good = small_archive();
    let mut other = good.clone();
    other[0] = b'C';
    assert!(matches!(read(&other), Err(ReadError::NotAnArchive)));
    let mut newer = good.clone();
    newer[16] = 2;
    assert!(matches!(read(&newer), Err(ReadError::Version { version: 2 })));
    let mut long_header = good;
    long_header[17..21].copy_from_slice(&(64 * 1024 + 1_u32).to_be_bytes());
    let refused = read(&long_header);
    let expected = HeaderError::Length { length: 64 * 1024 + 1 };
    assert!(matches!(refused, Err(ReadError::Header(error)) if error == expected));
}

#[test]
fn a_header_with_unknown_fields_duplicate_keys_or_another_version_is_refused() {
    use custody_recovery::archive::Header;
    let good = String::from_utf8(header(crate::support::SMALL).bytes().to_vec()).unwrap();
    assert!(Header::parse(good.clone().into_bytes()).is_ok());
    for (from, to) in [
        ("{\"v\":1,", "{\"v\":2,"),
        ("{\"v\":1,", "{\"v\":1,\"v\":1,"),
        ("{\"v\":1,", "{"),
        ("{\"v\":1,", "{\"v\":1,\"more\":1,"),
        ("\"events\":2", "\"events\":2,\"events\":2"),
        ("\"events\":2", "\"events\":2,\"more\":1"),
        ("\"events\":2", "\"events\":-2"),
        ("\"route\":\"kek\"", "\"route\":\"key\""),
        ("\"route\":\"kek\"", "\"route\":\"kek\",\"route\":\"kek\""),
        ("\"route\":\"kek\"", "\"route\":\"kek\",\"more\":1"),
        ("\"wrapped\":", "\"wrapped\":\"00\",\"wrapped\":"),
        ("\"wrapped\":\"", "\"wrapped\":\"ABCD"),
    ] {
        let changed = good.replacen(from, to, 1);
        assert_ne!(changed, good, "{from}");
        let refused = Header::parse(changed.into_bytes());
        let malformed = |error: &HeaderError| {
            matches!(error, HeaderError::Document(DocumentError::Malformed { .. }))
        };
        assert!(refused.as_ref().is_err_and(malformed), "{to}: {refused:?}");
    }
    for (from, to, expected) in [
        ("\"events\":2", "\"events\":1", HeaderError::Checkpoint { size: 2, events: 1 }),
        ("\"records\":3", "\"records\":9007199254740992", HeaderError::Count),
        ("\"key_check\":\"", "\"key_check\":\"00", HeaderError::KeyCheck),
    ] {
        let changed = good.replacen(from, to, 1);
        assert_eq!(Header::parse(changed.into_bytes()).unwrap_err(), expected, "{to}");
    }
}

#[test]
fn a_reader_that_failed_gives_nothing_more() {
    let (before, mut chunks) = split_chunks(&long());
    let last = chunks.len() - 1;
    chunks[last][40] ^= 1;
    let bytes = [before, chunks.concat()].concat();
    let mut reader = open(&bytes).unwrap();
    block_on(async {
        let failed = loop {
            if let Err(error) = reader.next().await {
                break error;
            }
        };
        assert!(matches!(failed, ReadError::Chunk { .. }));
        assert!(matches!(reader.next().await, Err(ReadError::Broken)));
        assert!(matches!(reader.next().await, Err(ReadError::Broken)));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_contents_are_read_again(
        events in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
        file in prop::collection::vec(any::<u8>(), 0..200_000),
        secret in prop::collection::vec(any::<u8>(), 0..1_000),
    ) {
        let counts = Counts { events: events.len() as u64, records: 0, files: 1, secrets: 1 };
        let mut puts: Vec<_> = (0..).zip(events).map(|(at, bytes)| Put::Event(at, bytes)).collect();
        puts.push(Put::File("a/b", file));
        puts.push(Put::Secret("s", secret));
        let lines = read(&write(counts, &puts).unwrap()).unwrap();
        prop_assert_eq!(lines, lines_of(&puts));
    }
}

#[test]
fn two_archives_of_the_same_contents_share_no_chunk() {
    let mut all: Vec<_> = split_chunks(&long()).1;
    let puts = small();
    all.extend(split_chunks(&write(crate::support::SMALL, &puts).unwrap()).1);
    let before = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), before);
}
