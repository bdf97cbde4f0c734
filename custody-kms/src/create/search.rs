//! Finding a key again: by its alias, or by its tags if it has none.
//!
//! Invariant: no key is asked for by the name of an alias. What AWS answers to somebody who may look
//! only at named keys, if there is no such alias, is not said anywhere.

use std::collections::{HashMap, HashSet};

use aws_sdk_kms::Client;
use aws_sdk_kms::types::{KeyMetadata, Tag};
use custody_core::seam::{BackendError, ErrorKind};
use tracing::warn;

use super::{ALIASES, Name, TAG_CUSTODIAN, TAG_NAME, Wanted, looking};
use crate::arn::KeyArn;
use crate::backend::{GENERATE, KmsBackend, Unfit, corrupt};
use crate::config::RegionName;
use crate::fault::{Effect, KmsFault, KmsReason};
use crate::kms::lock;
use crate::observer::KmsEvent;
use crate::switch::is_going;

/// The aliases of the account in a region, with the ids of the keys that they name. All of them, unless
/// the one that was looked for is among them.
#[derive(Debug, Default)]
pub(super) struct Aliases(HashMap<String, String>);

impl Aliases {
    /// The id of the key that has this name.
    pub(super) fn target(&self, name: &Name) -> Option<&str> {
        self.0.get(&name.alias()).map(String::as_str)
    }
}

impl KmsBackend {
    /// The key that the alias of the wanted one names, if it is the wanted one.
    pub(super) async fn find_by_alias(
        &self,
        wanted: Wanted<'_>,
        id: &str,
    ) -> Result<KeyArn, BackendError> {
        let metadata = self.metadata(looking(wanted.home), id).await;
        let metadata = metadata.map_err(|fault| fault.into_error(GENERATE, Effect::None))?;
        let arn = self
            .fits(&metadata, wanted.owner.algorithm)
            .map_err(|unfit| corrupt(GENERATE, unfit))?;
        let tags = self.tags(wanted.home, id).await;
        let tags = tags.map_err(|fault| fault.into_error(GENERATE, Effect::None))?;
        if !wanted.is_tagged(&tags) {
            return Err(corrupt(GENERATE, Unfit::Tags));
        }
        let is_as_made = self.is_as_made(wanted.home, &arn, &metadata).await;
        if !is_as_made.map_err(|fault| fault.into_error(GENERATE, Effect::None))? {
            return Err(corrupt(GENERATE, Unfit::Access));
        }
        // It holds its name until it is gone, or until it is taken back: there is no second one.
        if metadata.key_state().is_some_and(is_going) {
            let fault = KmsFault::found(GENERATE, wanted.home, KmsReason::PendingDeletion);
            return Err(fault.into_error(GENERATE, Effect::None));
        }
        Ok(arn)
    }

    /// A key that was made for this name and has no alias yet. Others of the custodian that are left
    /// over are told to the host, each once.
    pub(super) async fn find_by_tags(
        &self,
        wanted: Wanted<'_>,
        aliases: &Aliases,
    ) -> Result<Option<KeyArn>, BackendError> {
        let named: HashSet<&str> = aliases.0.values().map(String::as_str).collect();
        let keys = self.keys(wanted.home).await?;
        let failed = |fault: KmsFault| fault.into_error(GENERATE, Effect::None);
        let mut found = None;
        for id in keys.iter().filter(|id| !named.contains(id.as_str())) {
            let tags = match self.tags(wanted.home, id).await {
                // Others' keys may be closed to us.
                Err(fault)
                    if matches!(fault.reason, KmsReason::AccessDenied | KmsReason::NotFound) =>
                {
                    continue;
                }
                tags => tags.map_err(failed)?,
            };
            if wanted.is_tagged(&tags) {
                match self.unnamed(wanted, id).await? {
                    Some(arn) if found.is_none() => found = Some(arn),
                    Some(arn) => self.tell_left_behind(arn),
                    None => {}
                }
            } else if is_left_over(wanted, &tags, aliases) {
                self.look_at_left_over(wanted, id).await;
            }
        }
        Ok(found)
    }

    /// A key with the tags of the wanted one, if it can be it.
    async fn unnamed(&self, wanted: Wanted<'_>, id: &str) -> Result<Option<KeyArn>, BackendError> {
        let failed = |fault: KmsFault| fault.into_error(GENERATE, Effect::None);
        let metadata: KeyMetadata =
            self.metadata(looking(wanted.home), id).await.map_err(failed)?;
        let unfit = match self.fits(&metadata, wanted.owner.algorithm) {
            Ok(_) if !metadata.enabled() => return Ok(None),
            Ok(arn) if self.is_as_made(wanted.home, &arn, &metadata).await.map_err(failed)? => {
                return Ok(Some(arn));
            }
            Ok(_) => Unfit::Access,
            Err(unfit) => unfit,
        };
        warn!(%unfit, "a key that has our tags is not used");
        Ok(None)
    }

    /// Tells of a key whose name another one has, unless it is going to be deleted anyway. What is not
    /// seen now is seen when the next key is made.
    async fn look_at_left_over(&self, wanted: Wanted<'_>, id: &str) {
        if lock(&self.left_behind).iter().any(|told| told.id() == id) {
            return;
        }
        let Ok(metadata) = self.metadata(looking(wanted.home), id).await else { return };
        let arn = metadata.arn().and_then(|text| KeyArn::parse(text).ok());
        let is_going = metadata.key_state().is_none_or(is_going);
        if let Some(arn) = arn.filter(|_| !is_going) {
            self.tell_left_behind(arn);
        }
    }

    pub(super) fn tell_left_behind(&self, key: KeyArn) {
        let mut told = lock(&self.left_behind);
        if told.len() >= TOLD_MAX {
            told.clear();
        }
        let is_new = told.insert(key.clone());
        drop(told);
        if is_new {
            self.kms.observer().tell(&KmsEvent::KeyLeftBehind { key });
        }
    }

    /// The aliases up to the one of the wanted key, or all.
    pub(super) async fn aliases(&self, wanted: Wanted<'_>) -> Result<Aliases, BackendError> {
        let mut aliases = Aliases::default();
        let mut marker = None::<String>;
        for _ in 0..PAGES_MAX {
            let page = self.kms.call(looking(wanted.home), |client: Client| {
                client.list_aliases().limit(100).set_marker(marker.clone()).send()
            });
            let page = page.await.map_err(|fault| fault.into_error(GENERATE, Effect::None))?;
            marker = page.next_marker;
            let named = page.aliases.unwrap_or_default().into_iter();
            aliases.0.extend(named.filter_map(|one| one.alias_name.zip(one.target_key_id)));
            if !page.truncated || aliases.target(wanted.name).is_some() {
                return Ok(aliases);
            }
            marker.as_ref().ok_or_else(without_marker)?;
        }
        Err(too_many())
    }

    /// Whether an alias names this key, whatever it is called.
    pub(super) async fn has_alias(
        &self,
        home: &RegionName,
        key: &KeyArn,
    ) -> Result<bool, KmsFault> {
        let page = self.kms.call(looking(home), |client: Client| {
            client.list_aliases().key_id(key.as_str()).limit(100).send()
        });
        let page = page.await?;
        Ok(page.truncated || page.aliases().iter().any(|one| one.target_key_id() == Some(key.id())))
    }

    /// The ids of all keys of the account in the region.
    async fn keys(&self, home: &RegionName) -> Result<Vec<String>, BackendError> {
        let mut ids = Vec::new();
        let mut marker = None::<String>;
        for _ in 0..PAGES_MAX {
            let page = self.kms.call(looking(home), |client: Client| {
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
    async fn tags(&self, home: &RegionName, key: &str) -> Result<Vec<Tag>, KmsFault> {
        let page = self.kms.call(looking(home), |client: Client| {
            client.list_resource_tags().key_id(key).limit(50).send()
        });
        Ok(page.await?.tags.unwrap_or_default())
    }
}

/// Whether a key without an alias is the custodian's, and another one has its name.
fn is_left_over(wanted: Wanted<'_>, tags: &[Tag], aliases: &Aliases) -> bool {
    let custodian = wanted.owner.custodian.digest().to_string();
    let is_ours = find_tag(tags, TAG_CUSTODIAN) == Some(custodian.as_str());
    let name = find_tag(tags, TAG_NAME).map(|name| format!("{ALIASES}{name}"));
    is_ours && name.is_some_and(|name| aliases.0.contains_key(&name))
}

/// The value of a tag.
pub(super) fn find_tag<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.tag_key() == key).map(Tag::tag_value)
}

/// Keys that are not all looked at may be ours.
fn too_many() -> BackendError {
    BackendError::new(ErrorKind::Unsupported, "look through all keys of the account")
}

/// A list that goes on, and does not say where.
fn without_marker() -> BackendError {
    BackendError::new(ErrorKind::Unavailable, "look through all keys of the account")
}

const PAGES_MAX: usize = 1_000;
const TOLD_MAX: usize = 4_096;
