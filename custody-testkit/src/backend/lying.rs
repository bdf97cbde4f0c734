use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, BackendIdentity, KeyId};
use custody_core::seam::{
    BackendError, ErrorKind, Health, KeyBackend, KeyHandle, KeyRecord, KeyRequest, KeyResealing,
    NewKey, SeedRecord, Signer,
};

use crate::key::TestKey;

/// How a [`LyingBackend`] breaks the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendLie {
    /// It declares no secp256k1 and generates it all the same.
    GeneratesUndeclared,
    /// A handle opens for every custodian, wallet and key id.
    IgnoresOwners,
    /// A handle opens under every recorded public key, which the signer then claims.
    IgnoresRecordedKey,
    /// Bytes behind the handle are not looked at.
    IgnoresRestOfHandle,
    /// A signer repeats the first signature it made.
    Replays,
    /// A handle that is made anew is that of another key, which then opens under any record.
    ResealsAnotherKey,
    /// What is sealed anew no longer opens by its old handle.
    ResealsAtOnce,
    /// What belongs to others is sealed anew too.
    ResealsForAll,
    /// What is sealed anew keeps its handle.
    ResealsInPlace,
    /// All keys of an algorithm are one key.
    SharesKeys,
    /// A signature of one algorithm more: what another algorithm's key makes of the input.
    SignsByAnotherAlgorithm,
    /// Another key of the same algorithm signs.
    SignsByAnotherKey,
    /// A message is hashed and a digest is taken for a message.
    SignsEveryInput,
    /// The digest of the input is signed in its place.
    SignsTheDigest,
    /// A signature that is all zeros, or the smallest scalars.
    SignsZeros,
    /// An algorithm that is not declared is `Unavailable`.
    WrongKind,
}

/// A backend that breaks the contract in one way, to show that a check finds it and that a
/// custodian releases nothing of it. It has no abilities but resealing, if it lies about that.
#[derive(Clone, Debug)]
pub struct LyingBackend {
    id: BackendId,
    identity: BackendIdentity,
    lie: BackendLie,
    algorithms: Vec<Algorithm>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    keys: BTreeMap<Vec<u8>, (KeyRequest, TestKey)>,
    first: BTreeMap<KeyId, Signature>,
    sign_calls: usize,
}

impl BackendLie {
    /// Whether it is one about sealing keys anew.
    const fn is_about_resealing(self) -> bool {
        matches!(
            self,
            Self::ResealsAnotherKey
                | Self::ResealsAtOnce
                | Self::ResealsForAll
                | Self::ResealsInPlace
        )
    }
}

impl LyingBackend {
    /// A backend with this lie. `number` makes its identity and its keys.
    #[must_use]
    pub fn new(id: &str, number: u64, lie: BackendLie) -> Self {
        let mut algorithms = Algorithm::ALL.to_vec();
        if matches!(lie, BackendLie::GeneratesUndeclared | BackendLie::WrongKind) {
            algorithms.retain(|algorithm| *algorithm != Algorithm::EcdsaSecp256k1);
        }
        Self {
            id: BackendId::parse(id).unwrap(),
            identity: BackendIdentity::parse(&format!("lying:{id}:{number}")).unwrap(),
            lie,
            algorithms,
            state: Arc::default(),
        }
    }

    /// How many calls reached [`Signer::sign`].
    #[must_use]
    pub fn sign_calls(&self) -> usize {
        self.state.lock().unwrap().sign_calls
    }

    fn tells(&self, lie: BackendLie) -> bool {
        self.lie == lie
    }

    fn key_of(&self, request: &KeyRequest) -> TestKey {
        let fields: [&[u8]; 2] = [self.identity.as_str().as_bytes(), &handle_of(request)];
        let digest = Digest::tagged("custody-testkit/lying", &fields);
        let shared = self.tells(BackendLie::SharesKeys);
        let seed = if shared { 0 } else { u64::from_be_bytes(*first_eight(&digest)) };
        TestKey::seeded(request.algorithm, seed)
    }

    fn open(&self, record: &KeyRecord) -> Result<TestKey, ErrorKind> {
        let mut handle = record.handle.as_bytes();
        if self.tells(BackendLie::IgnoresRestOfHandle) {
            handle = handle.get(..32).unwrap_or(handle);
        }
        let state = self.state.lock().unwrap();
        let (request, key) = state.keys.get(handle).ok_or(ErrorKind::NotFound)?;
        let owner = (request.custodian, &request.wallet, &request.key)
            == (record.custodian, &record.wallet, &record.key);
        let recorded = *key.public_key() == record.public_key;
        let any_key = [BackendLie::IgnoresRecordedKey, BackendLie::ResealsAnotherKey];
        if (owner || self.tells(BackendLie::IgnoresOwners))
            && (recorded || any_key.contains(&self.lie))
        {
            return Ok(key.clone());
        }
        Err(ErrorKind::Corrupt)
    }
}

fn handle_of(request: &KeyRequest) -> Vec<u8> {
    let fields: [&[u8]; 3] = [
        request.custodian.digest().as_bytes(),
        request.wallet.as_str().as_bytes(),
        request.key.as_str().as_bytes(),
    ];
    Digest::tagged("custody-testkit/lying-handle", &fields).as_bytes().to_vec()
}

fn first_eight(digest: &Digest) -> &[u8; 8] {
    digest.as_bytes().first_chunk().expect("a digest has 32 bytes")
}

#[async_trait]
impl KeyBackend for LyingBackend {
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
        true
    }

    async fn generate(&self, request: &KeyRequest) -> Result<NewKey, BackendError> {
        let declared = self.algorithms.contains(&request.algorithm);
        if !declared && !self.tells(BackendLie::GeneratesUndeclared) {
            let wrong = self.tells(BackendLie::WrongKind);
            let kind = if wrong { ErrorKind::Unavailable } else { ErrorKind::Unsupported };
            return Err(BackendError::new(kind, "generate"));
        }
        let (handle, key) = (handle_of(request), self.key_of(request));
        let public_key = key.public_key().clone();
        self.state.lock().unwrap().keys.insert(handle.clone(), (request.clone(), key));
        Ok(NewKey { public_key, handle: KeyHandle::new(handle) })
    }

    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        let opened = self.open(key).map_err(|kind| BackendError::new(kind, "open"))?;
        Ok(Arc::new(LyingSigner { backend: self.clone(), record: key.clone(), key: opened }))
    }

    async fn health(&self) -> Health {
        Health::Ready
    }

    fn resealing(&self) -> Option<&dyn KeyResealing> {
        self.lie.is_about_resealing().then_some(self)
    }
}

#[async_trait]
impl KeyResealing for LyingBackend {
    async fn reseal_key(&self, record: &KeyRecord) -> Result<KeyHandle, BackendError> {
        let opened = self.open(record);
        let mut state = self.state.lock().unwrap();
        let old = record.handle.as_bytes();
        let kept = state.keys.get(old).cloned();
        let (request, key) = match (opened, kept) {
            (Err(ErrorKind::Corrupt), Some(kept)) if self.tells(BackendLie::ResealsForAll) => kept,
            (Ok(_), Some(kept)) => kept,
            (Err(kind), _) => return Err(BackendError::new(kind, "reseal")),
            (Ok(_), None) => return Err(BackendError::new(ErrorKind::NotFound, "reseal")),
        };
        let number = state.keys.len().to_be_bytes();
        let handle = Digest::tagged("custody-testkit/lying-reseal", &[old, &number]);
        let handle = handle.as_bytes().to_vec();
        if self.tells(BackendLie::ResealsInPlace) {
            return Ok(record.handle.clone());
        }
        if self.tells(BackendLie::ResealsAtOnce) {
            state.keys.remove(old);
        }
        let another = self.tells(BackendLie::ResealsAnotherKey);
        let key = if another { TestKey::seeded(key.algorithm(), 5) } else { key };
        state.keys.insert(handle.clone(), (request, key));
        Ok(KeyHandle::new(handle))
    }

    async fn reseal_seed(&self, _: &SeedRecord) -> Result<KeyHandle, BackendError> {
        Err(BackendError::new(ErrorKind::NotFound, "reseal"))
    }
}

#[derive(Debug)]
struct LyingSigner {
    backend: LyingBackend,
    record: KeyRecord,
    key: TestKey,
}

impl LyingSigner {
    fn answer(&self, input: SignInput<'_>) -> Option<Signature> {
        let digest = Digest::of(input.as_bytes());
        match self.backend.lie {
            BackendLie::SignsByAnotherAlgorithm => {
                let prehash = self.algorithm().signs_prehash();
                let other = if prehash { Algorithm::Ed25519 } else { Algorithm::EcdsaSecp256k1 };
                Some(any(&TestKey::seeded(other, 5), digest))
            }
            BackendLie::SignsByAnotherKey => TestKey::seeded(self.algorithm(), 5).sign(input).ok(),
            BackendLie::SignsEveryInput => {
                Some(self.key.sign(input).unwrap_or_else(|_| any(&self.key, digest)))
            }
            BackendLie::SignsTheDigest => Some(any(&self.key, digest)),
            BackendLie::SignsZeros => {
                let fill = u8::from(self.algorithm().signs_prehash());
                Signature::from_bytes(self.algorithm(), &[fill; 64]).ok()
            }
            BackendLie::GeneratesUndeclared
            | BackendLie::IgnoresOwners
            | BackendLie::IgnoresRecordedKey
            | BackendLie::IgnoresRestOfHandle
            | BackendLie::Replays
            | BackendLie::ResealsAnotherKey
            | BackendLie::ResealsAtOnce
            | BackendLie::ResealsForAll
            | BackendLie::ResealsInPlace
            | BackendLie::SharesKeys
            | BackendLie::WrongKind => self.key.sign(input).ok(),
        }
    }
}

/// A signature of the key over the digest, whatever the key signs.
fn any(key: &TestKey, digest: Digest) -> Signature {
    let input = match key.algorithm().signs_prehash() {
        true => SignInput::Prehash(digest.as_bytes()),
        false => SignInput::Message(digest.as_bytes()),
    };
    key.sign(input).expect("an input of the key's kind")
}

#[async_trait]
impl Signer for LyingSigner {
    fn algorithm(&self) -> Algorithm {
        self.record.public_key.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        let is_told = self.backend.tells(BackendLie::ResealsAnotherKey);
        if is_told { self.key.public_key() } else { &self.record.public_key }
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        let unsupported = || BackendError::new(ErrorKind::Unsupported, "sign");
        let signature = self.answer(input).ok_or_else(unsupported)?;
        let mut state = self.backend.state.lock().unwrap();
        state.sign_calls += 1;
        let first = state.first.entry(self.record.key.clone()).or_insert_with(|| signature.clone());
        let replays = self.backend.tells(BackendLie::Replays);
        Ok(if replays { first.clone() } else { signature })
    }
}
