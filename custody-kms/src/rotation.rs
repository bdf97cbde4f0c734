//! Rotation of a symmetric key inside KMS: new backing keys under the same ARN.
//!
//! What was wrapped before still opens, since KMS keeps the old backing keys. To get rid of what an old
//! one protects, the blobs themselves are sealed anew.

use std::num::NonZeroU16;

use aws_sdk_kms::Client;
use custody_core::seam::{BackendError, ErrorKind};

use crate::fault::Effect;
use crate::kek::KmsKek;
use crate::kms::{Ask, Quota};

/// How a key is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    /// Every how many days KMS does it by itself; none if it does not.
    pub period_days: Option<NonZeroU16>,
    /// When it does so next, in seconds since the epoch.
    pub next_s: Option<i64>,
    /// Since when a rotation that was asked for is under way, in seconds since the epoch.
    pub under_way_since_s: Option<i64>,
}

impl KmsKek {
    /// Has KMS rotate the key every so many days: 90 to 2,560 (API reference, `EnableKeyRotation`).
    ///
    /// # Errors
    /// `Refused` for another period; else the kinds of [`ErrorKind`].
    pub async fn enable_rotation(&self, period_days: NonZeroU16) -> Result<(), BackendError> {
        if !(90..=2_560).contains(&period_days.get()) {
            return Err(BackendError::new(ErrorKind::Refused, ENABLE));
        }
        let days = i32::from(period_days.get());
        let done =
            self.kms.call(self.ask(ENABLE, Quota::Manage, Effect::None), |client: Client| {
                let call = client.enable_key_rotation().key_id(self.arn.as_str());
                call.rotation_period_in_days(days).send()
            });
        done.await.map(drop).map_err(|fault| fault.into_error(ENABLE, Effect::None))
    }

    /// Rotates the key now. KMS allows this a limited number of times, so that it is never tried twice.
    ///
    /// # Errors
    /// `Indeterminate` if it may have happened; else the kinds of [`ErrorKind`].
    pub async fn rotate_now(&self) -> Result<(), BackendError> {
        let done =
            self.kms.call(self.ask(ROTATE, Quota::Manage, Effect::Some), |client: Client| {
                client.rotate_key_on_demand().key_id(self.arn.as_str()).send()
            });
        done.await.map(drop).map_err(|fault| fault.into_error(ROTATE, Effect::Some))
    }

    /// How the key is rotated now.
    ///
    /// # Errors
    /// The kinds of [`ErrorKind`].
    pub async fn rotation(&self) -> Result<Rotation, BackendError> {
        let told = self.kms.call(self.ask(TELL, Quota::Look, Effect::None), |client: Client| {
            client.get_key_rotation_status().key_id(self.arn.as_str()).send()
        });
        let told = told.await.map_err(|fault| fault.into_error(TELL, Effect::None))?;
        let period = told.rotation_period_in_days.and_then(|days| u16::try_from(days).ok());
        // Older keys tell no period: a year, as AWS had it then.
        let period = period.and_then(NonZeroU16::new).unwrap_or(YEAR);
        Ok(Rotation {
            period_days: told.key_rotation_enabled.then_some(period),
            next_s: told.next_rotation_date.map(|date| date.secs()),
            under_way_since_s: told.on_demand_rotation_start_date.map(|date| date.secs()),
        })
    }

    fn ask(&self, operation: &'static str, quota: Quota, effect: Effect) -> Ask<'_> {
        Ask { operation, region: self.arn.region(), quota, effect }
    }
}

const ENABLE: &str = "enable a key's rotation";
const ROTATE: &str = "rotate a key";
const TELL: &str = "tell a key's rotation";
const YEAR: NonZeroU16 = NonZeroU16::MIN.saturating_add(364);
