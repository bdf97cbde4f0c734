//! Our side of an account of a stand-in for KMS: each test has one of its own, so that none sees
//! another's keys.
#![expect(clippy::unwrap_used, reason = "a fixture fails by panicking")]

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
use custody_core::seam::{Entropy, Exportability, KeyRecord, KeyRequest};
use custody_core::tokio::TokioClock;
use custody_kms::aws_sdk_kms::Client;
use custody_kms::aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use custody_kms::{Kms, KmsBackend, KmsConfig, KmsKek, Observer, RegionName};
use custody_testkit::runtime::TestEntropy;

use crate::stand_in;

/// An account and where it is found.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) number: String,
    pub(crate) endpoint: String,
    pub(crate) credentials: Credentials,
}

pub(crate) const HOME: &str = "eu-central-1";

impl Account {
    /// A new account of the stand-in at `endpoint`, and its root.
    pub(crate) fn new(endpoint: &str) -> Self {
        let there = stand_in::Account::new();
        Self::of(&there, &there.root(), endpoint)
    }

    /// An account as somebody in it.
    pub(crate) fn of(
        there: &stand_in::Account,
        who: &stand_in::Credentials,
        endpoint: &str,
    ) -> Self {
        let (id, secret) = (&who.access_key_id, &who.secret_access_key);
        let credentials =
            Credentials::new(id, secret, who.session_token.clone(), None, "a stand-in");
        Self { number: there.id().to_owned(), endpoint: endpoint.to_owned(), credentials }
    }

    pub(crate) fn config(&self) -> KmsConfig {
        let id = BackendId::parse("aws").unwrap();
        let home = RegionName::parse(HOME).unwrap();
        let mut config = KmsConfig::new(id, &self.number, home).unwrap();
        config = config.with_endpoint(&self.endpoint).unwrap();
        config.algorithms =
            vec![Algorithm::EcdsaP256, Algorithm::EcdsaSecp256k1, Algorithm::Ed25519];
        config.deletion_days = 7.try_into().unwrap();
        let fast = 100_000.try_into().unwrap();
        config.limits.look_per_second = fast;
        config.limits.manage_per_second = fast;
        config.limits.sign_per_second = fast;
        config.limits.symmetric_per_second = fast;
        config
    }

    pub(crate) fn kms(&self) -> Kms {
        self.kms_with(self.config(), Observer::default())
    }

    pub(crate) fn kms_with(&self, config: KmsConfig, observer: Observer) -> Kms {
        let clock = Arc::new(TokioClock::new());
        Kms::with_observer(config, self.credentials.clone(), clock, observer).unwrap()
    }

    pub(crate) fn backend(&self) -> Arc<KmsBackend> {
        Arc::new(KmsBackend::new(self.kms()).unwrap())
    }

    pub(crate) async fn kek(&self, key: &str) -> Arc<KmsKek> {
        Arc::new(KmsKek::open(&self.kms(), key, entropy()).await.unwrap())
    }

    /// The SDK itself, for what a test does behind our back.
    pub(crate) fn sdk(&self, region: &str) -> Client {
        let config = custody_kms::aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .endpoint_url(&self.endpoint)
            .credentials_provider(self.credentials.clone())
            .build();
        Client::from_conf(config)
    }

    /// A symmetric key, made behind our back; the answer is its ARN.
    pub(crate) async fn symmetric_key(&self) -> String {
        let made = self.sdk(HOME).create_key().send().await.unwrap();
        made.key_metadata.unwrap().arn.unwrap()
    }
}

/// A key for `wallet` hot of a house.
pub(crate) fn request(key: &str, algorithm: Algorithm) -> KeyRequest {
    KeyRequest {
        custodian: CustodianId::new(Digest::of(b"house")),
        wallet: WalletId::parse("hot").unwrap(),
        key: KeyId::parse(key).unwrap(),
        algorithm,
        exportability: Exportability::Never,
    }
}

/// The record of a key that `backend` makes.
pub(crate) async fn record(
    backend: &dyn custody_core::seam::KeyBackend,
    request: &KeyRequest,
) -> KeyRecord {
    let key = backend.generate(request).await.unwrap();
    KeyRecord {
        custodian: request.custodian,
        wallet: request.wallet.clone(),
        key: request.key.clone(),
        public_key: key.public_key,
        handle: key.handle,
    }
}

pub(crate) fn entropy() -> Arc<dyn Entropy> {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    Arc::new(TestEntropy::seeded(u64::try_from(nanos).unwrap()))
}
