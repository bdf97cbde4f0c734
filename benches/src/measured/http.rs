//! Any signer that is asked over HTTP, told by a small template.
//!
//! Invariant: what a template says of headers, body and place is in no error and no `Debug`: there
//! may be a token in it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::keccak256;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_bench::harness::{Answer, Job, Manner, Peer, Target, Wrong};
use custody_core::crypto::{Algorithm, PublicKey, Signature};
use custody_core::digest::Digest;
use serde::Deserialize;

/// Reads a template:
///
/// ```toml
/// name = "my signer"
/// url = "http://127.0.0.1:9000/sign"
/// algorithm = "ecdsa-secp256k1"
/// public_key = "0279be66…"                      # SEC1, x-only or raw, in hex
/// body = '{"key": "one", "digest": "{hex}"}'    # {hex}, {base64} and {number} are filled in
/// headers = { content-type = "application/json" }
/// pointer = "/signature"                        # where in the JSON; all of the body if left out
/// prefix = "vault:v1:"                          # what stands before the signature
/// encoding = "hex"                              # hex or base64
/// form = "fixed"                                # fixed, der; recoverable: one byte more
/// hash = "keccak256"                            # what the signer hashes with; or sha256
/// ```
pub(super) fn read(path: &Path, algorithm: Algorithm) -> Result<Peer, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    parse(&text, algorithm)
}

fn parse(text: &str, algorithm: Algorithm) -> Result<Peer, String> {
    let template: Template = toml::from_str(text).map_err(|error| malformed(text, &error))?;
    if template.algorithm != algorithm {
        return Err(format!("is for {}, and {algorithm} is measured", template.algorithm));
    }
    if !template.url.starts_with("http://") {
        return Err("has a url that does not begin with http://".to_owned());
    }
    if template.hash.is_some() && !algorithm.signs_prehash() {
        return Err(format!("has a hash, and {algorithm} signs messages as they are"));
    }
    let key = hex::decode(&template.public_key).map_err(|_| "has a public_key that is no hex")?;
    let public_key = PublicKey::from_bytes(algorithm, &key).map_err(|error| error.to_string())?;
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        // What is measured is the signer, and nothing between.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let client = client.map_err(|error| error.to_string())?;
    let name = template.name.clone();
    Ok(Peer::new(name, Arc::new(Signer { template, public_key, client })))
}

/// Where a template is malformed. Of what the reader says only the name of a field is told, or of an
/// encoding that there is not: the rest shows values.
fn malformed(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let said = error.message().lines().next().unwrap_or_default();
    let is_name = ["missing field `", "unknown field `", "unknown variant `"];
    let is_name = is_name.iter().any(|start| said.starts_with(start));
    if is_name { format!("line {line}: {said}") } else { format!("is malformed at line {line}") }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    name: String,
    url: String,
    algorithm: Algorithm,
    public_key: String,
    body: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    pointer: String,
    #[serde(default)]
    prefix: String,
    encoding: Encoding,
    form: Form,
    hash: Option<Hash>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    Base64,
    Hex,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    Der,
    Fixed,
    Recoverable,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Hash {
    Keccak256,
    Sha256,
}

impl Hash {
    fn of(self, bytes: &[u8]) -> [u8; 32] {
        match self {
            Self::Keccak256 => keccak256(bytes).0,
            Self::Sha256 => *Digest::of(bytes).as_bytes(),
        }
    }
}

struct Signer {
    template: Template,
    public_key: PublicKey,
    client: reqwest::Client,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("name", &self.template.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Target for Signer {
    fn manner(&self) -> Manner {
        Manner::Tasks
    }

    async fn sign(&self, job: &Job) -> Result<Answer, String> {
        let template = &self.template;
        let body = template
            .body
            .replace("{hex}", &hex::encode(job.digest))
            .replace("{base64}", &STANDARD.encode(job.digest))
            .replace("{number}", &job.number.to_string());
        let mut request = self.client.post(&template.url).body(body);
        for (name, value) in &template.headers {
            request = request.header(name, value);
        }
        let failed = |error: reqwest::Error| error.without_url().to_string();
        let answer = request.send().await.map_err(failed)?;
        let mut answer = answer.error_for_status().map_err(failed)?;
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if text.len() + chunk.len() > LONGEST {
                return Err("the answer is longer than 64 KiB".to_owned());
            }
            text.extend_from_slice(&chunk);
        }
        let text = std::str::from_utf8(&text).map_err(|_| "the answer is no text")?;
        self.extract(text).map(Answer::Bytes)
    }

    fn verify(&self, job: &Job, answer: &Answer) -> Result<(), Wrong> {
        let Answer::Bytes(bytes) = answer else {
            return Err(Wrong::new("it is of another form"));
        };
        let algorithm = self.public_key.algorithm();
        let signature = match (self.template.form, bytes.split_last()) {
            (Form::Der, _) => Signature::from_der(algorithm, bytes),
            (Form::Recoverable, Some((_recovery, fixed))) => {
                Signature::from_bytes(algorithm, fixed)
            }
            (Form::Fixed | Form::Recoverable, _) => Signature::from_bytes(algorithm, bytes),
        };
        let signature = signature.map_err(Wrong::new)?;
        let mut signed = *job;
        if let Some(hash) = self.template.hash {
            signed.digest = hash.of(&job.digest);
        }
        signature.checked(&self.public_key, signed.input(algorithm)).map(drop).map_err(Wrong::new)
    }
}

impl Signer {
    fn extract(&self, text: &str) -> Result<Vec<u8>, String> {
        let told = match self.template.pointer.as_str() {
            "" => text.trim().to_owned(),
            pointer => {
                let answer: serde_json::Value =
                    serde_json::from_str(text).map_err(|_| "the answer is no JSON")?;
                let found = answer.pointer(pointer).and_then(serde_json::Value::as_str);
                found.ok_or("the answer has no text at the pointer")?.to_owned()
            }
        };
        let told = told.strip_prefix(&self.template.prefix).ok_or("the prefix is another")?;
        let bytes = match self.template.encoding {
            Encoding::Base64 => STANDARD.decode(told).ok(),
            Encoding::Hex => hex::decode(told.strip_prefix("0x").unwrap_or(told)).ok(),
        };
        bytes.ok_or_else(|| "the signature is encoded in another way".to_owned())
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
const LONGEST: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

    const TEMPLATE: &str = r#"
        name = "one"
        url = "http://127.0.0.1:1/"
        algorithm = "ecdsa-secp256k1"
        public_key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
        body = '{hex}'
        pointer = "/s"
        prefix = "PREFIX"
        encoding = "hex"
        form = "fixed"
    "#;

    fn template(change: impl Fn(String) -> String) -> Result<Peer, String> {
        parse(&change(TEMPLATE.to_owned()), Algorithm::EcdsaSecp256k1)
    }

    #[test]
    fn messages_that_are_hashed_are_refused() {
        let text = TEMPLATE
            .replace("ecdsa-secp256k1", "ed25519")
            .replace("form", "hash = \"sha256\"\nform");
        let refused = parse(&text, Algorithm::Ed25519).unwrap_err();
        assert!(refused.contains("signs messages as they are"), "{refused}");
    }

    #[test]
    fn a_template_is_a_peer() {
        assert_eq!(template(|text| text).unwrap().name, "one");
    }

    #[test]
    fn other_templates_are_refused_with_a_reason() {
        for (from, to, reason) in [
            ("http://", "https://", "http://"),
            ("ecdsa-secp256k1", "ed25519", "is for ed25519"),
            (KEY, "zz", "no hex"),
            ("\"fixed\"", "\"pem\"", "pem"),
            ("pointer", "pionter", "pionter"),
            ("\"hex\"", "\"rot13\"", "rot13"),
            ("pointer", "hash = \"md5\"\npointer", "md5"),
        ] {
            let refused = template(|text| text.replace(from, to)).unwrap_err();
            assert!(refused.contains(reason), "{reason}: {refused}");
        }
    }

    #[test]
    fn tokens_in_a_template_are_in_no_error_and_no_debug() {
        let token = "a-token-of-somebody";
        let headers = format!("headers = {{ x-vault-token = \"{token}\" }}\nform");
        let with = |text: String| text.replacen("form", &headers, 1);
        let peer = template(with).unwrap();
        assert!(!format!("{peer:?}").contains(token));
        let (map, text) = (format!("{{ x-vault-token = \"{token}\" }}"), format!("\"{token}\""));
        for (from, to) in [
            ("headers =", "haeders ="),
            ("\" }", "\""),
            ("= \"hex", "= 7 #"),
            (map.as_str(), text.as_str()),
        ] {
            let broken = |text: String| with(text).replacen(from, to, 1);
            let refused = template(broken).unwrap_err();
            assert!(!refused.contains(token) && !refused.is_empty(), "{from}: {refused}");
        }
    }

    #[test]
    fn what_answers_say_otherwise_is_refused() {
        let signer = |prefix: &str| -> Signer {
            let text = TEMPLATE.replace("PREFIX", prefix);
            let template: Template = toml::from_str(&text).unwrap();
            let key = PublicKey::from_bytes(Algorithm::EcdsaSecp256k1, &hex::decode(KEY).unwrap());
            Signer { template, public_key: key.unwrap(), client: reqwest::Client::new() }
        };
        let (plain, vault) = (signer(""), signer("vault:v1:"));
        assert_eq!(vault.extract("{\"s\": \"vault:v1:0xab\"}"), Ok(vec![0xab]));
        for (signer, text, reason) in [
            (&plain, "no JSON", "no JSON"),
            (&plain, "{\"other\": \"ab\"}", "no text at the pointer"),
            (&plain, "{\"s\": \"0x0xab\"}", "encoded in another way"),
            (&vault, "{\"s\": \"vault:v2:ab\"}", "prefix"),
        ] {
            let refused = signer.extract(text).unwrap_err();
            assert!(refused.contains(reason), "{reason}: {refused}");
        }
    }
}
