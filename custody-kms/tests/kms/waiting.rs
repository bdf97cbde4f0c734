//! What is waited for before a call is sent: credentials, and its turn.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::seam::{ErrorKind, KeyBackend as _, KeySwitch as _, Signer};
use custody_core::tokio::TokioClock;
use custody_kms::aws_sdk_kms::config::{Credentials, ProvideCredentials};
use custody_kms::{Kms, KmsBackend, KmsConfig, KmsEvent, KmsReason, Observer};
use futures::future::{join, join_all};

use crate::account::{record, request};
use crate::proxy::{Answer, Times};
use crate::{Behind, reason};

const INPUT: SignInput<'static> = SignInput::Prehash(&[7; 32]);

/// Whoever gives credentials, as a test wants it.
#[derive(Debug)]
struct Giver {
    credentials: Mutex<Credentials>,
    asked: AtomicUsize,
    /// How many more askings fail.
    failures: AtomicUsize,
    hangs: AtomicBool,
    has_fallback: AtomicBool,
    delay: Mutex<Duration>,
}

/// The same giver, in the hands of a test and of the connections.
#[derive(Clone, Debug)]
struct Shared(Arc<Giver>);

impl Shared {
    fn of(behind: &Behind) -> Self {
        let credentials = Mutex::new(behind.account.credentials.clone());
        Self(Arc::new(Giver {
            credentials,
            asked: AtomicUsize::new(0),
            failures: AtomicUsize::new(0),
            hangs: AtomicBool::new(false),
            has_fallback: AtomicBool::new(false),
            delay: Mutex::default(),
        }))
    }

    /// From now on it gives credentials that end so soon that each call asks anew.
    fn gives_short_ones(&self) {
        let soon = SystemTime::now().checked_add(Duration::from_secs(5)).unwrap();
        *self.0.credentials.lock().unwrap().expiry_mut() = Some(soon);
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    async fn give(&self) -> Result<Credentials, CredentialsError> {
        let Giver { credentials, asked, failures, hangs, delay, .. } = self.0.as_ref();
        asked.fetch_add(1, Ordering::SeqCst);
        if hangs.load(Ordering::SeqCst) {
            return pending().await;
        }
        let fewer = |left: usize| left.checked_sub(1);
        if failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok() {
            return Err(CredentialsError::provider_error("as a test says"));
        }
        let delay = *delay.lock().unwrap();
        tokio::time::sleep(delay).await;
        Ok(credentials.lock().unwrap().clone())
    }

    /// A signer over connections that these credentials are given to.
    async fn signer(&self, behind: &Behind, config: KmsConfig) -> Arc<dyn Signer> {
        let events = Arc::clone(&behind.events);
        let observer = Observer::new(move |event| events.lock().unwrap().push(event.clone()));
        let clock = Arc::new(TokioClock::new());
        let kms = Kms::with_observer(config, self.clone(), clock, observer).unwrap();
        let backend = KmsBackend::new(kms).unwrap();
        let record = record(&backend, &request("key", Algorithm::EcdsaSecp256k1)).await;
        backend.signer(&record).await.unwrap()
    }
}

impl ProvideCredentials for Shared {
    fn provide_credentials<'a>(
        &'a self,
    ) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        aws_credential_types::provider::future::ProvideCredentials::new(self.give())
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        let has_one = self.0.has_fallback.load(Ordering::SeqCst);
        has_one.then(|| self.0.credentials.lock().unwrap().clone())
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn while_whoever_gives_credentials_hangs_nothing_is_signed_and_nothing_in_doubt() {
    let behind = Behind::new();
    let giver = Shared::of(&behind);
    giver.gives_short_ones();
    let signer = giver.signer(&behind, behind.config()).await;
    giver.0.hangs.store(true, Ordering::SeqCst);
    let (before, since) = (giver.asked(), Instant::now());
    // However many wait, each ends in the time of a call, and all share what is asked.
    for error in join_all((0..20).map(|_| signer.sign(INPUT))).await {
        let error = error.unwrap_err();
        let told = (error.kind(), reason(&error));
        assert_eq!(told, (ErrorKind::Unavailable, KmsReason::NoCredentials));
    }
    assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
    assert_eq!((behind.proxy.calls("Sign"), giver.asked() - before), (0, 3));
    giver.0.has_fallback.store(true, Ordering::SeqCst);
    signer.sign(INPUT).await.unwrap();
    giver.0.hangs.store(false, Ordering::SeqCst);
    signer.sign(INPUT).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn whoever_fails_to_give_credentials_is_asked_again_a_few_times() {
    let behind = Behind::new();
    let giver = Shared::of(&behind);
    giver.gives_short_ones();
    let signer = giver.signer(&behind, behind.config()).await;
    giver.0.failures.store(2, Ordering::SeqCst);
    signer.sign(INPUT).await.unwrap();
    giver.0.failures.store(usize::MAX, Ordering::SeqCst);
    let before = giver.asked();
    let error = signer.sign(INPUT).await.unwrap_err();
    let told = (error.kind(), reason(&error));
    assert_eq!(told, (ErrorKind::Unavailable, KmsReason::NoCredentials));
    assert_eq!((behind.proxy.calls("Sign"), giver.asked() - before), (1, 3));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn credentials_are_asked_for_once_however_many_calls_find_them_expired() {
    let behind = Behind::new();
    let giver = Shared::of(&behind);
    let signer = giver.signer(&behind, behind.config()).await;
    assert_eq!(giver.asked(), 1);
    // All have their answer before the first of them is sent again.
    *giver.0.delay.lock().unwrap() = Duration::from_millis(600);
    behind.proxy.rule("Sign", Times::Next(20), Answer::error(400, "ExpiredTokenException"));
    for signed in join_all((0..20).map(|_| signer.sign(INPUT))).await {
        signed.unwrap();
    }
    assert_eq!((behind.proxy.calls("Sign"), giver.asked()), (40, 2));
    let events = behind.events();
    let is_told = |event: &&KmsEvent| matches!(event, KmsEvent::CredentialsReloaded { .. });
    assert_eq!(events.iter().filter(is_told).count(), 1);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_call_whose_new_credentials_come_late_is_not_sent() {
    let behind = Behind::new();
    let giver = Shared::of(&behind);
    let mut config = behind.config();
    config.limits.operation = Duration::from_millis(1_500);
    let signer = giver.signer(&behind, config).await;
    *giver.0.delay.lock().unwrap() = Duration::from_millis(800);
    behind.proxy.rule("Sign", Times::Next(1), Answer::error(400, "ExpiredTokenException"));
    let error = signer.sign(INPUT).await.unwrap_err();
    let told = (error.kind(), reason(&error));
    assert_eq!(told, (ErrorKind::Unavailable, KmsReason::NoCredentials));
    assert_eq!(behind.proxy.calls("Sign"), 1);
    // They are there for the next one.
    signer.sign(INPUT).await.unwrap();
    assert_eq!((behind.proxy.calls("Sign"), giver.asked()), (2, 2));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn the_wait_for_a_turn_is_part_of_the_time_of_a_call() {
    for (operation_ms, is_late) in [(1_500, true), (4_000, false)] {
        let behind = Behind::new();
        let mut config = behind.config();
        config.limits.operation = Duration::from_millis(operation_ms);
        config.limits.wait = Duration::from_secs(5);
        config.limits.sign_per_second = 1.try_into().unwrap();
        let signer = Shared::of(&behind).signer(&behind, config).await;
        signer.sign(INPUT).await.unwrap();
        // A second's wait and an attempt of 1.2 seconds.
        let second = signer.sign(INPUT).await;
        assert_eq!(behind.proxy.calls("Sign"), if is_late { 1 } else { 2 });
        if is_late {
            let error = second.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Throttled { retry_after: Some(_) }));
            assert!(matches!(reason(&error), KmsReason::OwnLimit { .. }), "{error}");
        } else {
            second.unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn openings_wait_their_turn_and_an_emergency_does_not_wait_for_them() {
    let behind = Behind::new();
    let made = behind.backend();
    let one = record(&made, &request("one", Algorithm::EcdsaSecp256k1)).await;
    let two = record(&made, &request("two", Algorithm::EcdsaSecp256k1)).await;
    let mut config = behind.config();
    config.limits.look_per_second = 2.try_into().unwrap();
    config.limits.manage_per_second = 10.try_into().unwrap();
    config.limits.wait = Duration::ZERO;
    let backend = KmsBackend::new(behind.kms_with(config)).unwrap();
    let since = Instant::now();
    // Two looks each, of which two leave at once.
    let openings = async {
        let opened = join_all((0..4).map(|_| backend.signer(&one))).await;
        (opened.into_iter().filter(Result::is_ok).count(), since.elapsed())
    };
    let emergency = async {
        backend.disable(&two).await.unwrap();
        since.elapsed()
    };
    let ((opened, last), disabled) = join(openings, emergency).await;
    assert_eq!(opened, 4);
    assert!(last >= Duration::from_millis(1_000), "{last:?}: they share a bucket");
    assert!(disabled < Duration::from_millis(900), "{disabled:?}");
    assert!(made.signer(&two).await.is_err());
}
