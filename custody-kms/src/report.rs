//! How the regions are doing.

use crate::config::RegionName;
use crate::fault::{Effect, KmsFault, KmsReason};
use crate::kms::{Ask, Kms, Quota};

/// What a region answers now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegionReport {
    /// The region.
    pub region: RegionName,
    /// Why it does not serve; none if it does.
    pub fault: Option<KmsFault>,
}

impl Kms {
    /// Asks every region for a key that nobody makes. A region that is down, one that is throttled and
    /// one that denies are told apart by [`KmsFault::reason`].
    pub async fn report(&self) -> Vec<RegionReport> {
        let mut reports = Vec::new();
        for region in &self.config().regions {
            let ask = Ask { operation: LOOK, region, quota: Quota::Manage, effect: Effect::None };
            let send = |client: aws_sdk_kms::Client| client.describe_key().key_id(NOBODY).send();
            let fault = self.call(ask, send).await.err();
            let fault = fault.filter(|fault| fault.reason != KmsReason::NotFound);
            reports.push(RegionReport { region: region.clone(), fault });
        }
        reports
    }
}

const LOOK: &str = "tell whether it serves";
const NOBODY: &str = "alias/custody/health";
