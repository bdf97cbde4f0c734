//! The whole custodian with software keys under a key encryption that denies: no key is made, and
//! what would be signed with one that is there is not released.
//!
//! The denying doubles of the other seams have their tests beside them, in the testkit; software
//! keys are what has a key encryption.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests: a check fails by panicking"
)]

#[expect(dead_code, reason = "not every test binary uses all of it")]
#[path = "world/world.rs"]
mod world;

use std::sync::Arc;

use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::id::{BackendId, KeyId, WalletId};
use custody_core::seam::Exportability;
use custody_soft::SoftBackend;
use custody_testkit::backend::{BackendCall, DenyingKeyEncryption, MemoryKeyEncryption};
use custody_testkit::runtime::{TestClock, TestEntropy};

use world::work::{ETH, KNOWN};
use world::{Kind, Setup, World, words};

/// Software keys under a key encryption that allows as yet, and that key encryption.
fn keys() -> (Arc<SoftBackend>, Arc<DenyingKeyEncryption>) {
    let kek = Arc::new(DenyingKeyEncryption::new(Arc::new(MemoryKeyEncryption::seeded(1))));
    kek.denial().allow();
    let (entropy, clock) = (Arc::new(TestEntropy::seeded(3)), Arc::new(TestClock::new()));
    let id = BackendId::parse("software").unwrap();
    let sealing = Arc::<DenyingKeyEncryption>::clone(&kek);
    (Arc::new(SoftBackend::new(id, sealing, entropy, clock).unwrap()), kek)
}

async fn world(keys: &Arc<SoftBackend>) -> World {
    World::with(Setup::new(Kind::Memory).keys(Arc::<SoftBackend>::clone(keys))).await
}

#[tokio::test]
async fn a_key_encryption_that_denies_to_unwrap_releases_nothing() {
    let (keys, kek) = keys();
    let world = world(&keys).await;
    assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, "before").await), "released");
    kek.denial().deny_all();
    let world = world.reopen().await;
    keys.wipe();
    for _ in 0..2 {
        let answer = world.pay(ETH / 2, KNOWN, "denied").await;
        assert_eq!(words::of(&answer), "failed BackendRefused");
    }
    assert_eq!(kek.denial().denied(), [BackendCall::UnwrapDataKey]);
    let denied = ["submitted", "allowed", "failed BackendRefused"];
    assert_eq!(world.story_of("denied").await, denied);
    assert_eq!(world.verify().await.report.released, 1);
    kek.denial().allow();
    assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, "allowed").await), "released");
    assert_eq!(world.verify().await.report.released, 2);
}

#[tokio::test]
async fn a_key_encryption_that_denies_to_wrap_leaves_no_key_to_sign_with() {
    let (keys, kek) = keys();
    let world = world(&keys).await;
    kek.denial().deny_all();
    let answer = world.govern("denied", create_key("hot.1")).await;
    assert_eq!(words::of(&answer), "failed BackendRefused");
    assert_eq!(kek.denial().denied(), [BackendCall::WrapDataKey]);
    assert!(world.custodian.key(&KeyId::parse("hot.1").unwrap()).is_none());
    assert_eq!((world.sign_calls(), world.verify().await.report.released), (0, 0));
}

/// The command that makes the key `id` of the wallet `hot`.
fn create_key(id: &str) -> Command {
    Command::CreateKey {
        wallet: WalletId::parse("hot").unwrap(),
        key: KeyId::parse(id).unwrap(),
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    }
}
