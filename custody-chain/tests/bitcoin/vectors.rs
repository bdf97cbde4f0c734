//! Published vectors, each counted.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_chain::BitcoinDecoder;
use custody_core::seam::Decoder;
use custody_testkit::vectors;
use serde_json::Value;

use crate::support::{context, ecdsa, payload, reason};

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("no {field} in {case}"))
}

/// Why a payload is refused: the name of the error.
fn refusal(bytes: &[u8]) -> String {
    let context = context(&[ecdsa(1)]);
    match BitcoinDecoder::new().decode(&payload(bytes.to_vec()), &context) {
        Ok(_) => "decoded".into(),
        Err(error) => {
            let name = format!("{:?}", reason(&error));
            name.split([' ', '(']).next().unwrap().into()
        }
    }
}

type Counts = BTreeMap<String, usize>;

/// What becomes of the PSBTs of the three BIPs whose section says, or does not say, "invalid".
fn outcomes(is_invalid: bool) -> Counts {
    let mut counts = Counts::new();
    for name in ["bip174", "bip370", "bip371"] {
        for case in vectors::json(&format!("psbt/{name}.json")).as_array().unwrap() {
            if text(case, "section").contains("invalid") == is_invalid {
                let bytes = STANDARD.decode(text(case, "base64")).unwrap();
                *counts.entry(format!("{name} {}", refusal(&bytes))).or_default() += 1;
            }
        }
    }
    counts
}

fn of(list: &[(&str, usize)]) -> Counts {
    list.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn invalid_psbts_of_the_standards_are_refused() {
    assert_eq!(
        outcomes(true),
        of(&[
            ("bip174 Encoding", 20),
            ("bip370 UnknownKey", 12),
            ("bip370 Version", 12),
            ("bip371 Encoding", 11)
        ])
    );
}

/// None is an account's of the test: most are of old outputs told by themselves.
#[test]
fn valid_psbts_of_the_standards_are_refused_for_a_reason() {
    assert_eq!(
        outcomes(false),
        of(&[
            ("bip174 Encoding", 1),
            ("bip174 FullTransaction", 13),
            ("bip174 NoInputs", 2),
            ("bip174 NothingOfOurs", 2),
            ("bip174 PreviousOutput", 2),
            ("bip174 UnknownKey", 4),
            ("bip370 Version", 24),
            ("bip371 Encoding", 1),
            ("bip371 NothingOfOurs", 5)
        ])
    );
}

#[test]
fn invalid_psbts_of_bitcoinjs_are_refused() {
    let cases = vectors::json("bitcoin/bitcoinjs/psbt.json");
    let mut counts = Counts::new();
    for case in cases["bip174"]["invalid"].as_array().unwrap() {
        let bytes = STANDARD.decode(text(case, "psbt")).unwrap();
        *counts.entry(refusal(&bytes)).or_default() += 1;
    }
    assert_eq!(counts, of(&[("Encoding", 18)]));
}

#[test]
fn the_files_of_rust_bitcoin_are_refused_for_a_reason() {
    let mut counts = Counts::new();
    for name in [
        "combine_psbt_hex",
        "create_psbt_hex",
        "finalize_psbt_hex",
        "lex_combine_psbt_hex",
        "lex_psbt_1_hex",
        "lex_psbt_2_hex",
        "psbt_fuzz1.hex",
        "psbt_fuzz2.hex",
        "sign_1_psbt_hex",
        "sign_2_psbt_hex",
        "update_1_psbt_hex",
        "update_2_psbt_hex",
    ] {
        let text = vectors::text(&format!("psbt/rust-bitcoin/{name}"));
        let bytes = hex::decode(text.trim()).unwrap();
        *counts.entry(refusal(&bytes)).or_default() += 1;
    }
    assert_eq!(
        counts,
        of(&[
            ("Encoding", 1),
            ("FullTransaction", 5),
            ("NoInputs", 2),
            ("PreviousOutput", 1),
            ("UnknownKey", 3)
        ])
    );
}
