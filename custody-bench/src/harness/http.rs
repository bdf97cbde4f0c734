//! A signer that is asked over HTTP, told by a small template: what it is asked, and how what it
//! answers is read. Sending is the business of the program.
//!
//! Invariant: what a template says of headers, body and place is in no error and no `Debug`: there
//! may be a token in it.

use std::collections::BTreeMap;
use std::fmt;

use alloy_primitives::keccak256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_core::crypto::{Algorithm, PublicKey, PublicKeyError, Signature};
use custody_core::digest::Digest;
use serde::Deserialize;

use super::{Job, Wrong};

/// A template:
///
/// ```
/// use custody_bench::harness::http::Template;
/// use custody_bench::harness::Job;
/// use custody_core::crypto::Algorithm;
///
/// let template = Template::parse(
///     r#"
///         name = "my signer"
///         url = "http://127.0.0.1:9000/sign"
///         algorithm = "ecdsa-secp256k1"
///         ## SEC 1, x-only or raw, in hex.
///         public_key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
///         ## {hex}, {base64} and {number} are filled in.
///         body = '{"key": "one", "digest": "{hex}"}'
///         headers = { content-type = "application/json" }
///         ## Where in the JSON the signature is (RFC 6901). Left out: it is all of the body.
///         pointer = "/signature"
///         ## What stands before the signature.
///         prefix = "vault:v1:"
///         ## hex or base64
///         encoding = "hex"
///         ## fixed or der, or recoverable: fixed and one byte more
///         form = "fixed"
///         ## What the signer hashes {hex} with, if it does: keccak256 or sha256.
///         hash = "keccak256"
///     "#,
///     Algorithm::EcdsaSecp256k1,
/// )?;
/// let body = template.body(&Job::new(0, 1));
/// assert!(body.starts_with(r#"{"key": "one", "digest": ""#) && !body.contains("{hex}"));
/// let signature = template.signature(br#"{"signature": "vault:v1:0xabcd"}"#)?;
/// assert_eq!(signature, [0xab, 0xcd]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Template {
    said: Said,
    public_key: PublicKey,
}

/// Why a template is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// It is for another algorithm than the one that is measured.
    #[error("is for {said}, and {measured} is measured")]
    Algorithm {
        /// What it says.
        said: Algorithm,
        /// What is measured.
        measured: Algorithm,
    },
    /// It has a hash, and the algorithm signs messages as they are.
    #[error("has a hash, and {0} signs messages as they are")]
    Hash(Algorithm),
    /// The public key is none of the algorithm.
    #[error("has a public_key that is none: {0}")]
    PublicKey(PublicKeyError),
    /// The public key is not written in hex.
    #[error("has a public_key that is no hex")]
    PublicKeyText,
    /// It is no TOML, or a field is missing, unknown or of another kind.
    #[error("line {line}: {reason}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong. Names a field, or a word that stands for a choice, and never a value.
        reason: String,
    },
    /// The place is no plain HTTP.
    #[error("has a url that does not begin with http://")]
    Url,
}

/// Why an answer has no signature that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The signature is not written in the encoding of the template.
    #[error("the signature is encoded in another way")]
    Encoding,
    /// There is a pointer, and no JSON.
    #[error("the answer is no JSON")]
    Json,
    /// Nothing, or no text, is where the pointer points.
    #[error("the answer has no text at the pointer")]
    Pointer,
    /// Something else than the prefix stands before the signature.
    #[error("the prefix is another")]
    Prefix,
    /// The answer is not UTF-8.
    #[error("the answer is no text")]
    Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
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

impl Template {
    /// Reads a template, in TOML, of a signer of this algorithm.
    ///
    /// # Errors
    /// Says what is wrong with it, without a value of it.
    pub fn parse(text: &str, algorithm: Algorithm) -> Result<Self, TemplateError> {
        let said: Said = toml::from_str(text).map_err(|error| malformed(text, &error))?;
        if said.algorithm != algorithm {
            return Err(TemplateError::Algorithm { said: said.algorithm, measured: algorithm });
        }
        if !said.url.starts_with("http://") {
            return Err(TemplateError::Url);
        }
        if said.hash.is_some() && !algorithm.signs_prehash() {
            return Err(TemplateError::Hash(algorithm));
        }
        let key = hex::decode(&said.public_key).map_err(|_| TemplateError::PublicKeyText)?;
        let public_key =
            PublicKey::from_bytes(algorithm, &key).map_err(TemplateError::PublicKey)?;
        Ok(Self { said, public_key })
    }

    /// What the signer is called in reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.said.name
    }

    /// Where it is asked; plain HTTP. There may be a password in it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.said.url
    }

    /// The headers of each request, by name. There may be a token in them.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.said.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The body that asks for a signature of this job.
    #[must_use]
    pub fn body(&self, job: &Job) -> String {
        self.said
            .body
            .replace("{hex}", &hex::encode(job.digest))
            .replace("{base64}", &STANDARD.encode(job.digest))
            .replace("{number}", &job.number.to_string())
    }

    /// The bytes of the signature in the body of an answer, in the form that the template says.
    ///
    /// # Errors
    /// If there is none that can be read.
    pub fn signature(&self, answer: &[u8]) -> Result<Vec<u8>, AnswerError> {
        let answer = std::str::from_utf8(answer).map_err(|_| AnswerError::Text)?;
        let told = match self.said.pointer.as_str() {
            "" => answer.trim().to_owned(),
            pointer => {
                let answer: serde_json::Value =
                    serde_json::from_str(answer).map_err(|_| AnswerError::Json)?;
                let found = answer.pointer(pointer).and_then(serde_json::Value::as_str);
                found.ok_or(AnswerError::Pointer)?.to_owned()
            }
        };
        let told = told.strip_prefix(&self.said.prefix).ok_or(AnswerError::Prefix)?;
        let bytes = match self.said.encoding {
            Encoding::Base64 => STANDARD.decode(told).ok(),
            Encoding::Hex => hex::decode(told.strip_prefix("0x").unwrap_or(told)).ok(),
        };
        bytes.ok_or(AnswerError::Encoding)
    }

    /// Whether these bytes of an answer are a signature, by the key of the template, over what the
    /// job asked for. The byte that a recoverable one ends with is not looked at.
    ///
    /// # Errors
    /// Says why they are not.
    pub fn verify(&self, job: &Job, signature: &[u8]) -> Result<(), Wrong> {
        let algorithm = self.public_key.algorithm();
        let signature = match (self.said.form, signature.split_last()) {
            (Form::Der, _) => Signature::from_der(algorithm, signature),
            (Form::Recoverable, Some((_recovery, fixed))) => {
                Signature::from_bytes(algorithm, fixed)
            }
            (Form::Fixed | Form::Recoverable, _) => Signature::from_bytes(algorithm, signature),
        };
        let signature = signature.map_err(Wrong::new)?;
        let mut signed = *job;
        if let Some(hash) = self.said.hash {
            signed.digest = hash.of(&job.digest);
        }
        signature.checked(&self.public_key, signed.input(algorithm)).map(drop).map_err(Wrong::new)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template")
            .field("name", &self.said.name)
            .field("public_key", &self.public_key)
            .finish_non_exhaustive()
    }
}

impl Hash {
    fn of(self, bytes: &[u8]) -> [u8; 32] {
        match self {
            Self::Keccak256 => keccak256(bytes).0,
            Self::Sha256 => *Digest::of(bytes).as_bytes(),
        }
    }
}

/// Where a template is malformed. Of what the reader says only the name of a field is told, or of a
/// choice that there is not: the rest shows values.
fn malformed(text: &str, error: &toml::de::Error) -> TemplateError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let said = error.message();
    let starts = ["missing field `", "unknown field `", "unknown variant `"];
    let name = starts.iter().find_map(|start| said.strip_prefix(start)?.split('`').next());
    let is_told = name.is_some_and(|name| {
        name.len() <= LONGEST_NAME && name.bytes().all(|byte| byte.is_ascii_graphic())
    });
    let reason = if is_told { said } else { "is malformed" };
    TemplateError::Syntax { line, reason: reason.to_owned() }
}

/// A longer name than this is none that somebody misspelled.
const LONGEST_NAME: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

    const TEMPLATE: &str = r#"
        name = "one"
        url = "http://127.0.0.1:1/"
        algorithm = "ecdsa-secp256k1"
        public_key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
        body = '{hex} {base64} {number}'
        pointer = "/s"
        prefix = "PREFIX"
        encoding = "hex"
        form = "fixed"
    "#;

    fn template(change: impl Fn(String) -> String) -> Result<Template, TemplateError> {
        Template::parse(&change(TEMPLATE.to_owned()), Algorithm::EcdsaSecp256k1)
    }

    #[test]
    fn a_template_tells_what_to_ask_and_whom() {
        let header = "headers = { accept = \"*/*\" }\nform";
        let template = template(|text| text.replacen("form", header, 1)).unwrap();
        assert_eq!((template.name(), template.url()), ("one", "http://127.0.0.1:1/"));
        assert_eq!(template.headers().collect::<Vec<_>>(), [("accept", "*/*")]);
        let job = Job { number: 12, digest: [0xff; 32] };
        let base64 = format!("{}8=", "/".repeat(42));
        assert_eq!(template.body(&job), format!("{} {base64} 12", "ff".repeat(32)));
    }

    #[test]
    fn messages_that_are_hashed_are_refused() {
        let text = TEMPLATE
            .replace("ecdsa-secp256k1", "ed25519")
            .replace("form", "hash = \"sha256\"\nform");
        let refused = Template::parse(&text, Algorithm::Ed25519).unwrap_err();
        assert_eq!(refused, TemplateError::Hash(Algorithm::Ed25519));
    }

    #[test]
    fn other_templates_are_refused_with_a_reason() {
        for (from, to, reason) in [
            ("http://", "https://", "http://"),
            ("ecdsa-secp256k1", "ed25519", "is for ed25519"),
            (KEY, "zz", "no hex"),
            (KEY, "02", "public_key"),
            ("\"fixed\"", "\"pem\"", "line 10: unknown variant `pem`"),
            ("pointer", "pionter", "line 7: unknown field `pionter`"),
            ("\"hex\"", "\"rot13\"", "line 9: unknown variant `rot13`"),
            ("pointer", "hash = \"md5\"\npointer", "md5"),
            ("name", "#", "missing field `name`"),
            ("\"one\"", "\"one", "line 2: is malformed"),
            ("pointer", "\"a\\nb\"", "line 7: is malformed"),
            ("pointer", "a-field-with-a-name-that-nobody-misspelled", "line 7: is malformed"),
        ] {
            let refused = template(|text| text.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(refused.contains(reason), "{reason}: {refused}");
        }
    }

    #[test]
    fn tokens_in_a_template_are_in_no_error_and_no_debug() {
        let token = "a-token-of-somebody";
        let headers = format!("headers = {{ x-vault-token = \"{token}\" }}\nform");
        let with = |text: String| text.replacen("form", &headers, 1);
        assert!(!format!("{:?}", template(with).unwrap()).contains(token));
        let (map, text) = (format!("{{ x-vault-token = \"{token}\" }}"), format!("\"{token}\""));
        for (from, to) in [
            ("headers =", "haeders ="),
            ("\" }", "\""),
            ("= \"hex", "= 7 #"),
            (map.as_str(), text.as_str()),
        ] {
            let broken = |text: String| with(text).replacen(from, to, 1);
            let refused = template(broken).unwrap_err().to_string();
            assert!(!refused.contains(token) && !refused.is_empty(), "{from}: {refused}");
        }
    }

    #[test]
    fn what_answers_say_otherwise_is_refused() {
        let signer = |prefix: &str| template(|text| text.replace("PREFIX", prefix)).unwrap();
        let (plain, vault) = (signer(""), signer("vault:v1:"));
        assert_eq!(vault.signature(b"{\"s\": \"vault:v1:0xab\"}"), Ok(vec![0xab]));
        for (signer, answer, reason) in [
            (&plain, &b"no JSON"[..], AnswerError::Json),
            (&plain, b"\xff", AnswerError::Text),
            (&plain, b"{\"other\": \"ab\"}", AnswerError::Pointer),
            (&plain, b"{\"s\": 7}", AnswerError::Pointer),
            (&plain, b"{\"s\": \"0x0xab\"}", AnswerError::Encoding),
            (&vault, b"{\"s\": \"vault:v2:ab\"}", AnswerError::Prefix),
        ] {
            assert_eq!(signer.signature(answer), Err(reason));
        }
    }
}
