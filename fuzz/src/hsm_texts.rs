//! What hosts write about a token and what a token and its backend leave: configurations, handles,
//! wrapped keys, facts, points and signatures. What is taken has one meaning, and no error tells a
//! PIN. No token is there.

mod seeds;

use std::path::Path;
use std::sync::LazyLock;

use custody_core::crypto::{Algorithm, PublicKey, Signature};
use custody_core::digest::Digest;
use custody_core::id::{CustodianId, KekId, KeyId, WalletId};
use custody_core::seam::{KeyHandle, KeyRecord};
use custody_hsm::{HsmConfig, PinSource, Provenance, TokenSelector, foreign};
use custody_testkit::key::TestKey;
use serde_json::Value;

pub(crate) use self::seeds::seeds;
use crate::input::{Input, patched};
use crate::json::{has_unique_keys, with_unknown_field};
use crate::kms_texts::{WORD, quoted};

const PARTS: [&str; 9] = [
    "changed handle",
    "changed wrapped key",
    "configuration",
    "facts",
    "handle",
    "pin",
    "point",
    "signature",
    "wrapped key",
];
const ALGORITHMS: [Algorithm; 4] = Algorithm::ALL;
/// What stands before a PIN that somebody writes into the configuration.
const HEADS: [&str; 6] =
    ["pin = ", "pin ", "\"pin\" = ", "pin.environment = ", "[pin]\nfile = ", "[pin]\n\"file\" = "];
/// A PIN of digits.
const NUMBER: &str = "4510451";
const UNDER: &str = "wrapping-1";

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

/// The first byte chooses the part, the second the algorithm or what stands before the PIN.
pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    let (part, choice) = (*input.pick(&PARTS), usize::from(input.byte()));
    let algorithm = ALGORITHMS[choice % ALGORITHMS.len()];
    let bytes = input.rest();
    let text = std::str::from_utf8(bytes).ok();
    let taken = match part {
        "changed handle" => {
            let changed = patched(HANDLE.as_bytes(), bytes);
            assert_eq!(handle(&changed), changed == HANDLE.as_bytes(), "a changed handle is taken");
            changed == HANDLE.as_bytes()
        }
        "changed wrapped key" => {
            let changed = patched(WRAPPED.as_bytes(), bytes);
            assert_eq!(wrapped(&changed), changed == WRAPPED.as_bytes(), "a changed key is taken");
            changed == WRAPPED.as_bytes()
        }
        "configuration" => text.is_some_and(configuration),
        "facts" => facts(bytes),
        "handle" => handle(bytes),
        "pin" => text.is_some_and(|text| pin(HEADS[choice % HEADS.len()], text)),
        "point" => point(algorithm, bytes),
        "signature" => signature(algorithm, bytes),
        _ => wrapped(bytes),
    };
    taken.then_some(part)
}

/// A handle is taken for the key that it was made for, and for no other, and has one form.
fn handle(bytes: &[u8]) -> bool {
    let record = record(bytes.to_vec());
    let Some(provenance) = Provenance::of(&record) else { return false };
    assert!(has_unique_keys(bytes));
    let told: Value = serde_json::from_slice(bytes).unwrap();
    assert_eq!(serde_json::to_value(&provenance).unwrap(), told["provenance"]);
    let public_key = public_key(6);
    let others = [
        KeyRecord { custodian: CustodianId::new(Digest::of(b"another")), ..record.clone() },
        KeyRecord { wallet: WalletId::parse("another").unwrap(), ..record.clone() },
        KeyRecord { key: KeyId::parse("another").unwrap(), ..record.clone() },
        KeyRecord { public_key, ..record.clone() },
        KeyRecord { handle: KeyHandle::new([bytes, b" "].concat()), ..record },
    ];
    assert!(others.iter().all(|other| Provenance::of(other).is_none()), "another is taken");
    true
}

/// A wrapped key is that of one public key, under one key, and has one form.
fn wrapped(bytes: &[u8]) -> bool {
    let (under, public_key) = (KekId::parse(UNDER).unwrap(), self::public_key(5));
    let Some(found) = foreign::wrapped(bytes, &under, &public_key) else { return false };
    assert!(has_unique_keys(bytes));
    let told: Value = serde_json::from_slice(bytes).unwrap();
    let told = told["wrapped"].as_str().unwrap();
    assert!(told.eq_ignore_ascii_case(&hex::encode(found)));
    let other = KekId::parse("wrapping-2").unwrap();
    assert!(foreign::wrapped(bytes, &other, &public_key).is_none(), "it is under another key");
    assert!(foreign::wrapped(bytes, &under, &self::public_key(6)).is_none(), "it is another key");
    assert!(foreign::wrapped(&[bytes, b" "].concat(), &under, &public_key).is_none());
    true
}

/// What is kept of a token is written to what reads the same; its version is known.
fn facts(bytes: &[u8]) -> bool {
    let Some(written) = foreign::facts(bytes) else { return false };
    assert!(has_unique_keys(bytes));
    assert_eq!(foreign::facts(&written).as_ref(), Some(&written));
    for other in with_unknown_field(bytes) {
        assert!(foreign::facts(&other).is_none(), "an unknown field is read");
    }
    let told: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(told["v"], 1, "an unknown version is read");
    true
}

/// A point is read in whatever form, and is written in one that is read again.
fn point(algorithm: Algorithm, bytes: &[u8]) -> bool {
    let Some(key) = foreign::point(algorithm, bytes) else { return false };
    assert_eq!(key.algorithm(), algorithm);
    let long = key.to_uncompressed().unwrap_or_default();
    let forms = [key.as_bytes(), &long[..]];
    let is_told = |raw: &&[u8]| bytes.ends_with(raw) && bytes.len() - raw.len() <= 3;
    assert!(forms.iter().any(is_told), "it is another point");
    let written = foreign::point_of(&key).unwrap();
    assert_eq!(foreign::point(algorithm, &written), Some(key));
    true
}

/// A signature of a module is two numbers, or DER.
fn signature(algorithm: Algorithm, bytes: &[u8]) -> bool {
    let Some(signature) = foreign::signature(algorithm, bytes) else { return false };
    let again = Signature::from_bytes(algorithm, signature.as_bytes());
    assert_eq!(again.as_ref(), Ok(&signature));
    if bytes.len() != 64 {
        let der = Signature::from_der(algorithm, bytes);
        assert_eq!(der.as_ref(), Ok(&signature), "it is none of the two");
    }
    if let Some(der) = signature.to_der().filter(|der| der.len() != 64) {
        assert_eq!(foreign::signature(algorithm, &der), Some(signature));
    }
    true
}

/// A configuration is written as TOML that reads as the same one.
fn configuration(text: &str) -> bool {
    let Ok(config) = HsmConfig::parse(text) else { return false };
    let limits = &config.limits;
    for limit in [limits.sign, limits.generate, limits.pause] {
        assert!((1..=3_600_000).contains(&limit.as_millis()));
    }
    assert!(limits.waiting > 0 && limits.lost_threads > 0);
    let again = HsmConfig::parse(&written(&config)).unwrap();
    assert_eq!(format!("{again:?}"), format!("{config:?}"));
    true
}

fn written(config: &HsmConfig) -> String {
    let path = |path: &Path| quoted(path.to_str().unwrap());
    let token = match &config.token {
        TokenSelector::Label(label) => format!("{{ label = {} }}", quoted(label)),
        TokenSelector::Serial(serial) => format!("{{ serial = {} }}", quoted(serial)),
    };
    let pin = match &config.pin {
        PinSource::Environment(name) => format!("{{ environment = {} }}", quoted(name)),
        PinSource::File(file) => format!("{{ file = {} }}", path(file)),
        _ => panic!("a text has no function"),
    };
    let facts = config.facts.as_deref().map(|facts| format!("facts = {}\n", path(facts)));
    let limits = &config.limits;
    format!(
        "id = {}\nmodule = {}\ntoken = {token}\npin = {pin}\nsessions = {}\ndestroyable = {}\n\
         wrapping = {}\n{}[limits]\nsign_ms = {}\ngenerate_ms = {}\nwaiting = {}\n\
         lost_threads = {}\npause_ms = {}\n",
        quoted(config.id.as_str()),
        path(&config.module),
        config.sessions,
        config.destroyable,
        config.wrapping,
        facts.unwrap_or_default(),
        limits.sign.as_millis(),
        limits.generate.as_millis(),
        limits.waiting,
        limits.lost_threads,
        limits.pause.as_millis(),
    )
}

/// Whoever writes the PIN itself into a configuration finds it in no error.
fn pin(head: &str, text: &str) -> bool {
    if text.contains(['\n', '\r']) {
        return false;
    }
    match HsmConfig::parse(&format!("{LEAST}{head}{text}\n")) {
        Ok(config) => matches!(config.pin, PinSource::Environment(_) | PinSource::File(_)),
        Err(error) => {
            let said = format!("{error} {error:?}");
            assert!(![WORD, NUMBER].iter().any(|pin| said.contains(pin)), "an error tells the PIN");
            false
        }
    }
}

fn record(handle: Vec<u8>) -> KeyRecord {
    KeyRecord {
        custodian: CustodianId::new(Digest::of(b"custodian")),
        wallet: WalletId::parse("treasury").unwrap(),
        key: KeyId::parse("key-1").unwrap(),
        public_key: public_key(5),
        handle: KeyHandle::new(handle),
    }
}

fn public_key(seed: u64) -> PublicKey {
    TestKey::seeded(Algorithm::EcdsaSecp256k1, seed).public_key().clone()
}

/// As the backend writes it.
static HANDLE: LazyLock<String> = LazyLock::new(|| handle_with("\"never\""));
/// As a token's owner keeps it.
static WRAPPED: LazyLock<String> = LazyLock::new(|| wrapped_with("ab"));

fn handle_with(exportability: &str) -> String {
    let KeyRecord { custodian, wallet, key, public_key, .. } = record(Vec::new());
    let (custodian, key) = (custodian.digest().as_bytes(), key.as_str().as_bytes());
    let id = Digest::tagged("custody/hsm/key/v1", &[custodian, key]);
    let text = |sum: Digest| {
        format!(
            r#"{{"v":1,"serial":"0001","id":"{id}","exportability":{exportability},"provenance":{PROVENANCE},"sum":"{sum}"}}"#
        )
    };
    let unsummed = text(Digest::of(&[]));
    let fields: [&[u8]; 6] = [
        custodian,
        wallet.as_str().as_bytes(),
        key,
        public_key.algorithm().as_str().as_bytes(),
        public_key.as_bytes(),
        unsummed.as_bytes(),
    ];
    text(Digest::tagged("custody/hsm/handle/v1", &fields))
}

/// A wrapped key whose bytes are forty of these.
fn wrapped_with(byte: &str) -> String {
    let public_key = serde_json::to_string(&public_key(5)).unwrap();
    let wrapped = byte.repeat(40);
    let text = |sum: Digest| {
        format!(
            r#"{{"v":1,"mechanism":"pkcs11/aes-key-wrap-pad","manufacturer":"maker","model":"model","under":"{UNDER}","public_key":{public_key},"wrapped":"{wrapped}","sum":"{sum}"}}"#
        )
    };
    let unsummed = text(Digest::of(&[]));
    text(Digest::tagged("custody/hsm/wrapped/v1", &[unsummed.as_bytes()]))
}

const PROVENANCE: &str = r#"{"sensitive":true,"extractable":false,"always_sensitive":true,"never_extractable":true,"local":true,"destroyable":null,"manufacturer":"maker","model":"model","firmware":"1.0"}"#;

const LEAST: &str = "id = \"vault\"\nmodule = \"/m.so\"\ntoken = { label = \"t\" }\n";
