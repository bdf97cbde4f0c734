//! Giving a key its alias, which makes it the one of its name.
//!
//! Invariant: a key is deleted only if another one has the name and no alias at all names it. From here
//! on something is there: no failure is called nothing.

use std::time::Duration;

use aws_sdk_kms::Client;
use custody_core::seam::{BackendError, ErrorKind};
use tracing::warn;

use super::{LOOK_PAUSE, LOOKS, Slot, Wanted, changing};
use crate::arn::KeyArn;
use crate::backend::{GENERATE, KmsBackend};
use crate::config::RegionName;
use crate::fault::{Effect, KmsFault, KmsReason};
use crate::kms::lock;
use crate::observer::KmsEvent;

impl KmsBackend {
    /// The key that was made for this and has no alias, as far as is known here.
    pub(super) fn unclaimed(&self, slot: &Slot) -> Option<KeyArn> {
        lock(&self.unclaimed).get(slot).map(|(made, _)| made.clone())
    }

    /// Gives the key its alias. If another has it already, that one is the key and this one goes.
    pub(super) async fn claim(
        &self,
        wanted: Wanted<'_>,
        made: KeyArn,
    ) -> Result<KeyArn, BackendError> {
        let slot = wanted.slot();
        self.remember(&slot, &made);
        let winner = match self.create_alias(wanted, &made).await {
            // KMS gives an alias once, so that nobody needs to be asked whose it is.
            Ok(()) => made.clone(),
            Err(KmsFault { reason: KmsReason::AlreadyExists, .. }) => {
                self.find_winner(wanted, &made).await.map_err(there)?
            }
            Err(fault) => {
                // Somebody has it deleted, or had it deleted long ago; the next one is made anew.
                let is_gone = fault.reason == KmsReason::NotFound && self.is_old(&slot);
                if is_gone || fault.reason == KmsReason::PendingDeletion {
                    self.forget(&slot, &made);
                }
                return Err(there(fault.into_error(GENERATE, Effect::Some)));
            }
        };
        self.forget(&slot, &made);
        if winner != made {
            self.remove_duplicate(wanted.home, made).await;
        }
        Ok(winner)
    }

    /// Names the key. What KMS denies or does not find may be too new for it: it is asked again.
    async fn create_alias(&self, wanted: Wanted<'_>, made: &KeyArn) -> Result<(), KmsFault> {
        let mut pauses = CLAIM_PAUSES.into_iter();
        loop {
            let named = self.kms.call(changing(wanted.home, Effect::None), |client: Client| {
                client
                    .create_alias()
                    .alias_name(wanted.name.alias())
                    .target_key_id(made.id())
                    .send()
            });
            let Err(fault) = named.await else { return Ok(()) };
            let is_too_new = matches!(fault.reason, KmsReason::AccessDenied | KmsReason::NotFound);
            let Some(pause) = pauses.next().filter(|_| is_too_new) else { return Err(fault) };
            self.pause(pause).await;
        }
    }

    /// The key that has the alias. It may be listed a little later than it is given.
    async fn find_winner(&self, wanted: Wanted<'_>, made: &KeyArn) -> Result<KeyArn, BackendError> {
        for look in 0..LOOKS {
            if look > 0 {
                self.pause(LOOK_PAUSE).await;
            }
            match self.aliases(wanted).await?.target(wanted.name) {
                Some(id) if id == made.id() => return Ok(made.clone()),
                Some(id) => return self.find_by_alias(wanted, id).await,
                None => {}
            }
        }
        Err(BackendError::new(ErrorKind::Indeterminate, GENERATE))
    }

    /// Schedules the deletion of a key that nobody was told of.
    async fn remove_duplicate(&self, home: &RegionName, key: KeyArn) {
        let removed = match self.has_alias(home, &key).await {
            Ok(true) => {
                warn!(%key, "a key that has another name is not removed");
                return;
            }
            Ok(false) => self.schedule_deletion(home, &key).await,
            Err(fault) => Err(fault),
        };
        match removed {
            Ok(()) => self.kms.observer().tell(&KmsEvent::DuplicateRemoved { key }),
            Err(fault) => {
                warn!(%key, %fault, "a key that nobody uses is left behind");
                self.tell_left_behind(key);
            }
        }
    }

    async fn schedule_deletion(&self, home: &RegionName, key: &KeyArn) -> Result<(), KmsFault> {
        let scheduled = self.kms.call(changing(home, Effect::None), |client: Client| {
            client.schedule_key_deletion().key_id(key.as_str()).pending_window_in_days(7).send()
        });
        scheduled.await.map(drop)
    }

    /// One that is not remembered is found by its tags.
    fn remember(&self, slot: &Slot, made: &KeyArn) {
        let mut unclaimed = lock(&self.unclaimed);
        if unclaimed.len() < UNCLAIMED_MAX {
            let now = self.kms.clock().monotonic();
            unclaimed.entry(slot.clone()).or_insert_with(|| (made.clone(), now));
        }
    }

    /// Whether a key is remembered for so long that KMS would know it everywhere.
    fn is_old(&self, slot: &Slot) -> bool {
        let now = self.kms.clock().monotonic();
        let unclaimed = lock(&self.unclaimed);
        unclaimed.get(slot).is_some_and(|(_, since)| now.saturating_sub(*since) >= OLD)
    }

    fn forget(&self, slot: &Slot, made: &KeyArn) {
        let mut unclaimed = lock(&self.unclaimed);
        if unclaimed.get(slot).is_some_and(|(known, _)| known == made) {
            unclaimed.remove(slot);
        }
    }
}

/// The error of a step after which a key is there, whatever becomes of the step.
pub(crate) fn there(error: BackendError) -> BackendError {
    BackendError::new(ErrorKind::Indeterminate, GENERATE).with_source(error)
}

/// Between attempts to name a key that was made just now.
const CLAIM_PAUSES: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(800)];
const UNCLAIMED_MAX: usize = 1_024;
/// Longer than a new key may be unknown somewhere.
const OLD: Duration = Duration::from_secs(3_600);
