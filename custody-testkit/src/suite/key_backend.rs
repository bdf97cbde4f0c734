//! The checks of [`KeyBackend`], its signers and its abilities.

mod abilities;
mod derivation;
mod generate;
mod handles;
mod import;
mod resealing;
mod signers;
mod switch;
mod wrapping;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use custody_core::crypto::{Algorithm, SignInput};
use custody_core::digest::Digest;
use custody_core::id::{CustodianId, KekId, KeyId, WalletId};
use custody_core::seam::{
    Exportability, KeyBackend, KeyRecord, KeyRequest, NewKey, NewSeed, SeedRecord, SeedRequest,
    Signer,
};
use futures::future::BoxFuture;

use super::Guard;
use super::signer::SignerFixture;

pub use abilities::*;
pub use derivation::*;
pub use generate::*;
pub use handles::*;
pub use import::*;
pub use resealing::*;
pub use signers::*;
pub use switch::*;
pub use wrapping::*;

/// Makes every check of a backend a test of its own.
///
/// `$make` is evaluated for each test, may `.await`, and yields a [`KeyBackendFixture`]. Put each
/// use in a module of its own.
///
/// What needs a device or a service says so: `key_backend_suite!(ignore = "needs …"; $make)` gives each
/// test the attribute `#[ignore]` with this reason.
#[macro_export]
macro_rules! key_backend_suite {
    (ignore = $reason:literal; $make:expr) => {
        $crate::key_backend_suite! { @checks [ignore = $reason] $make }
    };
    ($make:expr) => {
        $crate::key_backend_suite! { @checks [] $make }
    };
    (@checks [$($attribute:meta)?] $make:expr) => {
        $crate::key_backend_suite! { @tests [$($attribute)?] $make;
            a_changed_handle_never_signs
            a_cut_handle_never_signs
            a_derived_key_is_bound_like_a_generated_one
            a_destroyed_key_never_signs
            a_disabled_key_signs_only_after_it_is_enabled
            a_foreign_handle_never_signs
            a_handle_fits_its_limit
            a_handle_of_another_custodian_is_refused
            a_handle_of_another_key_is_refused
            a_handle_of_another_wallet_is_refused
            a_key_not_exportable_is_not_wrapped
            a_recorded_public_key_of_another_key_is_refused
            a_refused_import_does_not_show_its_bytes
            a_resealed_key_is_the_same_key
            a_resealed_seed_is_the_same_seed
            a_seed_made_for_others_is_refused
            a_wrapped_key_comes_back
            a_wrapped_key_that_was_changed_is_refused
            an_algorithm_not_declared_is_unsupported
            an_attestation_is_over_its_nonce
            an_imported_key_is_that_key
            an_unexpected_import_is_refused
            another_backend_does_not_open_its_keys
            derivation_gives_the_published_keys
            derivation_is_deterministic
            each_algorithm_generates_keys_that_sign
            extended_public_keys_give_the_derived_keys
            generating_again_gives_the_key_its_lifetime_promises
            imported_keys_are_bound_like_generated_ones
            imported_seeds_have_16_to_64_bytes
            it_is_ready
            its_abilities_are_those_declared
            its_identity_is_stable
            its_kek_wraps_data_keys
            keys_sign_after_a_reopen
            resealing_a_changed_handle_is_refused
            resealing_what_was_made_for_others_is_refused
            signatures_are_over_their_input_only
            signers_sign_inputs_at_the_limits
            signers_refuse_inputs_past_the_limits
            signers_refuse_the_wrong_kind_of_input
            signers_sign_twice
            signers_tell_the_recorded_key
            sixteen_signers_sign_at_once
            switching_is_idempotent
            the_old_handle_of_a_resealed_key_still_opens
            two_key_ids_never_share_a_key
            what_cannot_be_derived_is_unsupported
            what_cannot_be_wrapped_is_refused
            what_is_resealed_opens_under_the_new_key_alone
        }
    };
    (@tests $attribute:tt $make:expr; $($check:ident)*) => {$(
        $crate::key_backend_suite! { @test $attribute $make; $check }
    )*};
    (@test [$($attribute:meta)?] $make:expr; $check:ident) => {
        #[test]
        $(#[$attribute])?
        fn $check() {
            $crate::suite::run(stringify!($check), async {
                $crate::suite::key_backend::$check($make).await
            });
        }
    };
}

/// A rare ability of a backend, as a fixture declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "the abilities of the seam")]
pub enum Ability {
    /// `attestation()`.
    Attestation,
    /// `derivation()`.
    Derivation,
    /// `import()`.
    Import,
    /// `kek()`.
    KeyEncryption,
    /// `resealing()`.
    Resealing,
    /// `switch()`.
    Switch,
    /// `wrapping()`.
    Wrapping,
}

impl Ability {
    /// All abilities.
    pub const ALL: [Self; 7] = [
        Self::Attestation,
        Self::Derivation,
        Self::Import,
        Self::KeyEncryption,
        Self::Resealing,
        Self::Switch,
        Self::Wrapping,
    ];

    fn of(backend: &dyn KeyBackend) -> Vec<Self> {
        let has = |ability: &Self| match ability {
            Self::Attestation => backend.attestation().is_some(),
            Self::Derivation => backend.derivation().is_some(),
            Self::Import => backend.import().is_some(),
            Self::KeyEncryption => backend.kek().is_some(),
            Self::Resealing => backend.resealing().is_some(),
            Self::Switch => backend.switch().is_some(),
            Self::Wrapping => backend.wrapping().is_some(),
        };
        Self::ALL.into_iter().filter(has).collect()
    }
}

/// Where a generated key lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a key outlives the call in its backend or it does not"
)]
pub enum KeyLifetime {
    /// At the backend: a second call with the same key id gives the same key.
    Backend,
    /// In its handle alone: a second call gives another key.
    Handle,
}

/// What the backend suite needs.
pub struct KeyBackendFixture {
    backend: Arc<dyn KeyBackend>,
    other: Arc<dyn KeyBackend>,
    lifetime: KeyLifetime,
    abilities: Vec<Ability>,
    derivable: Vec<Algorithm>,
    wrappable: Option<Vec<Algorithm>>,
    message_bytes: Option<RangeInclusive<usize>>,
    wrapped_under: Option<KekId>,
    rotation: Option<Rotation>,
    reopen: Option<Reopen>,
    guard: Option<Guard>,
}

/// A backend after its key-encrypting key was replaced.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "fixtures build it")]
pub struct Rotated {
    /// It has the earlier key-encrypting key as well.
    pub with_previous: Arc<dyn KeyBackend>,
    /// It has the new one alone.
    pub alone: Arc<dyn KeyBackend>,
}

type Rotation = Box<dyn FnMut() -> BoxFuture<'static, Rotated> + Send>;

type Reopen = Box<dyn FnMut() -> BoxFuture<'static, Arc<dyn KeyBackend>> + Send>;

impl KeyBackendFixture {
    /// A backend without abilities, and another one of the same kind with keys of its own (another
    /// key encryption, token or account).
    #[must_use]
    pub fn new(
        backend: Arc<dyn KeyBackend>,
        other: Arc<dyn KeyBackend>,
        lifetime: KeyLifetime,
    ) -> Self {
        Self {
            backend,
            other,
            lifetime,
            abilities: Vec::new(),
            derivable: vec![Algorithm::Bip340, Algorithm::EcdsaSecp256k1, Algorithm::Ed25519],
            wrappable: None,
            message_bytes: None,
            wrapped_under: None,
            rotation: None,
            reopen: None,
            guard: None,
        }
    }

    /// The abilities it has; all others are asserted as missing.
    #[must_use]
    pub fn with_abilities(mut self, abilities: &[Ability]) -> Self {
        self.abilities = abilities.to_vec();
        self
    }

    /// The algorithms it derives keys for; all others must be `Unsupported`. Without a word:
    /// BIP-340, ECDSA over secp256k1 and Ed25519.
    #[must_use]
    pub fn with_derivable(mut self, algorithms: &[Algorithm]) -> Self {
        self.derivable = algorithms.to_vec();
        self
    }

    /// The algorithms whose keys it wraps; all others must be refused when they are to be wrapped.
    /// Without a word: all that it generates keys for.
    #[must_use]
    pub fn with_wrappable(mut self, algorithms: &[Algorithm]) -> Self {
        self.wrappable = Some(algorithms.to_vec());
        self
    }

    /// The lengths of messages that it signs; see [`SignerFixture::with_message_bytes`].
    #[must_use]
    pub fn with_message_bytes(mut self, lengths: RangeInclusive<usize>) -> Self {
        self.message_bytes = Some(lengths);
        self
    }

    /// The key under which it wraps keys; needed if wrapping is among its abilities.
    #[must_use]
    pub fn with_wrapping_under(mut self, kek: KekId) -> Self {
        self.wrapped_under = Some(kek);
        self
    }

    /// How to open the same backend under another key-encrypting key; needed if resealing is among
    /// its abilities.
    #[must_use]
    pub fn with_rotation(
        mut self,
        rotation: impl FnMut() -> BoxFuture<'static, Rotated> + Send + 'static,
    ) -> Self {
        self.rotation = Some(Box::new(rotation));
        self
    }

    /// How to open the same backend again, as after a restart. Without it the suite uses the one
    /// that is open.
    #[must_use]
    pub fn with_reopen(
        mut self,
        reopen: impl FnMut() -> BoxFuture<'static, Arc<dyn KeyBackend>> + Send + 'static,
    ) -> Self {
        self.reopen = Some(Box::new(reopen));
        self
    }

    /// Keeps something alive as long as the fixture.
    #[must_use]
    pub fn with_guard(mut self, guard: impl std::any::Any + Send) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }

    /// Whether the ability is declared. Fails if the backend says otherwise.
    fn has(&self, ability: Ability) -> bool {
        let declared = self.abilities.contains(&ability);
        let present = Ability::of(&*self.backend).contains(&ability);
        assert_eq!(present, declared, "{ability:?}: present or not, declared or not");
        declared
    }

    /// Whether keys of this algorithm are wrapped.
    fn wraps(&self, algorithm: Algorithm) -> bool {
        self.wrappable.as_ref().is_none_or(|wrappable| wrappable.contains(&algorithm))
    }

    async fn generate(&self, request: &KeyRequest) -> KeyRecord {
        let answer = self.backend.generate(request).await;
        let key = answer.unwrap_or_else(|error| panic!("{}: {error}", request.algorithm));
        assert_eq!(key.public_key.algorithm(), request.algorithm);
        record_of(request, key)
    }

    async fn signer(&self, record: &KeyRecord) -> Arc<dyn Signer> {
        let answer = self.backend.signer(record).await;
        let algorithm = record.public_key.algorithm();
        answer.unwrap_or_else(|error| panic!("the key {algorithm} does not open: {error}"))
    }

    fn signer_fixture(&self, signer: Arc<dyn Signer>) -> SignerFixture {
        let fixture = SignerFixture::new(signer);
        match self.message_bytes.clone() {
            Some(lengths) => fixture.with_message_bytes(lengths),
            None => fixture,
        }
    }

    /// Signs once with the recorded key and verifies.
    async fn assert_signs(&self, record: &KeyRecord) {
        let signer = self.signer(record).await;
        assert_eq!(*signer.public_key(), record.public_key, "the signer has another public key");
        let fixture = self.signer_fixture(signer);
        super::signer::signing_twice_gives_two_signatures_that_verify(fixture).await;
    }
}

impl fmt::Debug for KeyBackendFixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyBackendFixture").field("backend", &self.backend).finish_non_exhaustive()
    }
}

fn custodian(name: &str) -> CustodianId {
    CustodianId::new(Digest::of(name.as_bytes()))
}

/// A request for a key whose id is `key` and the algorithm, so that no two algorithms share an id.
fn request(key: &str, algorithm: Algorithm) -> KeyRequest {
    KeyRequest {
        custodian: custodian("house"),
        wallet: WalletId::parse("hot").unwrap(),
        key: KeyId::parse(&format!("{key}-{algorithm}")).unwrap(),
        algorithm,
        exportability: Exportability::Never,
    }
}

fn seed_request(key: &str) -> SeedRequest {
    SeedRequest {
        custodian: custodian("house"),
        wallet: WalletId::parse("hot").unwrap(),
        key: KeyId::parse(key).unwrap(),
    }
}

fn record_of(request: &KeyRequest, key: NewKey) -> KeyRecord {
    KeyRecord {
        custodian: request.custodian,
        wallet: request.wallet.clone(),
        key: request.key.clone(),
        public_key: key.public_key,
        handle: key.handle,
    }
}

fn seed_record(request: &SeedRequest, seed: NewSeed) -> SeedRecord {
    SeedRecord {
        custodian: request.custodian,
        wallet: request.wallet.clone(),
        key: request.key.clone(),
        handle: seed.handle,
    }
}

/// Some input of the kind that the algorithm signs.
fn any_input(algorithm: Algorithm) -> SignInput<'static> {
    if algorithm.signs_prehash() {
        return SignInput::Prehash(&[7; 32]);
    }
    SignInput::Message(&[7; 32])
}
