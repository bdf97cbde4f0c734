//! The endpoint that is examined, and what was made there.

use std::time::Duration;

use custody_core::id::BackendId;
use custody_core::seam::Entropy as _;
use custody_kms::aws_sdk_kms::Client;
use custody_kms::aws_sdk_kms::config::retry::RetryConfig;
use custody_kms::aws_sdk_kms::config::timeout::TimeoutConfig;
use custody_kms::aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use custody_kms::aws_sdk_kms::types::{KeyMetadata, KeySpec, KeyState, KeyUsageType, Tag};
use custody_kms::{KmsConfig, RegionName};
use examples_kms::Failure;
use examples_start::entropy::OsEntropy;

use crate::answer::why;
use crate::row::{Row, Topic};

/// Where KMS is, and who we are there.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    endpoint: String,
    region: String,
    credentials: Credentials,
}

/// The endpoint, and what was made there.
#[derive(Debug)]
pub(crate) struct Patient {
    /// The SDK, which tries nothing twice.
    pub(crate) client: Client,
    /// What the names of all that is made have in them.
    pub(crate) mark: String,
    made: Vec<(Client, String)>,
    aliases: Vec<String>,
}

/// What a key is for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// Data keys.
    Data,
    /// Data keys, in several regions.
    MultiRegion,
    /// Signatures, with this spec.
    Sign(KeySpec),
}

impl Place {
    /// Reads where it is.
    pub(crate) fn parse(
        endpoint: &str,
        region: &str,
        credentials: Credentials,
    ) -> Result<Self, Failure> {
        let home = RegionName::parse(region).map_err(|error| format!("`region`: {error}"))?;
        let config = KmsConfig::new(BackendId::parse("doctor")?, "000000000000", home)?;
        config.with_endpoint(endpoint).map_err(|error| format!("`endpoint`: {error}"))?;
        let (endpoint, region) = (endpoint.to_owned(), region.to_owned());
        Ok(Self { endpoint, region, credentials })
    }

    /// The same in another region: with AWS the region stands in the endpoint.
    pub(crate) fn elsewhere(&self, region: &str) -> Result<Self, Failure> {
        if region == self.region {
            return Err("`replica-region`: it is the same region".into());
        }
        let endpoint = self.endpoint.replace(&self.region, region);
        Self::parse(&endpoint, region, self.credentials.clone())
            .map_err(|error| format!("`replica-region`: {error}").into())
    }

    /// The region.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// The SDK, there.
    pub(crate) fn client(&self) -> Client {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(ATTEMPT)
            .build();
        let config = custody_kms::aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .endpoint_url(&self.endpoint)
            .credentials_provider(self.credentials.clone())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        Client::from_conf(config.build())
    }
}

impl Patient {
    /// Asks whether it answers; nothing is made yet.
    pub(crate) async fn admit(place: Place) -> Result<Self, Failure> {
        let client = place.client();
        let answered = client.list_keys().limit(1).send().await;
        answered.map_err(|error| format!("`endpoint`: no list of keys: {}", why(error)))?;
        let mut drawn = [0; 6];
        OsEntropy.fill(&mut drawn)?;
        let mark = hex::encode(drawn);
        Ok(Self { client, mark, made: Vec::new(), aliases: Vec::new() })
    }

    /// Makes a key; its ARN.
    pub(crate) async fn make(&mut self, purpose: Purpose) -> Result<String, String> {
        let tag = Tag::builder().tag_key(TAG).tag_value(&self.mark).build();
        let call = self.client.create_key().description("custody doctor: to be deleted");
        let call = call.tags(tag.map_err(|error| error.to_string())?);
        let call = match purpose {
            Purpose::Data => call,
            Purpose::MultiRegion => call.multi_region(true),
            Purpose::Sign(spec) => call.key_spec(spec).key_usage(KeyUsageType::SignVerify),
        };
        let made = call.send().await.map_err(why)?;
        let arn = made.key_metadata.and_then(|told| told.arn).ok_or("the key has no ARN")?;
        self.made.push((self.client.clone(), arn.clone()));
        Ok(arn)
    }

    /// Remembers what is to be deleted too.
    pub(crate) fn note_key(&mut self, client: &Client, arn: &str) {
        self.made.push((client.clone(), arn.to_owned()));
    }

    /// Remembers an alias that is to be deleted.
    pub(crate) fn note_alias(&mut self, alias: &str) {
        self.aliases.push(alias.to_owned());
    }

    /// The ARNs of all keys that were made here.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.made.iter().map(|(_, arn)| arn.as_str())
    }

    /// What KMS says of a key.
    pub(crate) async fn metadata(&self, key: &str) -> Result<KeyMetadata, String> {
        metadata(&self.client, key).await
    }

    /// Deletes what can be deleted and schedules the rest.
    pub(crate) async fn discharge(self) -> Row {
        let (mut left, made) = (0_usize, self.made.len());
        for alias in &self.aliases {
            let deleted = self.client.delete_alias().alias_name(alias).send().await;
            left = left.saturating_add(usize::from(deleted.is_err()));
        }
        // A primary key goes after its replicas, which were made later.
        for (client, arn) in self.made.iter().rev() {
            left = left.saturating_add(usize::from(!is_deleted(client, arn).await));
        }
        let told = format!("{made} keys were made; {left} things are left to be deleted by hand");
        Row::new(Topic::Left, &format!("tag {TAG}={}", self.mark), left == 0, told)
    }
}

/// Schedules a key's deletion; whether it will be deleted now, because of this or already.
async fn is_deleted(client: &Client, arn: &str) -> bool {
    // Not every endpoint finds a key by its ARN, whatever it is asked.
    for key in [arn, arn.rsplit('/').next().unwrap_or(arn)] {
        let call = client.schedule_key_deletion().key_id(key).pending_window_in_days(DAYS);
        // Nor does every one let it be said twice.
        drop(call.send().await);
        let state = metadata(client, key).await.ok().and_then(|told| told.key_state);
        if matches!(state, Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion)) {
            return true;
        }
    }
    false
}

pub(crate) async fn metadata(client: &Client, key: &str) -> Result<KeyMetadata, String> {
    let told = client.describe_key().key_id(key).send().await.map_err(why)?;
    told.key_metadata.ok_or_else(|| "no metadata".to_owned())
}

/// The tag that every key has.
pub(crate) const TAG: &str = "custody-doctor";
/// The fewest days that AWS lets a deletion wait.
pub(crate) const DAYS: i32 = 7;
const CONNECT: Duration = Duration::from_secs(5);
const ATTEMPT: Duration = Duration::from_secs(20);
