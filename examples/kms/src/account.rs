//! An account of AWS at what stands in for KMS, and what a host opens there.

use std::env;
use std::sync::Arc;

use custody_core::crypto::Algorithm;
use custody_core::id::BackendId;
use custody_core::seam::{Entropy as _, KeyEncryption};
use custody_core::tokio::TokioClock;
use custody_kms::aws_sdk_kms::Client;
use custody_kms::aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use custody_kms::{Kms, KmsBackend, KmsConfig, KmsKek, RegionName};
use custody_soft::SoftBackend;
use examples_start::entropy::OsEntropy;

use crate::Failure;

/// An account whose root we are. What stands in for KMS has one for each number of 12 digits, and does
/// not check its root.
#[derive(Clone, Debug)]
pub struct Account {
    number: String,
    endpoint: String,
}

impl Account {
    /// A new account where the environment says that KMS is stood in for.
    pub fn of_environment() -> Result<Self, Failure> {
        let mut drawn = [0; 8];
        OsEntropy.fill(&mut drawn)?;
        // It does not begin with 0, so that it stays one when it is read as a number.
        let offset = u64::from_be_bytes(drawn).checked_rem(FIRST.saturating_mul(9));
        Self::numbered(&FIRST.saturating_add(offset.unwrap_or_default()).to_string())
    }

    /// The account with this number.
    pub fn numbered(number: &str) -> Result<Self, Failure> {
        let told = env::var(VARIABLE).ok().filter(|url| !url.is_empty());
        let endpoint = told.ok_or(format!("{VARIABLE} is not set: see `cargo xtask with-kms`"))?;
        Ok(Self { number: number.to_owned(), endpoint })
    }

    /// The same account behind another address.
    #[must_use]
    pub fn at(&self, endpoint: &str) -> Self {
        Self { number: self.number.clone(), endpoint: endpoint.to_owned() }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How a host uses it: keys of Ethereum, and one of Ed25519 for the heads of the log.
    pub fn config(&self) -> Result<KmsConfig, Failure> {
        let (id, home) = (BackendId::parse(NATIVE)?, RegionName::parse(HOME)?);
        let mut config = KmsConfig::new(id, &self.number, home)?.with_endpoint(&self.endpoint)?;
        config.algorithms = vec![Algorithm::EcdsaSecp256k1, Algorithm::Ed25519];
        Ok(config)
    }

    /// The connections of a host. In AWS itself the credentials would come from `aws-config`.
    pub fn kms(&self) -> Result<Kms, Failure> {
        self.kms_with(self.config()?)
    }

    /// Connections with another configuration.
    pub fn kms_with(&self, config: KmsConfig) -> Result<Kms, Failure> {
        Ok(Kms::new(config, self.credentials(), Arc::new(TokioClock::new()))?)
    }

    /// Keys that KMS makes and keeps.
    pub fn native(&self) -> Result<Arc<KmsBackend>, Failure> {
        Ok(Arc::new(KmsBackend::new(self.kms()?)?))
    }

    /// What a key of KMS encrypts: the one with this ARN, or behind this alias.
    pub async fn kek(&self, key: &str) -> Result<Arc<KmsKek>, Failure> {
        Ok(Arc::new(KmsKek::open(&self.kms()?, key, Arc::new(OsEntropy)).await?))
    }

    /// The SDK itself, for what administrators do.
    #[must_use]
    pub fn sdk(&self) -> Client {
        let config = custody_kms::aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(HOME))
            .endpoint_url(&self.endpoint)
            .credentials_provider(self.credentials())
            .build();
        Client::from_conf(config)
    }

    /// Makes a key for data keys, as an administrator would, and tells its ARN.
    pub async fn symmetric_key(&self, alias: &str) -> Result<String, Failure> {
        let sdk = self.sdk();
        let made = sdk.create_key().description("data keys of hot wallets").send().await?;
        let arn = made.key_metadata.and_then(|told| told.arn).ok_or("the key has no ARN")?;
        sdk.create_alias().alias_name(alias).target_key_id(&arn).send().await?;
        Ok(arn)
    }

    fn credentials(&self) -> Credentials {
        Credentials::new(&self.number, "not checked", None, None, "example")
    }
}

/// Software keys whose data keys a key of KMS encrypts.
pub fn sealed(kek: Arc<dyn KeyEncryption>) -> Result<SoftBackend, Failure> {
    let (id, clock) = (BackendId::parse(SEALED)?, Arc::new(TokioClock::new()));
    Ok(SoftBackend::new(id, kek, Arc::new(OsEntropy), clock)?)
}

/// The host's name for the backend of native keys.
pub const NATIVE: &str = "aws";
/// The host's name for the backend of sealed keys.
pub const SEALED: &str = "sealed";
/// Where keys are made.
pub const HOME: &str = "eu-central-1";
/// Where what stands in for KMS is.
pub const VARIABLE: &str = "CUSTODY_KMS_STAND_IN";
const FIRST: u64 = 100_000_000_000;
