//! In which regions a key is, and which of them is asked.
//!
//! Invariant: a region that is known to have the key and denies it has the last word. Another is asked
//! only if a region did not serve, or never had the key.

use std::collections::BTreeMap;
use std::sync::Mutex;

use aws_sdk_kms::types::KeyMetadata;
use custody_core::id::{IdError, KekId};

use crate::arn::KeyArn;
use crate::config::RegionName;
use crate::fault::{KmsFault, KmsReason};
use crate::kms::{Kms, lock};

/// The regions of one key.
#[derive(Debug)]
pub(crate) struct Places {
    arn: KeyArn,
    /// What is not here may have the key or not.
    known: Mutex<BTreeMap<RegionName, Presence>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Absent,
    Present,
}

impl Places {
    /// Of a key that is known by its name alone: it is where its ARN says.
    pub(crate) fn of(arn: KeyArn) -> Self {
        let known = BTreeMap::from([(arn.region().clone(), Presence::Present)]);
        Self { arn, known: Mutex::new(known) }
    }

    pub(crate) const fn arn(&self) -> &KeyArn {
        &self.arn
    }

    /// The id of the key, wherever it is: for one in several regions the ARN without a region.
    pub(crate) fn id(&self) -> Result<KekId, IdError> {
        let arn = &self.arn;
        if !arn.is_multi_region() {
            return KekId::parse(arn.as_str());
        }
        let partition = arn.as_str().split(':').nth(1).unwrap_or_default();
        KekId::parse(&format!("arn:{partition}:kms::{}:key/{}", arn.account(), arn.id()))
    }

    /// Whether the text is the ARN of this key, in whatever region. Related multi-Region keys have the
    /// same id and the same material (KMS developer guide, "Multi-Region keys").
    pub(crate) fn is_named(&self, text: &str) -> bool {
        let Ok(named) = KeyArn::parse(text) else { return false };
        self.arn.in_region(named.region()) == Some(named)
    }

    /// Takes over what KMS says of the key's replicas. One that is made later is not asked.
    pub(crate) fn learn(&self, metadata: &KeyMetadata, regions: &[RegionName]) {
        let Some(told) = metadata.multi_region_configuration() else { return };
        let keys = told.primary_key().into_iter().chain(told.replica_keys());
        let there: Vec<_> = keys.filter_map(|key| key.region()).collect();
        for region in regions.iter().filter(|region| *region != self.arn.region()) {
            let is_there = there.contains(&region.as_str());
            self.note(region, if is_there { Presence::Present } else { Presence::Absent });
        }
    }

    /// Asks in one region after the other until one serves.
    pub(crate) async fn ask<'a, T, F>(
        &self,
        kms: &'a Kms,
        operation: &'static str,
        ask: impl Fn(&'a RegionName, String) -> F,
    ) -> Result<T, KmsFault>
    where
        F: Future<Output = Result<T, KmsFault>>,
    {
        let mut last = None;
        for region in kms.regions() {
            let Some(there) = self.arn.in_region(region) else { continue };
            let presence = lock(&self.known).get(region).copied();
            if presence == Some(Presence::Absent) {
                continue;
            }
            match ask(region, there.as_str().to_owned()).await {
                Ok(answer) => {
                    self.note(region, Presence::Present);
                    return Ok(answer);
                }
                // At home it is missed; elsewhere a replica may have been deleted.
                Err(fault)
                    if fault.reason == KmsReason::NotFound
                        && (presence.is_none() || region != self.arn.region()) =>
                {
                    self.note(region, Presence::Absent);
                    last = last.or(Some(fault));
                }
                Err(fault) if fault.may_pass_elsewhere() => {
                    if fault.is_of_region() {
                        kms.failed(region, &fault.reason);
                    }
                    last = Some(fault);
                }
                Err(fault) => return Err(fault),
            }
        }
        let nowhere = || KmsFault::found(operation, self.arn.region(), KmsReason::Rejected);
        Err(last.unwrap_or_else(nowhere))
    }

    fn note(&self, region: &RegionName, presence: Presence) {
        lock(&self.known).insert(region.clone(), presence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(region: &str, id: &str) -> Places {
        let text = format!("arn:aws:kms:{region}:111122223333:key/{id}");
        Places::of(KeyArn::parse(&text).unwrap())
    }

    #[test]
    fn a_key_of_several_regions_is_the_same_in_each() {
        let (home, abroad) = (places("eu-central-1", "mrk-12"), places("eu-west-1", "mrk-12"));
        assert_eq!(home.id().unwrap().as_str(), "arn:aws:kms::111122223333:key/mrk-12");
        assert_eq!(home.id().unwrap(), abroad.id().unwrap());
        assert!(home.is_named(abroad.arn().as_str()) && abroad.is_named(home.arn().as_str()));
        let single = places("eu-central-1", "12");
        assert_eq!(single.id().unwrap().as_str(), single.arn().as_str());
        for text in [
            "",
            "arn:aws:kms::111122223333:key/mrk-12",
            "arn:aws:kms:eu-west-1:111122223333:key/mrk-13",
            "arn:aws:kms:eu-west-1:999999999999:key/mrk-12",
            "arn:aws-cn:kms:eu-west-1:111122223333:key/mrk-12",
        ] {
            assert!(!home.is_named(text), "{text}");
        }
        assert!(!single.is_named("arn:aws:kms:eu-west-1:111122223333:key/12"));
    }
}
