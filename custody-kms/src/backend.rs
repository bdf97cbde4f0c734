//! Native keys: made in KMS, used in KMS, never outside it.
//!
//! Invariant: a key is found by the ARN in its handle, never by an alias; nothing is signed with a key
//! whose public key is not the recorded one.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_sdk_kms::types::{KeyMetadata, KeySpec, KeyState, KeyUsageType, OriginType};
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::id::{BackendId, BackendIdentity, IdError};
use custody_core::seam::{
    BackendError, ErrorKind, Exportability, Health, KeyBackend, KeyRecord, KeyRequest, KeySwitch,
    Monotonic, NewKey, Signer,
};
use tracing::{debug, instrument};

use crate::arn::KeyArn;
use crate::config::RegionName;
use crate::create::{Slot, there};
use crate::fault::{Effect, KmsFault, KmsReason};
use crate::handle::Owner;
use crate::kms::{Ask, Kms, Quota, lock};
use crate::observer::KmsEvent;
use crate::signer::KmsSigner;

/// A backend of keys that live in AWS KMS.
///
/// # Limits
/// A new key takes one call for each hundred aliases and each thousand keys that the account has in the
/// first region, one to four for each key there that has no alias, and three more, one after the other.
/// At 20 ms a call and within the 10 seconds that a custodian waits for a backend, that is up to about
/// 45,000 native keys. Beyond it no key is made, and what was made opens and signs as before: that takes
/// no list. A house with more has a second account, or seals keys instead.
pub struct KmsBackend {
    pub(crate) kms: Kms,
    identity: BackendIdentity,
    /// The public keys that KMS told, each asked for once.
    public_keys: Mutex<HashMap<KeyArn, PublicKey>>,
    /// The algorithms that KMS was asked for and does not have here.
    unsupported: Mutex<BTreeSet<Algorithm>>,
    /// The keys that were made here and have no alias yet.
    pub(crate) unclaimed: Mutex<HashMap<Slot, (KeyArn, Monotonic)>>,
    /// The keys that the host was told of, which nobody uses.
    pub(crate) left_behind: Mutex<HashSet<KeyArn>>,
}

/// Why a key of KMS is not one of ours that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("the answer does not describe a key of this account")]
    Answer,
    #[error("the key is managed by AWS, was brought in, or lives in a store of keys elsewhere")]
    Origin,
    #[error("the key is for another algorithm or use")]
    Purpose,
    #[error("the key's tags name another custodian, wallet or key: its alias was moved")]
    Tags,
    #[error("the key has another policy than KMS gives by itself, a grant, or a replica")]
    Access,
    #[error("KMS tells another public key than the recorded one")]
    PublicKey,
}

impl KmsBackend {
    /// A backend over these connections. Nothing is called yet.
    ///
    /// # Errors
    /// Fails only if the identity made from account and region is not one, which it always is.
    pub fn new(kms: Kms) -> Result<Self, IdError> {
        let home = kms.home().map_or("", RegionName::as_str);
        let identity = format!("kms:{}:{home}", kms.config().account.as_str());
        let identity = BackendIdentity::parse(&identity)?;
        let (public_keys, unsupported) = (Mutex::default(), Mutex::default());
        let (unclaimed, left_behind) = (Mutex::default(), Mutex::default());
        Ok(Self { kms, identity, public_keys, unsupported, unclaimed, left_behind })
    }

    /// The key that the record names, if it is there and what it must be. Its state is told, not
    /// judged.
    pub(crate) async fn describe(
        &self,
        operation: &'static str,
        quota: Quota,
        arn: &KeyArn,
        algorithm: Algorithm,
    ) -> Result<KeyMetadata, BackendError> {
        let ask = Ask { operation, region: arn.region(), quota, effect: Effect::None };
        let metadata = self.metadata(ask, arn.as_str()).await;
        let metadata = metadata.map_err(|fault| fault.into_error(operation, Effect::None))?;
        let told = self.fits(&metadata, algorithm).map_err(|unfit| corrupt(operation, unfit))?;
        if told != *arn {
            return Err(corrupt(operation, Unfit::Answer));
        }
        Ok(metadata)
    }

    /// What KMS says of a key, by its ARN or its id.
    pub(crate) async fn metadata(&self, ask: Ask<'_>, key: &str) -> Result<KeyMetadata, KmsFault> {
        let send = |client: aws_sdk_kms::Client| client.describe_key().key_id(key).send();
        let told = self.kms.call(ask, send).await?;
        let none = || KmsFault::found(ask.operation, ask.region, KmsReason::BadAnswer);
        told.key_metadata.ok_or_else(none)
    }

    /// The ARN of a key that is ours to use with this algorithm.
    pub(crate) fn fits(
        &self,
        metadata: &KeyMetadata,
        algorithm: Algorithm,
    ) -> Result<KeyArn, Unfit> {
        let arn = metadata.arn().and_then(|text| KeyArn::parse(text).ok()).ok_or(Unfit::Answer)?;
        if arn.account() != self.kms.config().account.as_str() {
            return Err(Unfit::Answer);
        }
        let is_ours = metadata.key_manager() == Some(&"CUSTOMER".into());
        let is_made_there =
            matches!(metadata.origin(), Some(OriginType::AwsKms | OriginType::AwsCloudhsm));
        if !is_ours || !is_made_there {
            return Err(Unfit::Origin);
        }
        let is_for_this = metadata.key_usage() == Some(&KeyUsageType::SignVerify)
            && metadata.key_spec().map(KeySpec::as_str) == spec(algorithm);
        if is_for_this { Ok(arn) } else { Err(Unfit::Purpose) }
    }

    /// The key's public key, asked for once.
    pub(crate) async fn public_key(
        &self,
        operation: &'static str,
        arn: &KeyArn,
        algorithm: Algorithm,
    ) -> Result<PublicKey, BackendError> {
        if let Some(known) = lock(&self.public_keys).get(arn) {
            return Ok(known.clone());
        }
        let region = arn.region();
        let ask = Ask { operation, region, quota: Quota::Look, effect: Effect::None };
        let send =
            |client: aws_sdk_kms::Client| client.get_public_key().key_id(arn.as_str()).send();
        let told = self.kms.call(ask, send).await;
        let told = told.map_err(|fault| fault.into_error(operation, Effect::None))?;
        let is_of_key = told.key_id() == Some(arn.as_str());
        let spki = told.public_key().filter(|_| is_of_key).map(AsRef::as_ref);
        let read = spki.and_then(|der| PublicKey::from_spki(algorithm, der).ok());
        let public_key = read.ok_or_else(|| corrupt(operation, Unfit::Answer))?;
        let mut known = lock(&self.public_keys);
        if known.len() >= PUBLIC_KEYS_MAX {
            known.clear();
        }
        known.insert(arn.clone(), public_key.clone());
        Ok(public_key)
    }

    /// The key of a record, checked in all that KMS can tell of it but its state.
    pub(crate) async fn recorded(
        &self,
        operation: &'static str,
        quota: Quota,
        key: &KeyRecord,
    ) -> Result<(KeyArn, KeyMetadata), BackendError> {
        let owner = Owner::of_record(key);
        let arn = owner
            .read(&key.handle)
            .map_err(|error| BackendError::new(ErrorKind::Corrupt, operation).with_source(error))?;
        let metadata = self.describe(operation, quota, &arn, owner.algorithm).await?;
        Ok((arn, metadata))
    }

    fn remembers_unsupported(&self, algorithm: Algorithm) -> bool {
        lock(&self.unsupported).contains(&algorithm)
    }

    /// Remembers what KMS cannot do, and tells it once.
    pub(crate) fn note_unsupported(&self, algorithm: Algorithm, region: &RegionName) {
        if lock(&self.unsupported).insert(algorithm) {
            let region = region.clone();
            self.kms.observer().tell(&KmsEvent::AlgorithmUnsupported { algorithm, region });
        }
    }
}

#[async_trait]
impl KeyBackend for KmsBackend {
    fn id(&self) -> &BackendId {
        &self.kms.config().id
    }

    fn identity(&self) -> &BackendIdentity {
        &self.identity
    }

    fn algorithms(&self) -> &[Algorithm] {
        &self.kms.config().algorithms
    }

    fn in_process(&self) -> bool {
        false
    }

    #[instrument(
        level = "debug",
        skip_all,
        fields(wallet = %request.wallet, key = %request.key, algorithm = %request.algorithm),
        err(level = "debug")
    )]
    async fn generate(&self, request: &KeyRequest) -> Result<NewKey, BackendError> {
        let unsupported = || BackendError::new(ErrorKind::Unsupported, GENERATE);
        let owner = Owner::of_request(request);
        let is_offered = self.algorithms().contains(&request.algorithm);
        // A key of KMS never leaves it.
        if !is_offered || request.exportability != Exportability::Never {
            return Err(unsupported());
        }
        if self.remembers_unsupported(request.algorithm) {
            return Err(unsupported());
        }
        let home = self.kms.home().ok_or_else(unsupported)?;
        let arn = self.find_or_make(home, &owner).await?;
        let public_key = self.public_key(GENERATE, &arn, request.algorithm).await;
        // What is denied or throttled here is the look at a key that is there.
        let public_key = public_key
            .map_err(|error| if error.kind().nothing_happened() { there(error) } else { error })?;
        debug!(%arn, "made or found a key");
        Ok(NewKey { public_key, handle: owner.write(&arn) })
    }

    #[instrument(
        level = "debug",
        skip_all,
        fields(wallet = %key.wallet, key = %key.key),
        err(level = "debug")
    )]
    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        let (arn, metadata) = self.recorded(OPEN, Quota::Look, key).await?;
        usable(OPEN, &arn, &metadata)?;
        let algorithm = key.public_key.algorithm();
        if self.public_key(OPEN, &arn, algorithm).await? != key.public_key {
            return Err(corrupt(OPEN, Unfit::PublicKey));
        }
        let (kms, public_key) = (self.kms.clone(), key.public_key.clone());
        Ok(Arc::new(KmsSigner { kms, arn, public_key }))
    }

    /// Asks KMS at home for one alias, whichever, as [`Kms::report`] does: who is denied this does not
    /// serve.
    async fn health(&self) -> Health {
        let Some(home) = self.kms.home() else { return Health::Unavailable };
        self.kms.look(home).await.map_or(Health::Unavailable, |()| Health::Ready)
    }

    fn switch(&self) -> Option<&dyn KeySwitch> {
        Some(self)
    }
}

impl fmt::Debug for KmsBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KmsBackend").field("kms", &self.kms).finish_non_exhaustive()
    }
}

/// Refuses a key whose state does not let it sign.
fn usable(
    operation: &'static str,
    arn: &KeyArn,
    metadata: &KeyMetadata,
) -> Result<(), BackendError> {
    let reason = match metadata.key_state() {
        Some(KeyState::Enabled) => return Ok(()),
        Some(KeyState::Disabled) => KmsReason::Disabled,
        Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion) => {
            KmsReason::PendingDeletion
        }
        Some(KeyState::Creating | KeyState::Unavailable | KeyState::Updating) => {
            KmsReason::KeyUnavailable
        }
        _ => KmsReason::InvalidState,
    };
    Err(KmsFault::found(operation, arn.region(), reason).into_error(operation, Effect::None))
}

/// The name that KMS has for keys of an algorithm.
pub(crate) const fn spec(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::EcdsaP256 => Some("ECC_NIST_P256"),
        Algorithm::EcdsaSecp256k1 => Some("ECC_SECG_P256K1"),
        Algorithm::Ed25519 => Some("ECC_NIST_EDWARDS25519"),
        Algorithm::Bip340 | _ => None,
    }
}

pub(crate) fn corrupt(operation: &'static str, unfit: Unfit) -> BackendError {
    BackendError::new(ErrorKind::Corrupt, operation).with_source(unfit)
}

pub(crate) const GENERATE: &str = "make a key";
const OPEN: &str = "open a key";
const PUBLIC_KEYS_MAX: usize = 65_536;
