//! A symmetric key of KMS that encrypts data keys. Opens secrets.
//!
//! KMS makes a data key for each scope (custodian and wallet, where the context names them) and
//! encrypts it under an encryption context that names the scope; that data key seals what callers wrap.
//! Ten thousand keys of one wallet thus cost one call.
//!
//! Invariant: KMS is believed in nothing that the envelope does not prove again.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeyMetadata, KeySpec, KeyState, KeyUsageType};
use custody_core::digest::Digest;
use custody_core::envelope;
use custody_core::id::KekId;
use custody_core::seam::{BackendError, Entropy, ErrorKind, KeyEncryption};
use custody_core::secret::Secret;
use tracing::{debug, instrument};

use crate::arn::KeyArn;
use crate::config::RegionName;
use crate::data_keys::{DataKey, DataKeys};
use crate::fault::{Effect, KmsFault, KmsReason};
use crate::kms::{Ask, Kms, Quota};
use crate::wrapped::Wrapped;

/// Data keys under a symmetric key of KMS, in one region or in several.
#[derive(Debug)]
pub struct KmsKek {
    id: KekId,
    pub(crate) arn: KeyArn,
    pub(crate) kms: Kms,
    entropy: Arc<dyn Entropy>,
    data_keys: DataKeys,
}

impl KmsKek {
    /// The key with this ARN, or the one that an alias (`alias/…`) names in the first region now. It is
    /// pinned by its ARN: after an alias is moved, what was wrapped before does not open.
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
        let metadata = match &named {
            Some(arn) => anywhere(kms, arn, OPEN, |region, arn| describe(kms, region, arn)).await,
            None => {
                let home = kms.home().ok_or_else(refused)?;
                describe(kms, home, key.to_owned()).await
            }
        };
        let metadata = metadata.map_err(|fault| fault.into_error(OPEN, Effect::None))?;
        let told = metadata.arn().and_then(|text| KeyArn::parse(text).ok()).ok_or_else(refused)?;
        // Of a key in several regions any one may have answered.
        let arn = named.unwrap_or_else(|| told.clone());
        if told.in_region(arn.region()).as_ref() != Some(&arn) {
            return Err(refused());
        }
        fits(kms, &arn, &metadata)?;
        let id = KekId::parse(arn.as_str()).map_err(|_| refused())?;
        let data_keys = DataKeys::new(kms.config().data_keys);
        Ok(Self { id, arn, kms: kms.clone(), entropy, data_keys })
    }

    /// The key of KMS.
    #[must_use]
    pub const fn arn(&self) -> &KeyArn {
        &self.arn
    }

    /// Wipes the opened data keys whose time is over. Every call does this too; a host that is idle
    /// calls it from a timer.
    pub fn wipe_expired(&self) {
        self.data_keys.wipe_expired(self.kms.clock().monotonic());
    }

    /// Wipes all opened data keys.
    pub fn wipe(&self) {
        self.data_keys.wipe();
    }

    /// A data key to seal with: an open one of the scope, or a new one.
    async fn sealing_key(&self, scope: &Scope) -> Result<DataKey, BackendError> {
        let now = || self.kms.clock().monotonic();
        if let Some(open) = self.data_keys.current(&scope.digest, now()) {
            return Ok(open);
        }
        let _turn = self.data_keys.turn(&scope.digest).await;
        if let Some(open) = self.data_keys.current(&scope.digest, now()) {
            return Ok(open);
        }
        let made = anywhere(&self.kms, &self.arn, WRAP, |region, arn| async move {
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
        let (ciphertext, key) = made.await.map_err(|fault| fault.into_error(WRAP, Effect::None))?;
        let data_key = DataKey { ciphertext: ciphertext.into_inner().into(), key: Arc::new(key) };
        self.data_keys.keep(&scope.digest, data_key.clone(), now());
        debug!(key = %self.arn, "made a data key");
        Ok(data_key)
    }

    /// Opens an envelope with the data key in the ciphertext, which KMS opens unless it is open.
    async fn open_with_data_key(
        &self,
        scope: &Scope,
        wrapped: &Wrapped<'_>,
        bound: &[&[u8]],
    ) -> Result<Secret, BackendError> {
        let now = || self.kms.clock().monotonic();
        let opened = |data_key: &DataKey| {
            envelope::open(&data_key.key, bound, wrapped.envelope)
                .map_err(|error| BackendError::new(ErrorKind::Corrupt, UNWRAP).with_source(error))
        };
        if let Some(open) = self.data_keys.open(&scope.digest, wrapped.ciphertext, now()) {
            return opened(&open);
        }
        let _turn = self.data_keys.turn(&scope.digest).await;
        if let Some(open) = self.data_keys.open(&scope.digest, wrapped.ciphertext, now()) {
            return opened(&open);
        }
        let decrypted = anywhere(&self.kms, &self.arn, UNWRAP, |region, arn| async move {
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
        let key = decrypted.await.map_err(|fault| fault.into_error(UNWRAP, Effect::None))?;
        let data_key = DataKey { ciphertext: wrapped.ciphertext.into(), key: Arc::new(key) };
        // What does not open the envelope is not kept: it may be the answer to a forged ciphertext.
        let secret = opened(&data_key)?;
        self.data_keys.keep(&scope.digest, data_key, now());
        debug!(key = %self.arn, "opened a data key");
        Ok(secret)
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
        let scope = Scope::of(&self.arn, context);
        let DataKey { ciphertext, key } = self.sealing_key(&scope).await?;
        let bound = Wrapped::context(self.arn.as_str(), &ciphertext, context);
        let sealed = envelope::seal(&key, &bound, data_key, self.entropy.as_ref())
            .map_err(|error| failed(ErrorKind::Unavailable).with_source(error))?;
        Wrapped::write(&self.arn, &ciphertext, &sealed).ok_or_else(|| failed(ErrorKind::Corrupt))
    }

    #[instrument(level = "debug", skip_all, fields(key = %self.arn), err(level = "debug"))]
    async fn unwrap(&self, wrapped: &[u8], context: &[&[u8]]) -> Result<Secret, BackendError> {
        let corrupt = || BackendError::new(ErrorKind::Corrupt, UNWRAP);
        let wrapped = Wrapped::parse(wrapped).ok_or_else(corrupt)?;
        if wrapped.arn != self.arn.as_str() {
            return Err(corrupt());
        }
        let scope = Scope::of(&self.arn, context);
        let bound = Wrapped::context(wrapped.arn, wrapped.ciphertext, context);
        self.open_with_data_key(&scope, &wrapped, &bound).await
    }
}

/// What shares a data key, and the encryption context that KMS authenticates, keeps in CloudTrail and
/// may be asked for by policies.
struct Scope {
    pairs: HashMap<String, String>,
    digest: Digest,
}

impl Scope {
    /// A context that begins with a purpose, a custodian's digest and a wallet, as that of sealed keys
    /// does, is named by these three; any other by the digest of all its fields.
    fn of(arn: &KeyArn, context: &[&[u8]]) -> Self {
        let pairs = match context {
            [purpose, custodian, wallet, _, ..]
                if is_text(purpose) && custodian.len() == 32 && is_text(wallet) =>
            {
                [
                    ("custody:purpose", text(purpose)),
                    ("custody:custodian", hex::encode(custodian)),
                    ("custody:wallet", text(wallet)),
                ]
                .to_vec()
            }
            _ => vec![
                ("custody:purpose", OTHER.to_owned()),
                ("custody:context", Digest::tagged(FIELDS, context).to_string()),
            ],
        };
        let fields = pairs.iter().flat_map(|(key, value)| [key.as_bytes(), value.as_bytes()]);
        let fields: Vec<_> = std::iter::once(arn.as_str().as_bytes()).chain(fields).collect();
        let digest = Digest::tagged("custody/kms/scope/v1", &fields);
        let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Self { pairs, digest }
    }
}

/// Asks in one region after the other until one serves. One that denies has the last word: a key that is
/// closed in one region must not be got round by another.
async fn anywhere<'a, T, F>(
    kms: &'a Kms,
    arn: &KeyArn,
    operation: &'static str,
    ask: impl Fn(&'a RegionName, String) -> F,
) -> Result<T, KmsFault>
where
    F: Future<Output = Result<T, KmsFault>>,
{
    let mut last = KmsFault::found(operation, arn.region(), KmsReason::Rejected);
    for region in kms.regions() {
        let Some(there) = arn.in_region(region) else { continue };
        match ask(region, there.as_str().to_owned()).await {
            Err(fault) if fault.is_of_region() => {
                kms.failed(region, &fault.reason);
                last = fault;
            }
            answered => return answered,
        }
    }
    Err(last)
}

async fn describe(kms: &Kms, region: &RegionName, key: String) -> Result<KeyMetadata, KmsFault> {
    let ask = Ask { operation: OPEN, region, quota: Quota::Manage, effect: Effect::None };
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

fn is_text(field: &[u8]) -> bool {
    (1..=TEXT_MAX).contains(&field.len()) && field.iter().all(u8::is_ascii_graphic)
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

const OPEN: &str = "open a key that encrypts keys";
const WRAP: &str = "wrap a data key";
const UNWRAP: &str = "unwrap a data key";
const DATA_KEY: usize = 32;
const TEXT_MAX: usize = 200;
const OTHER: &str = "custody/other/v1";
const FIELDS: &str = "custody/kms/context/v1";

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd";

    fn scope(context: &[&[u8]]) -> Scope {
        Scope::of(&KeyArn::parse(ARN).unwrap(), context)
    }

    #[test]
    fn keys_of_one_wallet_share_a_scope_and_others_do_not() {
        let house = [7; 32];
        let one = scope(&[b"custody/soft/v1", &house, b"hot", b"key-1", b"seed"]);
        let two = scope(&[b"custody/soft/v1", &house, b"hot", b"key-2", b"seed"]);
        assert_eq!(one.digest, two.digest);
        assert_eq!(one.pairs["custody:custodian"], "07".repeat(32));
        assert_eq!(one.pairs["custody:wallet"], "hot");
        for other in [
            scope(&[b"custody/soft/v1", &house, b"cold", b"key-1", b"seed"]),
            scope(&[b"custody/soft/v1", &[8; 32], b"hot", b"key-1", b"seed"]),
            scope(&[b"custody/other/v2", &house, b"hot", b"key-1", b"seed"]),
            scope(&[b"custody/soft/v1", &house, b"hot"]),
            scope(&[b"custody/soft/v1", &house, b"h t", b"key-1"]),
            scope(&[]),
        ] {
            assert_ne!(one.digest, other.digest);
        }
        let elsewhere = KeyArn::parse(&ARN.replace("1234", "4321")).unwrap();
        let context: [&[u8]; 4] = [b"custody/soft/v1", &house, b"hot", b"key-1"];
        assert_ne!(scope(&context).digest, Scope::of(&elsewhere, &context).digest);
    }

    #[test]
    fn the_data_key_has_its_length() {
        assert!(secret(None).is_none());
        assert!(secret(Some(Blob::new(vec![1; 31]))).is_none());
        assert!(secret(Some(Blob::new(vec![1; 32]))).is_some());
    }
}
