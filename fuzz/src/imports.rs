//! What keys are made of: private keys, seeds and extended keys, and the paths below them. Opens
//! secrets, of tests only.

use custody_core::crypto::{Algorithm, PublicKey, SignInput};
use custody_core::seam::{
    DerivationPath, ErrorKind, KeyBackend as _, KeyDerivation as _, KeyImport as _, KeyRecord,
    NewKey, NewSeed, SeedRecord, SeedRequest,
};
use custody_core::secret::Secret;
use custody_soft::SoftBackend;
use custody_testkit::key::TestKey;
use pollster::block_on;

use crate::Seed;
use crate::handles::{backend, request};
use crate::input::Input;
use crate::mnemonics::seed_request;

const PARTS: [&str; 4] = ["private key", "seed", "extended key", "path"];
const ALGORITHMS: [Algorithm; 4] = Algorithm::ALL;

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    let (part, algorithm) = (*input.pick(&PARTS), *input.pick(&ALGORITHMS));
    let taken = match part {
        "private key" => private_key(algorithm, input.rest()),
        "seed" => seed(algorithm, input.rest()),
        "extended key" => extended_key(input.rest()),
        _ => path(algorithm, input.rest()),
    };
    taken.then_some(part)
}

/// A private key that is taken signs, under the public key that another reader computes.
fn private_key(algorithm: Algorithm, bytes: &[u8]) -> bool {
    let backend = backend();
    let request = request("key-1", algorithm);
    let imported = block_on(backend.import_key(&request, Secret::new(bytes.to_vec())));
    let expected = TestKey::from_bytes(algorithm, bytes);
    assert_eq!(imported.is_ok(), expected.is_some(), "another reader answers otherwise");
    let (Ok(NewKey { public_key, handle }), Some(expected)) = (imported, expected) else {
        return false;
    };
    assert_eq!(&public_key, expected.public_key());
    let record = KeyRecord {
        custodian: request.custodian,
        wallet: request.wallet,
        key: request.key,
        public_key,
        handle,
    };
    let signer = block_on(backend.signer(&record)).unwrap();
    let input = match algorithm.signs_prehash() {
        true => SignInput::Prehash(&[7; 32]),
        false => SignInput::Message(b"a message"),
    };
    let signature = block_on(signer.sign(input)).unwrap();
    signature.verify(&record.public_key, input).unwrap();
    true
}

fn seed(algorithm: Algorithm, bytes: &[u8]) -> bool {
    let backend = backend();
    let imported = block_on(backend.import_seed(&seed_request(), Secret::new(bytes.to_vec())));
    assert_eq!(imported.is_ok(), (16..=64).contains(&bytes.len()), "{} bytes", bytes.len());
    let Ok(imported) = imported else { return false };
    let first = derive(&backend, &imported, "m/0'", algorithm);
    assert_eq!(first, derive(&backend, &imported, "m/0'", algorithm), "the same key again");
    assert!(first.is_ok(), "{algorithm}");
    assert_ne!(first, derive(&backend, &imported, "m/1'", algorithm), "another path");
    true
}

/// An extended private key is the one text of its bytes, and has keys below it.
fn extended_key(text: &[u8]) -> bool {
    let backend = backend();
    let secret = Secret::new(text.to_vec());
    let Ok(seed) = block_on(backend.import_extended_key(&seed_request(), secret)) else {
        return false;
    };
    let bytes = bs58::decode(text).with_check(None).into_vec().unwrap();
    assert_eq!(bytes.len(), 78);
    assert!(bs58::encode(&bytes).with_check().into_string().as_bytes() == text);
    assert!(bytes.starts_with(&[4, 0x88, 0xad, 0xe4]) || bytes.starts_with(&[4, 0x35, 0x83, 0x94]));
    let at_itself = derive(&backend, &seed, "m", Algorithm::EcdsaSecp256k1).unwrap();
    let own = TestKey::from_bytes(Algorithm::EcdsaSecp256k1, &bytes[46..]).unwrap();
    assert_eq!(&at_itself, own.public_key(), "it is the key in the text");
    let below = derive(&backend, &seed, "m/0/1'", Algorithm::EcdsaSecp256k1).unwrap();
    assert_ne!(below, at_itself);
    let of_another_kind = derive(&backend, &seed, "m/0'", Algorithm::Ed25519);
    assert_eq!(of_another_kind, Err(ErrorKind::Unsupported));
    true
}

/// A path that is read gives a key, or is none for the algorithm.
fn path(algorithm: Algorithm, text: &[u8]) -> bool {
    let Some(path) = std::str::from_utf8(text).ok().and_then(|t| DerivationPath::parse(t).ok())
    else {
        return false;
    };
    let indexes = path.indexes();
    assert!(indexes.len() <= 10);
    assert_eq!(path.to_string().as_bytes(), text, "a path has one text");
    let backend = backend();
    let seed = Secret::new(vec![0x11; 32]);
    let seed = block_on(backend.import_seed(&seed_request(), seed)).unwrap();
    let derived = derive(&backend, &seed, &path.to_string(), algorithm);
    let hardened = indexes.iter().all(|index| index & DerivationPath::HARDENED != 0);
    let expected = match algorithm {
        Algorithm::Ed25519 => hardened,
        _ => true,
    };
    assert_eq!(derived.is_ok(), expected, "{algorithm} at {path}");
    expected
}

fn derive(
    backend: &SoftBackend,
    seed: &NewSeed,
    path: &str,
    algorithm: Algorithm,
) -> Result<PublicKey, ErrorKind> {
    let SeedRequest { custodian, wallet, key } = seed_request();
    let record = SeedRecord { custodian, wallet, key, handle: seed.handle.clone() };
    let (path, request) = (DerivationPath::parse(path).unwrap(), request("derived", algorithm));
    let derived = block_on(backend.derive(&record, &path, &request));
    derived.map(|key| key.public_key).map_err(|error| error.kind())
}

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |name: String, part: u8, algorithm: u8, bytes: &[u8]| {
        seeds.push((name, [&[part, algorithm], bytes].concat()));
    };
    for (number, algorithm) in (0_u8..).zip(ALGORITHMS) {
        add(format!("{algorithm}-key"), 0, number, &[0x46; 32]);
        add(format!("{algorithm}-key-zero"), 0, number, &[0; 32]);
        add(format!("{algorithm}-key-largest"), 0, number, &[0xff; 32]);
        add(format!("{algorithm}-key-short"), 0, number, &[0x46; 31]);
        add(format!("{algorithm}-seed"), 1, number, &[0x21; 64]);
        for (name, path) in [
            ("root", "m"),
            ("account", "m/44'/60'/0'/0/0"),
            ("hardened", "m/44'/501'/2147483647'"),
            ("deep", "m/0'/1'/2'/3'/4'/5'/6'/7'/8'/9'"),
            ("too-deep", "m/0/1/2/3/4/5/6/7/8/9/10"),
            ("zeros", "m/00"),
        ] {
            add(format!("{algorithm}-path-{name}"), 3, number, path.as_bytes());
        }
    }
    for length in [0_usize, 15, 16, 32, 64, 65] {
        add(format!("seed-{length}"), 1, 3, &vec![7; length]);
    }
    let vectors = custody_testkit::vectors::json("bip32/bip32.json");
    for (number, case) in vectors["valid"].as_array().unwrap().iter().enumerate().take(8) {
        add(format!("xprv-{number}"), 2, 0, case["xprv"].as_str().unwrap().as_bytes());
        add(format!("xpub-{number}"), 2, 0, case["xpub"].as_str().unwrap().as_bytes());
    }
    let invalid = vectors["invalid_extended_keys"].as_array().unwrap();
    for (number, case) in invalid.iter().enumerate() {
        add(format!("xprv-invalid-{number}"), 2, 0, case["key"].as_str().unwrap().as_bytes());
    }
    seeds
}
