//! How the regions are doing.

use crate::config::RegionName;
use crate::fault::{Effect, KmsFault};
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
    /// Asks every region for one alias, whichever. A region that is down, one that is throttled and one
    /// that denies are told apart by [`KmsFault::reason`].
    pub async fn report(&self) -> Vec<RegionReport> {
        let mut reports = Vec::new();
        for region in &self.config().regions {
            let fault = self.look(region).await.err();
            reports.push(RegionReport { region: region.clone(), fault });
        }
        reports
    }

    /// Whether a region serves us. It needs a right of its own, so that a denial is seen as one; what is
    /// answered for a name that nobody has is not said for those who may look at named keys only.
    pub(crate) async fn look(&self, region: &RegionName) -> Result<(), KmsFault> {
        let ask = Ask { operation: LOOK, region, quota: Quota::Look, effect: Effect::None };
        let send = |client: aws_sdk_kms::Client| client.list_aliases().limit(1).send();
        self.call(ask, send).await.map(drop)
    }
}

const LOOK: &str = "tell whether it serves";
