//! Making a key once, though KMS makes one at each asking.
//!
//! An alias that follows from custodian and key id is the lock: of two keys that are made at once only
//! one gets it, and the other is scheduled for deletion. A key whose making was not seen to its end has
//! no alias yet but has the tags it was made with, and is found by them; whoever made it remembers it
//! until then, since AWS may deny those tags for minutes.
//!
//! Invariant: `CreateKey` is called only after a search found neither, and never a second time in one
//! call.

mod adoption;
mod claim;
mod search;

use std::time::Duration;

use aws_sdk_kms::Client;
use aws_sdk_kms::types::{KeyMetadata, KeySpec, KeyUsageType, Tag};
use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::WalletId;
use custody_core::seam::{BackendError, ErrorKind};

use crate::arn::KeyArn;
use crate::backend::{GENERATE, KmsBackend, Unfit, spec};
use crate::config::RegionName;
use crate::fault::{Effect, KmsFault, KmsReason};
use crate::handle::Owner;
use crate::kms::{Ask, Quota};
pub use adoption::is_usual_policy;
pub(crate) use claim::there;
use search::{Aliases, find_tag};

/// The name under which a key is found again: 64 characters of hex.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

/// What a key is made for: another wallet or algorithm does not get the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    name: Name,
    wallet: WalletId,
    algorithm: Algorithm,
}

/// A key that is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    home: &'a RegionName,
    name: &'a Name,
    owner: &'a Owner<'a>,
}

impl Wanted<'_> {
    fn slot(&self) -> Slot {
        let Owner { wallet, algorithm, .. } = *self.owner;
        Slot { name: self.name.clone(), wallet: wallet.clone(), algorithm }
    }

    /// Whether the tags are those that this key is made with; others may stand beside them.
    fn is_tagged(&self, tags: &[Tag]) -> bool {
        self.fields().iter().all(|(key, value)| find_tag(tags, key) == Some(value.as_str()))
    }

    fn write_tags(&self) -> Result<Vec<Tag>, BackendError> {
        let malformed = |error| BackendError::new(ErrorKind::Refused, GENERATE).with_source(error);
        self.fields()
            .into_iter()
            .map(|(key, value)| Tag::builder().tag_key(key).tag_value(value).build())
            .collect::<Result<_, aws_sdk_kms::error::BuildError>>()
            .map_err(malformed)
    }

    fn fields(&self) -> [(&'static str, String); 4] {
        [
            (TAG_CUSTODIAN, self.owner.custodian.digest().to_string()),
            (TAG_KEY, self.owner.key.as_str().to_owned()),
            (TAG_NAME, self.name.0.clone()),
            (TAG_WALLET, self.owner.wallet.as_str().to_owned()),
        ]
    }
}

impl KmsBackend {
    /// The key of this owner; made if there is none.
    pub(crate) async fn find_or_make(
        &self,
        home: &RegionName,
        owner: &Owner<'_>,
    ) -> Result<KeyArn, BackendError> {
        let name = &Name::of(owner);
        let wanted = Wanted { home, name, owner };
        // What was made is not looked for: it may not be listed yet, or be closed to us for minutes.
        if let Some(made) = self.unclaimed(&wanted.slot()) {
            return self.claim(wanted, made).await;
        }
        let aliases = self.aliases(wanted).await?;
        if let Some(id) = aliases.target(name) {
            return self.find_by_alias(wanted, id).await;
        }
        let made = match self.find_by_tags(wanted, &aliases).await? {
            Some(left_behind) => left_behind,
            None => self.make(wanted, &aliases).await?,
        };
        self.claim(wanted, made).await
    }

    async fn make(&self, wanted: Wanted<'_>, aliases: &Aliases) -> Result<KeyArn, BackendError> {
        let owner = wanted.owner;
        let unsupported = || BackendError::new(ErrorKind::Unsupported, GENERATE);
        let spec = spec(owner.algorithm).ok_or_else(unsupported)?;
        let tags = wanted.write_tags()?;
        let made = self.kms.call(changing(wanted.home, Effect::Some), |client: Client| {
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
            Err(fault) => return self.after_failed_making(wanted, aliases, fault).await,
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
        wanted: Wanted<'_>,
        aliases: &Aliases,
        fault: KmsFault,
    ) -> Result<KeyArn, BackendError> {
        if matches!(fault.reason, KmsReason::UnsupportedOperation) {
            self.note_unsupported(wanted.owner.algorithm, wanted.home);
        }
        let kind = fault.kind(Effect::Some);
        let error = fault.into_error(GENERATE, Effect::Some);
        if kind != ErrorKind::Indeterminate {
            return Err(error);
        }
        for _ in 0..LOOKS {
            self.pause(LOOK_PAUSE).await;
            // That it is not found now does not say that it is not there.
            if let Ok(Some(found)) = self.find_by_tags(wanted, aliases).await {
                return Ok(found);
            }
        }
        Err(error)
    }

    async fn pause(&self, pause: Duration) {
        let clock = self.kms.clock();
        clock.sleep_until(clock.monotonic().saturating_add(pause)).await;
    }
}

/// A call that changes something.
const fn changing(home: &RegionName, effect: Effect) -> Ask<'_> {
    Ask { operation: GENERATE, region: home, quota: Quota::Manage, effect }
}

/// A call that only looks.
const fn looking(home: &RegionName) -> Ask<'_> {
    Ask { operation: GENERATE, region: home, quota: Quota::Look, effect: Effect::None }
}

const NAME: &str = "custody/kms/name/v1";
/// What the aliases of the custodian's keys begin with.
pub(crate) const ALIASES: &str = "alias/custody/";
/// The tags that keys are made with.
pub(crate) const TAGS: [&str; 4] = [TAG_CUSTODIAN, TAG_KEY, TAG_NAME, TAG_WALLET];
/// The tag that tells whose a key is.
pub(crate) const TAG_CUSTODIAN: &str = "custody:custodian";
const TAG_KEY: &str = "custody:key";
const TAG_NAME: &str = "custody:name";
const TAG_WALLET: &str = "custody:wallet";
/// How often a key, or an alias, is looked for that should be there.
const LOOKS: usize = 3;
const LOOK_PAUSE: Duration = Duration::from_millis(200);
