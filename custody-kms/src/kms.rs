//! The connections to KMS, one for each region, and the one place that decides what is tried again.
//!
//! Invariant: the SDK itself tries nothing twice and waits for nothing before a request leaves. A call
//! is repeated only if nothing can have happened, or if what happened does not matter; never beyond its
//! time, and never before its turn under the account's quotas.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_kms::Client;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::timeout::TimeoutConfig;
use aws_sdk_kms::config::{
    BehaviorVersion, IdentityCache, ProvideCredentials, Region, SharedHttpClient,
};
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use custody_core::seam::{Clock, Monotonic};
use tracing::debug;

use crate::bucket::Bucket;
use crate::config::{KmsConfig, KmsConfigError, KmsLimits, RegionName};
use crate::credentials::{AccountCredentials, Number, before};
use crate::fault::{Effect, KmsFault, KmsReason};
use crate::observer::{KmsEvent, Observer};

/// An account of AWS KMS: one client for each region, kept and shared by all that is made from it.
///
/// # Security
/// With `LOG_SENSITIVE_BODIES=true` in the environment and tracing at the level `TRACE`, the SDK writes
/// the bodies of answers into the log: those of `Decrypt` and `GenerateDataKey` hold data keys. Neither
/// belongs where real keys are.
#[derive(Clone)]
pub struct Kms(Arc<Inner>);

struct Inner {
    config: KmsConfig,
    regions: BTreeMap<RegionName, Connection>,
    clock: Arc<dyn Clock>,
    observer: Observer,
    credentials: AccountCredentials,
}

/// One region.
struct Connection {
    client: Client,
    look: Bucket,
    manage: Bucket,
    sign: Bucket,
    switch: Bucket,
    symmetric: Bucket,
    /// Until when others are asked first.
    failed_until: Mutex<Monotonic>,
}

/// One of the quotas of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quota {
    Look,
    Manage,
    Sign,
    /// For switching keys off and on, and what is looked at for it: whatever else is under way, an
    /// emergency does not wait for it.
    Switch,
    Symmetric,
}

/// What a call is about, besides its own arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) operation: &'static str,
    pub(crate) region: &'a RegionName,
    pub(crate) quota: Quota,
    pub(crate) effect: Effect,
}

impl Kms {
    /// Makes the clients; nothing is called yet. The credentials are asked for when they are needed
    /// first, kept until shortly before they expire, and asked for again then: once for all calls that
    /// need them, and before a call is sent. If none come within the time of an attempt, nothing was
    /// sent, and the call is `Unavailable`.
    ///
    /// # Errors
    /// Fails on a configuration out of its range.
    pub fn new(
        config: KmsConfig,
        credentials: impl ProvideCredentials + 'static,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KmsConfigError> {
        Self::with_observer(config, credentials, clock, Observer::default())
    }

    /// As [`Self::new`], and tells a host's function what an operator wants to know.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_observer(
        config: KmsConfig,
        credentials: impl ProvideCredentials + 'static,
        clock: Arc<dyn Clock>,
        observer: Observer,
    ) -> Result<Self, KmsConfigError> {
        config.check()?;
        // Firewalls forget quiet connections before the other side closes them.
        let http = aws_smithy_http_client::Builder::new()
            .pool_idle_timeout(IDLE)
            .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
            .build_https();
        let limit = config.limits.attempt;
        let credentials = AccountCredentials::new(credentials, Arc::clone(&clock), limit);
        let connect = |region: &RegionName| {
            let limits = config.limits;
            let connection = Connection {
                client: client(&config, region, &credentials, &http),
                look: Bucket::new(limits.look_per_second),
                manage: Bucket::new(limits.manage_per_second),
                sign: Bucket::new(limits.sign_per_second),
                switch: Bucket::new(limits.manage_per_second),
                symmetric: Bucket::new(limits.symmetric_per_second),
                failed_until: Mutex::default(),
            };
            (region.clone(), connection)
        };
        let regions = config.regions.iter().map(connect).collect();
        Ok(Self(Arc::new(Inner { config, regions, clock, observer, credentials })))
    }

    pub(crate) fn config(&self) -> &KmsConfig {
        &self.0.config
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.0.clock.as_ref()
    }

    pub(crate) fn observer(&self) -> &Observer {
        &self.0.observer
    }

    /// Where keys are made.
    pub(crate) fn home(&self) -> Option<&RegionName> {
        self.0.config.regions.first()
    }

    /// The regions in the order in which they are asked: those that failed lately come last.
    pub(crate) fn regions(&self) -> Vec<&RegionName> {
        let now = self.clock().monotonic();
        let failed = |region: &&RegionName| {
            let connection = self.0.regions.get(*region);
            connection.is_some_and(|connection| *lock(&connection.failed_until) > now)
        };
        let (last, mut first): (Vec<_>, Vec<_>) = self.0.config.regions.iter().partition(failed);
        first.extend(last);
        first
    }

    /// Remembers that a region does not serve.
    pub(crate) fn failed(&self, region: &RegionName, reason: &KmsReason) {
        let Some(connection) = self.0.regions.get(region) else { return };
        let now = self.clock().monotonic();
        let was = std::mem::replace(
            &mut *lock(&connection.failed_until),
            now.saturating_add(REGION_PAUSE),
        );
        if was <= now {
            let (region, reason) = (region.clone(), reason.clone());
            self.observer().tell(&KmsEvent::RegionFailed { region, reason });
        }
    }

    /// Calls KMS, as often as is right.
    pub(crate) async fn call<T, E, F>(
        &self,
        ask: Ask<'_>,
        send: impl Fn(Client) -> F,
    ) -> Result<T, KmsFault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + Error + 'static,
    {
        let deadline = self.clock().monotonic().saturating_add(self.0.config.limits.operation);
        let mut is_renewed = false;
        let mut attempts = 0_u8;
        loop {
            let error = match self.attempt(ask, deadline, &send).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            debug!(operation = ask.operation, region = %ask.region, reason = %error.reason, "failed");
            let last = deadline.saturating_sub(self.0.config.limits.attempt).saturating_add(GRACE);
            let is_in_time = self.clock().monotonic() <= last;
            if error.reason == KmsReason::ExpiredCredentials && !is_renewed && is_in_time {
                is_renewed = true;
                continue;
            }
            attempts = attempts.saturating_add(1);
            let next = self.next_attempt(ask, &error, attempts, deadline).ok_or(error)?;
            self.clock().sleep_until(next).await;
        }
    }

    /// Calls KMS once, when it is the call's turn and credentials are there.
    async fn attempt<T, E, F>(
        &self,
        ask: Ask<'_>,
        deadline: Monotonic,
        send: impl Fn(Client) -> F,
    ) -> Result<T, KmsFault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + Error + 'static,
    {
        let unknown = || KmsFault::found(ask.operation, ask.region, KmsReason::Rejected);
        let connection = self.0.regions.get(ask.region).ok_or_else(unknown)?;
        let number = self.wait_for_credentials(ask, deadline).await?;
        self.wait_for_token(ask, connection, deadline).await?;
        let error = match send(connection.client.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => KmsFault::of(ask.operation, ask.region, &error),
        };
        let has_expired = error.reason == KmsReason::ExpiredCredentials;
        if has_expired && self.0.credentials.refuse(number) {
            let region = ask.region.clone();
            self.observer().tell(&KmsEvent::CredentialsReloaded { region });
        }
        Err(error)
    }

    /// When a call is tried again, if it is.
    fn next_attempt(
        &self,
        ask: Ask<'_>,
        error: &KmsFault,
        attempts: u8,
        deadline: Monotonic,
    ) -> Option<Monotonic> {
        let KmsLimits { attempt, attempts: most, .. } = self.0.config.limits;
        if attempts >= most.get() || !error.may_pass(ask.effect) {
            return None;
        }
        let usual = PAUSE.saturating_mul(1 << attempts.min(6));
        let pause = error.reason.retry_after().unwrap_or(usual);
        let next = self.clock().monotonic().saturating_add(pause);
        // An attempt that would not end in time is not begun.
        (next.saturating_add(attempt) <= deadline).then_some(next)
    }

    /// Credentials that are there when the call is sent.
    async fn wait_for_credentials(
        &self,
        ask: Ask<'_>,
        deadline: Monotonic,
    ) -> Result<Number, KmsFault> {
        if let Some(number) = self.0.credentials.held() {
            return Ok(number);
        }
        let end = self.clock().sleep_until(deadline);
        let given = before(end, self.0.credentials.renew()).await;
        let last = deadline.saturating_sub(self.0.config.limits.attempt).saturating_add(GRACE);
        // After an asking that took long an attempt would not end in time.
        let in_time = given.and_then(Result::ok).filter(|_| self.clock().monotonic() <= last);
        let none = || KmsFault::found(ask.operation, ask.region, KmsReason::NoCredentials);
        in_time.ok_or_else(none)
    }

    async fn wait_for_token(
        &self,
        ask: Ask<'_>,
        connection: &Connection,
        deadline: Monotonic,
    ) -> Result<(), KmsFault> {
        let KmsLimits { attempt, wait, .. } = self.0.config.limits;
        let now = self.clock().monotonic();
        let rest = deadline.saturating_sub(now).saturating_sub(attempt);
        // Who signs is soon asked again; an opening that is turned away ends what it is for.
        let (bucket, patience) = match ask.quota {
            Quota::Look => (&connection.look, rest),
            Quota::Manage => (&connection.manage, rest),
            Quota::Sign => (&connection.sign, wait.min(rest)),
            Quota::Switch => (&connection.switch, rest),
            Quota::Symmetric => (&connection.symmetric, wait.min(rest)),
        };
        let leaves = bucket.take(now, patience).map_err(|retry_after| {
            KmsFault::found(ask.operation, ask.region, KmsReason::OwnLimit { retry_after })
        })?;
        if leaves > now {
            self.clock().sleep_until(leaves).await;
        }
        Ok(())
    }
}

impl fmt::Debug for Kms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KmsConfig { id, account, regions, .. } = &self.0.config;
        f.debug_struct("Kms")
            .field("id", id)
            .field("account", account)
            .field("regions", regions)
            .finish_non_exhaustive()
    }
}

fn client(
    config: &KmsConfig,
    region: &RegionName,
    credentials: &AccountCredentials,
    http: &SharedHttpClient,
) -> Client {
    let KmsLimits { connect, attempt, operation, .. } = config.limits;
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(connect)
        .read_timeout(attempt)
        .operation_attempt_timeout(attempt)
        .operation_timeout(operation)
        .build();
    let mut builder = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.as_str().to_owned()))
        .credentials_provider(credentials.clone())
        .identity_cache(IdentityCache::no_cache())
        .http_client(http.clone())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    builder.set_endpoint_url(config.endpoint.clone());
    Client::from_conf(builder.build())
}

/// What a lock guards; whoever panicked with it left it whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first pause between two attempts is twice as long, and each next one twice the last.
const PAUSE: Duration = Duration::from_millis(25);
/// What a call may take longer than it should, so that credentials that are there at once are in time.
const GRACE: Duration = Duration::from_millis(50);
/// How long others are asked before a region that did not serve.
const REGION_PAUSE: Duration = Duration::from_secs(30);
/// After this time without use a connection is closed.
const IDLE: Duration = Duration::from_secs(20);
