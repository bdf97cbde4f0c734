use custody_core::custodian::Outcome;
use custody_core::id::KeyId;
use custody_testkit::key::TestKey;

use crate::world::setup::LogKind;
use crate::world::work::{ETH, KNOWN};
use crate::world::{Kind, Setup, World, words};

#[tokio::test]
async fn a_small_payment_is_released_at_once_and_a_large_one_after_two_approvals() {
    for kind in Kind::ALL {
        for log in [LogKind::Memory, LogKind::Tiles] {
            let world = World::with(Setup { log, ..Setup::new(kind) }).await;
            let small = world.pay(ETH / 2, KNOWN, "small").await.unwrap();
            assert!(matches!(small.outcome, Outcome::Released(_)), "{small:?}");
            let large = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
            assert!(matches!(large.outcome, Outcome::Pending { .. }));
            let large = world.approve_all(large).await.unwrap();
            assert!(matches!(large.outcome, Outcome::Released(_)), "{large:?}");
            let oracle = world.verify().await;
            assert_eq!((oracle.report.released, world.sign_calls()), (2, 2));
            let world = world.reopen().await;
            assert_eq!(world.order(&large.order).await.unwrap(), large);
            assert_eq!(world.verify().await.report, oracle.report);
        }
    }
}

/// A world whose keys are sealed by the software backend, on the system's clock.
async fn software() -> World {
    let setup = Setup { real_time: true, log: LogKind::Tiles, ..Setup::new(Kind::Sqlite) };
    World::with(setup.software(3)).await
}

#[tokio::test]
async fn software_keys_in_real_time_sign_before_and_after_a_restart() {
    let mut world = software().await;
    for request in ["before", "after"] {
        assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, request).await), "released");
        world = world.reopen().await;
        assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, request).await), "released");
    }
    assert_eq!((world.sign_calls(), world.verify().await.report.released), (2, 2));
}

/// The same again in a process of its own, which logs all that it can and reports its secrets: the
/// wallet's key is among them, and no line holds one of them.
#[tokio::test]
async fn a_software_key_is_reported_to_the_search_for_secrets_and_logged_nowhere() {
    const TEST: &str = "smoke::software_keys_in_real_time_sign_before_and_after_a_restart";
    let folder = tempfile::tempdir().unwrap();
    let tap = folder.path().join("secrets.txt");
    let mut run = std::process::Command::new(std::env::current_exe().unwrap());
    run.args(["--exact", TEST, "--nocapture"]);
    run.env("CUSTODY_SECRET_TAP", &tap).env("RUST_LOG", "trace");
    let run = run.output().unwrap();
    let output = String::from_utf8([run.stdout, run.stderr].concat()).unwrap();
    assert!(run.status.success() && output.contains("1 passed"), "{output}");
    assert!(output.contains("TRACE"), "nothing is logged: {output}");
    let secrets = std::fs::read_to_string(tap).unwrap();
    let key = software().await.custodian.key(&KeyId::parse("hot.0").unwrap()).unwrap();
    let is_its_own = |secret: &str| {
        let private =
            TestKey::from_bytes(key.public_key().algorithm(), &hex::decode(secret).unwrap());
        private.is_some_and(|private| private.public_key() == key.public_key())
    };
    assert!(secrets.lines().any(is_its_own), "the wallet's key is not among {}", secrets.len());
    for secret in secrets.lines() {
        assert!(!output.to_lowercase().contains(secret), "a secret is logged");
    }
}
