//! What a small house of tests is made of: rules and payloads of the testkit, software keys.

use std::sync::Arc;
use std::time::Duration;

use custody_core::amount::{Asset, Units};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Config, Custodian, CustodianBuilder, Genesis};
use custody_core::id::{BackendId, CustodianId};
use custody_core::seam::{
    AuditLog, Clock, Decoder, Entropy, HeadAnchor, PolicyDocument, Spawner, Store,
};
use custody_soft::SoftBackend;
use custody_testkit::backend::MemoryKeyEncryption;
use custody_testkit::decoder::TestTransfer;
use custody_testkit::failpoint::Failpoints;
use custody_testkit::key::TestKey;
use custody_testkit::oracle::{Oracle, Promises};
use custody_testkit::people::People;
use custody_testkit::policy::TestRules;

use super::doubles::{Clerk, Reader};
use super::panics::Panics;
use super::switches::{Switched, Switches};
use crate::Failure;

/// The seams of one life of a custodian, without failpoints.
#[derive(Clone, Debug)]
pub struct Seams {
    /// Records and events.
    pub store: Arc<dyn Store>,
    /// The log over them.
    pub log: Arc<dyn AuditLog>,
    /// Where its newest head is kept.
    pub anchor: Arc<dyn HeadAnchor>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, other than in any life before.
    pub entropy: Arc<dyn Entropy>,
    /// Where tasks run.
    pub spawner: Arc<dyn Spawner>,
    /// The panics that no failpoint planned.
    pub panics: Panics,
    /// Which keys are off at their backend.
    pub switches: Switches,
    /// How long the store, the log and the anchor may take for one call.
    pub store_timeout: Duration,
}

impl Seams {
    /// A custodian over these seams, with failpoints around each of them.
    pub fn builder(&self, points: &Failpoints) -> Result<CustodianBuilder, Failure> {
        let kek = points.kek(Arc::new(MemoryKeyEncryption::seeded(7)));
        let (entropy, clock) = (Arc::clone(&self.entropy), Arc::clone(&self.clock));
        let software = SoftBackend::new(BackendId::parse("software")?, kek, entropy, clock)?;
        let backend = Switched::new(Arc::new(software), self.switches.clone());
        let store_timeout = self.store_timeout;
        let config = Config { snapshot_interval: 24, store_timeout, ..Config::default() };
        Ok(Custodian::builder()
            .config(config)
            .store(points.store(Arc::clone(&self.store)))
            .audit(points.log(Arc::clone(&self.log)))
            .anchor(points.anchor(Arc::clone(&self.anchor)))
            .clock(points.clock(Arc::clone(&self.clock)))
            .entropy(points.entropy(Arc::clone(&self.entropy)))
            .spawner(points.spawner(Arc::clone(&self.spawner)))
            .policy(points.compiler(Arc::new(TestRules::new())))
            .decoder(points.decoder(Arc::new(Reader::new())))
            .backend(points.backend(Arc::new(backend)))
            .extension(points.handler(Arc::new(Clerk::new()?))))
    }
}

/// A world in which a custodian lives once and again.
pub trait World {
    /// One life, from its seams to its end: when `life` is done, nothing of it goes on.
    ///
    /// # Errors
    /// If the seams cannot be opened; and with the errors of `life`.
    fn live<T>(
        &mut self,
        life: impl AsyncFnOnce(Seams) -> Result<T, Failure>,
    ) -> Result<T, Failure>;

    /// Reads everything that is kept between the lives, where nobody else would find that some of
    /// it is damaged.
    ///
    /// # Errors
    /// If something is, and if it cannot be read.
    fn verify(&self) -> Result<(), Failure>;
}

/// Olivia gives commands, otto pays, theo and tara approve.
#[must_use]
pub fn people() -> People {
    People::new(&[
        ("olivia", &["operator", "administrator"]),
        ("otto", &["operator"]),
        ("theo", &["treasurer"]),
        ("tara", &["treasurer"]),
    ])
}

/// Who is there from the start, and by which rules.
#[must_use]
pub fn genesis() -> Genesis {
    let assets = vec![Asset::new(TestTransfer::coin(), 0)];
    Genesis { policy: policy("the first"), principals: people().principals(), assets }
}

/// Every command, and transfers; with a spender besides, two treasurers must approve.
#[must_use]
pub fn policy(remark: &str) -> PolicyDocument {
    let allowed = [
        "transfer",
        "create_wallet",
        "derive_account",
        "create_key",
        "activate_key",
        "suspend_key",
        "resume_key",
        "deactivate_key",
        "destroy_key",
        "cancel_destroy",
        "reseal_keys",
        "register_descriptor",
        "rotate_log_key",
        "update_policy",
        "resolve_order",
        "extension",
        "freeze",
        "thaw",
    ];
    let allowed: String = allowed.iter().map(|action| format!("allow {action}\n")).collect();
    let roles = ["operator", "treasurer", "administrator"];
    let rules = format!("{allowed}need treasurer 2 approve\nlimit-day {A_DAY}\n# {remark}\n");
    TestRules::document(&roles, &rules)
}

/// The keys of the log, in the order in which they are rotated to.
#[must_use]
pub fn log_keys() -> Vec<TestKey> {
    [99, 98, 97].map(|seed| TestKey::seeded(Algorithm::Ed25519, seed)).to_vec()
}

/// An oracle that has read and heard nothing.
#[must_use]
pub fn oracle(id: CustodianId) -> Oracle {
    let decoders: Vec<Arc<dyn Decoder>> = vec![Arc::new(Reader::new())];
    let promises = Promises {
        asset: Some(TestTransfer::coin()),
        a_day: Some(Units::from(A_DAY)),
        alone: Some((Units::from(ALONE), 2)),
    };
    Oracle::new(id, Arc::new(TestRules::new()), decoders, promises)
}

/// What may leave a wallet in a day.
pub const A_DAY: u64 = 1_000;
/// What the workloads move without approvals, at most.
pub const ALONE: u64 = 400;
