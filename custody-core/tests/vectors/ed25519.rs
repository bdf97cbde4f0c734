use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use serde_json::Value;

use super::{bytes, text, wycheproof};

const ED25519: Algorithm = Algorithm::Ed25519;

fn verifies(public: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = PublicKey::from_bytes(ED25519, public) else { return false };
    let Ok(signature) = Signature::from_bytes(ED25519, signature) else { return false };
    signature.verify(&key, SignInput::Message(message)).is_ok()
}

/// RFC 8032, section 7.1: 4 rows, and each with the message, the signature or the key changed.
#[test]
fn rfc_8032_rows_verify_and_changed_ones_do_not() {
    let file = custody_testkit::vectors::json("ed25519/rfc8032.json");
    let rows = file.as_array().unwrap();
    assert_eq!(rows.len(), 4);
    for row in rows {
        let name = text(row, "name");
        let (public, message) = (bytes(row, "public_key"), bytes(row, "message"));
        let signature = bytes(row, "signature");
        assert!(verifies(&public, &message, &signature), "{name}");
        assert_refuses_changes(&public, &message, &signature, name);
    }
}

/// The first 128 rows of the reference implementation's `sign.input`.
#[test]
fn sign_input_rows_verify_and_changed_ones_do_not() {
    let file = custody_testkit::vectors::text("ed25519/sign.input");
    let rows: Vec<&str> = file.lines().collect();
    assert_eq!(rows.len(), 128);
    for (number, row) in rows.iter().enumerate() {
        let parts: Vec<Vec<u8>> = row.split(':').map(|part| hex::decode(part).unwrap()).collect();
        let (public, message, signed) = (&parts[1], &parts[2], &parts[3]);
        let signature = &signed[..64];
        assert_eq!(signed[64..], message[..], "row {number}");
        assert!(verifies(public, message, signature), "row {number}");
        assert_refuses_changes(public, message, signature, &format!("row {number}"));
    }
}

fn assert_refuses_changes(public: &[u8], message: &[u8], signature: &[u8], case: &str) {
    let longer = [message, b"\0"].concat();
    assert!(!verifies(public, &longer, signature), "{case}: another message");
    for at in [0, 31, 32, 63] {
        let mut changed = signature.to_vec();
        changed[at] ^= 1;
        assert!(!verifies(public, message, &changed), "{case}: byte {at} of the signature");
    }
    let mut changed = public.to_vec();
    changed[0] ^= 1;
    assert!(!verifies(&changed, message, signature), "{case}: another key");
}

/// Wycheproof: 101 rows, every valid one verifies and no other.
#[test]
fn wycheproof_rows_verify_or_are_refused_as_published() {
    let mut valid = 0;
    for (group, test) in wycheproof("wycheproof/ed25519_test.json", 101) {
        let public = bytes(&group["publicKey"], "pk");
        let verified = verifies(&public, &bytes(&test, "msg"), &bytes(&test, "sig"));
        assert_eq!(verified, text(&test, "result") == "valid", "test {}", test["tcId"]);
        let spki = PublicKey::from_spki(ED25519, &bytes(&group, "publicKeyDer"));
        assert!(spki.is_ok_and(|key| key.as_bytes() == public));
        valid += usize::from(verified);
    }
    assert_eq!(valid, 57);
}

/// "Taming the many EdDSAs", table 5: 12 rows in which implementations differ. Strict verification
/// refuses all points of small order and all that is not canonical.
#[test]
fn speccheck_rows_are_accepted_as_strict_verification_does() {
    let file = custody_testkit::vectors::json("ed25519/speccheck_cases.json");
    let rows = file.as_array().unwrap();
    assert_eq!(rows.len(), 12);
    let accepted: Vec<usize> = (0..12).filter(|row| is_accepted(&rows[*row])).collect();
    // Row 3 has mixed order in A and R and satisfies the equation without the cofactor.
    assert_eq!(accepted, [3]);
}

fn is_accepted(row: &Value) -> bool {
    verifies(&bytes(row, "pub_key"), &bytes(row, "message"), &bytes(row, "signature"))
}

/// CCTV `ed25519vectors`: 914 rows of low order, of mixed order and not canonical.
#[test]
fn cctv_rows_are_accepted_as_strict_verification_does() {
    let file = custody_testkit::vectors::json("ed25519/cctv_ed25519vectors.json");
    let rows = file.as_array().unwrap();
    assert_eq!(rows.len(), 914);
    let mut accepted = 0;
    for row in rows {
        let flags = row["flags"].as_array().map(Vec::as_slice).unwrap_or_default();
        // A component of small order is harmless where it cancels out (no residue).
        let refused = REFUSED.iter().any(|refused| flags.iter().any(|flag| flag == refused));
        let message = text(row, "msg").as_bytes();
        let verified = verifies(&bytes(row, "key"), message, &bytes(row, "sig"));
        assert_eq!(verified, !refused, "row {}: {flags:?}", row["number"]);
        accepted += usize::from(verified);
    }
    assert_eq!(accepted, 43);
}

/// What strict verification refuses, in the words of the file.
const REFUSED: [&str; 5] =
    ["low_order_A", "low_order_R", "low_order_residue", "non_canonical_A", "non_canonical_R"];
