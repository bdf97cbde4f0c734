//! Over ministack: the suites of the testkit, who may do what, and what is made of all that goes wrong
//! between us and KMS, which a proxy of ours does.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "kms/access.rs"]
mod access;
#[path = "world/account.rs"]
mod account;
#[path = "kms/adoption.rs"]
mod adoption;
#[path = "kms/conformance.rs"]
mod conformance;
#[path = "kms/making.rs"]
mod making;
#[path = "kms/naming.rs"]
mod naming;
#[path = "world/people.rs"]
mod people;
#[path = "world/ports.rs"]
mod ports;
#[path = "world/proxy.rs"]
mod proxy;
#[path = "kms/proxying.rs"]
mod proxying;
#[path = "kms/regions.rs"]
mod regions;
#[path = "kms/sealing.rs"]
mod sealing;
#[path = "kms/signing.rs"]
mod signing;
#[path = "world/stand_in.rs"]
mod stand_in;
#[path = "kms/switching.rs"]
mod switching;
#[path = "kms/waiting.rs"]
mod waiting;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use account::{Account, HOME};
use custody_core::seam::{BackendError, KeyRecord};
use custody_kms::{Kms, KmsBackend, KmsConfig, KmsEvent, KmsFault, KmsReason, Observer};
use proxy::{Answer, Proxy, Times};
use stand_in::told;

/// Where ministack is, which checks signatures, IAM and key policies.
const MINISTACK: &str = "CUSTODY_KMS_STAND_IN";

/// An account of the stand-in behind a proxy.
struct Behind {
    account: Account,
    proxy: Proxy,
    events: Arc<Mutex<Vec<KmsEvent>>>,
}

impl Behind {
    fn new() -> Self {
        let endpoint = told(MINISTACK);
        let proxy = Proxy::before(&endpoint);
        let account = Account::new(&endpoint);
        Self { account, proxy, events: Arc::default() }
    }

    /// Short limits, so that what hangs is noticed soon.
    fn config(&self) -> KmsConfig {
        let mut config = self.account.at(&self.proxy.url()).config();
        config.limits.connect = Duration::from_millis(300);
        config.limits.attempt = Duration::from_millis(1_200);
        config.limits.operation = Duration::from_secs(8);
        config
    }

    fn kms(&self) -> Kms {
        self.kms_with(self.config())
    }

    fn kms_with(&self, config: KmsConfig) -> Kms {
        let events = Arc::clone(&self.events);
        let observer = Observer::new(move |event| events.lock().unwrap().push(event.clone()));
        self.account.kms_with(config, observer)
    }

    fn backend(&self) -> KmsBackend {
        KmsBackend::new(self.kms()).unwrap()
    }

    /// KMS denies this from now on.
    fn deny(&self, operation: &str) {
        self.proxy.rule(operation, Times::Always, Answer::error(400, "AccessDeniedException"));
    }

    fn events(&self) -> Vec<KmsEvent> {
        self.events.lock().unwrap().clone()
    }
}

impl Account {
    /// The same account behind another address.
    pub(crate) fn at(&self, endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), ..self.clone() }
    }

    /// With these limits, at this account's address.
    pub(crate) fn kms_of(&self, config: KmsConfig) -> Kms {
        self.kms_with(config.with_endpoint(&self.endpoint).unwrap(), Observer::default())
    }

    /// How many keys there are.
    pub(crate) async fn keys(&self) -> usize {
        self.sdk(HOME).list_keys().limit(1_000).send().await.unwrap().keys().len()
    }
}

/// The key of KMS behind a handle.
fn arn(record: &KeyRecord) -> String {
    String::from_utf8(record.handle.as_bytes().get(33..).unwrap().to_vec()).unwrap()
}

/// Why KMS failed, from the source of an error.
fn reason(error: &BackendError) -> KmsReason {
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        if let Some(fault) = error.downcast_ref::<KmsFault>() {
            return fault.reason.clone();
        }
        next = error.source();
    }
    panic!("no fault of KMS behind {error:?}")
}
