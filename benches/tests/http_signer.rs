//! Signers that are asked over HTTP, told by a template: those that sign rightly in each form, and
//! those that do not.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};

use alloy_primitives::keccak256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_bench::harness::read_run;
use k256::ecdsa::SigningKey;
use tempfile::TempDir;

/// What a signer answers to a digest.
type Sign = fn(&SigningKey, [u8; 32]) -> String;

fn key() -> SigningKey {
    SigningKey::from_slice(&[9; 32]).unwrap()
}

/// Serves `sign` on a port of its own until the test ends.
fn serve(sign: Sign) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = BufReader::new(stream.unwrap());
            std::thread::spawn(move || answer(stream, sign));
        }
    });
    port
}

fn answer(mut stream: BufReader<TcpStream>, sign: Sign) {
    let mut length = 0;
    loop {
        let mut line = String::new();
        // The client has hung up.
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(told) = line.to_lowercase().strip_prefix("content-length: ") {
            length = told.trim().parse().unwrap();
        }
        if line != "\r\n" {
            continue;
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let digest = body.get("digest").and_then(serde_json::Value::as_str).unwrap();
        let digest = hex::decode(digest).unwrap();
        let signature = sign(&key(), digest.try_into().unwrap());
        let text = format!("{{\"data\": {{\"signature\": \"{signature}\"}}}}");
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
        if stream.get_mut().write_all((head + &text).as_bytes()).is_err() {
            return;
        }
    }
}

/// Runs the program with a signer of this form beside software keys.
fn measured(sign: Sign, form: &str) -> (TempDir, Output) {
    let out = tempfile::tempdir().unwrap();
    let template = out.path().join("signer.toml");
    let public_key = hex::encode(key().verifying_key().to_sec1_point(true).as_bytes());
    let port = serve(sign);
    let text = format!(
        "name = \"one\"\nurl = \"http://127.0.0.1:{port}/sign\"\nalgorithm = \"ecdsa-secp256k1\"\n\
         public_key = \"{public_key}\"\nbody = '{{\"digest\": \"{{hex}}\"}}'\n\
         headers = {{ content-type = \"application/json\" }}\npointer = \"/data/signature\"\n{form}"
    );
    std::fs::write(&template, text).unwrap();
    let output = run(&template, out.path());
    (out, output)
}

fn run(template: &Path, out: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_custody-bench"));
    command.args(["run", "--backend", "software", "--duration", "200ms", "--warm-up", "50ms"]);
    command.arg("--http-signer").arg(template).arg("--out").arg(out);
    command.output().unwrap()
}

fn fixed(key: &SigningKey, digest: [u8; 32]) -> Vec<u8> {
    key.sign_prehash_recoverable(&digest).0.to_bytes().to_vec()
}

#[test]
fn signers_that_sign_rightly_are_measured_in_each_form() {
    let forms: [(Sign, &str); 4] = [
        (|key, digest| hex::encode(fixed(key, digest)), "encoding = \"hex\"\nform = \"fixed\"\n"),
        // As Vault and OpenBao answer.
        (
            |key, digest| {
                let der = key.sign_prehash_recoverable(&digest).0.to_der();
                format!("vault:v1:{}", STANDARD.encode(der.as_bytes()))
            },
            "prefix = \"vault:v1:\"\nencoding = \"base64\"\nform = \"der\"\n",
        ),
        // As Web3Signer answers.
        (
            |key, digest| {
                let (signature, recovery) = key.sign_prehash_recoverable(&keccak256(digest).0);
                format!("0x{}{:02x}", hex::encode(signature.to_bytes()), 27 + recovery.to_byte())
            },
            "encoding = \"hex\"\nform = \"recoverable\"\nhash = \"keccak256\"\n",
        ),
        (
            |key, digest| {
                let hashed = custody_core::digest::Digest::of(&digest);
                hex::encode(fixed(key, *hashed.as_bytes()))
            },
            "encoding = \"hex\"\nform = \"fixed\"\nhash = \"sha256\"\n",
        ),
    ];
    for (sign, form) in forms {
        let (out, output) = measured(sign, form);
        assert!(output.status.success(), "{form}{}", String::from_utf8_lossy(&output.stderr));
        let run = read_run(out.path()).unwrap();
        let peer = run.series.iter().find(|series| series.id == "peer-one-closed-c1").unwrap();
        assert!(peer.count > 10 && peer.errors.is_empty(), "{form}{:?}", peer.errors);
    }
}

#[test]
fn one_that_signs_wrongly_makes_the_run_void() {
    let wrong: [(Sign, &str); 3] = [
        (|_, _| "01".repeat(64), "encoding = \"hex\"\nform = \"fixed\"\n"),
        // Something else than it was asked for.
        (
            |key, digest| hex::encode(fixed(key, keccak256(digest).0)),
            "encoding = \"hex\"\nform = \"fixed\"\n",
        ),
        // Too short, and one byte less still.
        (|_, _| "0x".to_owned(), "encoding = \"hex\"\nform = \"recoverable\"\n"),
    ];
    for (sign, form) in wrong {
        let (_out, output) = measured(sign, form);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("the run is void: peer-one-closed-c1: "), "{form}{said}");
    }
}

#[test]
fn what_is_no_answer_is_a_failure_without_the_place_of_the_signer() {
    let failing: [(Sign, &str); 2] = [
        (|_, _| "0".repeat(70_000), "the answer is longer than 64 KiB"),
        (|_, _| "no hex".to_owned(), "the signature is encoded in another way"),
    ];
    for (sign, reason) in failing {
        let (out, output) = measured(sign, "encoding = \"hex\"\nform = \"fixed\"\n");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let run = read_run(out.path()).unwrap();
        let peer = run.series.iter().find(|series| series.id == "peer-one-closed-c1").unwrap();
        assert!(peer.count == 0 && peer.errors.contains_key(reason), "{:?}", peer.errors);
    }
    let nobody = tempfile::tempdir().unwrap();
    let template = nobody.path().join("signer.toml");
    let public_key = hex::encode(key().verifying_key().to_sec1_point(true).as_bytes());
    let text = format!(
        "name = \"one\"\nurl = \"http://me:secret@127.0.0.1:1/sign\"\n\
         algorithm = \"ecdsa-secp256k1\"\npublic_key = \"{public_key}\"\nbody = \"\"\n\
         encoding = \"hex\"\nform = \"fixed\"\n"
    );
    std::fs::write(&template, text).unwrap();
    assert!(run(&template, nobody.path()).status.success());
    for name in ["run.json", "report.md", "report.html"] {
        let told = std::fs::read_to_string(nobody.path().join(name)).unwrap();
        assert!(!told.contains("secret@") && !told.contains("127.0.0.1"), "{name}");
    }
}
