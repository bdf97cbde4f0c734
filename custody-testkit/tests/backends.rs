//! The suites of backends, signers and key encryptions hold for the honest doubles, and find each
//! lie of the lying ones.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

#[path = "backends/doubles.rs"]
mod doubles;

use std::sync::Arc;

use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::{CustodianId, KeyId, WalletId};
use custody_core::seam::{Exportability, KeyBackend, KeyEncryption, KeyRecord, KeyRequest, Signer};
use custody_testkit::backend::{
    BackendLie, FailingBackend, KekLie, LyingBackend, MemoryBackend, MemoryKeyEncryption,
};
use custody_testkit::suite::key_backend::{
    self as checks, Ability, KeyBackendFixture, KeyLifetime, Rotated,
};
use custody_testkit::suite::key_encryption::{self as kek_checks, KeyEncryptionFixture};
use custody_testkit::suite::run_failing;
use custody_testkit::suite::signer::SignerFixture;
use futures::future::BoxFuture;

fn fixture(backend: MemoryBackend) -> KeyBackendFixture {
    let other = MemoryBackend::seeded("memory", 2);
    let kek = backend.kek().map(|kek| kek.id().clone());
    let (again, before) = (backend.clone(), backend.clone());
    let fixture = KeyBackendFixture::new(Arc::new(backend), Arc::new(other), KeyLifetime::Backend)
        .with_reopen(move || {
            let backend = again.clone();
            Box::pin(async move { Arc::new(backend) as Arc<_> })
        })
        .with_rotation(move || rotated(&before));
    match kek {
        Some(kek) => fixture.with_abilities(&Ability::ALL).with_wrapping_under(kek),
        None => fixture,
    }
}

/// The backend under another key-encrypting key.
fn rotated(backend: &MemoryBackend) -> BoxFuture<'static, Rotated> {
    let rotated = backend.rotated();
    let (with_previous, alone) = (Arc::new(rotated.clone()), Arc::new(rotated.without_previous()));
    Box::pin(async move { Rotated { with_previous, alone } })
}

fn honest() -> MemoryBackend {
    MemoryBackend::seeded("memory", 1)
}

fn request(algorithm: Algorithm) -> KeyRequest {
    KeyRequest {
        custodian: CustodianId::new(Digest::of(b"house")),
        wallet: WalletId::parse("hot").unwrap(),
        key: KeyId::parse("key").unwrap(),
        algorithm,
        exportability: Exportability::Never,
    }
}

async fn generated(backend: &dyn KeyBackend, algorithm: Algorithm) -> KeyRecord {
    let request = request(algorithm);
    let new = backend.generate(&request).await.unwrap();
    KeyRecord {
        custodian: request.custodian,
        wallet: request.wallet,
        key: request.key,
        public_key: new.public_key,
        handle: new.handle,
    }
}

async fn signer(algorithm: Algorithm) -> Arc<dyn Signer> {
    let backend = honest();
    let record = generated(&backend, algorithm).await;
    backend.signer(&record).await.unwrap()
}

mod memory {
    custody_testkit::key_backend_suite!(super::fixture(super::honest()));
}

mod memory_that_answers_with_high_s {
    custody_testkit::key_backend_suite!(super::fixture(super::honest().with_high_s()));
}

mod memory_with_one_algorithm_and_no_abilities {
    use super::Algorithm;

    custody_testkit::key_backend_suite!(super::fixture(
        super::honest().with_algorithms(&[Algorithm::Ed25519]).with_abilities(&[])
    ));
}

mod failing_without_faults {
    use super::*;

    fn passing() -> KeyBackendFixture {
        let backend = honest();
        let kek = backend.kek().unwrap().id().clone();
        let other = MemoryBackend::seeded("memory", 2);
        let failing = FailingBackend::new(Arc::new(backend.clone()));
        KeyBackendFixture::new(Arc::new(failing), Arc::new(other), KeyLifetime::Backend)
            .with_abilities(&Ability::ALL)
            .with_rotation(move || rotated(&backend))
            .with_wrapping_under(kek)
    }

    custody_testkit::key_backend_suite!(passing());
}

mod signer_of_each_algorithm {
    use super::{Algorithm, SignerFixture, signer};

    mod bip340 {
        use super::*;
        custody_testkit::signer_suite!(SignerFixture::new(signer(Algorithm::Bip340).await));
    }

    mod ed25519 {
        use super::*;
        custody_testkit::signer_suite!(SignerFixture::new(signer(Algorithm::Ed25519).await));
    }

    mod p256 {
        use super::*;
        custody_testkit::signer_suite!(SignerFixture::new(signer(Algorithm::EcdsaP256).await));
    }
}

fn kek(lie: Option<KekLie>) -> KeyEncryptionFixture {
    let make = move |seed| {
        let kek = MemoryKeyEncryption::seeded(seed);
        let kek = match lie {
            Some(lie) => kek.lying(lie),
            None => kek,
        };
        Arc::new(kek) as Arc<dyn KeyEncryption>
    };
    KeyEncryptionFixture::new(make(1), make(2)).with_reopen(move || {
        let kek = make(1);
        Box::pin(async move { kek })
    })
}

mod memory_key_encryption {
    custody_testkit::key_encryption_suite!(super::kek(None));
}

/// Shows that a check fails on a backend with this lie, and says so in these words.
macro_rules! found {
    ($($name:ident: $lie:ident fails $($check:ident with $words:literal)*;)*) => {$(
        #[test]
        fn $name() {
            $(
                let said = run_failing(stringify!($check), async {
                    let backend = |number| {
                        Arc::new(LyingBackend::new("lying", number, BackendLie::$lie))
                    };
                    let lifetime = KeyLifetime::Backend;
                    let fixture = KeyBackendFixture::new(backend(1), backend(2), lifetime);
                    checks::$check(fixture).await;
                });
                assert!(said.contains($words), "{said}");
            )*
        }
    )*};
}

found! {
    a_backend_that_generates_the_undeclared_is_found: GeneratesUndeclared fails
        an_algorithm_not_declared_is_unsupported with "is not declared";
    a_backend_that_ignores_owners_is_found: IgnoresOwners fails
        a_handle_of_another_custodian_is_refused with "the key opens"
        a_handle_of_another_key_is_refused with "the key opens"
        a_handle_of_another_wallet_is_refused with "the key opens";
    a_backend_that_ignores_the_recorded_key_is_found: IgnoresRecordedKey fails
        a_recorded_public_key_of_another_key_is_refused with "the key opens";
    a_backend_that_reads_part_of_a_handle_is_found: IgnoresRestOfHandle fails
        a_cut_handle_never_signs with "a byte behind: it signs";
    a_backend_that_replays_is_found: Replays fails
        signatures_are_over_their_input_only with "the signature does not verify"
        sixteen_signers_sign_at_once with "the signature does not verify";
    a_backend_that_shares_keys_is_found: SharesKeys fails
        two_key_ids_never_share_a_key with "two key ids share a key";
    a_backend_that_signs_by_another_algorithm_is_found: SignsByAnotherAlgorithm fails
        each_algorithm_generates_keys_that_sign with "of another algorithm than the key";
    a_backend_that_signs_by_another_key_is_found: SignsByAnotherKey fails
        each_algorithm_generates_keys_that_sign with "the signature does not verify"
        signatures_are_over_their_input_only with "the signature does not verify"
        signers_sign_twice with "the signature does not verify";
    a_backend_that_signs_every_input_is_found: SignsEveryInput fails
        signers_refuse_the_wrong_kind_of_input with "the wrong kind was signed"
        signers_refuse_inputs_past_the_limits with "the wrong kind was signed";
    a_backend_that_signs_the_digest_is_found: SignsTheDigest fails
        signers_sign_inputs_at_the_limits with "the signature does not verify"
        signatures_are_over_their_input_only with "the signature does not verify";
    a_backend_that_signs_zeros_is_found: SignsZeros fails
        signers_sign_twice with "the signature does not verify"
        keys_sign_after_a_reopen with "the signature does not verify";
    a_backend_with_the_wrong_kind_is_found: WrongKind fails
        an_algorithm_not_declared_is_unsupported with "left: Unavailable";
}

/// Says what a check finds on a backend that lies about sealing keys anew.
macro_rules! resealing_found {
    ($($name:ident: $lie:ident fails $check:ident with $words:literal;)*) => {$(
        #[test]
        fn $name() {
            let said = run_failing(stringify!($check), async {
                let backend = |number| {
                    Arc::new(LyingBackend::new("lying", number, BackendLie::$lie))
                };
                let lifetime = KeyLifetime::Backend;
                let fixture = KeyBackendFixture::new(backend(1), backend(2), lifetime);
                let fixture = fixture.with_abilities(&[Ability::Resealing]);
                checks::$check(fixture).await;
            });
            assert!(said.contains($words), "{said}");
        }
    )*};
}

resealing_found! {
    a_backend_that_reseals_another_key_is_found:
        ResealsAnotherKey fails a_resealed_key_is_the_same_key with "another public key";
    a_backend_that_forgets_old_handles_is_found:
        ResealsAtOnce fails the_old_handle_of_a_resealed_key_still_opens with "does not open";
    a_backend_that_reseals_for_all_is_found:
        ResealsForAll fails resealing_what_was_made_for_others_is_refused with "belongs to others";
    a_backend_that_keeps_its_handles_is_found:
        ResealsInPlace fails a_resealed_key_is_the_same_key with "a handle came again";
}

/// A rotation after which a backend goes on under the old key-encrypting key, and one after which it
/// opens what was sealed under the old one without having it.
#[test]
fn a_rotation_that_changes_nothing_is_found() {
    type Rotation = fn(&MemoryBackend) -> (MemoryBackend, MemoryBackend);
    let rotations: [(Rotation, &str); 3] = [
        (|backend| (backend.clone(), backend.rotated().without_previous()), "the identity stayed"),
        (
            |backend| (backend.rotated(), backend.rotated()),
            "an old handle without the old key opens",
        ),
        (
            |backend| (backend.rotated(), backend.rotated().rotated().without_previous()),
            "the identity follows the old key",
        ),
    ];
    for (rotate, words) in rotations {
        let check = "what_is_resealed_opens_under_the_new_key_alone";
        let said = run_failing(check, async {
            let backend = honest();
            let fixture = fixture(backend.clone()).with_rotation(move || {
                let (with_previous, alone) = rotate(&backend);
                let (with_previous, alone) = (Arc::new(with_previous), Arc::new(alone));
                Box::pin(async move { Rotated { with_previous, alone } })
            });
            checks::what_is_resealed_opens_under_the_new_key_alone(fixture).await;
        });
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_fixture_that_reseals_and_offers_no_rotation_fails() {
    let said = run_failing("the_old_handle_of_a_resealed_key_still_opens", async {
        let (backend, other) = (honest(), MemoryBackend::seeded("memory", 2));
        let backend = backend.with_abilities(&[Ability::Resealing]);
        let lifetime = KeyLifetime::Backend;
        let fixture = KeyBackendFixture::new(Arc::new(backend), Arc::new(other), lifetime)
            .with_abilities(&[Ability::Resealing]);
        checks::the_old_handle_of_a_resealed_key_still_opens(fixture).await;
    });
    assert!(said.contains("offers a rotation"), "{said}");
}

/// Shows that a check fails on a key encryption with this lie, and says so in these words.
macro_rules! kek_found {
    ($($name:ident: $lie:ident fails $($check:ident with $words:literal)*;)*) => {$(
        #[test]
        fn $name() {
            $(
                let said = run_failing(stringify!($check), async {
                    kek_checks::$check(kek(Some(KekLie::$lie))).await;
                });
                assert!(said.contains($words), "{said}");
            )*
        }
    )*};
}

kek_found! {
    a_kek_with_anothers_id_is_found: AnotherKeysId fails
        another_key_has_another_id with "memory:one-for-all";
    a_kek_that_ignores_the_context_is_found: IgnoresContext fails
        a_changed_context_is_refused with "unwrapped all the same: none"
        concurrent_calls_do_not_mix with "unwrapped all the same: another";
    a_kek_that_ignores_a_byte_is_found: IgnoresLastByte fails
        a_changed_byte_is_refused with "unwrapped all the same: byte";
    a_kek_that_joins_the_context_is_found: JoinsContext fails
        a_changed_context_is_refused with "unwrapped all the same: an empty field more";
    a_kek_that_repeats_nonces_is_found: RepeatsNonces fails
        two_wrappings_of_one_data_key_differ with "two wrappings are the same bytes";
    a_kek_that_shows_the_data_key_is_found: ShowsDataKey fails
        the_data_key_does_not_show with "a part of the data key"
        a_changed_byte_is_refused with "unwrapped all the same: byte";
    a_kek_that_calls_refusals_unavailable_is_found: WrongKind fails
        another_key_refuses with "the other key: the backend failed to unwrap: Unavailable"
        foreign_bytes_are_refused with "0 times 0: the backend failed to unwrap: Unavailable"
        a_longer_or_shorter_wrapping_is_refused with "failed to unwrap: Unavailable";
}

#[test]
fn an_ability_that_is_not_declared_is_found_and_one_that_is_missing_too() {
    let said = run_failing("its_abilities_are_those_declared", async {
        let undeclared = fixture(honest()).with_abilities(&[Ability::Switch]);
        checks::its_abilities_are_those_declared(undeclared).await;
    });
    assert!(said.contains("right: [Switch]"), "{said}");
    let said = run_failing("derivation_is_deterministic", async {
        let missing = fixture(honest().with_abilities(&[])).with_abilities(&[Ability::Derivation]);
        checks::derivation_is_deterministic(missing).await;
    });
    assert!(said.contains("Derivation: present or not"), "{said}");
}
