//! What lies in a house's directory: no key, in no encoding. This file opens secrets, of tests only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::id::KeyId;
use custody_core::seam::{Entropy, EntropyError};
use custody_core::secret::Secret;
use custody_testkit::runtime::TestEntropy;
use examples_start::house::House;
use serde_json::Value;

use crate::output::Output;
use crate::program::{Kept, PASSPHRASE, files};
use crate::steps::Steps;

type Files = BTreeMap<PathBuf, Vec<u8>>;

#[test]
fn no_secret_lies_in_the_directory_in_clear() {
    let kept = Kept::new();
    kept.run(PASSPHRASE, &[]).succeeds();
    let files = files(&kept.house());
    let mut secrets = vec![PASSPHRASE.trim_end().as_bytes().to_vec()];
    secrets.extend(demo_seeds(&files));
    assert_eq!(secrets.len(), 4, "three people and a passphrase");
    for secret in &secrets {
        let holding = holding(&files, secret).into_iter().filter(|path| !is_demo(path));
        assert_eq!(holding.collect::<Vec<_>>(), Vec::<PathBuf>::new(), "they hold a secret");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_of_the_wallet_or_the_log_lies_in_the_directory_in_clear() {
    let kept = Kept::new();
    let tap = Tap::seeded(1);
    let house = open(&kept, &tap).await;
    assert!(Steps::new(&house, &Output::new(true)).run(None).await.unwrap());
    let while_open = files(&kept.house());
    let account = house.custodian.key(&KeyId::parse("hot-1.0").unwrap()).unwrap();
    let (seed, wallet) = wallet_keys(&tap, account.public_key());
    house.custodian.close().await.unwrap();
    drop(house);
    let closed = files(&kept.house());
    let log = log_key(&tap, &closed);
    for files in [&while_open, &closed] {
        assert!(files.contains_key(Path::new("custody.sqlite")), "{:?}", files.keys());
        for (name, secret) in [("the seed", &seed), ("the key of the log", &log)] {
            assert_eq!(holding(files, secret), BTreeSet::new(), "{name}");
        }
        for (name, secret) in &wallet {
            assert_eq!(holding(files, secret), BTreeSet::new(), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_that_was_drawn_only_what_is_public_lies_in_the_directory() {
    let kept = Kept::new();
    let tap = Tap::seeded(2);
    let house = open(&kept, &tap).await;
    assert!(Steps::new(&house, &Output::new(true)).run(None).await.unwrap());
    house.custodian.close().await.unwrap();
    drop(house);
    let files = files(&kept.house());
    let mut found = BTreeMap::<PathBuf, usize>::new();
    for drawn in tap.drawn() {
        for path in holding(&files, &drawn) {
            *found.entry(path).or_default() += 1;
        }
    }
    assert!(tap.drawn().len() > 8, "too few to tell");
    let people = ["people/olivia.demo-key", "people/tara.demo-key", "people/theo.demo-key"];
    // The nonce of the genesis event, which the log shows to all, and the salt of the passphrase.
    let public = ["custody.sqlite", "kek.json"];
    let expected = people.iter().chain(&public).map(|path| (PathBuf::from(path), 1));
    assert_eq!(found, expected.collect());
}

#[test]
fn the_search_finds_a_secret_in_every_encoding_and_anywhere() {
    let secret: Vec<u8> = (0..32_u8).map(|byte| byte.wrapping_mul(83).wrapping_add(11)).collect();
    let text = |text: String| text.into_bytes();
    for (name, hidden) in [
        ("as it is", secret.clone()),
        ("lower-case hex", text(hex::encode(&secret))),
        ("upper-case hex", text(hex::encode_upper(&secret))),
        ("base64", text(STANDARD_NO_PAD.encode(&secret))),
        ("base64 after one byte", text(STANDARD_NO_PAD.encode([&[1], &secret[..]].concat()))),
        ("base64 after two bytes", text(STANDARD_NO_PAD.encode([&[1, 2], &secret[..]].concat()))),
    ] {
        let around = [b"before ".as_slice(), &hidden, b" after"].concat();
        let files = Files::from([(PathBuf::from("file"), around)]);
        assert_eq!(holding(&files, &secret).len(), 1, "{name}");
        let mut other = secret.clone();
        other[15] ^= 1;
        assert_eq!(holding(&files, &other).len(), 0, "{name}");
    }
}

/// Seeded randomness that keeps what it gave. Clones are one source.
#[derive(Clone, Debug)]
struct Tap {
    source: Arc<TestEntropy>,
    drawn: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tap {
    fn seeded(seed: u64) -> Self {
        Self { source: Arc::new(TestEntropy::seeded(seed)), drawn: Arc::default() }
    }

    /// All that was drawn and is long enough for a key.
    fn drawn(&self) -> Vec<Vec<u8>> {
        let drawn = self.drawn.lock().unwrap();
        drawn.iter().filter(|bytes| bytes.len() >= 16).cloned().collect()
    }
}

impl Entropy for Tap {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        self.source.fill(bytes)?;
        self.drawn.lock().unwrap().push(bytes.to_vec());
        Ok(())
    }
}

async fn open(kept: &Kept, tap: &Tap) -> House {
    let passphrase = Secret::new(PASSPHRASE.trim_end().into());
    House::open_drawing(&kept.house(), passphrase, Arc::new(tap.clone())).await.unwrap()
}

/// The seed of the wallet with this account, and each secret on the way to its private key, as
/// BIP-39 and BIP-32 say and other crates compute it.
fn wallet_keys(tap: &Tap, account: &PublicKey) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let drawn = tap.drawn();
    let mut found = drawn.iter().filter_map(|seed| {
        let words = bip39::Mnemonic::from_entropy(seed).ok()?;
        let root = words.to_seed("");
        let mut key = bip32::XPrv::new(&root).unwrap();
        let mut secrets = vec![
            ("the words".to_owned(), words.to_string().into_bytes()),
            ("the seed of BIP-32".to_owned(), root.to_vec()),
        ];
        let mut path = "m".to_owned();
        for step in ["44'", "60'", "0'", "0", "0"] {
            secrets.push((format!("the key at {path}"), key.to_bytes().to_vec()));
            secrets.push((format!("the chain code at {path}"), key.attrs().chain_code.to_vec()));
            let extended = key.to_string(bip32::Prefix::XPRV).as_bytes().to_vec();
            secrets.push((format!("the extended key at {path}"), extended));
            key = key.derive_child(step.parse().unwrap()).unwrap();
            path = format!("{path}/{step}");
        }
        secrets.push((format!("the key at {path}"), key.to_bytes().to_vec()));
        let public = key.public_key().to_bytes();
        (account.as_bytes() == public.as_slice()).then(|| (seed.clone(), secrets))
    });
    let keys = found.next().expect("one of the drawn is the seed");
    assert!(found.next().is_none(), "two seeds with one account");
    keys
}

/// The private key of the log: what was drawn for the public key that the house keeps.
fn log_key(tap: &Tap, files: &Files) -> Vec<u8> {
    let house: Value = serde_json::from_slice(&files[Path::new("house.json")]).unwrap();
    let recorded: PublicKey = serde_json::from_value(house["log_public_key"].clone()).unwrap();
    assert_eq!(recorded.algorithm(), Algorithm::Ed25519);
    let is_recorded = |drawn: &Vec<u8>| {
        ed25519_dalek::SigningKey::try_from(drawn.as_slice())
            .is_ok_and(|key| key.verifying_key().as_bytes().as_slice() == recorded.as_bytes())
    };
    tap.drawn().into_iter().find(is_recorded).expect("one of the drawn is the key of the log")
}

/// The keys of the demo people, which lie in files that say so.
fn demo_seeds(files: &Files) -> Vec<Vec<u8>> {
    let seed = |(path, bytes): (&PathBuf, &Vec<u8>)| {
        assert_eq!(path.parent().unwrap(), Path::new("people"));
        let text = String::from_utf8(bytes.clone()).unwrap();
        hex::decode(text.lines().last().unwrap()).unwrap()
    };
    files.iter().filter(|(path, _)| is_demo(path)).map(seed).collect()
}

fn is_demo(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "demo-key")
}

/// The files that hold the secret: as it is, in hex or in base64.
fn holding(files: &Files, secret: &[u8]) -> BTreeSet<PathBuf> {
    let encodings = encodings(secret);
    let holds = |bytes: &[u8]| {
        let begins = |window: &[u8], wanted: &[u8]| window.first() == wanted.first();
        let is_in = |wanted: &Vec<u8>| {
            let mut windows = bytes.windows(wanted.len());
            windows.any(|window| begins(window, wanted) && window == wanted)
        };
        encodings.iter().any(is_in)
    };
    files.iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path.clone()).collect()
}

fn encodings(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut encodings = vec![secret.to_vec()];
    encodings.push(hex::encode(secret).into_bytes());
    encodings.push(hex::encode_upper(secret).into_bytes());
    for before in 0..3_usize {
        // Base64 of bytes inside others: the characters that they fill alone.
        let padded = [&vec![0; before], secret].concat();
        let text = STANDARD_NO_PAD.encode(&padded);
        let (first, whole) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        let standard = text[first..whole].to_owned();
        encodings.push(standard.replace('+', "-").replace('/', "_").into_bytes());
        encodings.push(standard.into_bytes());
    }
    encodings
}
