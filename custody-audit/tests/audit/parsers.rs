//! Parsers of foreign text: whatever they accept they write again byte for byte, and nothing makes
//! them panic.

use custody_audit::checkpoint::LogHead;
use custody_audit::note::{SignedNote, VerifierKey};
use custody_audit::proof::LogProof;
use custody_audit::tile::{Entries, TilePath, push_entry};
use proptest::prelude::*;

/// Parses a text with every parser; what is accepted must be written as it was read.
fn check(text: &str) {
    let same = |written: String| assert_eq!(written, text);
    SignedNote::parse(text).map(|note| same(note.to_string())).ok();
    LogHead::parse(text).map(|head| same(head.to_text())).ok();
    LogProof::parse(text).map(|proof| same(proof.to_string())).ok();
    VerifierKey::parse(text).map(|key| same(key.to_string())).ok();
    TilePath::parse(text).map(|path| same(path.to_string())).ok();
}

const HASH: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
const LINE: &str = "\u{2014} a Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurm";

/// Texts that are nearly right: pieces of all formats, glued together.
fn arb_text() -> impl Strategy<Value = String> {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_is_accepted_is_written_as_it_was_read(text in arb_text()) {
        check(&text);
    }

    #[test]
    fn a_changed_receipt_is_refused_or_written_as_it_was_read(
        places in prop::collection::vec((any::<prop::sample::Index>(), "\\PC|\n"), 1..3),
    ) {
        let mut text = format!(
            "c2sp.org/tlog-proof@v1\nextra AAAA\nindex 2\n{HASH}\n\nlog\n5\n{HASH}\n\n{LINE}\n"
        );
        for (place, piece) in places {
            let letters: Vec<_> = text.char_indices().collect();
            let (start, letter) = *place.get(&letters);
            text.replace_range(start..start + letter.len_utf8(), &piece);
        }
        check(&text);
        if let Some((_, note)) = text.split_once("\n\n") {
            check(note);
        }
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
