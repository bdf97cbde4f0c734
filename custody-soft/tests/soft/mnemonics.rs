//! Words that are written: against the published ones, and read back.

use custody_core::crypto::Algorithm;
use custody_core::id::{KeyId, WalletId};
use custody_core::seam::{ErrorKind, KeyDerivation, SeedRecord};
use custody_core::secret::Secret;
use custody_soft::{MnemonicLength, WriteMnemonicError, generate_mnemonic, write_mnemonic};
use custody_testkit::runtime::TestEntropy;
use custody_testkit::vectors;
use proptest::prelude::*;

use crate::support::{Bench, GivenEntropy, run, seed_record, seed_request};

const ACCOUNT: &str = "m/44'/60'/0'/0/0";

/// The words as text: these are no secrets but published ones and those of a seeded source.
fn text(words: &Secret) -> &str {
    std::str::from_utf8(words.expose()).unwrap()
}

/// The account of these words as the crates `bip39` and `bip32` derive it.
fn reference_account(words: &str, passphrase: &str) -> String {
    let seed = bip39::Mnemonic::parse_in_normalized(bip39::Language::English, words)
        .unwrap()
        .to_seed_normalized(passphrase);
    let key = bip32::XPrv::derive_from_path(&seed, &ACCOUNT.parse().unwrap()).unwrap();
    hex::encode(key.public_key().to_bytes())
}

#[test]
fn english_words_equal_those_of_the_reference() {
    let languages = vectors::json("bip39/trezor_vectors.json");
    let cases = languages["english"].as_array().unwrap();
    assert_eq!(cases.len(), 15);
    for case in cases {
        let [entropy, expected] = [0, 1].map(|field| case[field].as_str().unwrap());
        let words = write_mnemonic(&Secret::new(hex::decode(entropy).unwrap())).unwrap();
        assert_eq!(text(&words), expected);
    }
}

#[test]
fn fresh_words_stand_for_the_entropy_that_was_drawn_in_each_length() {
    for (length, words, bytes) in [
        (MnemonicLength::Words12, 12, 16),
        (MnemonicLength::Words15, 15, 20),
        (MnemonicLength::Words18, 18, 24),
        (MnemonicLength::Words21, 21, 28),
        (MnemonicLength::Words24, 24, 32),
    ] {
        assert_eq!((length.words(), length.entropy_bytes()), (words, bytes));
        let given: Vec<u8> = (0..32).map(|byte| byte * 7 + 3).take(bytes).collect();
        // The source refuses to give more or fewer bytes than these.
        let fresh = generate_mnemonic(length, &GivenEntropy::new(&[&given])).unwrap();
        assert_eq!(text(&fresh), text(&write_mnemonic(&Secret::new(given)).unwrap()));
        assert_eq!(text(&fresh).split(' ').count(), words);
    }
    assert_eq!(MnemonicLength::ALL.map(MnemonicLength::words), [12, 15, 18, 21, 24]);
}

#[test]
fn two_fresh_mnemonics_are_never_the_same() {
    let entropy = TestEntropy::seeded(1);
    let fresh = || generate_mnemonic(MnemonicLength::Words12, &entropy).unwrap();
    let (one, other) = (fresh(), fresh());
    assert!(one.expose() != other.expose());
}

#[test]
fn fresh_words_become_the_seed_that_any_wallet_makes_of_them() {
    for length in MnemonicLength::ALL {
        for passphrase in ["", "TREZOR"] {
            let bench = Bench::new();
            let words = generate_mnemonic(length, &TestEntropy::seeded(2)).unwrap();
            let seed = bench.import_mnemonic(text(&words), passphrase).unwrap();
            let account = bench.derived(&seed, ACCOUNT, Algorithm::EcdsaSecp256k1);
            assert_eq!(account, reference_account(text(&words), passphrase), "{length:?}");
        }
    }
}

#[test]
fn entropy_of_another_length_gives_no_words() {
    let mut written = Vec::new();
    for length in 0..=65 {
        match write_mnemonic(&Secret::new(vec![0x5c; length])) {
            Ok(_) => written.push(length),
            Err(error) => assert_eq!(error, WriteMnemonicError::Length { length }),
        }
    }
    assert_eq!(written, [16, 20, 24, 28, 32]);
}

#[test]
fn without_entropy_no_words_are_written() {
    for length in MnemonicLength::ALL {
        let error = generate_mnemonic(length, &TestEntropy::failing()).err().unwrap();
        assert!(matches!(error, WriteMnemonicError::Entropy(_)), "{length:?}: {error}");
    }
    // One draw is all it takes, and all it waits for.
    let once = TestEntropy::failing_after(1);
    assert!(generate_mnemonic(MnemonicLength::Words24, &once).is_ok());
    assert!(generate_mnemonic(MnemonicLength::Words24, &once).is_err());
}

/// Entropy of the five lengths.
fn arb_entropy() -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::select(MnemonicLength::ALL.map(MnemonicLength::entropy_bytes).to_vec())
        .prop_flat_map(|length| proptest::collection::vec(any::<u8>(), length))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_written_is_read_back_as_the_same_entropy(entropy in arb_entropy()) {
        let words = write_mnemonic(&Secret::new(entropy.clone())).unwrap();
        let read = bip39::Mnemonic::parse_in(bip39::Language::English, text(&words)).unwrap();
        prop_assert_eq!(read.to_entropy(), entropy);
        let bench = Bench::new();
        let seed = bench.import_mnemonic(text(&words), "").unwrap();
        let root = bench.import_seed(&read.to_seed("")).unwrap();
        let [one, other] = [&seed, &root]
            .map(|seed| bench.derived(seed, ACCOUNT, Algorithm::EcdsaSecp256k1));
        prop_assert_eq!(one, other);
    }
}

#[test]
fn a_seed_is_written_in_the_words_that_it_came_from() {
    let bench = Bench::new();
    for length in MnemonicLength::ALL {
        let words = generate_mnemonic(length, &TestEntropy::seeded(3)).unwrap();
        let seed = bench.import_mnemonic(text(&words), "").unwrap();
        assert_eq!(text(&run(bench.backend.mnemonic(&seed)).unwrap()), text(&words));
    }
}

#[test]
fn the_words_of_a_seed_that_was_made_here_lead_to_its_keys() {
    let bench = Bench::new();
    let seed =
        seed_record(&seed_request(), run(bench.backend.generate_seed(&seed_request())).unwrap());
    let account = bench.derived(&seed, ACCOUNT, Algorithm::EcdsaSecp256k1);
    let words = run(bench.backend.mnemonic(&seed)).unwrap();
    assert_eq!(reference_account(text(&words), ""), account);
}

#[test]
fn seeds_without_words_and_those_of_others_are_not_written() {
    let bench = Bench::new();
    let words = generate_mnemonic(MnemonicLength::Words12, &TestEntropy::seeded(4)).unwrap();
    let kind = |seed: &SeedRecord| run(bench.backend.mnemonic(seed)).err().unwrap().kind();
    let with_passphrase = bench.import_mnemonic(text(&words), "TREZOR").unwrap();
    assert_eq!(kind(&with_passphrase), ErrorKind::Unsupported);
    assert_eq!(kind(&bench.import_seed(&[7; 64]).unwrap()), ErrorKind::Unsupported);
    let own = bench.import_mnemonic(text(&words), "").unwrap();
    let wallet = WalletId::parse("other").unwrap();
    assert_eq!(kind(&SeedRecord { wallet, ..own.clone() }), ErrorKind::Corrupt);
    let key = KeyId::parse("other").unwrap();
    assert_eq!(kind(&SeedRecord { key, ..own }), ErrorKind::Corrupt);
}
