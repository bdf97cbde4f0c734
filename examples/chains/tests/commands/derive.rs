//! `derive`: published addresses, refusals, and nothing secret in what it prints.

use std::fs;

use bip32::{DerivationPath, XPrv};

use super::{Answer, run};

const WORDS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon \
    abandon abandon about\n";
/// Its seed, and that with the passphrase TREZOR (the vectors of BIP-39).
const SEED: &str = "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc1\
    9a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4";
const TREZOR_SEED: &str = "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531\
    f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04";
const MAINNET: &str = "eip155:1";
const BITCOIN: &str = "bip122:000000000019d6689c085ae165831e93";
const SOLANA: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
const ETHEREUM_PATH: &str = "m/44'/60'/0'/0/0";

fn derive(chain: &str, path: &str, words: &str) -> Answer {
    run("derive", &["--chain", chain, "--path", path], words)
}

/// The extended private key at a path of BIP-32.
fn private(seed: &str, path: &str) -> XPrv {
    let path: DerivationPath = path.parse().unwrap();
    XPrv::derive_from_path(&hex::decode(seed).unwrap(), &path).unwrap()
}

#[test]
fn published_addresses_are_found_and_nothing_secret_is_printed() {
    for (chain, path, address) in [
        (MAINNET, ETHEREUM_PATH, "0x9858effd232b4033e47d90003d41ec34ecaeda94"),
        (BITCOIN, "m/44'/0'/0'/0/0", "1LqBGSKuX5yYUonjxT5qGfpUsXKYYWeabA"),
        (BITCOIN, "m/49'/0'/0'/0/0", "37VucYSaXLCAsxYyAPfbSi9eh4iEcbShgf"),
        (BITCOIN, "m/84'/0'/0'/0/0", "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"),
        (
            BITCOIN,
            "m/86'/0'/0'/0/0",
            "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
        ),
        (SOLANA, "m/44'/501'/0'/0'", "HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk"),
    ] {
        let answer = derive(chain, path, WORDS);
        let found = answer.json();
        assert_eq!(found["address"], address, "{path}");
        let account = path.split('/').take(4).collect::<Vec<_>>().join("/");
        for at in ["m", account.as_str(), path] {
            let key = private(SEED, at);
            let text = key.to_string(bip32::Prefix::XPRV);
            assert!(!answer.out.contains(&hex::encode(key.to_bytes())), "{path}");
            assert!(!answer.out.contains(text.as_str()), "{path}");
        }
        for secret in ["abandon", "xprv", "tprv", SEED.split_at(64).0] {
            assert!(!answer.out.contains(secret), "{path}: {secret}");
        }
        assert_eq!(found["descriptor"].is_null(), chain == SOLANA, "{path}");
    }
}

#[test]
fn the_descriptor_of_a_bitcoin_account_is_the_published_one() {
    let found = derive(BITCOIN, "m/86'/0'/0'/0/0", WORDS).json();
    // BIP-86, "Test vectors": the account's extended public key.
    let account = "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9Qyr\
                   LprQ3VCECoY49yfdDEHGCtMMj92pReUsQ";
    let descriptor = found["descriptor"].as_str().unwrap();
    let expected = format!("tr([73c5da0a/86'/0'/0']{account}/<0;1>/*)#");
    assert!(descriptor.starts_with(&expected), "{descriptor}");
}

#[test]
fn a_passphrase_is_the_line_of_its_file_however_the_line_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passphrase");
    let key = private(TREZOR_SEED, ETHEREUM_PATH).public_key().to_bytes();
    for text in ["TREZOR", "TREZOR\n", "TREZOR\r\n"] {
        fs::write(&path, text).unwrap();
        let file = ["--passphrase-file", path.to_str().unwrap()];
        let arguments = [&["--chain", MAINNET, "--path", ETHEREUM_PATH][..], &file].concat();
        let answer = run("derive", &arguments, WORDS);
        assert_eq!(answer.json()["public_key"], hex::encode(key), "{text:?}");
        assert!(!answer.out.contains("TREZOR"));
    }
}

#[test]
fn what_is_refused_is_refused_with_2_and_a_line_without_the_words() {
    let wrong_sum = "abandon ".repeat(12);
    let unknown = WORDS.replace("about", "custody");
    for (name, chain, path, words) in [
        ("a wrong checksum", MAINNET, ETHEREUM_PATH, wrong_sum.as_str()),
        ("an unknown word", MAINNET, ETHEREUM_PATH, unknown.as_str()),
        ("eleven words", MAINNET, ETHEREUM_PATH, WORDS.trim_end().strip_suffix(" about").unwrap()),
        ("no words", MAINNET, ETHEREUM_PATH, ""),
        ("no path", MAINNET, "44'/60'", WORDS),
        ("a path with letters", MAINNET, "m/44'/x", WORDS),
        ("a step above 2^31", MAINNET, "m/2147483648", WORDS),
        ("no chain", "ethereum", ETHEREUM_PATH, WORDS),
        ("an unknown chain", "cosmos:cosmoshub-4", ETHEREUM_PATH, WORDS),
        ("no kind of address", BITCOIN, "m/0'/0", WORDS),
        ("an unhardened step on Solana", SOLANA, "m/44'/501'/0'/0", WORDS),
    ] {
        let answer = derive(chain, path, words);
        answer.assert_refused(name, "");
        for secret in ["abandon", "custody", "about"] {
            assert!(!answer.errors.contains(secret), "{name}: {answer:?}");
        }
    }
    let arguments = ["--chain", MAINNET, "--path", ETHEREUM_PATH, "--passphrase-file", "/no/file"];
    run("derive", &arguments, WORDS).assert_refused("no passphrase file", "No such file");
}
