use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_testkit::key::TestKey;
use ed25519_dalek::pkcs8::Document;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

use super::{bytes, text, wycheproof};

const P256: Algorithm = Algorithm::EcdsaP256;
const SECP256K1: Algorithm = Algorithm::EcdsaSecp256k1;

/// The two forms in which ECDSA signatures come.
#[derive(Clone, Copy)]
enum Form {
    Der,
    Fixed,
}

fn verifies(key: &PublicKey, digest: &[u8; 32], signature: &[u8], form: Form) -> bool {
    let read = match form {
        Form::Der => Signature::from_der(key.algorithm(), signature),
        Form::Fixed => Signature::from_bytes(key.algorithm(), signature),
    };
    let Ok(signature) = read else { return false };
    let verified = signature.verify(key, SignInput::Prehash(digest)).is_ok();
    let checked = signature.checked(key, SignInput::Prehash(digest));
    assert_eq!(checked.is_ok(), verified, "verify and checked differ");
    verified
}

/// Counts the rows that verify; each that should and does not, or the other way round, fails.
fn count_valid(path: &str, rows: usize, algorithm: Algorithm, form: Form) -> usize {
    let mut valid = 0;
    for (group, test) in wycheproof(path, rows) {
        let key = PublicKey::from_spki(algorithm, &bytes(&group, "publicKeyDer")).unwrap();
        let raw = bytes(&group["publicKey"], "uncompressed");
        assert_eq!(key.to_uncompressed().unwrap(), raw);
        let digest = Sha256::digest(bytes(&test, "msg")).into();
        let verified = verifies(&key, &digest, &bytes(&test, "sig"), form);
        // The file for Bitcoin refuses two signatures for their high s alone (tests 1 and 388, by
        // their comments). Here they are normalised when they are read, and are then the valid
        // signatures with low s.
        let high_s = text(&test, "comment").contains("malleability");
        let expected = text(&test, "result") == "valid" || high_s;
        assert_eq!(verified, expected, "{path}, test {}: {}", test["tcId"], test["comment"]);
        valid += usize::from(verified);
    }
    valid
}

#[test]
fn wycheproof_rows_of_secp256k1_in_der_verify_or_are_refused_as_published() {
    let path = "wycheproof/ecdsa_secp256k1_sha256_test.json";
    assert_eq!(count_valid(path, 309, SECP256K1, Form::Der), 103);
}

#[test]
fn wycheproof_rows_of_bitcoin_verify_or_are_refused_as_published_but_for_high_s() {
    let path = "wycheproof/ecdsa_secp256k1_sha256_bitcoin_test.json";
    assert_eq!(count_valid(path, 306, SECP256K1, Form::Der), 114 + 2);
}

#[test]
fn wycheproof_rows_of_secp256k1_in_fixed_form_verify_or_are_refused_as_published() {
    let path = "wycheproof/ecdsa_secp256k1_sha256_p1363_test.json";
    assert_eq!(count_valid(path, 163, SECP256K1, Form::Fixed), 111);
}

#[test]
fn wycheproof_rows_of_p256_in_der_verify_or_are_refused_as_published() {
    let path = "wycheproof/ecdsa_secp256r1_sha256_test.json";
    assert_eq!(count_valid(path, 347, P256, Form::Der), 124);
}

#[test]
fn wycheproof_rows_of_p256_in_fixed_form_verify_or_are_refused_as_published() {
    let path = "wycheproof/ecdsa_secp256r1_sha256_p1363_test.json";
    assert_eq!(count_valid(path, 170, P256, Form::Fixed), 115);
}

/// RFC 6979, section A.2.5, for five hashes and two messages: ten signatures that verify, and ten
/// with one bit changed that do not. OpenSSL's file.
#[test]
fn rfc_6979_rows_of_p256_verify_or_are_refused_as_published() {
    let key = PublicKey::from_spki(P256, &published_key("PublicKey=P-256_PUB")).unwrap();
    let rows = p256_rows("DigestVerify");
    assert_eq!(rows.len(), 20);
    let mut valid = 0;
    for row in &rows {
        let verified = verifies(&key, &row.prehash(), &row.output, Form::Der);
        assert_eq!(verified, row.valid, "{} of {}", row.hash, row.input);
        valid += usize::from(verified);
    }
    assert_eq!(valid, 10);
}

/// The keys of the testkit sign as RFC 6979 says, with low s.
#[test]
fn the_testkit_signs_the_published_signatures_of_rfc_6979() {
    // RFC 6979, section A.2.5: x.
    let private = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
    let key = TestKey::from_bytes(P256, &hex::decode(private).unwrap()).unwrap();
    let rows = p256_rows("DigestSign");
    assert_eq!(rows.len(), 10);
    for row in rows.iter().filter(|row| row.hash == "SHA256") {
        let signature = key.sign(SignInput::Prehash(&row.prehash())).unwrap();
        assert_eq!(signature, Signature::from_der(P256, &row.output).unwrap(), "{}", row.input);
    }
}

/// One stanza of OpenSSL's file.
struct Row {
    hash: String,
    input: String,
    output: Vec<u8>,
    valid: bool,
}

impl Row {
    /// The leftmost 32 bytes of the hash; a shorter one as the same number (RFC 6979,
    /// section 2.3.2).
    fn prehash(&self) -> [u8; 32] {
        let message = self.input.as_bytes();
        let hash: Vec<u8> = match self.hash.as_str() {
            "SHA1" => sha1(&self.input),
            "SHA224" => Sha224::digest(message).to_vec(),
            "SHA256" => Sha256::digest(message).to_vec(),
            "SHA384" => Sha384::digest(message).to_vec(),
            "SHA512" => Sha512::digest(message).to_vec(),
            other => panic!("the hash {other}"),
        };
        let mut prehash = [0; 32];
        let length = hash.len().min(32);
        prehash[32 - length..].copy_from_slice(&hash[..length]);
        prehash
    }
}

/// SHA-1 of the two messages of the RFC; the workspace has no SHA-1.
fn sha1(message: &str) -> Vec<u8> {
    let digest = match message {
        "sample" => "8151325dcdbae9e0ff95f9f9658432dbedfdb209",
        "test" => "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3",
        other => panic!("the message {other}"),
    };
    hex::decode(digest).unwrap()
}

const FILE: &str = "rfc6979/evppkey_ecdsa_rfc6979.txt";

/// The stanzas of this operation with the P-256 key.
fn p256_rows(operation: &str) -> Vec<Row> {
    let file = custody_testkit::vectors::text(FILE);
    let mut rows = Vec::new();
    for stanza in file.split("\n\n") {
        let field = |name: &str| {
            let lines = stanza.lines().filter_map(|line| line.split_once('='));
            lines.map(|(key, value)| (key.trim(), value.trim())).find(|(key, _)| *key == name)
        };
        let key = field("Key").is_some_and(|(_, key)| key.starts_with("P-256_"));
        let Some((_, hash)) = field(operation).filter(|_| key) else { continue };
        rows.push(Row {
            hash: hash.to_owned(),
            input: field("Input").unwrap().1.trim_matches('"').to_owned(),
            output: hex::decode(field("Output").unwrap().1).unwrap(),
            valid: field("Result").is_none(),
        });
    }
    rows
}

/// The DER of a key in PEM that follows this line.
fn published_key(line: &str) -> Vec<u8> {
    let file = custody_testkit::vectors::text(FILE);
    let (_, rest) = file.split_once(line).unwrap();
    let (pem, _) = rest.trim_start().split_once("\n\n").unwrap();
    // OpenSSL wraps at other lengths than the decoder reads.
    let mut lines: Vec<&str> = pem.lines().collect();
    let base64 = lines.drain(1..lines.len() - 1).collect::<String>();
    let [begin, end] = lines[..] else { panic!("a PEM of another form") };
    let (first, second) = base64.split_at(64);
    let pem = [begin, first, second, end].join("\n");
    let (label, document) = Document::from_pem(&pem).unwrap();
    assert_eq!(label, "PUBLIC KEY");
    document.as_bytes().to_vec()
}
