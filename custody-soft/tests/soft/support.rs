//! Doubles and short cuts of these tests.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::digest::Digest;
use custody_core::envelope;
use custody_core::id::{BackendId, CustodianId, KekId, KeyId, WalletId};
use custody_core::seam::{
    BackendError, DerivationPath, Entropy, EntropyError, ErrorKind, Exportability, KeyBackend,
    KeyDerivation, KeyEncryption, KeyHandle, KeyImport, KeyRecord, KeyRequest, NewKey, NewSeed,
    SeedRecord, SeedRequest,
};
use custody_core::secret::Secret;
use custody_soft::{CacheLimits, SoftBackend};
use custody_testkit::runtime::{TestClock, TestEntropy};

use crate::log_lines;

/// A key-encrypting key that counts its calls and fails when told to; the error of a failed call
/// names the data key, as no error should.
#[derive(Debug)]
pub(crate) struct CountingKek {
    id: KekId,
    key: [u8; 32],
    in_process: bool,
    entropy: Box<dyn Entropy>,
    wraps: AtomicU64,
    unwraps: AtomicU64,
    failure: Mutex<Option<ErrorKind>>,
}

impl CountingKek {
    pub(crate) fn new() -> Self {
        Self::named("test:kek", 7)
    }

    pub(crate) fn named(id: &str, key: u8) -> Self {
        Self {
            id: KekId::parse(id).unwrap(),
            key: [key; 32],
            in_process: true,
            entropy: Box::new(TestEntropy::seeded(u64::from(key))),
            wraps: AtomicU64::new(0),
            unwraps: AtomicU64::new(0),
            failure: Mutex::new(None),
        }
    }

    pub(crate) fn drawing(mut self, entropy: impl Entropy + 'static) -> Self {
        self.entropy = Box::new(entropy);
        self
    }

    pub(crate) fn outside(mut self) -> Self {
        self.in_process = false;
        self
    }

    pub(crate) fn fail_with(&self, failure: Option<ErrorKind>) {
        *self.failure.lock().unwrap() = failure;
    }

    pub(crate) fn wraps(&self) -> u64 {
        self.wraps.load(Ordering::SeqCst)
    }

    pub(crate) fn unwraps(&self) -> u64 {
        self.unwraps.load(Ordering::SeqCst)
    }

    fn check(&self) -> Result<(), BackendError> {
        match *self.failure.lock().unwrap() {
            Some(kind) => Err(BackendError::new(kind, "fail as told")),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl KeyEncryption for CountingKek {
    fn id(&self) -> &KekId {
        &self.id
    }

    fn in_process(&self) -> bool {
        self.in_process
    }

    async fn wrap(&self, data_key: &Secret, context: &[&[u8]]) -> Result<Vec<u8>, BackendError> {
        self.wraps.fetch_add(1, Ordering::SeqCst);
        self.check().map_err(|error| error.with_source(hex::encode(data_key.expose())))?;
        Ok(envelope::seal(
            &Secret::new(self.key.to_vec()),
            context,
            data_key,
            self.entropy.as_ref(),
        )
        .unwrap())
    }

    async fn unwrap(&self, wrapped: &[u8], context: &[&[u8]]) -> Result<Secret, BackendError> {
        self.unwraps.fetch_add(1, Ordering::SeqCst);
        self.check()?;
        envelope::open(&Secret::new(self.key.to_vec()), context, wrapped)
            .map_err(|_| BackendError::new(ErrorKind::Corrupt, "unwrap"))
    }
}

/// Entropy that hands out what it was given, each item to one call, and then the same as a seeded
/// source.
#[derive(Debug)]
pub(crate) struct GivenEntropy {
    given: Mutex<Vec<Vec<u8>>>,
    rest: TestEntropy,
}

impl GivenEntropy {
    pub(crate) fn new(given: &[&[u8]]) -> Self {
        let given = given.iter().rev().map(|bytes| bytes.to_vec()).collect();
        Self { given: Mutex::new(given), rest: TestEntropy::seeded(1) }
    }
}

impl Entropy for GivenEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        match self.given.lock().unwrap().pop() {
            Some(given) => bytes.copy_from_slice(&given),
            None => self.rest.fill(bytes)?,
        }
        Ok(())
    }
}

/// Seeded entropy that keeps what it gave. Clones are one source.
#[derive(Clone, Debug)]
pub(crate) struct RecordingEntropy {
    source: Arc<TestEntropy>,
    given: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl RecordingEntropy {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { source: Arc::new(TestEntropy::seeded(seed)), given: Arc::default() }
    }

    /// What was given so far and is long enough to be a secret.
    pub(crate) fn secrets(&self) -> Vec<Vec<u8>> {
        let given = self.given.lock().unwrap();
        given.iter().filter(|bytes| bytes.len() >= 16).cloned().collect()
    }
}

impl Entropy for RecordingEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        self.source.fill(bytes)?;
        self.given.lock().unwrap().push(bytes.to_vec());
        Ok(())
    }
}

/// Entropy that gives one byte for ever.
#[derive(Debug)]
pub(crate) struct StuckEntropy(pub(crate) u8);

impl Entropy for StuckEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill(self.0);
        Ok(())
    }
}

/// A backend with its double of a key-encrypting key and its clock.
pub(crate) struct Bench {
    pub(crate) kek: Arc<CountingKek>,
    pub(crate) clock: TestClock,
    pub(crate) backend: SoftBackend,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::limited(CacheLimits::default())
    }

    pub(crate) fn limited(limits: CacheLimits) -> Self {
        Self::with(CountingKek::new(), limits, Arc::new(TestEntropy::seeded(1)))
    }

    pub(crate) fn drawing(entropy: impl Entropy + 'static) -> Self {
        Self::under(CountingKek::new(), entropy)
    }

    pub(crate) fn under(kek: CountingKek, entropy: impl Entropy + 'static) -> Self {
        Self::with(kek, CacheLimits::default(), Arc::new(entropy))
    }

    pub(crate) fn with(kek: CountingKek, limits: CacheLimits, entropy: Arc<dyn Entropy>) -> Self {
        log_lines::install();
        let kek = Arc::new(kek);
        let clock = TestClock::new();
        let backend = SoftBackend::with_cache(
            BackendId::parse("soft").unwrap(),
            Arc::clone(&kek) as Arc<dyn KeyEncryption>,
            entropy,
            Arc::new(clock.clone()),
            limits,
        )
        .unwrap();
        Self { kek, clock, backend }
    }

    pub(crate) fn generate(&self, algorithm: Algorithm) -> KeyRecord {
        let request = key_request("key-1", algorithm);
        record(&request, run(self.backend.generate(&request)).unwrap())
    }

    pub(crate) fn import(
        &self,
        algorithm: Algorithm,
        bytes: &[u8],
    ) -> Result<KeyRecord, BackendError> {
        let request = key_request("key-1", algorithm);
        let new = run(self.backend.import_key(&request, Secret::new(bytes.to_vec())))?;
        Ok(record(&request, new))
    }

    pub(crate) fn import_seed(&self, bytes: &[u8]) -> Result<SeedRecord, BackendError> {
        let request = seed_request();
        let new = run(self.backend.import_seed(&request, Secret::new(bytes.to_vec())))?;
        Ok(seed_record(&request, new))
    }

    pub(crate) fn import_mnemonic(
        &self,
        words: &str,
        passphrase: &str,
    ) -> Result<SeedRecord, BackendError> {
        let request = seed_request();
        let (words, passphrase) = (Secret::new(words.into()), Secret::new(passphrase.into()));
        let new = run(self.backend.import_mnemonic(&request, words, passphrase))?;
        Ok(seed_record(&request, new))
    }

    pub(crate) fn import_extended_key(&self, text: &str) -> Result<SeedRecord, BackendError> {
        let request = seed_request();
        let text = Secret::new(text.into());
        let new = run(self.backend.import_extended_key(&request, text))?;
        Ok(seed_record(&request, new))
    }

    pub(crate) fn derive(
        &self,
        seed: &SeedRecord,
        path: &str,
        algorithm: Algorithm,
    ) -> Result<KeyRecord, BackendError> {
        let request = key_request("derived-1", algorithm);
        let path = DerivationPath::parse(path).unwrap();
        Ok(record(&request, run(self.backend.derive(seed, &path, &request))?))
    }

    /// The public key at a path, as hex.
    pub(crate) fn derived(&self, seed: &SeedRecord, path: &str, algorithm: Algorithm) -> String {
        hex::encode(self.derive(seed, path, algorithm).unwrap().public_key.as_bytes())
    }

    /// The kind of the failure to open a record, if it fails.
    pub(crate) fn open_failure(&self, record: &KeyRecord) -> Option<ErrorKind> {
        run(self.backend.signer(record)).err().map(|error| error.kind())
    }
}

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

pub(crate) fn limits(keys: u32, age: Duration, uses: u64) -> CacheLimits {
    CacheLimits::new(NonZeroU32::new(keys).unwrap(), age, NonZeroU64::new(uses).unwrap())
}

pub(crate) fn key_request(key: &str, algorithm: Algorithm) -> KeyRequest {
    KeyRequest {
        custodian: CustodianId::new(Digest::of(b"custodian")),
        wallet: WalletId::parse("treasury").unwrap(),
        key: KeyId::parse(key).unwrap(),
        algorithm,
        exportability: Exportability::Never,
    }
}

pub(crate) fn seed_request() -> SeedRequest {
    SeedRequest {
        custodian: CustodianId::new(Digest::of(b"custodian")),
        wallet: WalletId::parse("treasury").unwrap(),
        key: KeyId::parse("seed-1").unwrap(),
    }
}

pub(crate) fn record(request: &KeyRequest, new: NewKey) -> KeyRecord {
    KeyRecord {
        custodian: request.custodian,
        wallet: request.wallet.clone(),
        key: request.key.clone(),
        public_key: new.public_key,
        handle: new.handle,
    }
}

pub(crate) fn seed_record(request: &SeedRequest, new: NewSeed) -> SeedRecord {
    SeedRecord {
        custodian: request.custodian,
        wallet: request.wallet.clone(),
        key: request.key.clone(),
        handle: new.handle,
    }
}

pub(crate) fn with_handle(record: &KeyRecord, handle: Vec<u8>) -> KeyRecord {
    KeyRecord { handle: KeyHandle::new(handle), ..record.clone() }
}

/// An input of the kind that the algorithm signs.
pub(crate) const fn input(algorithm: Algorithm) -> SignInput<'static> {
    if algorithm.signs_prehash() {
        SignInput::Prehash(&[0x5a; 32])
    } else {
        SignInput::Message(b"a message of any length")
    }
}
