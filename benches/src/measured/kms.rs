//! AWS KMS, or what stands in for it: keys that live there, and software keys sealed under one.

use std::sync::Arc;

use async_trait::async_trait;
use custody_bench::harness::{
    Answer, Job, Manner, Opened, OptionHelp, Options, Peer, Provider, Target, Wanted, Wrong,
    new_signer,
};
use custody_core::crypto::{Algorithm, PublicKey, Signature};
use custody_core::id::BackendId;
use custody_core::tokio::TokioClock;
use custody_kms::aws_sdk_kms::Client;
use custody_kms::aws_sdk_kms::config::retry::RetryConfig;
use custody_kms::aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use custody_kms::aws_sdk_kms::primitives::Blob;
use custody_kms::aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use custody_kms::{Kms, KmsBackend, KmsConfig, KmsKek, RegionName};
use custody_soft::SoftBackend;

use super::crypto;
use crate::Failure;
use crate::house::OsEntropy;

/// Keys that live in KMS.
#[derive(Debug)]
pub(super) struct Native;

#[async_trait]
impl Provider for Native {
    fn name(&self) -> &str {
        "kms"
    }

    fn about(&self) -> &str {
        "keys in AWS KMS, or in what stands in for it below `cargo xtask with-kms`"
    }

    fn options(&self) -> &[OptionHelp] {
        &OPTIONS
    }

    async fn open(&self, wanted: &Wanted) -> Result<Opened, String> {
        native(wanted).await.map_err(|error| error.to_string())
    }
}

async fn native(wanted: &Wanted) -> Result<Opened, Failure> {
    let place = Place::of(&wanted.options)?;
    let backend = Arc::new(KmsBackend::new(place.kms()?)?);
    let opened = place.told(Opened::new(Arc::clone(&backend) as _));
    let Some(scheme) = scheme(wanted.algorithm) else { return Ok(opened) };
    // The bare loop signs with the backend's own key, where it is the only one of its account.
    let (sdk, _signer) =
        (place.sdk(), new_signer(backend.as_ref(), wanted.algorithm, "key").await?);
    let key = match wanted.options.value("sdk-key") {
        Some(key) => Some(key.to_owned()),
        None if place.is_own => {
            let listed = sdk.list_aliases().send().await?;
            listed.aliases().iter().find_map(|alias| alias.target_key_id()).map(str::to_owned)
        }
        None => None,
    };
    let Some(key) = key else { return Ok(opened) };
    let told = sdk.get_public_key().key_id(&key).send().await?;
    let spki = told.public_key.ok_or("KMS told no public key")?;
    let public_key = PublicKey::from_spki(wanted.algorithm, spki.as_ref())?;
    let target = Arc::new(Bare { sdk, key, scheme, public_key });
    Ok(opened.with_peer(Peer::primitive("bare SDK loop", target)))
}

/// Software keys sealed under a key of KMS.
#[derive(Debug)]
pub(super) struct Sealed;

#[async_trait]
impl Provider for Sealed {
    fn name(&self) -> &str {
        "kms-sealed"
    }

    fn about(&self) -> &str {
        "keys of custody-soft sealed under a key of KMS, opened before they are measured"
    }

    fn options(&self) -> &[OptionHelp] {
        &OPTIONS
    }

    async fn open(&self, wanted: &Wanted) -> Result<Opened, String> {
        sealed(wanted).await.map_err(|error| error.to_string())
    }
}

async fn sealed(wanted: &Wanted) -> Result<Opened, Failure> {
    let place = Place::of(&wanted.options)?;
    let arn = match wanted.options.value("sdk-key") {
        Some(arn) => arn.to_owned(),
        None => {
            let made = place.sdk().create_key().send().await?;
            made.key_metadata.and_then(|told| told.arn).ok_or("the key has no ARN")?
        }
    };
    let kek = Arc::new(KmsKek::open(&place.kms()?, &arn, Arc::new(OsEntropy)).await?);
    let (id, clock) = (BackendId::parse("kms-sealed")?, Arc::new(TokioClock::new()));
    let backend = SoftBackend::new(id, kek, Arc::new(OsEntropy), clock)?;
    let mut opened = place.told(Opened::new(Arc::new(backend)));
    // An open key computes, wherever the key that sealed it is.
    opened.manner = Manner::Threads;
    let opened = opened.with_fact("engine", crypto::ENGINE);
    let peers = crypto::peers(wanted.algorithm)?;
    Ok(peers.into_iter().fold(opened, Opened::with_peer))
}

const fn scheme(algorithm: Algorithm) -> Option<(SigningAlgorithmSpec, MessageType)> {
    match algorithm {
        Algorithm::EcdsaP256 | Algorithm::EcdsaSecp256k1 => {
            Some((SigningAlgorithmSpec::EcdsaSha256, MessageType::Digest))
        }
        Algorithm::Ed25519 => Some((SigningAlgorithmSpec::Ed25519Sha512, MessageType::Raw)),
        _ => None,
    }
}

/// The SDK's own call.
#[derive(Debug)]
struct Bare {
    sdk: Client,
    key: String,
    scheme: (SigningAlgorithmSpec, MessageType),
    public_key: PublicKey,
}

#[async_trait]
impl Target for Bare {
    fn manner(&self) -> Manner {
        Manner::Tasks
    }

    async fn sign(&self, job: &Job) -> Result<Answer, String> {
        let (algorithm, kind) = self.scheme.clone();
        let call = self.sdk.sign().key_id(&self.key).message(Blob::new(job.digest));
        let signed = call.message_type(kind).signing_algorithm(algorithm).send().await;
        let signed = signed.map_err(|error| error.to_string())?;
        let signature = signed.signature.ok_or("nothing was signed")?;
        Ok(Answer::Bytes(signature.into_inner()))
    }

    fn verify(&self, job: &Job, answer: &Answer) -> Result<(), Wrong> {
        let Answer::Bytes(bytes) = answer else {
            return Err(Wrong::new("it is of another form"));
        };
        let algorithm = self.public_key.algorithm();
        let signature = match algorithm.signs_prehash() {
            true => Signature::from_der(algorithm, bytes),
            false => Signature::from_bytes(algorithm, bytes),
        };
        let signature = signature.map_err(Wrong::new)?;
        signature.checked(&self.public_key, job.input(algorithm)).map(drop).map_err(Wrong::new)
    }
}

/// Where KMS is, and as whom it is asked.
struct Place {
    endpoint: Option<String>,
    account: String,
    region: String,
    /// Whether the account is one of this run alone.
    is_own: bool,
}

impl Place {
    fn of(options: &Options) -> Result<Self, Failure> {
        let endpoint = options.value("endpoint").map(str::to_owned);
        let endpoint = endpoint.or_else(|| std::env::var(STAND_IN).ok());
        let region = options.value("region").unwrap_or(HOME).to_owned();
        if let Some(account) = options.value("account") {
            return Ok(Self { endpoint, account: account.to_owned(), region, is_own: false });
        }
        if endpoint.is_none() {
            let what = "is given, and there is no stand-in (`cargo xtask with-kms`)";
            return Err(format!("neither --option account=… nor endpoint=… {what}").into());
        }
        let mut drawn = [0; 4];
        getrandom::fill(&mut drawn)?;
        let account = format!("88{:010}", u32::from_be_bytes(drawn));
        Ok(Self { endpoint, account, region, is_own: true })
    }

    fn kms(&self) -> Result<Kms, Failure> {
        let (id, home) = (BackendId::parse("kms")?, RegionName::parse(&self.region)?);
        let mut config = KmsConfig::new(id, &self.account, home)?;
        if let Some(endpoint) = &self.endpoint {
            config = config.with_endpoint(endpoint)?;
        }
        // What is measured is the way to KMS, not the account's quota.
        config.limits.sign_per_second = 1_000_000.try_into()?;
        Ok(Kms::new(config, self.credentials()?, Arc::new(TokioClock::new()))?)
    }

    fn sdk(&self) -> Client {
        let mut config = custody_kms::aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .retry_config(RetryConfig::disabled());
        config.set_endpoint_url(self.endpoint.clone());
        if let Ok(credentials) = self.credentials() {
            config = config.credentials_provider(credentials);
        }
        Client::from_conf(config.build())
    }

    fn credentials(&self) -> Result<Credentials, Failure> {
        if self.is_own {
            return Ok(Credentials::new(&self.account, "not checked", None, None, "bench"));
        }
        let told = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
        let (id, secret) = (told("AWS_ACCESS_KEY_ID")?, told("AWS_SECRET_ACCESS_KEY")?);
        let session = std::env::var("AWS_SESSION_TOKEN").ok();
        Ok(Credentials::new(id, secret, session, None, "environment"))
    }

    fn told(&self, opened: Opened) -> Opened {
        let endpoint = match (&self.endpoint, self.is_own) {
            (None, _) => "AWS",
            (Some(_), true) => "a stand-in",
            (Some(_), false) => "one that was given",
        };
        opened.with_fact("endpoint", endpoint).with_fact("region", &self.region)
    }
}

const OPTIONS: [OptionHelp; 4] = [
    OptionHelp { name: "endpoint", about: "the URL of what stands in for KMS" },
    OptionHelp {
        name: "account",
        about: "the account in AWS, with AWS_ACCESS_KEY_ID and the like",
    },
    OptionHelp { name: "region", about: "the region; eu-central-1 unless it is given" },
    OptionHelp { name: "sdk-key", about: "the key of the bare loop, or the sealing one" },
];
const STAND_IN: &str = "CUSTODY_KMS_STAND_IN";
const HOME: &str = "eu-central-1";
