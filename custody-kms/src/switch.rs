//! Switching keys off and on in KMS, and scheduling their deletion.
//!
//! Invariant: no change that KMS may have made is called none. A call whose answer did not come is
//! judged by the key's state, which is read again, and if that does not say that the change is there,
//! by nothing. What switches a key on is then not sent again: the first call may be heard late, and
//! whoever asked must know that.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::types::KeyState;
use custody_core::seam::{BackendError, ErrorKind, KeyRecord, KeySwitch, Monotonic};
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
        self.switch_to(Change::Disable, &arn, &state).await
    }

    /// `EnableKey`.
    #[instrument(level = "debug", skip_all, fields(key = %key.key), err(level = "debug"))]
    async fn enable(&self, key: &KeyRecord) -> Result<(), BackendError> {
        let (arn, state) = self.state(ENABLE, key).await?;
        // Some that stand in for KMS would let it live again.
        if is_going(&state) {
            let fault = KmsFault::found(ENABLE, arn.region(), KmsReason::PendingDeletion);
            return Err(fault.into_error(ENABLE, Effect::None));
        }
        self.switch_to(Change::Enable, &arn, &state).await
    }

    /// `ScheduleKeyDeletion`, after the days of the configuration.
    #[instrument(level = "debug", skip_all, fields(key = %key.key), err(level = "debug"))]
    async fn destroy(&self, key: &KeyRecord) -> Result<(), BackendError> {
        let (arn, state) = match self.state(DESTROY, key).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            found => found?,
        };
        self.switch_to(Change::Destroy, &arn, &state).await
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
        self.switch_to(Change::CancelDestroy, &arn, &state).await
    }
}

/// What is changed of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    CancelDestroy,
    Destroy,
    Disable,
    Enable,
}

impl Change {
    const fn operation(self) -> &'static str {
        match self {
            Self::CancelDestroy => CANCEL,
            Self::Destroy => DESTROY,
            Self::Disable => DISABLE,
            Self::Enable => ENABLE,
        }
    }

    /// Whether a key in this state is as the change would leave it.
    fn is_done(self, state: &KeyState) -> bool {
        match self {
            Self::CancelDestroy => !is_going(state),
            Self::Destroy => is_going(state),
            Self::Disable => *state == KeyState::Disabled || is_going(state),
            Self::Enable => *state == KeyState::Enabled,
        }
    }

    /// Whether nothing needs to be sent for a key in this state. What KMS says of a key may be old, so
    /// that one is switched off, or on, whatever it is said to be.
    fn needs_nothing(self, state: &KeyState) -> bool {
        match self {
            Self::CancelDestroy | Self::Destroy => self.is_done(state),
            Self::Disable => is_going(state),
            Self::Enable => false,
        }
    }

    /// Whether it gives a right that was taken.
    const fn gives(self) -> bool {
        matches!(self, Self::CancelDestroy | Self::Enable)
    }

    /// Whether the change, or an earlier one like it, may be there though KMS answered this.
    fn may_be_there(self, fault: &KmsFault) -> bool {
        // Of a key that is going already KMS refuses the deletion: our own call may have done it.
        let is_going = self == Self::Destroy && fault.reason == KmsReason::PendingDeletion;
        fault.kind(Effect::Some) == ErrorKind::Indeterminate || is_going
    }
}

impl KmsBackend {
    /// Sends a change until the key is as it should be, a bounded number of times in a bounded time.
    async fn switch_to(
        &self,
        change: Change,
        arn: &KeyArn,
        state: &KeyState,
    ) -> Result<(), BackendError> {
        if change.needs_nothing(state) {
            return Ok(());
        }
        let operation = change.operation();
        let limits = self.kms.config().limits;
        let deadline = self.now().saturating_add(limits.operation);
        let mut attempts = 0_u8;
        let mut may_be_there = false;
        loop {
            let Err(fault) = self.send(change, arn).await else { return Ok(()) };
            attempts = attempts.saturating_add(1);
            may_be_there |= change.may_be_there(&fault);
            // Whatever else refused it, a state that does not allow it may be the one that is asked for.
            let is_of_state =
                matches!(fault.reason, KmsReason::InvalidState | KmsReason::PendingDeletion);
            if (may_be_there || is_of_state) && self.is_done(change, arn).await {
                return Ok(());
            }
            if !may_be_there {
                return Err(fault.into_error(operation, Effect::Some));
            }
            debug!(operation, %arn, reason = %fault.reason, "a change may be there or not");
            let next = self.now().saturating_add(PAUSE);
            let may_pass =
                !change.gives() && fault.may_pass(Effect::None) && attempts < limits.attempts.get();
            if !may_pass || next.saturating_add(limits.attempt) > deadline {
                return Err(
                    BackendError::new(ErrorKind::Indeterminate, operation).with_source(fault)
                );
            }
            self.kms.clock().sleep_until(next).await;
        }
    }

    /// One change. If it may have happened, it is not sent again here.
    async fn send(&self, change: Change, arn: &KeyArn) -> Result<(), KmsFault> {
        let (operation, region, quota) = (change.operation(), arn.region(), Quota::Switch);
        let ask = Ask { operation, region, quota, effect: Effect::Some };
        let key = arn.as_str();
        let days = i32::from(self.kms.config().deletion_days.get());
        match change {
            Change::CancelDestroy => {
                let send = |client: Client| client.cancel_key_deletion().key_id(key).send();
                self.kms.call(ask, send).await.map(drop)
            }
            Change::Destroy => {
                let send = |client: Client| {
                    client.schedule_key_deletion().key_id(key).pending_window_in_days(days).send()
                };
                let scheduled = self.kms.call(ask, send).await?;
                let days = scheduled.pending_window_in_days();
                debug!(%arn, days, "scheduled a key's deletion");
                Ok(())
            }
            Change::Disable => {
                let send = |client: Client| client.disable_key().key_id(key).send();
                self.kms.call(ask, send).await.map(drop)
            }
            Change::Enable => {
                let send = |client: Client| client.enable_key().key_id(key).send();
                self.kms.call(ask, send).await.map(drop)
            }
        }
    }

    /// Whether KMS says now that the key is as the change leaves it. No answer is not a yes.
    async fn is_done(&self, change: Change, arn: &KeyArn) -> bool {
        let (operation, region, quota) = (change.operation(), arn.region(), Quota::Switch);
        let ask = Ask { operation, region, quota, effect: Effect::None };
        let told = self.metadata(ask, arn.as_str()).await;
        let state = told.ok().filter(|told| told.arn() == Some(arn.as_str()));
        state.and_then(|told| told.key_state).is_some_and(|state| change.is_done(&state))
    }

    async fn state(
        &self,
        operation: &'static str,
        key: &KeyRecord,
    ) -> Result<(KeyArn, KeyState), BackendError> {
        let (arn, metadata) = self.recorded(operation, Quota::Switch, key).await?;
        let none = || BackendError::new(ErrorKind::Corrupt, operation);
        let state = metadata.key_state.ok_or_else(none)?;
        Ok((arn, state))
    }

    fn now(&self) -> Monotonic {
        self.kms.clock().monotonic()
    }
}

/// Whether a key is going to be deleted; one with replicas goes after them.
pub(crate) const fn is_going(state: &KeyState) -> bool {
    matches!(state, KeyState::PendingDeletion | KeyState::PendingReplicaDeletion)
}

const DISABLE: &str = "disable a key";
const ENABLE: &str = "enable a key";
const DESTROY: &str = "schedule a key's deletion";
const CANCEL: &str = "take a key's deletion back";
/// Between two attempts of which the first may have happened: what KMS says of a key may be old.
const PAUSE: Duration = Duration::from_millis(200);
