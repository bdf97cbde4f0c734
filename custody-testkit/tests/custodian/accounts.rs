//! What a custodian tells of the accounts of a seed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Custodian, Error};
use custody_core::id::{BackendId, BackendIdentity, KeyId, WalletId};
use custody_core::seam::{
    BackendError, DerivationPath, ErrorKind, ExtendedPublicKey, Health, KeyBackend, KeyDerivation,
    KeyRecord, KeyRequest, NewKey, NewSeed, SeedRecord, SeedRequest, Signer,
};
use custody_testkit::backend::{BackendCall, DenyingBackend, MemoryBackend, SlowBackend};

use crate::house::{House, Parts, create_wallet, furnish, govern, said};

const ACCOUNT: &str = "m/84'/0'/0'";

async fn ask(custodian: &Custodian, path: &str) -> Result<ExtendedPublicKey, Error> {
    let wallet = WalletId::parse("hot").unwrap();
    custodian.account_key(&wallet, &DerivationPath::parse(path).unwrap()).await
}

fn kind(answer: Result<ExtendedPublicKey, Error>) -> ErrorKind {
    match answer {
        Err(Error::Backend(error)) => error.kind(),
        other => panic!("{other:?}"),
    }
}

/// A custodian whose wallet has a seed.
async fn seeded(house: &House, backend: Arc<dyn KeyBackend>) -> Custodian {
    let custodian = house.create(Parts { backend, ..house.parts() }).await.unwrap();
    let seed = KeyId::parse("seed").unwrap();
    assert_eq!(said(&govern(&custodian, "wallet", create_wallet(Some(seed))).await), "released");
    custodian
}

#[test]
fn an_account_is_told_again_and_again_and_nothing_is_written() {
    let house = House::new();
    house.run(async {
        let custodian = seeded(&house, Arc::new(house.keys.clone())).await;
        let events = house.events();
        let found = ask(&custodian, ACCOUNT).await.unwrap();
        assert_eq!(found.path.to_string(), ACCOUNT);
        assert_eq!(found.public_key.algorithm(), Algorithm::EcdsaSecp256k1);
        assert_eq!(ask(&custodian, ACCOUNT).await.unwrap(), found);
        let other = ask(&custodian, "m/84'/0'/1'").await.unwrap();
        assert_ne!(other.public_key, found.public_key);
        assert_eq!(other.root_fingerprint, found.root_fingerprint);
        assert_eq!(house.events(), events);
        house.assert_unused();
    });
}

#[test]
fn nothing_above_or_below_accounts_is_told() {
    let house = House::new();
    house.run(async {
        let custodian = seeded(&house, Arc::new(house.keys.clone())).await;
        for path in ["m", "m/84'/0'/0", "m/84/0'/0'", "m/84'/0'/0'/0/7"] {
            let refused = ask(&custodian, path).await;
            assert!(matches!(refused, Err(Error::Request { .. })), "{path}: {refused:?}");
        }
    });
}

#[test]
fn wallets_without_a_seed_have_no_accounts() {
    let house = House::new();
    house.run(async {
        let custodian = house.create(house.parts()).await.unwrap();
        let refused = ask(&custodian, ACCOUNT).await;
        assert!(matches!(refused, Err(Error::NotFound { what: "wallet" })), "{refused:?}");
        furnish(&custodian).await;
        let refused = ask(&custodian, ACCOUNT).await;
        let expected = "seed of the wallet";
        assert!(matches!(refused, Err(Error::NotFound { what }) if what == expected));
    });
}

#[test]
fn a_backend_that_denies_or_hangs_tells_nothing() {
    let house = House::new();
    house.run(async {
        let backend = Arc::new(DenyingBackend::new(Arc::new(house.keys.clone())));
        backend.denial().deny_only(&[BackendCall::ExtendedPublicKey]);
        let custodian = seeded(&house, Arc::<DenyingBackend>::clone(&backend)).await;
        assert_ne!(kind(ask(&custodian, ACCOUNT).await), ErrorKind::Indeterminate);
        assert_eq!(backend.denial().denied(), [BackendCall::ExtendedPublicKey]);
        custodian.close().await.unwrap();
        let id = custodian.id();
        drop(custodian);
        let clock = Arc::new(house.clock.clone());
        let late = SlowBackend::new(Arc::new(house.keys.clone()), clock, Duration::from_secs(11));
        let parts = Parts { backend: Arc::new(late), ..house.parts() };
        let custodian = house.builder(parts).open(id).await.unwrap();
        assert_eq!(kind(ask(&custodian, ACCOUNT).await), ErrorKind::Unavailable);
    });
}

#[test]
fn the_key_of_another_account_is_not_passed_on() {
    for lie in [Lie::Algorithm, Lie::Panic, Lie::Path] {
        let house = House::new();
        house.run(async {
            let lying = Lying { inner: house.keys.clone(), lie };
            let custodian = seeded(&house, Arc::new(lying)).await;
            let expected = match lie {
                Lie::Panic => ErrorKind::Unavailable,
                Lie::Algorithm | Lie::Path => ErrorKind::Corrupt,
            };
            assert_eq!(kind(ask(&custodian, ACCOUNT).await), expected, "{lie:?}");
        });
    }
}

/// A backend that tells something else than it is asked for.
#[derive(Debug)]
struct Lying {
    inner: MemoryBackend,
    lie: Lie,
}

#[derive(Clone, Copy, Debug)]
enum Lie {
    Algorithm,
    Panic,
    Path,
}

#[async_trait]
impl KeyBackend for Lying {
    fn id(&self) -> &BackendId {
        self.inner.id()
    }

    fn identity(&self) -> &BackendIdentity {
        self.inner.identity()
    }

    fn algorithms(&self) -> &[Algorithm] {
        self.inner.algorithms()
    }

    fn in_process(&self) -> bool {
        self.inner.in_process()
    }

    async fn generate(&self, request: &KeyRequest) -> Result<NewKey, BackendError> {
        self.inner.generate(request).await
    }

    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        self.inner.signer(key).await
    }

    async fn health(&self) -> Health {
        self.inner.health().await
    }

    fn derivation(&self) -> Option<&dyn KeyDerivation> {
        Some(self)
    }
}

#[async_trait]
impl KeyDerivation for Lying {
    async fn generate_seed(&self, request: &SeedRequest) -> Result<NewSeed, BackendError> {
        self.inner.generate_seed(request).await
    }

    async fn derive(
        &self,
        seed: &SeedRecord,
        path: &DerivationPath,
        request: &KeyRequest,
    ) -> Result<NewKey, BackendError> {
        self.inner.derive(seed, path, request).await
    }

    async fn extended_public_key(
        &self,
        seed: &SeedRecord,
        path: &DerivationPath,
    ) -> Result<ExtendedPublicKey, BackendError> {
        let mut found = self.inner.extended_public_key(seed, path).await?;
        match self.lie {
            Lie::Algorithm => {
                found.public_key = custody_testkit::key::TestKey::seeded(Algorithm::Ed25519, 1)
                    .public_key()
                    .clone();
            }
            Lie::Panic => panic!("a backend that panics"),
            Lie::Path => found.path = DerivationPath::parse("m/84'/0'/9'").unwrap(),
        }
        Ok(found)
    }
}
