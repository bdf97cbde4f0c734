//! Sealed keys and seeds: a handle opens what was sealed in it, for the record it was made for, or
//! nothing. Opens secrets, of tests only.

use std::sync::{Arc, LazyLock};

use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
use custody_core::seam::{
    DerivationPath, Exportability, KeyBackend as _, KeyDerivation as _, KeyHandle, KeyRecord,
    KeyRequest, SeedRecord, SeedRequest,
};
use custody_soft::{KdfParameters, KekDocument, SoftBackend};
use custody_testkit::backend::MemoryKeyEncryption;
use custody_testkit::runtime::{TestClock, TestEntropy};
use pollster::block_on;

use crate::Seed;
use crate::input::{Input, cut, flip, patched};

const PARTS: [&str; 5] = ["key", "changed key", "seed", "changed seed", "passphrase"];
const ALGORITHMS: [Algorithm; 4] = Algorithm::ALL;

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    let (part, algorithm) = (*input.pick(&PARTS), *input.pick(&ALGORITHMS));
    let bytes = input.rest();
    let taken = match part {
        "key" => key(algorithm, bytes.to_vec()),
        "changed key" => {
            let good = SEALED.key(algorithm).handle.as_bytes();
            key(algorithm, patched(good, bytes))
        }
        "seed" => seed(bytes.to_vec()),
        "changed seed" => seed(patched(SEALED.seed.handle.as_bytes(), bytes)),
        _ => passphrase(bytes),
    };
    taken.then_some(part)
}

/// A handle that claims to be that of a key.
fn key(algorithm: Algorithm, handle: Vec<u8>) -> bool {
    let record = SEALED.key(algorithm);
    let is_own = handle == record.handle.as_bytes();
    let claimed = KeyRecord { handle: KeyHandle::new(handle), ..record.clone() };
    let opened = block_on(backend().signer(&claimed));
    assert_eq!(opened.is_ok(), is_own, "only its own handle opens a key");
    if let Ok(signer) = opened {
        assert_eq!(signer.public_key(), &record.public_key);
        let others = [
            KeyRecord { custodian: custodian(b"another"), ..claimed.clone() },
            KeyRecord { wallet: WalletId::parse("another").unwrap(), ..claimed.clone() },
            KeyRecord { key: KeyId::parse("another").unwrap(), ..claimed },
        ];
        assert!(others.iter().all(|other| block_on(backend().signer(other)).is_err()));
    }
    is_own
}

/// A handle that claims to be that of a seed.
fn seed(handle: Vec<u8>) -> bool {
    let record = &SEALED.seed;
    let is_own = handle == record.handle.as_bytes();
    let claimed = SeedRecord { handle: KeyHandle::new(handle), ..record.clone() };
    let (path, request) = derived();
    let derived = block_on(backend().derive(&claimed, &path, &request));
    assert_eq!(derived.is_ok(), is_own, "only its own handle opens a seed");
    if let Ok(made) = derived {
        assert_eq!(made.public_key, SEALED.derived);
        let others = [
            SeedRecord { custodian: custodian(b"another"), ..claimed.clone() },
            SeedRecord { wallet: WalletId::parse("another").unwrap(), ..claimed.clone() },
            SeedRecord { key: KeyId::parse("another").unwrap(), ..claimed },
        ];
        for other in others {
            // A request for another wallet than the seed's would be refused for that.
            let (custodian, wallet) = (other.custodian, other.wallet.clone());
            let request = KeyRequest { custodian, wallet, ..request.clone() };
            assert!(block_on(backend().derive(&other, &path, &request)).is_err());
        }
    }
    is_own
}

/// The parameters of a passphrase, whose cost is bounded before anything is computed.
fn passphrase(bytes: &[u8]) -> bool {
    let Ok(document) = KekDocument::parse(bytes) else { return false };
    assert!(bytes.len() <= KekDocument::MAX);
    let parameters = document.parameters();
    let (memory, passes) = (parameters.memory_kib(), parameters.passes());
    assert!((KdfParameters::MEMORY_KIB_MIN..=KdfParameters::MEMORY_KIB_MAX).contains(&memory));
    assert!((KdfParameters::PASSES_MIN..=KdfParameters::PASSES_MAX).contains(&passes));
    assert!((KdfParameters::LANES_MIN..=KdfParameters::LANES_MAX).contains(&parameters.lanes()));
    assert!(crate::json::has_unique_keys(bytes));
    let written = document.to_json();
    assert_eq!(KekDocument::parse(written.as_bytes()).as_ref(), Ok(&document));
    true
}

/// A key of each algorithm and a seed, as they are kept, and what is derived from the seed.
struct Sealed {
    keys: Vec<KeyRecord>,
    seed: SeedRecord,
    derived: PublicKey,
}

static SEALED: LazyLock<Sealed> = LazyLock::new(|| {
    let backend = backend();
    let keys = ALGORITHMS.into_iter().map(|algorithm| {
        let request = request("key-1", algorithm);
        let made = block_on(backend.generate(&request)).unwrap();
        KeyRecord {
            custodian: request.custodian,
            wallet: request.wallet,
            key: request.key,
            public_key: made.public_key,
            handle: made.handle,
        }
    });
    let keys = keys.collect();
    let request = SeedRequest {
        custodian: custodian(b"custodian"),
        wallet: WalletId::parse("treasury").unwrap(),
        key: KeyId::parse("seed-1").unwrap(),
    };
    let handle = block_on(backend.generate_seed(&request)).unwrap().handle;
    let SeedRequest { custodian, wallet, key } = request;
    let seed = SeedRecord { custodian, wallet, key, handle };
    let (path, request) = derived();
    let derived = block_on(backend.derive(&seed, &path, &request)).unwrap().public_key;
    Sealed { keys, seed, derived }
});

impl Sealed {
    fn key(&self, algorithm: Algorithm) -> &KeyRecord {
        let found = self.keys.iter().find(|key| key.public_key.algorithm() == algorithm);
        found.unwrap()
    }
}

/// A backend that has opened no key yet.
pub(crate) fn backend() -> SoftBackend {
    let kek = Arc::new(MemoryKeyEncryption::seeded(3));
    let (entropy, clock) = (Arc::new(TestEntropy::seeded(4)), Arc::new(TestClock::new()));
    SoftBackend::new(BackendId::parse("soft").unwrap(), kek, entropy, clock).unwrap()
}

pub(crate) fn request(key: &str, algorithm: Algorithm) -> KeyRequest {
    KeyRequest {
        custodian: custodian(b"custodian"),
        wallet: WalletId::parse("treasury").unwrap(),
        key: KeyId::parse(key).unwrap(),
        algorithm,
        exportability: Exportability::Never,
    }
}

/// Where a key is derived, and for whom.
fn derived() -> (DerivationPath, KeyRequest) {
    let path = DerivationPath::parse("m/44'/501'/0'").unwrap();
    (path, request("derived", Algorithm::Ed25519))
}

pub(crate) fn custodian(name: &[u8]) -> CustodianId {
    CustodianId::new(Digest::of(name))
}

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |name: String, part: u8, algorithm: u8, bytes: &[u8]| {
        seeds.push((name, [&[part, algorithm], bytes].concat()));
    };
    for (number, algorithm) in (0_u8..).zip(ALGORITHMS) {
        let handle = SEALED.key(algorithm).handle.as_bytes();
        add(format!("{algorithm}-key"), 0, number, handle);
        add(format!("{algorithm}-key-cut"), 0, number, &handle[..handle.len() - 1]);
        add(format!("{algorithm}-same"), 1, number, &[]);
        for at in [0, 1, 2, 10, 80, 120, 160, 200] {
            add(format!("{algorithm}-flipped-{at}"), 1, number, &flip(at, 1));
        }
    }
    add("seed".to_owned(), 2, 0, SEALED.seed.handle.as_bytes());
    add("seed-same".to_owned(), 3, 0, &[]);
    add("seed-flipped".to_owned(), 3, 0, &flip(150, 4));
    add("seed-cut".to_owned(), 3, 0, &cut(60));
    let (salt, check) = ("00".repeat(32), "11".repeat(32));
    let document = |memory: u32, passes: u32, lanes: u32, salt: &str| {
        format!(
            r#"{{"v":1,"kdf":"argon2id-v19","memory_kib":{memory},"passes":{passes},"lanes":{lanes},"salt":"{salt}","check":"{check}"}}"#
        )
    };
    for (name, text) in [
        ("least", document(19_456, 2, 1, &salt[..32])),
        ("most", document(1_048_576, 16, 4, &"ab".repeat(64))),
        ("too-little-memory", document(19_455, 2, 1, &salt)),
        ("too-much-memory", document(1_048_577, 2, 1, &salt)),
        ("too-many-lanes", document(65_536, 3, 5, &salt)),
        ("short-salt", document(65_536, 3, 1, "00")),
        ("another-version", document(65_536, 3, 1, &salt).replace("\"v\":1", "\"v\":2")),
    ] {
        add(format!("passphrase-{name}"), 4, 0, text.as_bytes());
    }
    seeds
}
