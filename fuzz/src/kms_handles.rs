//! Handles of keys of AWS KMS: one is taken only for the owner it was made for. Nothing is called:
//! the keys are in regions where the backend has no connection, so that one that is taken is refused
//! next. And what a wrapped data key looks like at rest.

use std::sync::{Arc, LazyLock};

use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::envelope::OVERHEAD;
use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
use custody_core::seam::{ErrorKind, KeyBackend as _, KeyHandle, KeyRecord};
use custody_kms::aws_sdk_kms::config::Credentials;
use custody_kms::{Kms, KmsBackend, KmsConfig, RegionName, wrapped_parts};
use custody_testkit::key::TestKey;
use custody_testkit::runtime::TestClock;
use pollster::block_on;

use crate::Seed;
use crate::input::{Input, cut, flip, patched};

const PARTS: [&str; 3] = ["handle", "handle of an ARN", "wrapped data key"];
const ALGORITHMS: [Algorithm; 3] =
    [Algorithm::EcdsaSecp256k1, Algorithm::EcdsaP256, Algorithm::Ed25519];
const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// A data key of 32 bytes in its envelope.
const ENVELOPE: usize = 32 + OVERHEAD;
/// A region of no key.
const HOME: &str = "home-0";

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    let (part, algorithm) = (*input.pick(&PARTS), *input.pick(&ALGORITHMS));
    let record = record(algorithm);
    let bytes = input.rest();
    let taken = match part {
        "handle" => {
            let good = handle(&record, ARN);
            let changed = patched(&good, bytes);
            for handle in [changed.as_slice(), bytes] {
                assert_eq!(is_taken(&record, handle), handle == good, "only its own is taken");
            }
            changed == good || bytes == good
        }
        "handle of an ARN" => arn(&record, bytes),
        _ => wrapped(bytes),
    };
    taken.then_some(part)
}

/// A handle that is bound as it must be to any text whatsoever.
fn arn(record: &KeyRecord, bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let parsed = custody_kms::KeyArn::parse(text).ok();
    if parsed.as_ref().is_some_and(|arn| arn.region().as_str() == HOME) {
        return false;
    }
    let is_taken = is_taken(record, &handle(record, text));
    assert_eq!(is_taken, parsed.is_some(), "a handle names a key and nothing else");
    is_taken
}

/// The parts of a wrapped data key are all of its bytes, and it has one length.
fn wrapped(bytes: &[u8]) -> bool {
    let Some((arn, ciphertext, envelope)) = wrapped_parts(bytes) else { return false };
    assert_eq!(wrapped_of(arn.as_bytes(), ciphertext, envelope), bytes, "there is something else");
    assert!((1..=6_144).contains(&ciphertext.len()));
    assert_eq!(envelope.len(), ENVELOPE);
    assert!(wrapped_parts(&bytes[..bytes.len() - 1]).is_none());
    assert!(wrapped_parts(&[bytes, &[0]].concat()).is_none());
    true
}

/// As the backend writes it: version, ARN, ciphertext, envelope, with their lengths.
fn wrapped_of(arn: &[u8], ciphertext: &[u8], envelope: &[u8]) -> Vec<u8> {
    let length = u8::try_from(arn.len()).unwrap();
    let size = u16::try_from(ciphertext.len()).unwrap().to_be_bytes();
    [&[1, length], arn, &size, ciphertext, envelope].concat()
}

/// Whether a handle is taken for the record, and for no other.
fn is_taken(record: &KeyRecord, handle: &[u8]) -> bool {
    let claimed = KeyRecord { handle: KeyHandle::new(handle.to_vec()), ..record.clone() };
    let is_taken = is_read(&claimed);
    if is_taken {
        let public_key = TestKey::seeded(Algorithm::EcdsaSecp256k1, 6).public_key().clone();
        let mut others = vec![
            KeyRecord { custodian: CustodianId::new(Digest::of(b"another")), ..claimed.clone() },
            KeyRecord { wallet: WalletId::parse("another").unwrap(), ..claimed.clone() },
            KeyRecord { key: KeyId::parse("another").unwrap(), ..claimed.clone() },
        ];
        if public_key.algorithm() != record.public_key.algorithm() {
            others.push(KeyRecord { public_key, ..claimed });
        }
        assert!(others.iter().all(|other| !is_read(other)), "a handle of another is taken");
    }
    is_taken
}

fn is_read(record: &KeyRecord) -> bool {
    match block_on(BACKEND.signer(record)).map_err(|error| error.kind()) {
        Err(ErrorKind::Corrupt) => false,
        Err(ErrorKind::Refused) => true,
        answer => panic!("the region has no connection: {answer:?}"),
    }
}

/// As the backend writes it: version, binding, ARN.
fn handle(record: &KeyRecord, arn: &str) -> Vec<u8> {
    let KeyRecord { custodian, wallet, key, public_key, .. } = record;
    let fields = [
        custodian.digest().as_bytes(),
        wallet.as_str().as_bytes(),
        key.as_str().as_bytes(),
        public_key.algorithm().as_str().as_bytes(),
        arn.as_bytes(),
    ];
    let binding = Digest::tagged("custody/kms/handle/v1", &fields);
    [&[1], &binding.as_bytes()[..], arn.as_bytes()].concat()
}

fn record(algorithm: Algorithm) -> KeyRecord {
    KeyRecord {
        custodian: CustodianId::new(Digest::of(b"custodian")),
        wallet: WalletId::parse("treasury").unwrap(),
        key: KeyId::parse("key-1").unwrap(),
        public_key: TestKey::seeded(algorithm, 5).public_key().clone(),
        handle: KeyHandle::new(Vec::new()),
    }
}

static BACKEND: LazyLock<KmsBackend> = LazyLock::new(|| {
    let (id, home) = (BackendId::parse("aws").unwrap(), RegionName::parse(HOME).unwrap());
    let config = KmsConfig::new(id, "111122223333", home).unwrap();
    let credentials = Credentials::new("id", "secret", None, None, "fuzz");
    let kms = Kms::new(config, credentials, Arc::new(TestClock::new())).unwrap();
    KmsBackend::new(kms).unwrap()
});

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |name: String, part: u8, algorithm: u8, bytes: &[u8]| {
        seeds.push((name, [&[part, algorithm], bytes].concat()));
    };
    for (number, algorithm) in (0_u8..).zip(ALGORITHMS) {
        add(format!("{algorithm}-same"), 0, number, &[]);
        for at in [0, 1, 32, 33, 40, 50, 60, 100] {
            add(format!("{algorithm}-flipped-{at}"), 0, number, &flip(at, 1));
        }
        add(format!("{algorithm}-cut"), 0, number, &cut(40));
        add(format!("{algorithm}-whole"), 0, number, &handle(&record(algorithm), ARN));
        add(format!("{algorithm}-arn"), 1, number, ARN.as_bytes());
    }
    for (name, text) in crate::kms_texts::arns() {
        add(format!("arn-{name}"), 1, 0, text.as_bytes());
    }
    let (arn, ciphertext, envelope) = (ARN.as_bytes(), &[7_u8; 184], &[8_u8; ENVELOPE]);
    let good = wrapped_of(arn, ciphertext, envelope);
    for (name, bytes) in [
        ("cut", good[..good.len() - 1].to_vec()),
        ("more", [&good[..], &[0]].concat()),
        ("other-version", [&[2], &good[1..]].concat()),
        ("no-text", wrapped_of(&[0xff; 9], ciphertext, envelope)),
        ("no-arn", wrapped_of(b"", ciphertext, envelope)),
        ("no-ciphertext", wrapped_of(arn, b"", envelope)),
        ("longest-ciphertext", wrapped_of(arn, &[7; 6_144], envelope)),
        ("long-ciphertext", wrapped_of(arn, &[7; 6_145], envelope)),
        ("whole", good),
    ] {
        add(format!("wrapped-{name}"), 2, 0, &bytes);
    }
    seeds
}
