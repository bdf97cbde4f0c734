//! Words and passphrases: taken are exactly those that another reader of BIP-39 takes, and they
//! stand for the seed that it computes. Opens secrets, of tests only.

use bip39::{Language, Mnemonic};
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::id::{KeyId, WalletId};
use custody_core::seam::{
    DerivationPath, KeyDerivation as _, KeyImport as _, NewSeed, SeedRecord, SeedRequest,
};
use custody_core::secret::Secret;
use custody_soft::{SoftBackend, write_mnemonic};
use pollster::block_on;
use unicode_normalization::UnicodeNormalization as _;

use crate::Seed;
use crate::handles::{backend, custodian, request};
use crate::input::Input;

pub(crate) fn parts() -> Vec<&'static str> {
    vec!["words", "entropy"]
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    match input.byte() % 2 {
        0 => {
            let passphrase = input.field();
            words(input.rest(), passphrase).then_some("words")
        }
        _ => entropy(input.rest()).then_some("entropy"),
    }
}

/// Reads words and a passphrase.
fn words(words: &[u8], passphrase: &[u8]) -> bool {
    let backend = backend();
    let imported = import(&backend, words, passphrase);
    let too_long = words.len() > TEXT_MAX;
    let expected = if too_long { None } else { root(words, passphrase) };
    assert_eq!(imported.is_some(), expected.is_some(), "another reader answers otherwise");
    let (Some(imported), Some(root)) = (imported, expected) else { return false };
    let by_root = block_on(backend.import_seed(&seed_request(), Secret::new(root))).unwrap();
    assert_eq!(derived(&backend, imported), derived(&backend, by_root), "it is another seed");
    true
}

/// Writes words for entropy and reads them again.
fn entropy(bytes: &[u8]) -> bool {
    let Ok(written) = write_mnemonic(&Secret::new(bytes.to_vec())) else {
        assert!(![16, 20, 24, 28, 32].contains(&bytes.len()));
        return false;
    };
    let text = std::str::from_utf8(written.expose()).unwrap();
    let read = Mnemonic::parse_in_normalized(Language::English, text).unwrap();
    assert!(read.to_entropy() == bytes, "the words stand for other entropy");
    assert!(import(&backend(), written.expose(), b"").is_some());
    true
}

/// The seed of these words by the crate `bip39`, in whatever language they are.
fn root(words: &[u8], passphrase: &[u8]) -> Option<Vec<u8>> {
    let words: String = std::str::from_utf8(words).ok()?.nfkd().collect();
    let passphrase: String = std::str::from_utf8(passphrase).ok()?.nfkd().collect();
    let fits = |language: &&Language| Mnemonic::parse_in_normalized(**language, &words).is_ok();
    let language = Language::ALL.iter().find(fits)?;
    let mnemonic = Mnemonic::parse_in_normalized(*language, &words).ok()?;
    Some(mnemonic.to_seed_normalized(&passphrase).to_vec())
}

fn import(backend: &SoftBackend, words: &[u8], passphrase: &[u8]) -> Option<NewSeed> {
    let (words, passphrase) = (Secret::new(words.to_vec()), Secret::new(passphrase.to_vec()));
    block_on(backend.import_mnemonic(&seed_request(), words, passphrase)).ok()
}

/// A key below a seed.
fn derived(backend: &SoftBackend, seed: NewSeed) -> PublicKey {
    let SeedRequest { custodian, wallet, key } = seed_request();
    let record = SeedRecord { custodian, wallet, key, handle: seed.handle };
    let path = DerivationPath::parse("m/44'/60'/0'/0/0").unwrap();
    let request = request("derived", Algorithm::EcdsaSecp256k1);
    block_on(backend.derive(&record, &path, &request)).unwrap().public_key
}

pub(crate) fn seed_request() -> SeedRequest {
    SeedRequest {
        custodian: custodian(b"custodian"),
        wallet: WalletId::parse("treasury").unwrap(),
        key: KeyId::parse("seed-1").unwrap(),
    }
}

/// Longest words, in bytes.
const TEXT_MAX: usize = 1024;

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |name: String, passphrase: &str, words: &str| {
        let length = u8::try_from(passphrase.len()).unwrap();
        let bytes = [&[0, length], passphrase.as_bytes(), words.as_bytes()].concat();
        seeds.push((name, bytes));
    };
    let english = custody_testkit::vectors::json("bip39/trezor_vectors.json");
    for (number, case) in english["english"].as_array().unwrap().iter().enumerate().take(12) {
        let words = case[1].as_str().unwrap();
        add(format!("english-{number}"), if number % 2 == 0 { "" } else { "TREZOR" }, words);
        let last = words.rsplit(' ').next().unwrap();
        add(format!("english-{number}-checksum"), "", &words.replacen(last, "zoo", 1));
    }
    let japanese = custody_testkit::vectors::json("bip39/test_JP_BIP39.json");
    for (number, case) in japanese.as_array().unwrap().iter().enumerate().take(4) {
        let (words, passphrase) = (&case["mnemonic"], &case["passphrase"]);
        add(format!("japanese-{number}"), passphrase.as_str().unwrap(), words.as_str().unwrap());
    }
    for (number, language) in Language::ALL.iter().enumerate() {
        let mnemonic = Mnemonic::from_entropy_in(*language, &[number as u8; 16]).unwrap();
        add(format!("language-{number}"), "", &mnemonic.to_string());
    }
    let one = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    add("two-spaces".to_owned(), "", &one.replacen(' ', "  ", 1));
    add("capitals".to_owned(), "", &one.to_uppercase());
    add("eleven-words".to_owned(), "", one.rsplit_once(' ').unwrap().0);
    add("long".to_owned(), "", &format!("{one} ").repeat(20));
    for length in [0_usize, 15, 16, 20, 24, 28, 32, 33] {
        seeds.push((format!("entropy-{length}"), [vec![1], vec![0x5a; length]].concat()));
    }
    seeds
}
