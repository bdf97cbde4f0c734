//! Backends and their signers that deny.

use std::sync::Arc;

use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::Custodian;
use custody_core::id::{KeyId, WalletId};
use custody_core::seam::DerivationPath;
use custody_testkit::backend::{BackendCall, DenyingBackend};

use crate::house::{House, Parts, create_key, create_wallet, furnish, govern, key, pay, said};

/// A custodian over a backend that denies, and that backend.
async fn denied(house: &House) -> (Custodian, Arc<DenyingBackend>) {
    let backend = Arc::new(DenyingBackend::new(Arc::new(house.keys.clone())));
    let parts = Parts { backend: Arc::<DenyingBackend>::clone(&backend), ..house.parts() };
    (house.create(parts).await.unwrap(), backend)
}

#[test]
fn a_backend_that_denies_to_generate_leaves_no_key_to_sign_with() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = denied(&house).await;
        let wallet = govern(&custodian, "wallet", create_wallet(None)).await;
        assert_eq!(said(&wallet), "released");
        let made = govern(&custodian, "key", create_key(0)).await;
        assert_eq!(said(&made), "failed BackendRefused");
        assert!(custodian.key(&key(0)).is_none());
        assert!(pay(&custodian, "once").await.is_err());
        assert_eq!(backend.denial().denied(), [BackendCall::Generate]);
        house.assert_unused();
    });
}

#[test]
fn a_backend_that_denies_to_derive_leaves_no_key_to_sign_with() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = denied(&house).await;
        let seed = KeyId::parse("seed").unwrap();
        let made = govern(&custodian, "denied", create_wallet(Some(seed.clone()))).await;
        assert_eq!(said(&made), "failed BackendRefused");
        backend.denial().deny_only(&[BackendCall::Derive]);
        let made = govern(&custodian, "made", create_wallet(Some(seed))).await;
        assert_eq!(said(&made), "released");
        let derive = Command::DeriveAccount {
            wallet: WalletId::parse("hot").unwrap(),
            key: key(0),
            path: DerivationPath::parse("m/0'").unwrap(),
            algorithm: Algorithm::Ed25519,
            start: KeyStart::Active,
        };
        let derived = govern(&custodian, "derive", derive).await;
        assert_eq!(said(&derived), "failed BackendRefused");
        assert!(custodian.key(&key(0)).is_none());
        assert!(pay(&custodian, "once").await.is_err());
        let denied = [BackendCall::GenerateSeed, BackendCall::Derive];
        assert_eq!(backend.denial().denied(), denied);
        house.assert_unused();
    });
}

#[test]
fn a_backend_that_denies_to_open_a_key_or_to_sign_releases_nothing() {
    for call in [BackendCall::Signer, BackendCall::Sign] {
        let house = House::new();
        house.run(async {
            let (custodian, backend) = denied(&house).await;
            backend.denial().allow();
            furnish(&custodian).await;
            backend.denial().deny_only(&[call]);
            for _ in 0..2 {
                let answer = pay(&custodian, "denied").await;
                assert_eq!(said(&answer), "failed BackendRefused", "{call:?}");
            }
            assert_eq!(backend.denial().denied(), [call], "an answer is final");
            house.assert_unused();
            backend.denial().allow();
            assert_eq!(said(&pay(&custodian, "allowed").await), "released", "{call:?}");
            assert_eq!((house.keys.sign_calls(), house.signed()), (1, 1));
        });
    }
}

#[test]
fn a_signer_that_was_opened_before_its_backend_denies_releases_nothing_either() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = denied(&house).await;
        backend.denial().allow();
        furnish(&custodian).await;
        assert_eq!(said(&pay(&custodian, "before").await), "released");
        backend.denial().deny_all();
        assert_eq!(said(&pay(&custodian, "denied").await), "failed BackendRefused");
        assert_eq!((house.keys.sign_calls(), house.signed()), (1, 1));
        assert_eq!(backend.denial().denied(), [BackendCall::Sign]);
    });
}
