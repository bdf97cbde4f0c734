//! Signed notes, their keys and checkpoints: a text has one note and a note one text, and only what
//! the key has signed is believed.

use custody_audit::checkpoint::LogHead;
use custody_audit::note::{KeyName, NoteSignature, SignedNote, VerifierKey};
use custody_audit::tree::{TreeHash, TreeHead};
use custody_core::crypto::{Algorithm, SignInput};
use custody_testkit::key::TestKey;

use crate::Seed;
use crate::input::{choose, chosen, flip, patched};

const PARTS: [&str; 5] = ["note", "verified note", "key", "head", "checkpoint"];
pub(crate) const ORIGIN: &str = "custody.example/log";

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let (part, bytes) = choose(&PARTS, bytes)?;
    let text = std::str::from_utf8(bytes).ok()?;
    let taken = match *part {
        "note" => note(text).is_some(),
        "verified note" => verified(text),
        "key" => key(text),
        "head" => head(text).is_some(),
        _ => checkpoint(text),
    };
    taken.then_some(part)
}

fn note(text: &str) -> Option<SignedNote> {
    let note = SignedNote::parse(text).ok()?;
    assert_eq!(note.to_string(), text, "a note is written as it was read");
    assert!(text.len() <= 256 * 1024 && (1..=64).contains(&note.signatures().len()));
    assert!(note.unverified_text().ends_with('\n'));
    assert!(note.verify(&[]).is_err(), "nobody has signed it");
    Some(note)
}

/// A note that is believed has a text that the key has signed.
fn verified(text: &str) -> bool {
    let Some(note) = note(text) else { return false };
    let (own, other) = (verifier_key(ORIGIN, 1), verifier_key(ORIGIN, 2));
    let Ok(believed) = note.verify(std::slice::from_ref(&own)) else { return false };
    assert!(texts().iter().any(|known| known == believed), "a forged note is believed");
    assert_eq!(note.signer(&[other.clone(), own.clone()]).ok(), Some(&own));
    assert!(note.verify(&[other]).is_err());
    assert!(note.verify(&[verifier_key("another.example", 1)]).is_err());
    true
}

fn key(text: &str) -> bool {
    let Ok(key) = VerifierKey::parse(text) else { return false };
    assert_eq!(key.to_string(), text, "a key is written as it was read");
    let again = VerifierKey::new(key.name().clone(), key.public_key().clone()).unwrap();
    assert_eq!(again, key, "the id is that of name and key");
    assert_eq!(key.public_key().algorithm(), Algorithm::Ed25519);
    true
}

fn head(text: &str) -> Option<LogHead> {
    let head = LogHead::parse(text).ok()?;
    assert_eq!(head.to_text(), text, "a head is written as it was read");
    assert!(!head.origin().is_empty() && head.extensions().iter().all(|line| !line.is_empty()));
    Some(head)
}

/// A checkpoint that is believed has a text that the key has signed in the name of the log.
fn checkpoint(text: &str) -> bool {
    let Some(note) = note(text) else { return false };
    let own = verifier_key(ORIGIN, 1);
    let Ok(opened) = LogHead::open(&note, std::slice::from_ref(&own)) else { return false };
    assert_eq!(head(note.unverified_text()).as_ref(), Some(&opened));
    assert!(texts().contains(&opened.to_text()), "a forged checkpoint is believed");
    assert_eq!(opened.origin(), ORIGIN);
    assert!(LogHead::open(&note, &[verifier_key("another.example", 1)]).is_err());
    true
}

/// The key of this name and seed, as verifiers know it.
pub(crate) fn verifier_key(name: &str, seed: u64) -> VerifierKey {
    let public = TestKey::seeded(Algorithm::Ed25519, seed).public_key().clone();
    VerifierKey::new(KeyName::parse(name).unwrap(), public).unwrap()
}

/// A note with this text, signed by the key of this name and seed.
pub(crate) fn signed(text: &str, name: &str, seed: u64) -> SignedNote {
    SignedNote::new(text.to_owned(), signature(text, name, seed)).unwrap()
}

fn signature(text: &str, name: &str, seed: u64) -> NoteSignature {
    let input = SignInput::Message(text.as_bytes());
    let signature = TestKey::seeded(Algorithm::Ed25519, seed).sign(input).unwrap();
    NoteSignature::checked(&verifier_key(name, seed), text, &signature).unwrap()
}

/// Every text that the key has signed.
fn texts() -> Vec<String> {
    let origin = KeyName::parse(ORIGIN).unwrap();
    let tree = |size: u64| TreeHead { size, root: TreeHash::leaf(&size.to_be_bytes()) };
    let heads = [0, 1, 1_234, u64::MAX].map(|size| LogHead::new(&origin, tree(size)).to_text());
    let extended = format!("{}an extension\n another\n", heads[1]);
    let plain = "This is an example message.\n".to_owned();
    let blank = "A text\n\nwith an empty line.\n".to_owned();
    heads.into_iter().chain([extended, plain, blank]).collect()
}

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (number, text) in texts().into_iter().enumerate() {
        let mut note = signed(&text, ORIGIN, 1);
        let one = note.to_string();
        note.push(signature(&text, "witness.example", 5)).unwrap();
        let two = note.to_string();
        let unknown = signed(&text, ORIGIN, 2).to_string();
        for (name, part, bytes) in [
            ("note", 0, one.clone()),
            ("note-crlf", 0, one.replace('\n', "\r\n")),
            ("note-cut", 0, one.trim_end().to_owned()),
            ("verified", 1, one.clone()),
            ("verified-two", 1, two),
            ("verified-unknown", 1, unknown),
            ("verified-other-text", 1, one.replacen(['1', 'T', 'A'], "2", 1)),
            ("head", 3, text.clone()),
            ("head-cut", 3, text.trim_end().to_owned()),
            ("checkpoint", 4, one.clone()),
            ("checkpoint-flipped", 4, {
                let bytes = patched(one.as_bytes(), &flip(30, 1));
                String::from_utf8_lossy(&bytes).into_owned()
            }),
        ] {
            seeds.push((format!("{name}-{number}"), chosen(part, bytes.as_bytes())));
        }
    }
    let example = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    for (name, text) in [
        ("own", verifier_key(ORIGIN, 1).to_string()),
        ("example", example.to_owned()),
        ("another-id", example.replace("530d903a", "530d903b")),
        ("another-type", example.replace("+Ae", "+Be")),
        ("no-name", example.replace("example.com/foo", "")),
    ] {
        seeds.push((format!("key-{name}"), chosen(2, text.as_bytes())));
    }
    for file in ["tlog/tessera-log/checkpoint", "tlog/sunlight-witness/witness/checkpoint"] {
        let note = custody_testkit::vectors::bytes(file);
        seeds.push((format!("vector-{}", file.replace('/', "-")), chosen(0, &note)));
    }
    seeds
}
