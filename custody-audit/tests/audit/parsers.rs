//! Parsers of foreign text: whatever they accept they write again byte for byte, and nothing makes
//! them panic.

use custody_audit::checkpoint::LogHead;
use custody_audit::note::{SignedNote, VerifierKey};
use custody_audit::proof::LogProof;
use custody_audit::tile::{Entries, TilePath, push_entry};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// Parses a text with every parser; what is accepted must be written as it was read. Says which of
/// the parsers accept it.
fn check(text: &str) -> [bool; 5] {
    let written = [
        SignedNote::parse(text).ok().map(|note| note.to_string()),
        LogHead::parse(text).ok().map(|head| head.to_text()),
        LogProof::parse(text).ok().map(|proof| proof.to_string()),
        VerifierKey::parse(text).ok().map(|key| key.to_string()),
        TilePath::parse(text).ok().map(|path| path.to_string()),
    ];
    written.map(|written| {
        if let Some(written) = &written {
            assert_eq!(written, text);
        }
        written.is_some()
    })
}

const HASH: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
const LINE: &str = "\u{2014} a Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurm";
/// The example of C2SP `signed-note`.
const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

/// Texts as they must be, at least one of each format.
fn valid() -> Vec<String> {
    let head = format!("log\n5\n{HASH}\n");
    let note = format!("{head}\n{LINE}\n");
    let proof = |extra: &str| format!("c2sp.org/tlog-proof@v1\n{extra}index 2\n{HASH}\n\n{note}");
    let (receipt, bare) = (proof("extra AAAA\n"), proof(""));
    let paths = ["tile/0/x001/234.p/5", "tile/entries/067"].map(str::to_owned);
    [receipt, bare, note, head, KEY.to_owned()].into_iter().chain(paths).collect()
}

/// A text as it must be, or with a character or two in the place of others.
fn arb_changed() -> impl Strategy<Value = String> {
    let piece = prop_oneof!["[0-9]{1,2}", "[A-Za-z0-9+/]", "\\PC|\n", Just(String::new())];
    let changes = prop::collection::vec((any::<Index>(), piece), 0..3);
    (select(valid()), changes).prop_map(|(mut text, changes)| {
        for (place, piece) in changes {
            let letters: Vec<_> = text.char_indices().collect();
            let (start, letter) = *place.get(&letters);
            text.replace_range(start..start + letter.len_utf8(), &piece);
        }
        text
    })
}

/// Texts that are nearly right: pieces of all formats, glued together.
fn arb_glued() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("c2sp.org/tlog-proof@v1\n".to_owned()),
        Just("\n".to_owned()),
        Just(format!("{HASH}\n")),
        Just(format!("{LINE}\n")),
        Just("index ".to_owned()),
        Just("extra ".to_owned()),
        Just("tile/".to_owned()),
        Just("entries/".to_owned()),
        "x?[0-9]{1,4}",
        Just(".p/".to_owned()),
        Just("/".to_owned()),
        Just("+".to_owned()),
        "[0-9]{1,3}\n",
        "[A-Za-z0-9+/]{4}=?",
        "\\PC{0,4}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn changed_texts_are_accepted_by_every_parser_and_not_only_as_they_were() {
    let mut runner = TestRunner::deterministic();
    let (valid, mut accepted, mut changed) = (valid(), [0; 5], 0);
    for _ in 0..1_000 {
        let text = arb_changed().new_tree(&mut runner).unwrap().current();
        let by = check(&text);
        for (count, is_accepted) in accepted.iter_mut().zip(by) {
            *count += usize::from(is_accepted);
        }
        changed += usize::from(by.contains(&true) && !valid.contains(&text));
    }
    assert!(valid.iter().all(|text| check(text).contains(&true)));
    assert!(accepted.iter().all(|count| *count >= 20), "{accepted:?}");
    assert!(changed >= 20, "{changed} that were changed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_is_accepted_is_written_as_it_was_read(text in arb_changed()) {
        check(&text);
    }

    #[test]
    fn what_is_nearly_right_is_refused_or_written_as_it_was_read(text in arb_glued()) {
        check(&text);
    }

    #[test]
    fn every_tile_path_is_read_as_it_was_written(
        level in 0_u8..64,
        index in prop_oneof![any::<u64>(), 0_u64..2_000_000],
        width in 1_u16..=256,
    ) {
        let group = |group: u32| index / 1_000_u64.pow(group) % 1_000;
        let groups = (0..7).rev().find(|at| *at == 0 || index / 1_000_u64.pow(*at) > 0).unwrap();
        let high: String = (1..=groups).rev().map(|at| format!("x{:03}/", group(at))).collect();
        let partial = if width == 256 { String::new() } else { format!(".p/{width}") };
        let path = format!("tile/{level}/{high}{:03}{partial}", group(0));
        let read = TilePath::parse(&path).unwrap();
        prop_assert_eq!((read.index(), read.width()), (index, width));
        prop_assert_eq!(read.to_string(), path);
    }

    #[test]
    fn bytes_read_as_entries_are_those_entries_in_a_bundle(
        bytes in prop::collection::vec(prop_oneof![Just(0_u8), 0_u8..6, any::<u8>()], 0..64),
    ) {
        let read: Result<Vec<_>, _> = Entries::new(&bytes).collect();
        if let Ok(entries) = read {
            let mut written = Vec::new();
            for entry in entries {
                push_entry(&mut written, entry).unwrap();
            }
            prop_assert_eq!(written, bytes);
        }
    }
}
