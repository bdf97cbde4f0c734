//! The configuration as it is written in TOML.

use std::num::{NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64};
use std::time::Duration;

use custody_core::crypto::Algorithm;
use custody_core::id::BackendId;
use serde::Deserialize;

use super::{DELETION_DAYS, DataKeyLimits, KmsConfig, KmsConfigError, KmsLimits, RegionName};
use crate::house::HouseName;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    id: Option<String>,
    account: Option<String>,
    regions: Option<Vec<String>>,
    algorithms: Option<Vec<Algorithm>>,
    #[serde(default)]
    multi_region: bool,
    deletion_days: Option<NonZeroU8>,
    house: Option<String>,
    endpoint: Option<String>,
    #[serde(default)]
    limits: LimitsDocument,
    #[serde(default)]
    data_keys: DataKeysDocument,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsDocument {
    connect_ms: Option<u32>,
    attempt_ms: Option<u32>,
    operation_ms: Option<u32>,
    attempts: Option<NonZeroU8>,
    wait_ms: Option<u32>,
    sign_per_second: Option<NonZeroU32>,
    symmetric_per_second: Option<NonZeroU32>,
    look_per_second: Option<NonZeroU32>,
    manage_per_second: Option<NonZeroU32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DataKeysDocument {
    keys: Option<NonZeroU16>,
    age_ms: Option<u32>,
    uses: Option<NonZeroU64>,
}

impl Document {
    pub(super) fn try_into_config(self) -> Result<KmsConfig, KmsConfigError> {
        let missing = |field| KmsConfigError::Field { field, expected: "given" };
        let id = self.id.ok_or(missing("id"))?;
        let account = self.account.ok_or(missing("account"))?;
        let regions = self.regions.ok_or(missing("regions"))?;
        let id = BackendId::parse(&id)
            .map_err(|_| KmsConfigError::Field { field: "id", expected: "an id of a backend" })?;
        let regions = regions.iter().map(|name| RegionName::parse(name));
        let regions = regions.collect::<Result<Vec<_>, _>>()?;
        let Some(home) = regions.first().cloned() else {
            return Err(KmsConfigError::Field { field: "regions", expected: "at least one" });
        };
        let mut config = KmsConfig::new(id, &account, home)?;
        config.regions = regions;
        config.algorithms = self.algorithms.unwrap_or(config.algorithms);
        config.multi_region = self.multi_region;
        config.deletion_days = self.deletion_days.unwrap_or(DELETION_DAYS);
        config.limits = self.limits.into_limits();
        config.data_keys = self.data_keys.into_limits();
        config.house = self.house.as_deref().map(HouseName::parse).transpose()?;
        if let Some(url) = &self.endpoint {
            config = config.with_endpoint(url)?;
        }
        config.check()?;
        Ok(config)
    }
}

impl LimitsDocument {
    fn into_limits(self) -> KmsLimits {
        let usual = KmsLimits::default();
        let or = |given: Option<u32>, usual: Duration| {
            given.map_or(usual, |ms| Duration::from_millis(ms.into()))
        };
        KmsLimits {
            connect: or(self.connect_ms, usual.connect),
            attempt: or(self.attempt_ms, usual.attempt),
            operation: or(self.operation_ms, usual.operation),
            attempts: self.attempts.unwrap_or(usual.attempts),
            wait: or(self.wait_ms, usual.wait),
            sign_per_second: self.sign_per_second.unwrap_or(usual.sign_per_second),
            symmetric_per_second: self.symmetric_per_second.unwrap_or(usual.symmetric_per_second),
            look_per_second: self.look_per_second.unwrap_or(usual.look_per_second),
            manage_per_second: self.manage_per_second.unwrap_or(usual.manage_per_second),
        }
    }
}

impl DataKeysDocument {
    fn into_limits(self) -> DataKeyLimits {
        let usual = DataKeyLimits::default();
        DataKeyLimits {
            keys: self.keys.unwrap_or(usual.keys),
            age: self.age_ms.map_or(usual.age, |ms| Duration::from_millis(ms.into())),
            uses: self.uses.unwrap_or(usual.uses),
        }
    }
}
