//! Switching keys off and on in KMS, and scheduling their deletion.

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::types::KeyState;
use custody_core::seam::{BackendError, ErrorKind, KeyRecord, KeySwitch};
use tracing::{debug, instrument};

use crate::arn::KeyArn;
use crate::backend::KmsBackend;
use crate::fault::{Effect, KmsFault, KmsReason};
use crate::kms::{Ask, Quota};

#[async_trait]
impl KeySwitch for KmsBackend {
    /// `DisableKey`. A key that is going to be deleted signs nothing either.
    #[instrument(level = "debug", skip_all, fields(key = %key.key), err(level = "debug"))]
    async fn disable(&self, key: &KeyRecord) -> Result<(), BackendError> {
        let (arn, state) = self.state(DISABLE, key).await?;
        if matches!(state, KeyState::Disabled | KeyState::PendingDeletion) {
            return Ok(());
        }
        let ask = ask(DISABLE, &arn);
        let send = |client: Client| client.disable_key().key_id(arn.as_str()).send();
        let done = self.kms.call(ask, send).await;
        done.map(drop).map_err(|fault| fault.into_error(DISABLE, Effect::None))
    }

    /// `EnableKey`.
    #[instrument(level = "debug", skip_all, fields(key = %key.key), err(level = "debug"))]
    async fn enable(&self, key: &KeyRecord) -> Result<(), BackendError> {
        let (arn, state) = self.state(ENABLE, key).await?;
        if state == KeyState::Enabled {
            return Ok(());
        }
        // Some that stand in for KMS would let it live again.
        if state == KeyState::PendingDeletion {
            let fault = KmsFault::found(ENABLE, arn.region(), KmsReason::PendingDeletion);
            return Err(fault.into_error(ENABLE, Effect::None));
        }
        let ask = ask(ENABLE, &arn);
        let send = |client: Client| client.enable_key().key_id(arn.as_str()).send();
        let done = self.kms.call(ask, send).await;
        done.map(drop).map_err(|fault| fault.into_error(ENABLE, Effect::None))
    }

    /// `ScheduleKeyDeletion`, after the days of the configuration.
    #[instrument(level = "debug", skip_all, fields(key = %key.key), err(level = "debug"))]
    async fn destroy(&self, key: &KeyRecord) -> Result<(), BackendError> {
        let (arn, state) = match self.state(DESTROY, key).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            found => found?,
        };
        if state == KeyState::PendingDeletion {
            return Ok(());
        }
        let days = i32::from(self.kms.config().deletion_days.get());
        let ask = ask(DESTROY, &arn);
        let scheduled = self.kms.call(ask, |client: Client| {
            client.schedule_key_deletion().key_id(arn.as_str()).pending_window_in_days(days).send()
        });
        let scheduled = scheduled.await.map_err(|fault| fault.into_error(DESTROY, Effect::None))?;
        debug!(%arn, days = scheduled.pending_window_in_days(), "scheduled a key's deletion");
        Ok(())
    }

    /// `CancelKeyDeletion`. KMS leaves the key disabled.
    #[instrument(level = "debug", skip_all, fields(key = %key.key), err(level = "debug"))]
    async fn cancel_destroy(&self, key: &KeyRecord) -> Result<(), BackendError> {
        let (arn, state) = match self.state(CANCEL, key).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(BackendError::new(ErrorKind::Conflict, CANCEL).with_source(error));
            }
            found => found?,
        };
        if state != KeyState::PendingDeletion {
            return Ok(());
        }
        let ask = ask(CANCEL, &arn);
        let send = |client: Client| client.cancel_key_deletion().key_id(arn.as_str()).send();
        let done = self.kms.call(ask, send).await;
        done.map(drop).map_err(|fault| fault.into_error(CANCEL, Effect::None))
    }
}

impl KmsBackend {
    async fn state(
        &self,
        operation: &'static str,
        key: &KeyRecord,
    ) -> Result<(KeyArn, KeyState), BackendError> {
        let (arn, metadata) = self.recorded(operation, key).await?;
        let none = || BackendError::new(ErrorKind::Corrupt, operation);
        let state = metadata.key_state.ok_or_else(none)?;
        Ok((arn, state))
    }
}

/// A second call of each of these changes nothing more.
fn ask<'a>(operation: &'static str, arn: &'a KeyArn) -> Ask<'a> {
    Ask { operation, region: arn.region(), quota: Quota::Manage, effect: Effect::None }
}

const DISABLE: &str = "disable a key";
const ENABLE: &str = "enable a key";
const DESTROY: &str = "schedule a key's deletion";
const CANCEL: &str = "take a key's deletion back";
