use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::seam::{Head, Position};
use sha2::{Digest as _, Sha256};

use crate::key::TestKey;

/// A checkpoint of `origin` (C2SP tlog-checkpoint), signed with `key` (C2SP signed-note).
#[must_use]
pub fn signed_note(origin: &str, head: &Head, key: &TestKey) -> String {
    let root = STANDARD.encode(head.root.as_bytes());
    let text = format!("{origin}\n{}\n{root}\n", head.size);
    let signature = key.sign(SignInput::Message(text.as_bytes())).expect("an Ed25519 key");
    let line = [&key_id(origin, key.public_key())[..], signature.as_bytes()].concat();
    format!("{text}\n\u{2014} {origin} {}\n", STANDARD.encode(line))
}

/// Checks a checkpoint that `key` must have signed, and returns its head.
///
/// # Errors
/// Says what is wrong with the note.
pub fn check_note(note: &str, key: &PublicKey) -> Result<Head, String> {
    let (text, signatures) = note.split_once("\n\n").ok_or("the note has no empty line")?;
    let text = format!("{text}\n");
    let lines: Vec<&str> = text.lines().collect();
    let [origin, size, root, ..] = lines[..] else { return Err("lines are missing".into()) };
    let number: u64 = size.parse().map_err(|_| "the size is no number")?;
    if number.to_string() != size {
        return Err("the size is not written plainly".into());
    }
    let root = STANDARD.decode(root).map_err(|_| "the root is not base64")?;
    let root: [u8; 32] = root.try_into().map_err(|_| "the root has another length")?;
    if !signatures.ends_with('\n') {
        return Err("the note does not end with a line feed".into());
    }
    let signed = signatures.lines().any(|line| is_signed(line, origin, &text, key));
    let head = Head { size: Position::new(number), root: Digest::new(root) };
    if signed { Ok(head) } else { Err("the key has not signed the note".into()) }
}

fn is_signed(line: &str, origin: &str, text: &str, key: &PublicKey) -> bool {
    let parts = line.strip_prefix("\u{2014} ").and_then(|line| line.split_once(' '));
    let Some((name, encoded)) = parts else { return false };
    let Ok(bytes) = STANDARD.decode(encoded) else { return false };
    let Some((id, signature)) = bytes.split_first_chunk::<4>() else { return false };
    let Ok(signature) = Signature::from_bytes(Algorithm::Ed25519, signature) else { return false };
    let input = SignInput::Message(text.as_bytes());
    name == origin && *id == key_id(origin, key) && signature.verify(key, input).is_ok()
}

/// The key id of an Ed25519 key (C2SP signed-note, "Signature types").
fn key_id(name: &str, key: &PublicKey) -> [u8; 4] {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    hash.update(b"\n\x01");
    hash.update(key.as_bytes());
    *hash.finalize().first_chunk().expect("a hash has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back_and_every_changed_character_is_refused() {
        let key = TestKey::seeded(Algorithm::Ed25519, 1);
        let head = Head { size: Position::new(7), root: Digest::of(b"root") };
        let note = signed_note("log.example/1", &head, &key);
        assert_eq!(check_note(&note, key.public_key()), Ok(head));
        let other = TestKey::seeded(Algorithm::Ed25519, 2);
        assert!(check_note(&note, other.public_key()).is_err());
        for (at, character) in note.char_indices().filter(|(_, c)| c.is_ascii_alphanumeric()) {
            let mut changed = note.clone();
            let other = if character == 'A' { "B" } else { "A" };
            changed.replace_range(at..at + 1, other);
            assert!(check_note(&changed, key.public_key()).is_err(), "{changed}");
        }
    }

    #[test]
    fn a_log_that_others_wrote_is_read() {
        let keys = crate::vectors::json("tlog/tessera-log/keys.json");
        let encoded = keys["public_key"].as_str().unwrap().splitn(3, '+').nth(2).unwrap();
        let key = STANDARD.decode(encoded).unwrap();
        let key = PublicKey::from_bytes(Algorithm::Ed25519, &key[1..]).unwrap();
        for size in [1, 5, 12, 15] {
            let note = crate::vectors::text(&format!("tlog/tessera-log/checkpoint.{size}"));
            let head = check_note(&note, &key).unwrap();
            let path = format!("tlog/tessera-log/tile/entries/000.p/{size}");
            let leaves = entries(&crate::vectors::bytes(&path));
            assert_eq!(head.size.value(), leaves.len() as u64);
            assert_eq!(head.root, crate::audit::root(&leaves));
        }
    }

    /// The entries of a bundle (C2SP tlog-tiles, "Log Entries"): each prefixed by its length as two
    /// big-endian bytes.
    fn entries(mut bundle: &[u8]) -> Vec<Vec<u8>> {
        let mut entries = Vec::new();
        while let Some((length, rest)) = bundle.split_first_chunk::<2>() {
            let (entry, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
            entries.push(entry.to_vec());
            bundle = rest;
        }
        entries
    }
}
