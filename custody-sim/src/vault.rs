use std::sync::Arc;

use async_trait::async_trait;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, BackendIdentity, KeyId, WalletId};
use custody_core::seam::{
    BackendError, ErrorKind, Health, KeyBackend, KeyHandle, KeyRecord, KeyRequest, KeySwitch,
    NewKey, Signer,
};
use custody_testkit::key::TestKey;

use crate::referee::Referee;
use crate::sabotage::Sabotage;
use crate::switches::Switches;
use crate::weather::{Fate, Odds, Weather};

/// The backend of one life: keys that live elsewhere, one for each key id, made out of the seed.
#[derive(Clone, Debug)]
pub(crate) struct Vault {
    pub(crate) id: BackendId,
    pub(crate) identity: BackendIdentity,
    pub(crate) seed: u64,
    pub(crate) weather: Weather,
    pub(crate) referee: Referee,
    pub(crate) sabotage: Option<Sabotage>,
    /// Nobody but the custodian sees what it signs.
    pub(crate) in_process: bool,
    /// Whether it can switch keys.
    pub(crate) has_switch: bool,
    pub(crate) switches: Switches,
}

impl Vault {
    pub(crate) fn new(seed: u64, weather: Weather, referee: Referee) -> Self {
        Self {
            id: BackendId::parse("vault").unwrap(),
            identity: BackendIdentity::parse("sim:vault").unwrap(),
            seed,
            weather,
            referee,
            sabotage: None,
            in_process: false,
            has_switch: false,
            switches: Switches::default(),
        }
    }

    fn key(&self, wallet: &WalletId, key: &KeyId) -> TestKey {
        let name = format!("{}/{wallet}/{key}", self.seed);
        let digest = Digest::of(name.as_bytes());
        TestKey::seeded(ALGORITHM, u64::from_be_bytes(*digest.as_bytes().first_chunk().unwrap()))
    }

    /// What becomes of a call, once it has taken its time.
    pub(crate) async fn struck(&self, what: &str) -> Result<Fate, BackendError> {
        let odds: Odds = self.weather.sky().backend;
        self.weather.pass(&odds).await;
        let fate = self.weather.fate(what, &odds);
        fate.strike_before().await;
        if self.weather.is_over() {
            return Err(BackendError::new(ErrorKind::Unavailable, "answer"));
        }
        if fate == Fate::FailsBefore {
            let kinds = [
                ErrorKind::Unavailable,
                ErrorKind::Refused,
                ErrorKind::Throttled { retry_after: None },
                ErrorKind::Indeterminate,
                ErrorKind::NotFound,
                ErrorKind::Unsupported,
                ErrorKind::Conflict,
            ];
            return Err(BackendError::new(*self.weather.dice.pick(&kinds), "answer"));
        }
        Ok(fate)
    }
}

#[async_trait]
impl KeyBackend for Vault {
    fn id(&self) -> &BackendId {
        &self.id
    }

    fn identity(&self) -> &BackendIdentity {
        &self.identity
    }

    fn algorithms(&self) -> &[Algorithm] {
        &[ALGORITHM]
    }

    fn in_process(&self) -> bool {
        self.in_process
    }

    async fn generate(&self, request: &KeyRequest) -> Result<NewKey, BackendError> {
        self.referee.begins("a key");
        let fate = self.struck("generate").await?;
        if request.algorithm != ALGORITHM {
            return Err(BackendError::new(ErrorKind::Unsupported, "generate"));
        }
        let key = self.key(&request.wallet, &request.key);
        fate.strike_after().await;
        if fate == Fate::FailsAfter {
            return Err(BackendError::new(self.weather.doubt(), "generate"));
        }
        let handle = KeyHandle::new(request.key.as_str().as_bytes().to_vec());
        Ok(NewKey { public_key: key.public_key().clone(), handle })
    }

    async fn signer(&self, record: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        let fate = self.struck("open key").await?;
        let key = self.key(&record.wallet, &record.key);
        let same = *key.public_key() == record.public_key
            && record.handle.as_bytes() == record.key.as_str().as_bytes();
        if !same {
            return Err(BackendError::new(ErrorKind::Corrupt, "open"));
        }
        fate.strike_after().await;
        if fate == Fate::FailsAfter {
            return Err(BackendError::new(self.weather.doubt(), "open"));
        }
        Ok(Arc::new(VaultSigner { vault: self.clone(), id: record.key.clone(), key }))
    }

    fn switch(&self) -> Option<&dyn KeySwitch> {
        self.has_switch.then_some(self)
    }

    async fn health(&self) -> Health {
        Health::Ready
    }
}

#[derive(Clone, Debug)]
struct VaultSigner {
    vault: Vault,
    id: KeyId,
    key: TestKey,
}

impl VaultSigner {
    /// Signs, if nothing comes between, and says so, if nothing comes between.
    async fn answers(self, bytes: Vec<u8>) -> Result<Signature, BackendError> {
        let digest = Digest::of(&bytes);
        let done = self.signs(SignInput::Message(&bytes)).await;
        self.vault.referee.answered_by_key(&self.id, digest);
        let (signature, fate) = done?;
        self.vault.weather.pass(&self.vault.weather.sky().backend).await;
        fate.strike_after().await;
        if fate == Fate::FailsAfter {
            return Err(BackendError::new(self.vault.weather.doubt(), "sign"));
        }
        Ok(signature)
    }

    async fn signs(&self, input: SignInput<'_>) -> Result<(Signature, Fate), BackendError> {
        let failed = |kind| Err(BackendError::new(kind, "sign"));
        let fate = self.vault.struck("sign").await?;
        if !self.vault.switches.is_on(&self.id) {
            self.vault.weather.trace.count("signatures refused by a key that is off");
            return failed(ErrorKind::Refused);
        }
        let dice = &self.vault.weather.dice;
        if fate == Fate::FailsAfter && dice.chance(200) {
            let forged = || Ok((self.forge(input)?, Fate::Fine));
            return if dice.chance(500) { forged() } else { failed(ErrorKind::Corrupt) };
        }
        match self.vault.sabotage {
            Some(Sabotage::BackendSignsTwice) => _ = self.make(input)?,
            Some(Sabotage::BackendDenies) if dice.chance(200) => {
                self.make(input)?;
                return failed(ErrorKind::Refused);
            }
            Some(Sabotage::BackendSignsLater) if dice.chance(200) => {
                let (signer, bytes) = (self.clone(), input.as_bytes().to_vec());
                let signs = async move { _ = signer.make(SignInput::Message(&bytes)) };
                self.vault.weather.later(signs);
                return failed(ErrorKind::Unavailable);
            }
            _ => {}
        }
        Ok((self.make(input)?, fate))
    }

    fn make(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        self.vault.weather.trace.note(format_args!("vault: {} signs", self.id));
        let unsupported = |_| BackendError::new(ErrorKind::Unsupported, "sign");
        let signature = self.key.sign(input).map_err(unsupported)?;
        self.vault.referee.signed(&self.id, Digest::of(input.as_bytes()), &signature);
        Ok(signature)
    }

    /// A signature by another key.
    fn forge(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        let other = TestKey::seeded(ALGORITHM, 1);
        other.sign(input).map_err(|_| BackendError::new(ErrorKind::Unsupported, "sign"))
    }
}

#[async_trait]
impl Signer for VaultSigner {
    fn algorithm(&self) -> Algorithm {
        ALGORITHM
    }

    fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        self.vault.referee.begins("a signature");
        let bytes = input.as_bytes().to_vec();
        self.vault.referee.asked_to_sign(&self.id, Digest::of(&bytes));
        self.vault.weather.make(self.clone().answers(bytes)).await
    }
}

const ALGORITHM: Algorithm = Algorithm::Ed25519;
