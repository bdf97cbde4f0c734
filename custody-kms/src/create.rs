//! Making a key once, though KMS makes one at each asking.
//!
//! An alias that follows from custodian and key id is the lock: of two keys that are made at once only
//! one gets it, and the other is scheduled for deletion. A key whose making was not seen to its end has
//! no alias yet but has the tags it was made with, and is found by them.
//!
//! Invariant: `CreateKey` is called only after a search found neither, and never a second time in one
//! call.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_kms::Client;
use aws_sdk_kms::types::{KeyMetadata, KeySpec, KeyUsageType, Tag};
use custody_core::digest::Digest;
use custody_core::seam::{BackendError, ErrorKind};
use tracing::warn;

use crate::arn::KeyArn;
use crate::backend::{GENERATE, KmsBackend, Unfit, corrupt, spec};
use crate::config::RegionName;
use crate::fault::{Effect, KmsFault, KmsReason};
use crate::handle::Owner;
use crate::kms::{Ask, Quota};
use crate::observer::KmsEvent;

/// The name under which a key is found again: 64 characters of hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn of(owner: &Owner<'_>) -> Self {
        let fields = [owner.custodian.digest().as_bytes(), owner.key.as_str().as_bytes()];
        Self(Digest::tagged(NAME, &fields).to_string())
    }

    fn alias(&self) -> String {
        format!("{ALIASES}{}", self.0)
    }
}

impl KmsBackend {
    /// The key of this name; made if there is none.
    pub(crate) async fn find_or_make(
        &self,
        home: &RegionName,
        name: &Name,
        owner: &Owner<'_>,
    ) -> Result<KeyArn, BackendError> {
        if let Some(found) = self.find_by_alias(home, name, owner).await? {
            return Ok(found);
        }
        let made = match self.find_by_tags(home, name, owner).await? {
            Some(left_behind) => left_behind,
            None => self.make(home, name, owner).await?,
        };
        self.claim(home, name, owner, made).await
    }

    async fn find_by_alias(
        &self,
        home: &RegionName,
        name: &Name,
        owner: &Owner<'_>,
    ) -> Result<Option<KeyArn>, BackendError> {
        let metadata = match self.metadata(GENERATE, home, &name.alias()).await {
            Err(KmsFault { reason: KmsReason::NotFound, .. }) => return Ok(None),
            told => told.map_err(|fault| fault.into_error(GENERATE, Effect::None))?,
        };
        let arn =
            self.fits(&metadata, owner.algorithm).map_err(|unfit| corrupt(GENERATE, unfit))?;
        let tags = self.tags(home, arn.as_str()).await?;
        if !is_tagged(&tags, name, owner) {
            return Err(corrupt(GENERATE, Unfit::Tags));
        }
        Ok(Some(arn))
    }

    /// A key that was made for this name and has no alias yet.
    async fn find_by_tags(
        &self,
        home: &RegionName,
        name: &Name,
        owner: &Owner<'_>,
    ) -> Result<Option<KeyArn>, BackendError> {
        let named = self.keys_with_alias(home).await?;
        let keys = self.keys(home).await?;
        for id in keys.iter().filter(|id| !named.contains(*id)) {
            let tags = match self.tags(home, id).await {
                // Others' keys may be closed to us.
                Err(error) if matches!(error.kind(), ErrorKind::Refused | ErrorKind::NotFound) => {
                    continue;
                }
                tags => tags?,
            };
            if !is_tagged(&tags, name, owner) {
                continue;
            }
            let metadata = self.metadata(GENERATE, home, id).await;
            let metadata = metadata.map_err(|fault| fault.into_error(GENERATE, Effect::None))?;
            match self.fits(&metadata, owner.algorithm) {
                Ok(arn) if metadata.enabled() => return Ok(Some(arn)),
                Ok(_) => {}
                Err(unfit) => warn!(%unfit, "a key that has our tags is not used"),
            }
        }
        Ok(None)
    }

    async fn make(
        &self,
        home: &RegionName,
        name: &Name,
        owner: &Owner<'_>,
    ) -> Result<KeyArn, BackendError> {
        let unsupported = || BackendError::new(ErrorKind::Unsupported, GENERATE);
        let spec = spec(owner.algorithm).ok_or_else(unsupported)?;
        let tags = write_tags(name, owner)?;
        let ask = asked(home, Effect::Some);
        let made = self.kms.call(ask, |client: Client| {
            client
                .create_key()
                .key_spec(KeySpec::from(spec))
                .key_usage(KeyUsageType::SignVerify)
                .description(format!("custody: key {} of wallet {}", owner.key, owner.wallet))
                .multi_region(self.kms.config().multi_region)
                .set_tags(Some(tags.clone()))
                .send()
        });
        let metadata = match made.await {
            Ok(made) => made.key_metadata,
            Err(fault) => return self.after_failed_making(home, (name, owner), fault).await,
        };
        let unseen =
            |unfit: Unfit| BackendError::new(ErrorKind::Indeterminate, GENERATE).with_source(unfit);
        let metadata: KeyMetadata = metadata.ok_or_else(|| unseen(Unfit::Answer))?;
        self.fits(&metadata, owner.algorithm).map_err(unseen)
    }

    /// A key may have been made though nobody said so: it is looked for, since a second one would be
    /// too many.
    async fn after_failed_making(
        &self,
        home: &RegionName,
        (name, owner): (&Name, &Owner<'_>),
        fault: KmsFault,
    ) -> Result<KeyArn, BackendError> {
        if matches!(fault.reason, KmsReason::UnsupportedOperation) {
            self.note_unsupported(owner.algorithm, home);
        }
        let kind = fault.kind(Effect::Some);
        let error = fault.into_error(GENERATE, Effect::Some);
        if kind != ErrorKind::Indeterminate {
            return Err(error);
        }
        for _ in 0..LOOKS {
            let clock = self.kms.clock();
            clock.sleep_until(clock.monotonic().saturating_add(LOOK_PAUSE)).await;
            // That it is not found now does not say that it is not there.
            if let Ok(Some(found)) = self.find_by_tags(home, name, owner).await {
                return Ok(found);
            }
        }
        Err(error)
    }

    /// Gives the key its alias. If another has it already, that one is the key and this one goes.
    async fn claim(
        &self,
        home: &RegionName,
        name: &Name,
        owner: &Owner<'_>,
        made: KeyArn,
    ) -> Result<KeyArn, BackendError> {
        // The key is there, whatever becomes of its alias.
        let there = |error: BackendError| {
            BackendError::new(ErrorKind::Indeterminate, GENERATE).with_source(error)
        };
        let ask = asked(home, Effect::None);
        let claimed = self.kms.call(ask, |client: Client| {
            client.create_alias().alias_name(name.alias()).target_key_id(made.id()).send()
        });
        match claimed.await {
            Ok(_) | Err(KmsFault { reason: KmsReason::AlreadyExists, .. }) => {}
            Err(fault) => return Err(there(fault.into_error(GENERATE, Effect::Some))),
        }
        let winner = self.find_by_alias(home, name, owner).await.map_err(there)?;
        let none = || BackendError::new(ErrorKind::Indeterminate, GENERATE);
        let winner = winner.ok_or_else(none)?;
        if winner != made {
            self.remove_duplicate(home, made).await;
        }
        Ok(winner)
    }

    /// Schedules the deletion of a key that nobody was told of.
    async fn remove_duplicate(&self, home: &RegionName, key: KeyArn) {
        let ask = asked(home, Effect::None);
        let removed = self.kms.call(ask, |client: Client| {
            client.schedule_key_deletion().key_id(key.as_str()).pending_window_in_days(7).send()
        });
        match removed.await {
            Ok(_) => self.kms.observer().tell(&KmsEvent::DuplicateRemoved { key }),
            Err(fault) => warn!(%key, %fault, "a key that nobody uses is left behind"),
        }
    }

    /// The ids of all keys that an alias names.
    async fn keys_with_alias(&self, home: &RegionName) -> Result<HashSet<String>, BackendError> {
        let mut named = HashSet::new();
        let mut marker = None::<String>;
        for _ in 0..PAGES_MAX {
            let page = self.kms.call(asked(home, Effect::None), |client: Client| {
                client.list_aliases().limit(100).set_marker(marker.clone()).send()
            });
            let page = page.await.map_err(|fault| fault.into_error(GENERATE, Effect::None))?;
            named.extend(page.aliases().iter().filter_map(|one| one.target_key_id.clone()));
            marker = page.next_marker;
            if !page.truncated {
                return Ok(named);
            }
            marker.as_ref().ok_or_else(without_marker)?;
        }
        Err(too_many())
    }

    /// The ids of all keys of the account in the region.
    async fn keys(&self, home: &RegionName) -> Result<Vec<String>, BackendError> {
        let mut ids = Vec::new();
        let mut marker = None::<String>;
        for _ in 0..PAGES_MAX {
            let page = self.kms.call(asked(home, Effect::None), |client: Client| {
                client.list_keys().limit(1_000).set_marker(marker.clone()).send()
            });
            let page = page.await.map_err(|fault| fault.into_error(GENERATE, Effect::None))?;
            ids.extend(page.keys().iter().filter_map(|key| key.key_id.clone()));
            marker = page.next_marker;
            if !page.truncated {
                return Ok(ids);
            }
            marker.as_ref().ok_or_else(without_marker)?;
        }
        Err(too_many())
    }

    /// The tags of a key; KMS has at most fifty.
    async fn tags(&self, home: &RegionName, key: &str) -> Result<Vec<Tag>, BackendError> {
        let page = self.kms.call(asked(home, Effect::None), |client: Client| {
            client.list_resource_tags().key_id(key).limit(50).send()
        });
        let page = page.await.map_err(|fault| fault.into_error(GENERATE, Effect::None))?;
        Ok(page.tags.unwrap_or_default())
    }
}

const fn asked(home: &RegionName, effect: Effect) -> Ask<'_> {
    Ask { operation: GENERATE, region: home, quota: Quota::Manage, effect }
}

fn write_tags(name: &Name, owner: &Owner<'_>) -> Result<Vec<Tag>, BackendError> {
    let malformed = |error| BackendError::new(ErrorKind::Refused, GENERATE).with_source(error);
    fields(name, owner)
        .into_iter()
        .map(|(key, value)| Tag::builder().tag_key(key).tag_value(value).build())
        .collect::<Result<_, aws_sdk_kms::error::BuildError>>()
        .map_err(malformed)
}

/// Whether the tags are those that this owner's key is made with; others may stand beside them.
fn is_tagged(tags: &[Tag], name: &Name, owner: &Owner<'_>) -> bool {
    let has = |key: &str, value: &str| {
        tags.iter().any(|tag| tag.tag_key() == key && tag.tag_value() == value)
    };
    fields(name, owner).iter().all(|(key, value)| has(key, value))
}

fn fields(name: &Name, owner: &Owner<'_>) -> [(&'static str, String); 4] {
    [
        ("custody:custodian", owner.custodian.digest().to_string()),
        ("custody:key", owner.key.as_str().to_owned()),
        ("custody:name", name.0.clone()),
        ("custody:wallet", owner.wallet.as_str().to_owned()),
    ]
}

/// Keys that are not all looked at may be ours.
fn too_many() -> BackendError {
    BackendError::new(ErrorKind::Unsupported, "look through all keys of the account")
}

/// A list that goes on, and does not say where.
fn without_marker() -> BackendError {
    BackendError::new(ErrorKind::Unavailable, "look through all keys of the account")
}

const NAME: &str = "custody/kms/name/v1";
const ALIASES: &str = "alias/custody/";
const PAGES_MAX: usize = 1_000;
/// How often a key whose making was not seen is looked for.
const LOOKS: usize = 3;
const LOOK_PAUSE: Duration = Duration::from_millis(200);
