//! A symmetric key of KMS that encrypts data keys. Opens secrets.
//!
//! KMS makes a data key for each scope (custodian and wallet, where the context names them) and
//! encrypts it under an encryption context that names the scope; that data key seals what callers wrap.
//! Ten thousand keys of one wallet thus cost one call. Whatever is not of a wallet costs a call each
//! time, so that a probe of this tells how KMS is doing.
//!
//! Invariant: KMS is believed in nothing that the envelope does not prove again.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeyMetadata, KeySpec, KeyState, KeyUsageType};
use custody_core::digest::Digest;
use custody_core::envelope;
use custody_core::id::KekId;
use custody_core::seam::{BackendError, Entropy, ErrorKind, KeyEncryption, Monotonic};
use custody_core::secret::Secret;
use tracing::{debug, instrument};

use crate::arn::KeyArn;
use crate::config::RegionName;
use crate::context::{Kind, Scope};
use crate::data_keys::{DataKey, DataKeys, Generation, slot};
use crate::fault::{Effect, KmsFault, KmsReason};
use crate::kms::{Ask, Kms, Quota};
use crate::places::Places;
use crate::sharing::Sharing;
use crate::wrapped::Wrapped;

/// Data keys under a symmetric key of KMS, in one region or in several.
///
/// # Security
/// A multi-Region key is closed only where it is disabled: while one region does not serve, the next is
/// asked. Disable or delete such a key in every region, or deny it to the role.
///
/// Things besides wallets, such as stores and archives, are sealed under contexts that name no custodian.
/// Several houses under one key of KMS each need a [`HouseName`](crate::HouseName); without one, each
/// custodian needs a key of its own.
#[derive(Debug)]
pub struct KmsKek {
    id: KekId,
    pub(crate) arn: KeyArn,
    pub(crate) kms: Kms,
    places: Places,
    entropy: Arc<dyn Entropy>,
    data_keys: DataKeys,
    asking: Sharing<Digest, Result<(), KmsFault>>,
}

impl KmsKek {
    /// The key with this ARN, or the one that an alias (`alias/…`) names in the first region now. It is
    /// pinned by its ARN: after an alias is moved, what was wrapped before does not open.
    ///
    /// Of a multi-Region key KMS tells here in which regions it is; the others are not asked, even if a
    /// replica is made there later: open the key anew. It is the
    /// same key in each of them: its [id](KeyEncryption::id) names no region, and what was wrapped under
    /// it in one is unwrapped in any other. An alias is asked for in the first region alone, since
    /// another region may have given the same name to another key.
    ///
    /// # Errors
    /// `Refused` for a key that is not the account's own, not symmetric or not enabled; `NotFound`;
    /// and the other kinds of [`ErrorKind`], each with a [`KmsFault`] as its source.
    pub async fn open(
        kms: &Kms,
        key: &str,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, BackendError> {
        let refused = || BackendError::new(ErrorKind::Refused, OPEN);
        let named = KeyArn::parse(key).ok();
        if named.is_none() && !key.starts_with("alias/") {
            return Err(refused());
        }
        let named = named.map(Places::of);
        let metadata = match &named {
            Some(places) => places.ask(kms, OPEN, |region, arn| describe(kms, region, arn)).await,
            None => {
                let home = kms.home().ok_or_else(refused)?;
                describe(kms, home, key.to_owned()).await
            }
        };
        let metadata = metadata.map_err(|fault| fault.into_error(OPEN, Effect::None))?;
        let told = metadata.arn().and_then(|text| KeyArn::parse(text).ok()).ok_or_else(refused)?;
        // Of a key in several regions any one may have answered.
        let places = named.unwrap_or_else(|| Places::of(told.clone()));
        if !places.is_named(told.as_str()) {
            return Err(refused());
        }
        fits(kms, places.arn(), &metadata)?;
        places.learn(&metadata, &kms.config().regions);
        let (id, arn) = (places.id().map_err(|_| refused())?, places.arn().clone());
        let data_keys = DataKeys::new(kms.config().data_keys);
        let (kms, asking) = (kms.clone(), Sharing::new());
        Ok(Self { id, arn, kms, places, entropy, data_keys, asking })
    }

    /// The key of KMS.
    #[must_use]
    pub const fn arn(&self) -> &KeyArn {
        &self.arn
    }

    /// Wipes the opened data keys whose time is over. Every call does this too; a host that is idle
    /// calls it from a timer.
    pub fn wipe_expired(&self) {
        self.data_keys.wipe_expired(self.now());
    }

    /// Wipes all opened data keys. One that KMS is being asked for is not kept either: the call that
    /// asked for it ends, and it is gone.
    pub fn wipe(&self) {
        self.data_keys.wipe();
    }

    fn now(&self) -> Monotonic {
        self.kms.clock().monotonic()
    }

    fn scope(&self, context: &[&[u8]]) -> Scope {
        Scope::of(&self.arn, context, self.kms.config().house.as_ref())
    }

    /// A data key to seal with: for a wallet an open one, or a new one.
    async fn sealing_key(&self, scope: &Scope) -> Result<DataKey, KmsFault> {
        if scope.kind == Kind::Other {
            return self.make(scope).await;
        }
        let current = || self.data_keys.current(&scope.digest, self.now());
        for _ in 0..ROUNDS {
            if let Some(open) = current() {
                return Ok(open);
            }
            let mut found = None;
            let make = async {
                found = Some(match current() {
                    Some(open) => open,
                    None => self.make(scope).await?,
                });
                Ok(())
            };
            let made = self.asking.of(scope.digest, make).await;
            if let Some(found) = found {
                return Ok(found);
            }
            // Somebody else has asked. What was made may be used up or wiped already.
            made?;
        }
        self.make(scope).await
    }

    /// Has KMS make a data key.
    async fn make(&self, scope: &Scope) -> Result<DataKey, KmsFault> {
        let generation = self.data_keys.generation();
        let made = self.places.ask(&self.kms, WRAP, |region, arn| async move {
            let ask = symmetric(WRAP, region);
            let answer = self.kms.call(ask, |client: Client| {
                client
                    .generate_data_key()
                    .key_id(arn.as_str())
                    .key_spec(DataKeySpec::Aes256)
                    .set_encryption_context(Some(scope.pairs.clone()))
                    .send()
            });
            let answer = answer.await?;
            let key = secret(answer.plaintext);
            let is_ours = answer.key_id.as_deref() == Some(arn.as_str());
            let made = answer.ciphertext_blob.zip(key).filter(|_| is_ours);
            made.ok_or_else(|| KmsFault::found(WRAP, region, KmsReason::BadAnswer))
        });
        let (ciphertext, key) = Box::pin(made).await?;
        debug!(key = %self.arn, "made a data key");
        let data_key = DataKey { ciphertext: ciphertext.into_inner().into(), key: Arc::new(key) };
        self.keep(scope, &data_key, generation);
        Ok(data_key)
    }

    /// Opens an envelope with the data key in the ciphertext, which KMS opens unless it is open.
    async fn open_with_data_key(
        &self,
        scope: &Scope,
        wrapped: &Wrapped<'_>,
        bound: &[&[u8]],
    ) -> Result<Secret, BackendError> {
        let failed = |fault: KmsFault| fault.into_error(UNWRAP, Effect::None);
        let slot = slot(&scope.digest, wrapped.ciphertext);
        let open = || self.data_keys.open(&slot, self.now());
        let rounds = if scope.kind == Kind::Other { 0 } else { ROUNDS };
        for _ in 0..rounds {
            if let Some(open) = open() {
                return opened(&open, wrapped, bound);
            }
            let mut found = None;
            let decrypt = async {
                found = Some(match open() {
                    Some(open) => opened(&open, wrapped, bound),
                    None => self.decrypt(scope, wrapped, bound).await?,
                });
                Ok(())
            };
            let decrypted = self.asking.of(slot, decrypt).await;
            if let Some(found) = found {
                return found;
            }
            // Somebody else has asked. What was opened may be used up, wiped or none already.
            decrypted.map_err(failed)?;
        }
        self.decrypt(scope, wrapped, bound).await.map_err(failed)?
    }

    /// Has KMS open the data key, and opens the envelope with it.
    async fn decrypt(
        &self,
        scope: &Scope,
        wrapped: &Wrapped<'_>,
        bound: &[&[u8]],
    ) -> Result<Result<Secret, BackendError>, KmsFault> {
        let generation = self.data_keys.generation();
        let decrypted = self.places.ask(&self.kms, UNWRAP, |region, arn| async move {
            let ask = symmetric(UNWRAP, region);
            let answer = self.kms.call(ask, |client: Client| {
                client
                    .decrypt()
                    .key_id(arn.as_str())
                    .ciphertext_blob(Blob::new(wrapped.ciphertext))
                    .set_encryption_context(Some(scope.pairs.clone()))
                    .send()
            });
            let answer = answer.await?;
            let key = secret(answer.plaintext);
            let is_ours = answer.key_id.as_deref() == Some(arn.as_str());
            let key = key.filter(|_| is_ours);
            key.ok_or_else(|| KmsFault::found(UNWRAP, region, KmsReason::BadAnswer))
        });
        let key = Arc::new(Box::pin(decrypted).await?);
        debug!(key = %self.arn, "opened a data key");
        let data_key = DataKey { ciphertext: wrapped.ciphertext.into(), key };
        let secret = opened(&data_key, wrapped, bound);
        // What does not open the envelope is not kept: it may be the answer to a forged ciphertext.
        if secret.is_ok() {
            self.keep(scope, &data_key, generation);
        }
        Ok(secret)
    }

    fn keep(&self, scope: &Scope, data_key: &DataKey, generation: Generation) {
        if scope.kind == Kind::Wallet {
            self.data_keys.keep(&scope.digest, data_key.clone(), self.now(), generation);
        }
    }
}

#[async_trait]
impl KeyEncryption for KmsKek {
    fn id(&self) -> &KekId {
        &self.id
    }

    fn in_process(&self) -> bool {
        false
    }

    #[instrument(level = "debug", skip_all, fields(key = %self.arn), err(level = "debug"))]
    async fn wrap(&self, data_key: &Secret, context: &[&[u8]]) -> Result<Vec<u8>, BackendError> {
        let failed = |kind| BackendError::new(kind, WRAP);
        if data_key.len() != DATA_KEY {
            return Err(failed(ErrorKind::Refused));
        }
        let scope = self.scope(context);
        let made = self.sealing_key(&scope).await;
        let DataKey { ciphertext, key } =
            made.map_err(|fault| fault.into_error(WRAP, Effect::None))?;
        let house = scope.house(self.kms.config().house.as_ref());
        let bound = Wrapped::context(self.arn.as_str(), &ciphertext, context, house);
        let sealed = envelope::seal(&key, &bound, data_key, self.entropy.as_ref())
            .map_err(|error| failed(ErrorKind::Unavailable).with_source(error))?;
        Wrapped::write(&self.arn, &ciphertext, &sealed).ok_or_else(|| failed(ErrorKind::Corrupt))
    }

    #[instrument(level = "debug", skip_all, fields(key = %self.arn), err(level = "debug"))]
    async fn unwrap(&self, wrapped: &[u8], context: &[&[u8]]) -> Result<Secret, BackendError> {
        let corrupt = || BackendError::new(ErrorKind::Corrupt, UNWRAP);
        let wrapped = Wrapped::parse(wrapped).ok_or_else(corrupt)?;
        if !self.places.is_named(wrapped.arn) {
            return Err(corrupt());
        }
        let scope = self.scope(context);
        let house = scope.house(self.kms.config().house.as_ref());
        let bound = Wrapped::context(wrapped.arn, wrapped.ciphertext, context, house);
        self.open_with_data_key(&scope, &wrapped, &bound).await
    }
}

fn opened(
    data_key: &DataKey,
    wrapped: &Wrapped<'_>,
    bound: &[&[u8]],
) -> Result<Secret, BackendError> {
    envelope::open(&data_key.key, bound, wrapped.envelope)
        .map_err(|error| BackendError::new(ErrorKind::Corrupt, UNWRAP).with_source(error))
}

async fn describe(kms: &Kms, region: &RegionName, key: String) -> Result<KeyMetadata, KmsFault> {
    let ask = Ask { operation: OPEN, region, quota: Quota::Look, effect: Effect::None };
    let told = kms.call(ask, |client: Client| client.describe_key().key_id(key.as_str()).send());
    let none = || KmsFault::found(OPEN, region, KmsReason::BadAnswer);
    told.await?.key_metadata.ok_or_else(none)
}

/// Refuses a key that others manage, or that is not for data keys, or that is not in use.
fn fits(kms: &Kms, arn: &KeyArn, metadata: &KeyMetadata) -> Result<(), BackendError> {
    let is_ours = arn.account() == kms.config().account.as_str()
        && metadata.key_manager() == Some(&"CUSTOMER".into());
    let is_symmetric = metadata.key_spec() == Some(&KeySpec::SymmetricDefault)
        && metadata.key_usage() == Some(&KeyUsageType::EncryptDecrypt);
    if !is_ours || !is_symmetric || !kms.config().regions.contains(arn.region()) {
        return Err(BackendError::new(ErrorKind::Refused, OPEN));
    }
    let reason = match metadata.key_state() {
        Some(KeyState::Enabled) => return Ok(()),
        Some(KeyState::Disabled) => KmsReason::Disabled,
        Some(KeyState::PendingDeletion) => KmsReason::PendingDeletion,
        _ => KmsReason::InvalidState,
    };
    Err(KmsFault::found(OPEN, arn.region(), reason).into_error(OPEN, Effect::None))
}

const fn symmetric<'a>(operation: &'static str, region: &'a RegionName) -> Ask<'a> {
    // A data key that nobody got is worth nothing.
    Ask { operation, region, quota: Quota::Symmetric, effect: Effect::None }
}

/// A data key as KMS gives it; none of another length.
fn secret(plaintext: Option<Blob>) -> Option<Secret> {
    let secret = Secret::new(plaintext?.into_inner());
    (secret.len() == DATA_KEY).then_some(secret)
}

const OPEN: &str = "open a key that encrypts keys";
const WRAP: &str = "wrap a data key";
const UNWRAP: &str = "unwrap a data key";
const DATA_KEY: usize = 32;
/// How often one takes what others asked for before asking alone.
const ROUNDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_key_has_its_length() {
        assert!(secret(None).is_none());
        assert!(secret(Some(Blob::new(vec![1; 31]))).is_none());
        assert!(secret(Some(Blob::new(vec![1; 32]))).is_some());
    }
}
