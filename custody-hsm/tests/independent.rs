//! What other programs say about keys and signatures of ours: pkcs11-tool of OpenSC, and openssl.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[path = "softhsm/tokens.rs"]
mod softhsm;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::seam::{Exportability, KeyBackend as _, KeyRecord};
use pollster::block_on;
use softhsm::{PIN, Tokens};

const DIGEST: [u8; 32] = [0x3d; 32];

/// A key, and files to tell other programs about it.
struct Case {
    tokens: Tokens,
    record: KeyRecord,
    /// By a backend.
    signature: Signature,
    folder: PathBuf,
}

impl Case {
    fn new(algorithm: Algorithm) -> Self {
        let tokens = Tokens::new(&["one"]);
        let request = softhsm::keys::request("key", algorithm, Exportability::Never);
        let (record, signature) = block_on(async {
            let backend = tokens.open("one").await;
            let record = softhsm::keys::record(&backend, request).await;
            let signer = backend.signer(&record).await.unwrap();
            (record, signer.sign(input(algorithm)).await.unwrap())
        });
        let folder = tokens.folder().to_owned();
        std::fs::write(folder.join("digest"), DIGEST).unwrap();
        Self { tokens, record, signature, folder }
    }

    /// `CKA_ID`, as people type it.
    fn id(&self) -> String {
        let KeyRecord { custodian, key, .. } = &self.record;
        let parts = [custodian.digest().as_bytes().as_slice(), key.as_str().as_bytes()];
        Digest::tagged("custody/hsm/key/v1", &parts).to_string()
    }

    fn tool(&self, arguments: &[&str]) -> Output {
        let mut tool = Command::new("pkcs11-tool");
        tool.arg("--module").arg(softhsm::module());
        tool.args(["--token-label", &self.tokens.label("one"), "--login", "--pin", PIN]);
        tool.args(arguments).current_dir(&self.folder);
        tool.env("SOFTHSM2_CONF", self.folder.join("softhsm2.conf"));
        tool.output().unwrap()
    }
}

const fn input(algorithm: Algorithm) -> SignInput<'static> {
    match algorithm.signs_prehash() {
        true => SignInput::Prehash(&DIGEST),
        false => SignInput::Message(&DIGEST),
    }
}

/// Whether openssl finds that a file is signed.
fn openssl_verifies(folder: &Path, how: &[&str]) -> bool {
    let mut openssl = Command::new("openssl");
    openssl.args(["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "public.der"]);
    openssl.args(["-in", "digest", "-sigfile", "signature"]).args(how).current_dir(folder);
    openssl.output().unwrap().status.success()
}

#[test]
#[ignore = "needs SoftHSM, pkcs11-tool and openssl"]
fn pkcs11_tool_shows_keys_that_sign_and_never_leave() {
    for algorithm in [Algorithm::EcdsaSecp256k1, Algorithm::EcdsaP256] {
        let case = Case::new(algorithm);
        let output = case.tool(&["--list-objects", "--type", "privkey", "--id", &case.id()]);
        let text = String::from_utf8(output.stdout).unwrap();
        for line in [
            "Access:     sensitive, always sensitive, never extractable, local",
            "Usage:      sign",
            "label:      custody cold key",
        ] {
            assert!(text.contains(line), "{text:?} does not tell {line:?}");
        }
    }
}

#[test]
#[ignore = "needs SoftHSM, pkcs11-tool and openssl"]
fn openssl_verifies_our_signatures_under_the_key_that_pkcs11_tool_reads() {
    for algorithm in [Algorithm::EcdsaSecp256k1, Algorithm::EcdsaP256] {
        let case = Case::new(algorithm);
        let read = ["--read-object", "--type", "pubkey", "--id", &case.id()];
        let read = case.tool(&[&read[..], &["--output-file", "public.der"]].concat());
        assert!(read.status.success(), "{read:?}");
        let spki = std::fs::read(case.folder.join("public.der")).unwrap();
        assert_eq!(PublicKey::from_spki(algorithm, &spki).unwrap(), case.record.public_key);
        let der = case.signature.to_der().unwrap();
        std::fs::write(case.folder.join("signature"), &der).unwrap();
        assert!(openssl_verifies(&case.folder, &[]), "{algorithm}");
        std::fs::write(case.folder.join("digest"), [0x3e; 32]).unwrap();
        assert!(!openssl_verifies(&case.folder, &[]), "{algorithm}: another digest");
    }
}

#[test]
#[ignore = "needs SoftHSM, pkcs11-tool and openssl"]
fn openssl_verifies_our_signatures_of_ed25519() {
    let case = Case::new(Algorithm::Ed25519);
    let spki = case.record.public_key.to_spki().unwrap();
    std::fs::write(case.folder.join("public.der"), spki).unwrap();
    std::fs::write(case.folder.join("signature"), case.signature.as_bytes()).unwrap();
    assert!(openssl_verifies(&case.folder, &["-rawin"]));
    std::fs::write(case.folder.join("digest"), [0x3e; 32]).unwrap();
    assert!(!openssl_verifies(&case.folder, &["-rawin"]), "another message");
}

#[test]
#[ignore = "needs SoftHSM, pkcs11-tool and openssl"]
fn signatures_of_pkcs11_tool_verify_under_our_records() {
    for algorithm in [Algorithm::EcdsaSecp256k1, Algorithm::EcdsaP256] {
        let case = Case::new(algorithm);
        for (format, is_der) in [("rs", false), ("openssl", true)] {
            let sign = ["--sign", "--mechanism", "ECDSA", "--input-file", "digest"];
            let to = ["--signature-format", format, "--output-file", "signature"];
            let signed = case.tool(&[&sign[..], &to, &["--id", &case.id()]].concat());
            assert!(signed.status.success(), "{signed:?}");
            let bytes = std::fs::read(case.folder.join("signature")).unwrap();
            let read = if is_der { Signature::from_der } else { Signature::from_bytes };
            let signature = read(algorithm, &bytes).unwrap();
            assert!(signature.checked(&case.record.public_key, input(algorithm)).is_ok());
        }
    }
}
