//! The key-encrypting key of a passphrase. This file opens secrets: those it made up itself.

use std::sync::{Arc, OnceLock};

use custody_core::seam::{Entropy, ErrorKind, KeyEncryption};
use custody_core::secret::Secret;
use custody_soft::{
    KdfParameters, KdfParametersError, KekDocument, KekDocumentError, PassphraseKek,
};
use custody_testkit::runtime::TestEntropy;
use proptest::prelude::*;

use crate::support::run;

const PASSPHRASE: &[u8] = b"correct horse battery staple";
const CONTEXT: &[&[u8]] = &[b"custodian", b"wallet"];

fn entropy() -> Arc<dyn Entropy> {
    Arc::new(TestEntropy::seeded(3))
}

fn create(passphrase: &[u8]) -> Result<(PassphraseKek, KekDocument), ErrorKind> {
    let passphrase = Secret::new(passphrase.to_vec());
    PassphraseKek::create(passphrase, KdfParameters::MINIMUM, entropy()).map_err(|e| e.kind())
}

fn open(passphrase: &[u8], document: &KekDocument) -> Result<PassphraseKek, ErrorKind> {
    let passphrase = Secret::new(passphrase.to_vec());
    PassphraseKek::open(passphrase, document, entropy()).map_err(|error| error.kind())
}

/// One key for all tests that do not make their own: each costs 19 MiB of work.
fn shared() -> &'static (PassphraseKek, KekDocument) {
    static SHARED: OnceLock<(PassphraseKek, KekDocument)> = OnceLock::new();
    SHARED.get_or_init(|| create(PASSPHRASE).unwrap())
}

fn data_key() -> Secret {
    Secret::new((0..32).collect())
}

/// The stored form of the shared key with one piece of its text replaced.
fn edited(from: &str, to: &str) -> Result<KekDocument, KekDocumentError> {
    let json = shared().1.to_json();
    assert!(json.contains(from), "{from}");
    KekDocument::parse(json.replacen(from, to, 1).as_bytes())
}

/// The hex that a stored field holds.
fn stored(field: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(&shared().1.to_json()).unwrap();
    json[field].as_str().unwrap().to_owned()
}

#[test]
fn the_right_passphrase_gives_the_same_key_again() {
    let (created, document) = shared();
    let stored = KekDocument::parse(document.to_json().as_bytes()).unwrap();
    assert_eq!(&stored, document);
    let opened = open(PASSPHRASE, &stored).unwrap();
    assert_eq!(opened.id(), created.id());
    let wrapped = run(created.wrap(&data_key(), CONTEXT)).unwrap();
    assert!(run(opened.unwrap(&wrapped, CONTEXT)).unwrap().expose() == data_key().expose());
    assert!(opened.in_process());
}

#[test]
fn a_wrong_passphrase_is_refused_and_no_reason_is_given() {
    let (_, document) = shared();
    let mut messages = Vec::new();
    for wrong in [
        &b""[..],
        b"correct horse battery stapl",
        b"correct horse battery staple ",
        b"Correct horse battery staple",
        b"correct horse battery staple\0",
        &[b'a'; PassphraseKek::PASSPHRASE_MAX + 1],
    ] {
        let error = PassphraseKek::open(Secret::new(wrong.to_vec()), document, entropy());
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(std::error::Error::source(&error).is_none());
        messages.push(error.to_string());
    }
    messages.dedup();
    assert_eq!(messages.len(), 1);
}

#[test]
fn a_document_with_another_salt_cost_or_check_does_not_open() {
    let (salt, check) = (stored("salt"), stored("check"));
    let flip = |hex: &str| {
        let digit = if hex.starts_with('0') { '1' } else { '0' };
        format!("{digit}{}", &hex[1..])
    };
    for (from, to) in [
        (salt.clone(), flip(&salt)),
        (salt.clone(), format!("{salt}00")),
        (check.clone(), flip(&check)),
        ("\"memory_kib\":19456".to_owned(), "\"memory_kib\":19457".to_owned()),
        ("\"passes\":2".to_owned(), "\"passes\":3".to_owned()),
        ("\"lanes\":1".to_owned(), "\"lanes\":2".to_owned()),
    ] {
        let document = edited(&from, &to).unwrap();
        assert_eq!(open(PASSPHRASE, &document).unwrap_err(), ErrorKind::Refused);
    }
}

#[test]
fn each_bound_of_the_cost_holds_on_both_sides() {
    let memory = |memory_kib| Err(KdfParametersError::Memory { memory_kib });
    let passes = |passes| Err(KdfParametersError::Passes { passes });
    let lanes = |lanes| Err(KdfParametersError::Lanes { lanes });
    for (cost, expected) in [
        ((19 * 1024 - 1, 3, 1), memory(19 * 1024 - 1)),
        ((19 * 1024, 3, 1), Ok(())),
        ((1024 * 1024, 3, 1), Ok(())),
        ((1024 * 1024 + 1, 3, 1), memory(1024 * 1024 + 1)),
        ((0, 3, 1), memory(0)),
        ((u32::MAX, 3, 1), memory(u32::MAX)),
        ((65_536, 1, 1), passes(1)),
        ((65_536, 2, 1), Ok(())),
        ((65_536, 16, 1), Ok(())),
        ((65_536, 17, 1), passes(17)),
        ((65_536, u32::MAX, 1), passes(u32::MAX)),
        ((65_536, 3, 0), lanes(0)),
        ((65_536, 3, 4), Ok(())),
        ((65_536, 3, 5), lanes(5)),
        ((65_536, 3, u32::MAX), lanes(u32::MAX)),
    ] {
        let parameters = KdfParameters::new(cost.0, cost.1, cost.2);
        assert_eq!(parameters.map(|_| ()), expected, "{cost:?}");
        let [memory_kib, passes, lanes] = [cost.0, cost.1, cost.2];
        let json = shared().1.to_json().replace(
            "\"memory_kib\":19456,\"passes\":2,\"lanes\":1",
            &format!("\"memory_kib\":{memory_kib},\"passes\":{passes},\"lanes\":{lanes}"),
        );
        let parsed = KekDocument::parse(json.as_bytes()).map(|_| ());
        assert_eq!(parsed, expected.map_err(KekDocumentError::Parameters), "{cost:?}");
    }
}

#[test]
fn the_default_cost_is_64_mib_and_three_passes() {
    let default = KdfParameters::default();
    assert_eq!((default.memory_kib(), default.passes(), default.lanes()), (65_536, 3, 1));
    let least = KdfParameters::MINIMUM;
    assert_eq!((least.memory_kib(), least.passes(), least.lanes()), (19_456, 2, 1));
}

#[test]
fn documents_that_are_not_what_is_written_are_refused() {
    let (salt, check) = (stored("salt"), stored("check"));
    for (name, from, to, expected) in [
        ("version", "\"v\":1", "\"v\":2", KekDocumentError::Version { version: 2 }),
        ("version", "\"v\":1", "\"v\":0", KekDocumentError::Version { version: 0 }),
        ("kdf", "argon2id-v19", "argon2i-v19", KekDocumentError::Kdf),
        ("kdf", "argon2id-v19", "argon2id-v16", KekDocumentError::Kdf),
        ("salt", &*salt, &"5a".repeat(15), KekDocumentError::Salt { length: 15 }),
        ("salt", &*salt, &"5a".repeat(65), KekDocumentError::Salt { length: 65 }),
        ("salt", &*salt, "", KekDocumentError::Salt { length: 0 }),
        ("check", &*check, &"5a".repeat(31), KekDocumentError::Check { length: 31 }),
        ("check", &*check, &"5a".repeat(33), KekDocumentError::Check { length: 33 }),
        ("capitals", &*check, &"AB".repeat(32), KekDocumentError::Malformed),
        ("no hex", &*check, &"zz".repeat(32), KekDocumentError::Malformed),
        ("unknown field", "\"v\":1", "\"v\":1,\"x\":1", KekDocumentError::Malformed),
        ("duplicate field", "\"v\":1", "\"v\":1,\"v\":1", KekDocumentError::Malformed),
        ("missing field", "\"lanes\":1,", "", KekDocumentError::Malformed),
        ("negative", "\"passes\":2", "\"passes\":-2", KekDocumentError::Malformed),
        ("fraction", "\"passes\":2", "\"passes\":2.0", KekDocumentError::Malformed),
        ("above u32", "\"passes\":2", "\"passes\":4294967298", KekDocumentError::Malformed),
        ("text", "\"passes\":2", "\"passes\":\"2\"", KekDocumentError::Malformed),
    ] {
        assert_eq!(edited(from, to), Err(expected), "{name}: {from}");
    }
    for length in [KekDocument::SALT_MIN, KekDocument::SALT_MAX] {
        assert!(edited(&salt, &"5a".repeat(length)).is_ok(), "{length}");
    }
}

#[test]
fn documents_that_are_cut_followed_by_bytes_or_too_long_are_refused() {
    let json = shared().1.to_json();
    for length in 0..json.len() {
        let parsed = KekDocument::parse(&json.as_bytes()[..length]);
        assert_eq!(parsed, Err(KekDocumentError::Malformed), "cut to {length} bytes");
    }
    assert_eq!(KekDocument::parse(format!("{json}x").as_bytes()), Err(KekDocumentError::Malformed));
    let padded = |length: usize| format!("{json}{}", " ".repeat(length - json.len()));
    assert!(KekDocument::parse(padded(1024).as_bytes()).is_ok());
    assert_eq!(
        KekDocument::parse(padded(1025).as_bytes()),
        Err(KekDocumentError::Length { length: 1025 })
    );
}

#[test]
fn the_length_of_a_new_passphrase_is_8_to_1024_bytes() {
    for (length, accepted) in [(0, false), (7, false), (8, true), (1024, true), (1025, false)] {
        let created = create(&vec![b'a'; length]);
        assert_eq!(created.is_ok(), accepted, "{length} bytes");
        if let Err(kind) = created {
            assert_eq!(kind, ErrorKind::Refused, "{length} bytes");
        }
    }
}

#[test]
fn without_entropy_there_is_no_key_and_nothing_is_wrapped() {
    let passphrase = || Secret::new(PASSPHRASE.to_vec());
    let failing = || Arc::new(TestEntropy::failing());
    let created = PassphraseKek::create(passphrase(), KdfParameters::MINIMUM, failing());
    assert_eq!(created.unwrap_err().kind(), ErrorKind::Unavailable);
    let opened = PassphraseKek::open(passphrase(), &shared().1, failing()).unwrap();
    let error = run(opened.wrap(&data_key(), CONTEXT)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn two_keys_from_one_passphrase_are_different_keys() {
    let source = entropy();
    let [one, two] = [(), ()].map(|()| {
        let passphrase = Secret::new(PASSPHRASE.to_vec());
        PassphraseKek::create(passphrase, KdfParameters::MINIMUM, Arc::clone(&source)).unwrap().0
    });
    assert_ne!(one.id(), two.id());
    let wrapped = run(one.wrap(&data_key(), CONTEXT)).unwrap();
    let error = run(two.unwrap(&wrapped, CONTEXT)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn only_data_keys_of_32_bytes_are_wrapped() {
    let (kek, _) = shared();
    for length in [0, 1, 16, 31, 33, 64] {
        let error = run(kek.wrap(&Secret::new(vec![1; length]), CONTEXT)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{length} bytes");
    }
}

#[test]
fn a_wrapped_data_key_opens_only_unchanged_and_in_its_context() {
    let (kek, _) = shared();
    let wrapped = run(kek.wrap(&data_key(), CONTEXT)).unwrap();
    assert!(wrapped.windows(8).all(|window| window != &data_key().expose()[..8]));
    let corrupt = |wrapped: &[u8], context: &[&[u8]], case: &str| {
        let error = run(kek.unwrap(wrapped, context)).err();
        assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::Corrupt), "{case}");
    };
    for context in [
        &[][..],
        &[b"custodian" as &[u8]],
        &[b"custodian", b"walle"],
        &[b"wallet", b"custodian"],
        &[b"custodianwallet"],
        &[b"custodian", b"wallet", b""],
    ] {
        corrupt(&wrapped, context, &format!("{context:?}"));
    }
    for position in 0..wrapped.len() {
        let mut changed = wrapped.clone();
        changed[position] ^= 1;
        corrupt(&changed, CONTEXT, &format!("byte {position}"));
        corrupt(&wrapped[..position], CONTEXT, &format!("cut to {position}"));
    }
    corrupt(&[wrapped.as_slice(), &[0]].concat(), CONTEXT, "one byte more");
}

#[test]
fn wrapping_twice_gives_different_bytes() {
    let (kek, _) = shared();
    let [one, two] = [(), ()].map(|()| run(kek.wrap(&data_key(), CONTEXT)).unwrap());
    assert_ne!(one, two);
}

#[test]
fn nothing_secret_is_printed() {
    let (kek, document) = shared();
    let printed = format!("{kek:?} {document:?}");
    assert!(printed.contains(kek.id().as_str()));
    for secret in [PASSPHRASE, b"horse"] {
        assert!(!printed.contains(&*String::from_utf8_lossy(secret)));
        assert!(!printed.contains(&hex::encode(secret)));
    }
    assert!(!printed.contains("key:"));
}

proptest! {
    #[test]
    fn foreign_bytes_are_never_a_document(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        prop_assert!(KekDocument::parse(&bytes).is_err());
    }

    #[test]
    fn what_is_accepted_is_written_back_unchanged(
        memory_kib in 19_456_u32..=1_048_576,
        passes in 2_u32..=16,
        lanes in 1_u32..=4,
        salt in proptest::collection::vec(any::<u8>(), 16..=64),
        check in any::<[u8; 32]>(),
    ) {
        let (salt, check) = (hex::encode(salt), hex::encode(check));
        let json = format!(
            "{{\"v\":1,\"kdf\":\"argon2id-v19\",\"memory_kib\":{memory_kib},\"passes\":{passes},\
             \"lanes\":{lanes},\"salt\":\"{salt}\",\"check\":\"{check}\"}}"
        );
        let document = KekDocument::parse(json.as_bytes()).unwrap();
        prop_assert_eq!(document.to_json(), json);
        let cost = *document.parameters();
        prop_assert_eq!((cost.memory_kib(), cost.passes(), cost.lanes()), (memory_kib, passes, lanes));
    }
}
