//! Derivation and mnemonics against published vectors. Every case of a file counts.

use custody_core::crypto::Algorithm;
use custody_core::seam::{DerivationPath, ErrorKind, KeyDerivation, SeedRecord};
use custody_core::secret::Secret;
use custody_testkit::vectors;
use proptest::prelude::*;

use crate::support::{Bench, key_request, run, seed_request};

const SECP256K1: Algorithm = Algorithm::EcdsaSecp256k1;
const ED25519: Algorithm = Algorithm::Ed25519;
pub(crate) const ZERO_WORDS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                          abandon abandon about";

pub(crate) fn seed_of(bench: &Bench, hex_seed: &str) -> SeedRecord {
    bench.import_seed(&hex::decode(hex_seed).unwrap()).unwrap()
}

fn algorithm_of(curve: &str) -> Algorithm {
    match curve {
        "secp256k1" => SECP256K1,
        "ed25519" => ED25519,
        other => panic!("{other}"),
    }
}

/// Two seeds are the same if the keys at the top and below it are.
fn assert_same(bench: &Bench, one: &SeedRecord, other: &SeedRecord, case: &str) {
    for path in ["m", "m/7", "m/7'"] {
        let keys = [one, other].map(|seed| bench.derived(seed, path, SECP256K1));
        assert_eq!(keys[0], keys[1], "{case}, {path}");
    }
}

fn text<'a>(case: &'a serde_json::Value, field: &str) -> &'a str {
    case[field].as_str().unwrap()
}

#[test]
fn keys_and_chain_codes_equal_those_of_bip_32() {
    let cases = vectors::json("bip32/bip32.json");
    let cases = cases["valid"].as_array().unwrap();
    assert_eq!(cases.len(), 17);
    let bench = Bench::new();
    for case in cases {
        let (seed, path) = (seed_of(&bench, text(case, "seed")), text(case, "path"));
        let public = bs58::decode(text(case, "xpub")).with_check(None).into_vec().unwrap();
        assert_eq!(bench.derived(&seed, path, SECP256K1), hex::encode(&public[45..78]), "{path}");
        let node = bench.import_extended_key(text(case, "xprv")).unwrap();
        for step in ["7", "7'"] {
            let below = bench.derived(&seed, &format!("{path}/{step}"), SECP256K1);
            assert_eq!(bench.derived(&node, &format!("m/{step}"), SECP256K1), below, "{path}");
        }
    }
}

#[test]
fn invalid_extended_keys_of_bip_32_are_refused() {
    let cases = vectors::json("bip32/bip32.json");
    let cases = cases["invalid_extended_keys"].as_array().unwrap();
    assert_eq!(cases.len(), 16);
    let bench = Bench::new();
    for case in cases {
        let error = bench.import_extended_key(text(case, "key")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{}", text(case, "why"));
    }
    assert_eq!(bench.kek.wraps(), 0);
}

#[test]
fn public_extended_keys_are_refused() {
    let cases = vectors::json("bip32/bip32.json");
    let bench = Bench::new();
    for case in cases["valid"].as_array().unwrap() {
        let error = bench.import_extended_key(text(case, "xpub")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
    }
}

#[test]
fn keys_equal_those_of_slip_10_for_both_curves() {
    let cases = vectors::json("slip10/slip10.json");
    let cases = cases["derived"].as_array().unwrap();
    assert_eq!(cases.len(), 48);
    let bench = Bench::new();
    for case in cases {
        let (curve, path) = (algorithm_of(text(case, "curve")), text(case, "path"));
        let seed = seed_of(&bench, text(case, "seed"));
        let derived = bench.derived(&seed, path, curve);
        assert_eq!(derived, text(case, "public_key"), "{curve} {path}");
        let private = hex::decode(text(case, "private_key")).unwrap();
        let imported = bench.import(curve, &private).unwrap();
        assert_eq!(hex::encode(imported.public_key.as_bytes()), derived, "{curve} {path}");
    }
}

#[test]
fn keys_on_p_256_equal_those_of_slip_10() {
    let cases = vectors::json("slip10/p256.json");
    let cases = cases["derived"].as_array().unwrap();
    assert_eq!(cases.len(), 60);
    let bench = Bench::new();
    for case in cases {
        let (seed, path) = (seed_of(&bench, text(case, "seed")), text(case, "path"));
        let derived = bench.derived(&seed, path, Algorithm::EcdsaP256);
        assert_eq!(derived, text(case, "public_key"), "{path}");
        let private = hex::decode(text(case, "private_key")).unwrap();
        let imported = bench.import(Algorithm::EcdsaP256, &private).unwrap();
        assert_eq!(hex::encode(imported.public_key.as_bytes()), derived, "{path}");
    }
}

#[test]
fn paths_that_slip_10_refuses_give_no_key() {
    let cases = vectors::json("slip10/slip10.json");
    let cases = cases["refused"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    let bench = Bench::new();
    for case in cases {
        let seed = seed_of(&bench, text(case, "seed"));
        let Ok(path) = DerivationPath::parse(text(case, "path")) else { continue };
        let request = key_request("derived-1", algorithm_of(text(case, "curve")));
        let error = run(bench.backend.derive(&seed, &path, &request)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{path}");
    }
}

#[test]
fn wallets_derive_the_same_accounts() {
    let cases = vectors::json("generated/hd_addresses.json.gz");
    let bench = Bench::new();
    let mut accounts = 0;
    for case in cases.as_array().unwrap() {
        let seed = bench.import_mnemonic(text(case, "mnemonic"), text(case, "passphrase")).unwrap();
        assert_same(&bench, &seed, &seed_of(&bench, text(case, "seed")), text(case, "seed"));
        for account in case["accounts"].as_array().unwrap() {
            let (coin, path) = (text(account, "coin"), text(account, "path"));
            let algorithm = if coin == "SOL" { ED25519 } else { SECP256K1 };
            let derived = bench.derived(&seed, path, algorithm);
            assert_eq!(derived, text(account, "public_key"), "{coin} {path}");
            let private = hex::decode(text(account, "private_key")).unwrap();
            let imported = bench.import(algorithm, &private).unwrap();
            assert_eq!(hex::encode(imported.public_key.as_bytes()), derived, "{coin} {path}");
            accounts += 1;
        }
    }
    assert_eq!(accounts, 140);
}

#[test]
fn mnemonics_of_ethers_give_its_seeds_and_keys() {
    let cases = vectors::json("ethereum/ethers/hdnode.json.gz");
    let bench = Bench::new();
    let plain = |value: &serde_json::Value| value.as_str().unwrap()[2..].to_owned();
    let mut counts = [0, 0];
    for case in cases.as_array().unwrap() {
        let passphrase = case.get("password").map_or("", |text| text.as_str().unwrap());
        let seed = bench.import_mnemonic(text(case, "mnemonic"), passphrase).unwrap();
        let case_name = text(case, "name");
        assert_same(&bench, &seed, &seed_of(&bench, &plain(&case["seed"])), case_name);
        for node in case["hdnodes"].as_array().unwrap() {
            let derived = bench.derived(&seed, text(node, "path"), SECP256K1);
            let private = hex::decode(plain(&node["privateKey"])).unwrap();
            let imported = bench.import(SECP256K1, &private).unwrap();
            assert_eq!(hex::encode(imported.public_key.as_bytes()), derived, "{case_name}");
            counts[1] += 1;
        }
        counts[0] += 1;
    }
    assert_eq!(counts, [303, 1315]);
}

#[test]
fn mnemonics_of_all_ten_languages_give_the_seeds_of_the_reference() {
    let languages = vectors::json("bip39/trezor_vectors.json");
    let languages = languages.as_object().unwrap();
    let bench = Bench::new();
    let mut count = 0;
    for (language, cases) in languages {
        for case in cases.as_array().unwrap() {
            let [words, seed, xprv] = [1, 2, 3].map(|field| case[field].as_str().unwrap());
            let imported = bench.import_mnemonic(words, "TREZOR").unwrap();
            assert_same(&bench, &imported, &seed_of(&bench, seed), language);
            let extended = bench.import_extended_key(xprv).unwrap();
            assert_same(&bench, &imported, &extended, language);
            count += 1;
        }
    }
    assert_eq!((languages.len(), count), (10, 156));
}

#[test]
fn japanese_mnemonics_and_passphrases_are_normalised() {
    let cases = vectors::json("bip39/test_JP_BIP39.json");
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 24);
    let bench = Bench::new();
    for case in cases {
        let (words, passphrase) = (text(case, "mnemonic"), text(case, "passphrase"));
        let imported = bench.import_mnemonic(words, passphrase).unwrap();
        assert_same(&bench, &imported, &seed_of(&bench, text(case, "seed")), words);
        let extended = bench.import_extended_key(text(case, "bip32_xprv")).unwrap();
        assert_same(&bench, &imported, &extended, words);
    }
}

#[test]
fn words_with_a_wrong_count_checksum_or_spelling_are_refused() {
    let bench = Bench::new();
    let repeated = |word: &str, count: usize| vec![word; count].join(" ");
    let mut cases: Vec<(String, String)> = [0, 1, 3, 9, 11, 13, 14, 16, 17, 23, 25, 27]
        .into_iter()
        .map(|count| (format!("{count} words"), repeated("abandon", count)))
        .collect();
    for count in [12, 15, 18, 21, 24] {
        cases.push((format!("checksum of {count} words"), repeated("abandon", count)));
        cases.push((format!("{count} unknown words"), repeated("bitcoins", count)));
    }
    for (name, words) in [
        ("last word", ZERO_WORDS.replace("about", "above")),
        ("spelling", ZERO_WORDS.replace("about", "abouts")),
        ("first four letters", ZERO_WORDS.replace("abandon", "aban")),
        ("capitals", ZERO_WORDS.to_uppercase()),
        ("two languages", ZERO_WORDS.replace("about", "abaisser")),
        ("commas", ZERO_WORDS.replace(' ', ",")),
        ("control character", format!("{ZERO_WORDS}\0")),
        ("too long", format!("{ZERO_WORDS}{}", " ".repeat(1024))),
    ] {
        cases.push((name.to_owned(), words));
    }
    for (name, words) in cases {
        let error = bench.import_mnemonic(&words, "").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{name}");
    }
    assert_eq!(bench.kek.wraps(), 0);
}

#[test]
fn no_error_names_a_word() {
    let bench = Bench::new();
    let error = bench.import_mnemonic(&ZERO_WORDS.replace("about", "zebrafish"), "").unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    let printed = format!("{error} {error:?} {source} {source:?}");
    assert!(printed.contains("word 11"), "{printed}");
    assert!(!printed.contains("zebra") && !printed.contains("abandon"), "{printed}");
}

#[test]
fn words_and_passphrases_that_are_no_text_or_too_long_are_refused() {
    let bench = Bench::new();
    let words = || Secret::new(ZERO_WORDS.into());
    for (words, passphrase) in [
        (Secret::new(vec![0xff; 12]), Secret::new(Vec::new())),
        (words(), Secret::new(vec![0xc0, 0x80])),
        (words(), Secret::new(vec![b'a'; 1025])),
    ] {
        let request = seed_request();
        let import = bench.backend.import_mnemonic(&request, words, passphrase);
        assert_eq!(run(import).unwrap_err().kind(), ErrorKind::Refused);
    }
    let longest = Secret::new(vec![b'a'; 1024]);
    run(bench.backend.import_mnemonic(&seed_request(), words(), longest)).unwrap();
}

#[test]
fn space_between_words_does_not_matter() {
    let bench = Bench::new();
    let plain = bench.import_mnemonic(ZERO_WORDS, "").unwrap();
    for between in ["  ", "\n", "\t", "\u{3000}", "\r\n"] {
        let words = format!("{between}{}{between}", ZERO_WORDS.replace(' ', between));
        let spaced = bench.import_mnemonic(&words, "").unwrap();
        assert_same(&bench, &plain, &spaced, &format!("{between:?}"));
    }
}

#[test]
fn a_passphrase_is_the_same_however_it_was_typed() {
    let bench = Bench::new();
    let [composed, decomposed, wide] = ["caf\u{e9} 1", "cafe\u{301} 1", "cafe\u{301} \u{ff11}"]
        .map(|passphrase| bench.import_mnemonic(ZERO_WORDS, passphrase).unwrap());
    assert_same(&bench, &composed, &decomposed, "decomposed");
    assert_same(&bench, &composed, &wide, "wide");
    let other = bench.import_mnemonic(ZERO_WORDS, "cafe 1").unwrap();
    let keys = [composed, other].map(|seed| bench.derived(&seed, "m", SECP256K1));
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn a_passphrase_changes_every_key() {
    let bench = Bench::new();
    let seeds = ["", " ", "a", "A"].map(|text| bench.import_mnemonic(ZERO_WORDS, text).unwrap());
    let keys = seeds.map(|seed| bench.derived(&seed, "m/44'/60'/0'/0/0", SECP256K1));
    for (position, one) in keys.iter().enumerate() {
        assert!(keys[..position].iter().all(|other| other != one));
    }
}

#[test]
fn words_of_any_language_without_a_passphrase_give_their_own_seed() {
    let bench = Bench::new();
    for language in bip39::Language::ALL {
        for length in [16, 20, 24, 28, 32] {
            let words = bip39::Mnemonic::from_entropy_in(*language, &vec![0x5c; length]).unwrap();
            let imported = bench.import_mnemonic(&words.to_string(), "").unwrap();
            let seed = bench.import_seed(&words.to_seed("")).unwrap();
            assert_same(&bench, &imported, &seed, &format!("{language}, {length} bytes"));
        }
    }
}

#[test]
fn what_cannot_be_derived_is_unsupported() {
    let bench = Bench::new();
    let seed = seed_of(&bench, &"01".repeat(32));
    let cases = vectors::json("bip32/bip32.json");
    let xprv = bench.import_extended_key(text(&cases["valid"][0], "xprv")).unwrap();
    for (seed, path, algorithm) in [
        (&seed, "m/0", ED25519),
        (&seed, "m/44'/501'/0'/0", ED25519),
        (&xprv, "m", ED25519),
        (&xprv, "m/0'", ED25519),
        (&xprv, "m", Algorithm::EcdsaP256),
        (&xprv, "m/0'", Algorithm::EcdsaP256),
    ] {
        let error = bench.derive(seed, path, algorithm).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{path} {algorithm}");
    }
}

#[test]
fn a_path_of_ten_levels_derives_and_each_level_counts() {
    let bench = Bench::new();
    let seed = seed_of(&bench, &"01".repeat(64));
    let mut keys = Vec::new();
    for levels in 0..=10 {
        for algorithm in [SECP256K1, ED25519, Algorithm::EcdsaP256] {
            keys.push(bench.derived(&seed, &format!("m{}", "/0'".repeat(levels)), algorithm));
        }
    }
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!((keys.len(), count), (33, 33));
}

#[test]
fn a_key_derived_twice_is_the_same_under_another_handle() {
    let bench = Bench::new();
    let seed = seed_of(&bench, &"01".repeat(16));
    for (algorithm, path) in [(SECP256K1, "m/0/1"), (ED25519, "m/0'"), (Algorithm::Bip340, "m")] {
        let one = bench.derive(&seed, path, algorithm).unwrap();
        let two = bench.derive(&seed, path, algorithm).unwrap();
        assert_eq!(one.public_key, two.public_key);
        assert_ne!(one.handle, two.handle);
    }
}

/// Seeds of the lengths that the reference implementation takes, and paths of any steps.
fn arb_seed_and_path() -> impl Strategy<Value = (Vec<u8>, Vec<u32>)> {
    let length = prop_oneof![Just(16_usize), Just(32), Just(64)];
    let seed = length.prop_flat_map(|length| proptest::collection::vec(any::<u8>(), length));
    (seed, proptest::collection::vec(any::<u32>(), 0..=10))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_path_gives_the_key_of_the_reference_implementation(
        (seed, steps) in arb_seed_and_path(),
    ) {
        let bench = Bench::new();
        let mut reference = bip32::XPrv::new(&seed).unwrap();
        let mut path = "m".to_owned();
        for step in &steps {
            let step = bip32::ChildNumber(*step);
            path.push_str(&format!("/{step}"));
            reference = reference.derive_child(step).unwrap();
        }
        let seed = bench.import_seed(&seed).unwrap();
        let expected = hex::encode(reference.public_key().to_bytes());
        prop_assert_eq!(bench.derived(&seed, &path, SECP256K1), expected);
    }

    #[test]
    fn no_text_of_lower_case_letters_is_a_mnemonic_by_chance(
        words in proptest::collection::vec("[a-z]{9,12}", 12..=24),
    ) {
        let error = Bench::new().import_mnemonic(&words.join(" "), "").unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::Refused);
    }

    #[test]
    fn no_foreign_text_is_an_extended_key(text in "[ -~]{0,120}") {
        let error = Bench::new().import_extended_key(&text).unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::Refused);
    }
}
