//! The bare crypto crates, with keys of their own.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature as aws;
use custody_bench::harness::{Answer, Job, Manner, Peer, Target, Wrong};
use custody_core::crypto::{Algorithm, PublicKey, Signature};
use ed25519_dalek::Signer as _;
use k256::ecdsa::signature::hazmat::PrehashSigner as _;

use crate::Failure;

/// What signs with secp256k1 in `custody-soft` as it is built here.
pub(super) const ENGINE: &str =
    if cfg!(feature = "libsecp256k1") { "libsecp256k1" } else { "k256" };

/// The crates that sign with the algorithm; the one that `custody-soft` uses is the primitive.
pub(super) fn peers(algorithm: Algorithm) -> Result<Vec<Peer>, Failure> {
    let named: Vec<(&str, Arc<dyn Target>)> = match algorithm {
        Algorithm::EcdsaSecp256k1 => vec![
            ("k256", k256_ecdsa()?),
            ("libsecp256k1", libsecp256k1_ecdsa()?),
            ("aws-lc-rs", Arc::new(AwsEcdsa::new(&aws::ECDSA_P256K1_SHA256_FIXED_SIGNING)?)),
        ],
        Algorithm::EcdsaP256 => vec![
            ("p256", p256_ecdsa()?),
            ("aws-lc-rs", Arc::new(AwsEcdsa::new(&aws::ECDSA_P256_SHA256_FIXED_SIGNING)?)),
        ],
        Algorithm::Bip340 => {
            vec![("k256", k256_bip340()?), ("libsecp256k1", libsecp256k1_bip340()?)]
        }
        Algorithm::Ed25519 => vec![("ed25519-dalek", dalek()?), ("aws-lc-rs", aws_ed25519()?)],
        _ => Vec::new(),
    };
    let on_secp256k1 = matches!(algorithm, Algorithm::EcdsaSecp256k1 | Algorithm::Bip340);
    let engine = if on_secp256k1 { ENGINE } else { named.first().map_or("", |first| first.0) };
    let peer = |(name, target): (&str, Arc<dyn Target>)| {
        if name == engine { Peer::primitive(name, target) } else { Peer::new(name, target) }
    };
    Ok(named.into_iter().map(peer).collect())
}

/// Signs with a function, and verifies with the core under the public key.
struct Bare<F> {
    public_key: PublicKey,
    sign: F,
}

impl<F> std::fmt::Debug for Bare<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bare").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

#[async_trait]
impl<F> Target for Bare<F>
where
    F: Fn(&[u8; 32]) -> Result<Vec<u8>, String> + Send + Sync,
{
    fn manner(&self) -> Manner {
        Manner::Threads
    }

    async fn sign(&self, job: &Job) -> Result<Answer, String> {
        (self.sign)(&job.digest).map(Answer::Bytes)
    }

    fn verify(&self, job: &Job, answer: &Answer) -> Result<(), Wrong> {
        verify(&self.public_key, job, answer)
    }
}

/// Whether the answer is a signature in fixed form under this key.
pub(super) fn verify(key: &PublicKey, job: &Job, answer: &Answer) -> Result<(), Wrong> {
    let signature = match answer {
        Answer::Bytes(bytes) => {
            Signature::from_bytes(key.algorithm(), bytes).map_err(Wrong::new)?
        }
        Answer::Signature(signature) => signature.clone(),
        _ => return Err(Wrong::new("it is of another form")),
    };
    signature.checked(key, job.input(key.algorithm())).map(drop).map_err(Wrong::new)
}

fn bare<F>(algorithm: Algorithm, public_key: &[u8], sign: F) -> Result<Arc<dyn Target>, Failure>
where
    F: Fn(&[u8; 32]) -> Result<Vec<u8>, String> + Send + Sync + 'static,
{
    let public_key = PublicKey::from_bytes(algorithm, public_key)?;
    Ok(Arc::new(Bare { public_key, sign }))
}

fn k256_ecdsa() -> Result<Arc<dyn Target>, Failure> {
    let key = k256::ecdsa::SigningKey::from_slice(&KEY)?;
    let public = key.verifying_key().to_sec1_point(true);
    bare(Algorithm::EcdsaSecp256k1, public.as_bytes(), move |digest| {
        let (signature, _recovery) = key.sign_prehash_recoverable(digest);
        Ok(signature.to_bytes().to_vec())
    })
}

fn libsecp256k1_ecdsa() -> Result<Arc<dyn Target>, Failure> {
    let context = secp256k1::Secp256k1::signing_only();
    let key = secp256k1::SecretKey::from_byte_array(KEY)?;
    let public = key.public_key(&context).serialize();
    bare(Algorithm::EcdsaSecp256k1, &public, move |digest| {
        let message = secp256k1::Message::from_digest(*digest);
        let (_recovery, bytes) = context.sign_ecdsa_recoverable(message, &key).serialize_compact();
        Ok(bytes.to_vec())
    })
}

fn p256_ecdsa() -> Result<Arc<dyn Target>, Failure> {
    let key = p256::ecdsa::SigningKey::from_slice(&KEY)?;
    let public = key.verifying_key().to_sec1_point(true);
    bare(Algorithm::EcdsaP256, public.as_bytes(), move |digest| {
        let signature: p256::ecdsa::Signature =
            key.sign_prehash(digest).map_err(|error| error.to_string())?;
        Ok(signature.to_bytes().to_vec())
    })
}

fn k256_bip340() -> Result<Arc<dyn Target>, Failure> {
    let key = k256::schnorr::SigningKey::from_slice(&KEY)?;
    let public = key.verifying_key().to_bytes();
    bare(Algorithm::Bip340, &public, move |message| {
        let mut fresh = [0; 32];
        getrandom::fill(&mut fresh).map_err(|error| error.to_string())?;
        let signature = key.sign_raw(message, &fresh).map_err(|error| error.to_string())?;
        Ok(signature.to_bytes().to_vec())
    })
}

fn libsecp256k1_bip340() -> Result<Arc<dyn Target>, Failure> {
    let context = secp256k1::Secp256k1::signing_only();
    let pair = secp256k1::Keypair::from_seckey_byte_array(&context, KEY)?;
    let public = pair.x_only_public_key().0.serialize();
    bare(Algorithm::Bip340, &public, move |message| {
        let mut fresh = [0; 32];
        getrandom::fill(&mut fresh).map_err(|error| error.to_string())?;
        let signature = context.sign_schnorr_with_aux_rand(message, &pair, &fresh);
        Ok(signature.to_byte_array().to_vec())
    })
}

fn dalek() -> Result<Arc<dyn Target>, Failure> {
    let key = ed25519_dalek::SigningKey::from_bytes(&KEY);
    let public = key.verifying_key().to_bytes();
    bare(Algorithm::Ed25519, &public, move |message| Ok(key.sign(message).to_bytes().to_vec()))
}

fn aws_ed25519() -> Result<Arc<dyn Target>, Failure> {
    let key = aws::Ed25519KeyPair::from_seed_unchecked(&KEY).map_err(|_| "no such seed")?;
    let public = aws::KeyPair::public_key(&key).as_ref().to_vec();
    bare(Algorithm::Ed25519, &public, move |message| Ok(key.sign(message).as_ref().to_vec()))
}

/// ECDSA of aws-lc-rs, which hashes what it signs: one SHA-256 of 32 bytes more than the others.
#[derive(Debug)]
struct AwsEcdsa {
    key: aws::EcdsaKeyPair,
    random: SystemRandom,
    verifies: &'static aws::EcdsaVerificationAlgorithm,
}

impl AwsEcdsa {
    fn new(algorithm: &'static aws::EcdsaSigningAlgorithm) -> Result<Self, Failure> {
        let key = aws::EcdsaKeyPair::generate(algorithm).map_err(|_| "no key was made")?;
        Ok(Self { key, random: SystemRandom::new(), verifies: algorithm })
    }
}

#[async_trait]
impl Target for AwsEcdsa {
    fn manner(&self) -> Manner {
        Manner::Threads
    }

    async fn sign(&self, job: &Job) -> Result<Answer, String> {
        let signature = self.key.sign(&self.random, &job.digest);
        let signature = signature.map_err(|_| "nothing was signed".to_owned())?;
        Ok(Answer::Bytes(signature.as_ref().to_vec()))
    }

    fn verify(&self, job: &Job, answer: &Answer) -> Result<(), Wrong> {
        let Answer::Bytes(bytes) = answer else {
            return Err(Wrong::new("it is of another form"));
        };
        let public = aws::KeyPair::public_key(&self.key).as_ref();
        let key = aws::UnparsedPublicKey::new(self.verifies, public);
        key.verify(&job.digest, bytes).map_err(|_| Wrong::new("it does not verify"))
    }
}

/// A key of benches only.
const KEY: [u8; 32] = [7; 32];
