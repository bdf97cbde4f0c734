//! The credentials of an account, asked for before a call is sent and never while it is.
//!
//! The SDK would ask for them within the time of an attempt. Whoever gives them may hang, and then
//! nobody could tell a request that was never sent from one whose answer is late.
//!
//! Invariant: the SDK never waits for credentials: those that it is handed are there already.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use custody_core::seam::Clock;
use custody_core::time::Timestamp;
use tracing::debug;

use crate::kms::lock;
use crate::sharing::Sharing;

/// The credentials that calls are signed with, and who gives them.
#[derive(Clone)]
pub(crate) struct AccountCredentials(Arc<Inner>);

struct Inner {
    provider: Box<dyn ProvideCredentials>,
    clock: Arc<dyn Clock>,
    /// How long one asking may take.
    limit: Duration,
    held: Mutex<Option<Held>>,
    asking: Sharing<(), Result<Number, Missing>>,
}

struct Held {
    credentials: Credentials,
    number: Number,
    /// When others are asked for.
    renewed_at: Timestamp,
    /// AWS said that they have expired.
    is_refused: bool,
}

/// Tells credentials from those before and after them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Number(u64);

/// Whoever gives credentials gave none, or not in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing;

impl AccountCredentials {
    pub(crate) fn new(
        provider: impl ProvideCredentials + 'static,
        clock: Arc<dyn Clock>,
        limit: Duration,
    ) -> Self {
        let (provider, held, asking) = (Box::new(provider), Mutex::default(), Sharing::new());
        Self(Arc::new(Inner { provider, clock, limit, held, asking }))
    }

    /// Those that are there, if they still serve.
    pub(crate) fn held(&self) -> Option<Number> {
        let now = self.0.clock.now();
        let held = lock(&self.0.held);
        let held = held.as_ref().filter(|held| !held.is_refused && now < held.renewed_at)?;
        Some(held.number)
    }

    /// Asks for credentials, unless some are there by now. Of many callers one asks.
    pub(crate) async fn renew(&self) -> Result<Number, Missing> {
        let asking = self.0.asking.of((), async {
            match self.held() {
                Some(number) => Ok(number),
                None => self.ask().await,
            }
        });
        asking.await
    }

    /// Notes that AWS calls these expired; whether that is news.
    pub(crate) fn refuse(&self, number: Number) -> bool {
        let mut held = lock(&self.0.held);
        let held = held.as_mut().filter(|held| held.number == number && !held.is_refused);
        held.map(|held| held.is_refused = true).is_some()
    }

    async fn ask(&self) -> Result<Number, Missing> {
        let Inner { provider, clock, limit, .. } = self.0.as_ref();
        let end = clock.sleep_until(clock.monotonic().saturating_add(*limit));
        let given = match before(end, provider.provide_credentials()).await {
            Some(given) => given,
            None => {
                let last = provider.fallback_on_interrupt();
                last.ok_or_else(|| CredentialsError::provider_timed_out(*limit))
            }
        };
        // Its text names the kind and nothing that was given.
        given.map(|credentials| self.keep(credentials)).map_err(|error| {
            debug!(%error, "no credentials");
            Missing
        })
    }

    fn keep(&self, credentials: Credentials) -> Number {
        let now = self.0.clock.now();
        let expires = credentials.expiry().map_or(now.after(LIFE), timestamp);
        let renewed_at = Timestamp::from_millis(expires.as_millis().saturating_sub(EARLY_MS));
        let mut held = lock(&self.0.held);
        let last = held.as_ref().map_or_else(Number::default, |held| held.number);
        let number = Number(last.0.saturating_add(1));
        *held = Some(Held { credentials, number, renewed_at, is_refused: false });
        number
    }
}

impl ProvideCredentials for AccountCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let held = lock(&self.0.held).as_ref().map(|held| held.credentials.clone());
        future::ProvideCredentials::ready(held.ok_or_else(CredentialsError::not_loaded_no_source))
    }
}

impl fmt::Debug for AccountCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountCredentials").finish_non_exhaustive()
    }
}

/// The answer of a call, unless `end` comes before it.
pub(crate) async fn before<T>(
    end: impl Future<Output = ()>,
    call: impl Future<Output = T>,
) -> Option<T> {
    let (mut call, mut end) = (pin!(call), pin!(end));
    let either = poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => end.as_mut().poll(context).map(|()| None),
    });
    either.await
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// How long credentials without an end are kept.
const LIFE: Duration = Duration::from_secs(900);
/// How long before their end others are asked for.
const EARLY_MS: u64 = 10_000;
