//! Each kind of key that signs: whether it is made, and whether what it signs is what was asked for.
//! Nothing is asked whether a signature verifies but the public key.

use std::time::Duration;

use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::digest::Digest;
use custody_kms::aws_sdk_kms::Client;
use custody_kms::aws_sdk_kms::primitives::Blob;
use custody_kms::aws_sdk_kms::types::{KeySpec, MessageType, SigningAlgorithmSpec};

use crate::answer::why;
use crate::patient::{Patient, Purpose};
use crate::rate;
use crate::row::{Row, Topic};

/// The kinds of keys that custody makes in KMS.
pub(crate) const ALGORITHMS: [Algorithm; 3] =
    [Algorithm::EcdsaSecp256k1, Algorithm::EcdsaP256, Algorithm::Ed25519];

/// All that is tried with one kind.
pub(crate) async fn rows(patient: &mut Patient, algorithm: Algorithm, time: Duration) -> Vec<Row> {
    let rows = match make(patient, algorithm).await {
        Ok((arn, public_key)) => {
            let told = format!("{}, its public key is read", spec(algorithm).as_str());
            let mut rows = vec![Row::new(Topic::Key, MAKE, true, told)];
            rows.extend(signatures(&patient.client, &arn, &public_key).await);
            let kind =
                if algorithm.signs_prehash() { MessageType::Digest } else { MessageType::Raw };
            let call = || sign(&patient.client, &arn, (algorithm, kind.clone()), &MESSAGE);
            rows.extend(rate::rows("sign", time, call).await);
            rows
        }
        Err(why) => vec![Row::new(Topic::Key, MAKE, false, format!("not made: {why}"))],
    };
    rows.into_iter().map(|row| row.of(algorithm)).collect()
}

/// The name that KMS has for such keys.
pub(crate) fn spec(algorithm: Algorithm) -> KeySpec {
    KeySpec::from(match algorithm {
        Algorithm::EcdsaP256 => "ECC_NIST_P256",
        Algorithm::EcdsaSecp256k1 => "ECC_SECG_P256K1",
        Algorithm::Bip340 | Algorithm::Ed25519 | _ => "ECC_NIST_EDWARDS25519",
    })
}

/// Signs bytes that are hashed already, or as they are.
pub(crate) async fn sign(
    client: &Client,
    key: &str,
    (algorithm, kind): (Algorithm, MessageType),
    bytes: &[u8],
) -> Result<Vec<u8>, String> {
    let scheme = if algorithm.signs_prehash() { "ECDSA_SHA_256" } else { "ED25519_SHA_512" };
    let call = client.sign().key_id(key).message(Blob::new(bytes)).message_type(kind);
    let signed = call.signing_algorithm(SigningAlgorithmSpec::from(scheme)).send().await;
    let signature = signed.map_err(why)?.signature;
    signature.map(Blob::into_inner).ok_or_else(|| "no signature".to_owned())
}

async fn make(patient: &mut Patient, algorithm: Algorithm) -> Result<(String, PublicKey), String> {
    let arn = patient.make(Purpose::Sign(spec(algorithm))).await?;
    let told = patient.client.get_public_key().key_id(&arn).send().await.map_err(why)?;
    let spki = told.public_key.ok_or("no public key is told")?.into_inner();
    let public_key = PublicKey::from_spki(algorithm, &spki);
    let public_key = public_key.map_err(|error| format!("its public key is none: {error}"))?;
    Ok((arn, public_key))
}

/// A signature over a digest, and one over a message; Ed25519 has the latter only.
async fn signatures(client: &Client, arn: &str, public_key: &PublicKey) -> Vec<Row> {
    let algorithm = public_key.algorithm();
    let hashed = Digest::of(&MESSAGE);
    let verifies = |signed: Result<Vec<u8>, String>, input: SignInput<'_>| {
        let signature = signed.and_then(|bytes| read(algorithm, &bytes))?;
        // Some hash a digest once more.
        let is_hashed = algorithm.signs_prehash()
            && signature.verify(public_key, SignInput::Prehash(hashed.as_bytes())).is_ok();
        match (signature.verify(public_key, input), is_hashed) {
            (Ok(()), _) => Ok("verified offline".to_owned()),
            (Err(_), true) => Err("it signs the hash of the digest".to_owned()),
            (Err(_), false) => Err("the signature does not verify".to_owned()),
        }
    };
    let raw = sign(client, arn, (algorithm, MessageType::Raw), &MESSAGE).await;
    if !algorithm.signs_prehash() {
        let tried = verifies(raw, SignInput::Message(&MESSAGE));
        return vec![Row::tried(Topic::Sign, "sign with RAW", tried)];
    }
    let digest = sign(client, arn, (algorithm, MessageType::Digest), &MESSAGE).await;
    let digest = verifies(digest, SignInput::Prehash(&MESSAGE));
    let raw = verifies(raw, SignInput::Prehash(hashed.as_bytes()));
    vec![
        Row::tried(Topic::Sign, "sign with DIGEST", digest),
        Row::tried(Topic::Sign, "sign with RAW", raw),
    ]
}

fn read(algorithm: Algorithm, bytes: &[u8]) -> Result<Signature, String> {
    let read = match algorithm.signs_prehash() {
        true => Signature::from_der(algorithm, bytes),
        false => Signature::from_bytes(algorithm, bytes),
    };
    read.map_err(|error| format!("no signature: {error}"))
}

const MAKE: &str = "make a key";
/// What is signed: as long as a digest.
pub(crate) const MESSAGE: [u8; 32] = [0xd0; 32];
