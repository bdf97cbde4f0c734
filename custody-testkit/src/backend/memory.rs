//! Opens secrets, of tests only.

mod abilities;
mod resealing;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, BackendIdentity, CustodianId, KeyId, WalletId};
use custody_core::seam::{
    Attestation, BackendError, Entropy, ErrorKind, Exportability, Health, KeyBackend,
    KeyDerivation, KeyEncryption, KeyHandle, KeyImport, KeyRecord, KeyRequest, KeyResealing,
    KeySwitch, KeyWrapping, NewKey, Signer,
};
use custody_core::secret::Secret;

use super::MemoryKeyEncryption;
use crate::key::TestKey;
use crate::runtime::TestEntropy;
use crate::suite::key_backend::Ability;
use resealing::{Seal, Seals};

/// An honest backend with keys in memory, all algorithms and all abilities. Clones are one
/// backend, so that a clone survives a restart of the custodian.
///
/// Keys live at the backend: a second call with one key id gives the same key.
#[derive(Clone)]
pub struct MemoryBackend {
    id: BackendId,
    identity: BackendIdentity,
    /// What handles were sealed under, and which of that the backend still has.
    seals: Seals,
    algorithms: Vec<Algorithm>,
    abilities: Vec<Ability>,
    in_process: bool,
    high_s: bool,
    entropy: Arc<dyn Entropy>,
    kek: Arc<MemoryKeyEncryption>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    keys: BTreeMap<Vec<u8>, Entry>,
    seeds: BTreeMap<Vec<u8>, (Owner, Secret)>,
    /// Of each handle of a key or seed, what it was sealed under.
    sealed: BTreeMap<Vec<u8>, Seal>,
    signed: Vec<(KeyId, Digest)>,
    closed: bool,
    refuses_repeats: bool,
    health: Option<Health>,
}

/// Whom a key or seed was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owner {
    custodian: CustodianId,
    wallet: WalletId,
    key: KeyId,
}

struct Entry {
    owner: Owner,
    key: TestKey,
    secret: Secret,
    exportability: Exportability,
    switch: Switch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    Off,
    On,
    Scheduled,
}

impl MemoryBackend {
    /// The backend named `id`, with the keys of this seed.
    #[must_use]
    pub fn seeded(id: &str, seed: u64) -> Self {
        Self::new(id, seed, Arc::new(TestEntropy::seeded(seed)))
    }

    /// The backend named `id` whose identity is `number`, with keys out of `entropy`.
    #[must_use]
    pub fn new(id: &str, number: u64, entropy: Arc<dyn Entropy>) -> Self {
        let identity = BackendIdentity::parse(&format!("memory:{id}:{number}")).unwrap();
        Self {
            id: BackendId::parse(id).unwrap(),
            seals: Seals::first(&identity),
            identity,
            algorithms: Algorithm::ALL.to_vec(),
            abilities: Ability::ALL.to_vec(),
            in_process: true,
            high_s: false,
            entropy,
            kek: Arc::new(MemoryKeyEncryption::seeded(number)),
            state: Arc::default(),
        }
    }

    /// Generates keys for these algorithms only.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        self.algorithms = algorithms.to_vec();
        self
    }

    /// Has these abilities only.
    #[must_use]
    pub fn with_abilities(mut self, abilities: &[Ability]) -> Self {
        self.abilities = abilities.to_vec();
        self
    }

    /// Says that a use of its keys is seen from outside, as an HSM's or a KMS's is.
    #[must_use]
    pub const fn outside_process(mut self) -> Self {
        self.in_process = false;
        self
    }

    /// Hands out ECDSA signatures that it made with high s, as HSMs do.
    #[must_use]
    pub const fn with_high_s(mut self) -> Self {
        self.high_s = true;
        self
    }

    /// Panics from now on if one key is asked to sign one input twice.
    pub fn refuse_repeats(&self) {
        self.state().refuses_repeats = true;
    }

    /// Closes the backend. A later call of a signer panics: a signature after close.
    pub fn close(&self) {
        self.state().closed = true;
    }

    /// Sets what [`KeyBackend::health`] says.
    pub fn set_health(&self, health: Health) {
        self.state().health = Some(health);
    }

    /// How many calls reached [`Signer::sign`], refused ones too.
    #[must_use]
    pub fn sign_calls(&self) -> usize {
        self.state().signed.len()
    }

    /// The keys and inputs (as SHA-256) that [`Signer::sign`] was called for, in order.
    #[must_use]
    pub fn signed(&self) -> Vec<(KeyId, Digest)> {
        self.state().signed.clone()
    }

    /// Forgets a key, as a lost token does.
    ///
    /// # Panics
    /// If there is no such key.
    pub fn lose(&self, handle: &KeyHandle) {
        let mut state = self.state();
        let first = state.sealed.get(handle.as_bytes()).map(|seal| seal.first.clone());
        let lost = first.and_then(|first| state.keys.remove(&first));
        assert!(lost.is_some(), "there is no such key");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn has<T>(&self, ability: Ability, value: T) -> Option<T> {
        self.abilities.contains(&ability).then_some(value)
    }

    /// The handle of a key or seed: a name without meaning that only this backend knows.
    fn handle(&self, kind: &str, owner: &Owner) -> Vec<u8> {
        let fields: [&[u8]; 5] = [
            self.seals.identity(),
            kind.as_bytes(),
            owner.custodian.digest().as_bytes(),
            owner.wallet.as_str().as_bytes(),
            owner.key.as_str().as_bytes(),
        ];
        Digest::tagged("custody-testkit/handle", &fields).as_bytes().to_vec()
    }

    /// Keeps a key. One that is there already stays, and must be the same.
    fn keep(&self, request: &KeyRequest, secret: Secret) -> Result<NewKey, BackendError> {
        let refused = || BackendError::new(ErrorKind::Refused, "keep");
        let key = TestKey::from_bytes(request.algorithm, secret.expose()).ok_or_else(refused)?;
        let owner = Owner::of(request);
        let handle = self.handle("key", &owner);
        let public_key = key.public_key().clone();
        let mut state = self.state();
        match state.keys.get(&handle) {
            Some(kept) if *kept.key.public_key() != public_key => {
                return Err(BackendError::new(ErrorKind::Conflict, "keep"));
            }
            Some(_) => {}
            None => {
                let exportability = request.exportability;
                let entry = Entry { owner, key, secret, exportability, switch: Switch::On };
                state.keys.insert(handle.clone(), entry);
                self.seals.note(&mut state, &handle);
            }
        }
        Ok(NewKey { public_key, handle: KeyHandle::new(handle) })
    }

    /// The entry of a record, if the record is its own.
    fn find<'a>(
        &self,
        state: &'a mut State,
        record: &KeyRecord,
        operation: &'static str,
    ) -> Result<&'a mut Entry, BackendError> {
        let first = self.seals.open(state, &record.handle, operation)?;
        let entry = state.keys.get_mut(&first);
        let entry = entry.ok_or_else(|| BackendError::new(ErrorKind::NotFound, operation))?;
        let same = entry.owner == Owner::of_record(record);
        if same && *entry.key.public_key() == record.public_key {
            return Ok(entry);
        }
        Err(BackendError::new(ErrorKind::Corrupt, operation))
    }
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Owner {
    fn of(request: &KeyRequest) -> Self {
        Self {
            custodian: request.custodian,
            wallet: request.wallet.clone(),
            key: request.key.clone(),
        }
    }

    fn of_record(record: &KeyRecord) -> Self {
        Self { custodian: record.custodian, wallet: record.wallet.clone(), key: record.key.clone() }
    }
}

#[async_trait]
impl KeyBackend for MemoryBackend {
    fn id(&self) -> &BackendId {
        &self.id
    }

    fn identity(&self) -> &BackendIdentity {
        &self.identity
    }

    fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    fn in_process(&self) -> bool {
        self.in_process
    }

    async fn generate(&self, request: &KeyRequest) -> Result<NewKey, BackendError> {
        if !self.algorithms.contains(&request.algorithm) {
            return Err(BackendError::new(ErrorKind::Unsupported, "generate"));
        }
        let handle = self.handle("key", &Owner::of(request));
        if let Some(entry) = self.state().keys.get(&handle) {
            let public_key = entry.key.public_key().clone();
            if public_key.algorithm() != request.algorithm {
                return Err(BackendError::new(ErrorKind::Conflict, "generate"));
            }
            return Ok(NewKey { public_key, handle: KeyHandle::new(handle) });
        }
        let failed =
            |error| BackendError::new(ErrorKind::Unavailable, "generate").with_source(error);
        let (_, secret) = TestKey::generate(request.algorithm, &*self.entropy).map_err(failed)?;
        self.keep(request, secret)
    }

    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        self.find(&mut self.state(), key, "open")?;
        Ok(Arc::new(MemorySigner { backend: self.clone(), record: key.clone() }))
    }

    async fn health(&self) -> Health {
        self.state().health.unwrap_or(Health::Ready)
    }

    fn derivation(&self) -> Option<&dyn KeyDerivation> {
        self.has(Ability::Derivation, self)
    }

    fn import(&self) -> Option<&dyn KeyImport> {
        self.has(Ability::Import, self)
    }

    fn wrapping(&self) -> Option<&dyn KeyWrapping> {
        self.has(Ability::Wrapping, self)
    }

    fn resealing(&self) -> Option<&dyn KeyResealing> {
        self.has(Ability::Resealing, self)
    }

    fn switch(&self) -> Option<&dyn KeySwitch> {
        self.has(Ability::Switch, self)
    }

    fn kek(&self) -> Option<Arc<dyn KeyEncryption>> {
        let kek: Arc<dyn KeyEncryption> = Arc::<MemoryKeyEncryption>::clone(&self.kek);
        self.has(Ability::KeyEncryption, kek)
    }

    fn attestation(&self) -> Option<&dyn Attestation> {
        self.has(Ability::Attestation, self)
    }
}

/// A key of a [`MemoryBackend`], looked up anew for each signature.
#[derive(Debug)]
struct MemorySigner {
    backend: MemoryBackend,
    record: KeyRecord,
}

#[async_trait]
impl Signer for MemorySigner {
    fn algorithm(&self) -> Algorithm {
        self.record.public_key.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        &self.record.public_key
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        let refused = |kind| BackendError::new(kind, "sign");
        let mut state = self.backend.state();
        assert!(!state.closed, "a signature after the backend was closed");
        let call = (self.record.key.clone(), Digest::of(input.as_bytes()));
        let again = state.refuses_repeats && state.signed.contains(&call);
        assert!(!again, "the key {} signs one input twice", call.0);
        state.signed.push(call);
        let entry = self.backend.find(&mut state, &self.record, "sign")?;
        if entry.switch != Switch::On {
            return Err(refused(ErrorKind::Refused));
        }
        let mut auxiliary = [0; 32];
        let entropy = &self.backend.entropy;
        entropy.fill(&mut auxiliary).map_err(|_| refused(ErrorKind::Unavailable))?;
        let signature = entry.key.sign_with(input, &auxiliary);
        let signature = signature.map_err(|_| refused(ErrorKind::Unsupported))?;
        Ok(if self.backend.high_s { raise(signature) } else { signature })
    }
}

/// The signature as one who does not normalise would hand it out, read like a foreign one.
fn raise(signature: Signature) -> Signature {
    let bytes = signature.as_bytes();
    let high = match signature.algorithm() {
        Algorithm::EcdsaP256 => {
            let (r, s) = p256::ecdsa::Signature::from_slice(bytes).unwrap().split_scalars();
            p256::ecdsa::Signature::from_scalars(r, -s).unwrap().to_bytes().to_vec()
        }
        Algorithm::EcdsaSecp256k1 => {
            let (r, s) = k256::ecdsa::Signature::from_slice(bytes).unwrap().split_scalars();
            k256::ecdsa::Signature::from_scalars(r, -s).unwrap().to_bytes().to_vec()
        }
        Algorithm::Bip340 | Algorithm::Ed25519 => return signature,
        other => panic!("the testkit signs nothing with {other}"),
    };
    Signature::from_bytes(signature.algorithm(), &high).unwrap()
}
