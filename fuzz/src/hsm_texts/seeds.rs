//! Texts and bytes around a token, good ones and damaged ones.

use custody_core::crypto::SignInput;
use custody_core::digest::Digest;
use custody_testkit::key::TestKey;

use super::{ALGORITHMS, HANDLE, LEAST, NUMBER, PARTS, WRAPPED, handle_with, wrapped_with};
use crate::Seed;
use crate::input::{cut, flip, patched};
use crate::kms_texts::WORD;

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |part: &str, choice: u8, name: &str, bytes: &[u8]| {
        let number = PARTS.iter().position(|known| *known == part).unwrap();
        let head = [u8::try_from(number).unwrap(), choice];
        seeds.push((format!("{}-{name}", part.replace(' ', "-")), [&head, bytes].concat()));
    };
    for (part, good) in [("handle", &*HANDLE), ("wrapped key", &*WRAPPED)] {
        let changed = format!("changed {part}");
        add(&changed, 0, "same", &[]);
        add(&changed, 0, "cut", &cut(60));
        for at in [5, 20, 60, 100, 200, 300, 400] {
            add(&changed, 0, &format!("flipped-{at}"), &flip(at, 1));
        }
        add(part, 0, "whole", good.as_bytes());
        add(part, 0, "spaced", good.replacen(':', ": ", 1).as_bytes());
        add(part, 0, "twice", good.replacen('{', "{\"v\":1,", 1).as_bytes());
    }
    add("handle", 0, "wrapped", handle_with("\"wrapped\"").as_bytes());
    add("handle", 0, "unknown-exportability", handle_with("\"always\"").as_bytes());
    add("wrapped key", 0, "capitals", wrapped_with("AB").as_bytes());
    add("wrapped key", 0, "no-hex", wrapped_with("xy").as_bytes());
    for (name, from, to) in [
        ("whole", "", ""),
        ("later-version", "\"v\":1", "\"v\":2"),
        ("unknown", "\"v\":1", "\"v\":1,\"w\":1"),
        ("twice", "\"v\":1", "\"v\":1,\"v\":1"),
        ("no-digest", "\"mechanisms\":\"", "\"mechanisms\":\"0"),
    ] {
        add("facts", 0, name, kept().replacen(from, to, 1).as_bytes());
    }
    for (name, from, to) in [
        ("whole", "", ""),
        ("serial", "label", "serial"),
        ("environment", "file", "environment"),
        ("no-sessions", "sessions = 4", "sessions = 0"),
        ("too-long", "sign_ms = 5000", "sign_ms = 3600001"),
        ("nobody-waits", "waiting = 1024", "waiting = 0"),
        ("slot", "{ label = \"a\\u007f\\\"\" }", "{ slot = 1 }"),
        ("unknown", "wrapping", WORD),
        ("twice", "destroyable", "wrapping"),
    ] {
        add("configuration", 0, name, CONFIGURATION.replacen(from, to, 1).as_bytes());
    }
    let least = format!("{LEAST}pin = {{ file = \"/pin\" }}");
    add("configuration", 0, "least", least.as_bytes());
    pins().iter().for_each(|(head, name, text)| add("pin", *head, name, text.as_bytes()));
    for (name, algorithm, bytes) in points() {
        add("point", algorithm, &name, &bytes);
    }
    for (name, algorithm, bytes) in signatures() {
        add("signature", algorithm, &name, &bytes);
    }
    seeds
}

/// PINs where they must not stand, and ways to say where they are: by the number of a head.
fn pins() -> [(u8, &'static str, &'static str); 10] {
    [
        (0, "file", "{ file = \"/run/s3cret-input\" }"),
        (0, "text", "\"s3cret-input\""),
        (0, "number", NUMBER),
        (0, "other-name", "{ word = \"s3cret-input\" }"),
        (1, "no-sign", "s3cret-input"),
        (1, "sign-within", "\"s3cret-input==\""),
        (2, "quoted-name", "\"s3cret-input\""),
        (3, "environment", "\"PIN\""),
        (4, "bare", "s3cret-input"),
        (5, "quoted-file", NUMBER),
    ]
}

/// Points in every form that modules write: name, number of the algorithm, bytes.
fn points() -> Vec<(String, u8, Vec<u8>)> {
    let mut points = Vec::new();
    for (number, algorithm) in (0_u8..).zip(ALGORITHMS) {
        let key = TestKey::seeded(algorithm, 1).public_key().clone();
        let short = key.as_bytes().to_vec();
        let long = key.to_uncompressed().unwrap_or_else(|| short.clone());
        let tagged = |tag: &[u8], raw: &[u8]| {
            let length = u8::try_from(raw.len() + tag.len() - 1).unwrap();
            [&tag[..1], &[length], &tag[1..], raw].concat()
        };
        for (name, bytes) in [
            ("octets", tagged(&[4], &long)),
            ("octets-of-the-short", tagged(&[4], &short)),
            ("bits", tagged(&[3, 0], &long)),
            ("off", patched(&long, &flip(20, 1))),
            ("cut", long[1..].to_vec()),
            ("short", short),
            ("long", long),
        ] {
            points.push((format!("{algorithm}-{name}"), number, bytes));
        }
    }
    points
}

/// Signatures in both forms: name, number of the algorithm, bytes.
fn signatures() -> Vec<(String, u8, Vec<u8>)> {
    let mut signatures = Vec::new();
    for (number, algorithm) in (0_u8..).zip(ALGORITHMS) {
        let is_prehash = algorithm.signs_prehash();
        let input =
            if is_prehash { SignInput::Prehash(&[7; 32]) } else { SignInput::Message(&[7; 32]) };
        let signature = TestKey::seeded(algorithm, 1).sign(input).unwrap();
        let fixed = signature.as_bytes().to_vec();
        let der = signature.to_der().unwrap_or_default();
        for (name, bytes) in [
            ("der", der.clone()),
            ("der-more", [&der[..], &[0]].concat()),
            ("cut", fixed[..63].to_vec()),
            ("zeros", vec![0; 64]),
            ("fixed", fixed),
        ] {
            signatures.push((format!("{algorithm}-{name}"), number, bytes));
        }
    }
    signatures
}

fn kept() -> String {
    let mechanisms = Digest::of(b"CKM_ECDSA");
    format!(
        r#"{{"v":1,"serial":"0001","manufacturer":"maker","model":"model","firmware":"1.0","hardware":"2.0","mechanisms":"{mechanisms}"}}"#
    )
}

const CONFIGURATION: &str = r#"id = "vault"
module = "/usr/lib/softhsm/libsofthsm2.so"
token = { label = "a\u007f\"" }
pin = { file = "/run/secrets/pin" }
sessions = 4
destroyable = false
wrapping = true
facts = "/var/lib/custody/token.json"
[limits]
sign_ms = 5000
generate_ms = 30000
waiting = 1024
lost_threads = 3
pause_ms = 30000
"#;
