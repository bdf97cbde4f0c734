//! The keys below a mnemonic. This file opens secrets.
//!
//! Invariant: what leaves here is public.

use std::sync::Arc;

use bip32::{Prefix, XPrv};
use custody_core::caip::ChainId;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
use custody_core::seam::{
    DerivationPath, Entropy, Exportability, KeyDerivation as _, KeyRequest, SeedRecord, SeedRequest,
};
use custody_core::secret::Secret;
use custody_core::tokio::TokioClock;
use custody_soft::{KdfParameters, PassphraseKek, SoftBackend};
use examples_chains::Failure;
use examples_start::entropy::OsEntropy;
use zeroize::Zeroizing;

/// A mnemonic's keys: in a backend of software keys, and as an extended key of BIP-32.
pub(crate) struct Keys {
    backend: SoftBackend,
    seed: SeedRecord,
    root: XPrv,
}

impl Keys {
    /// Those of a mnemonic and its passphrase.
    pub(crate) fn of(words: &str, passphrase: &str) -> Result<Self, Failure> {
        let words = Zeroizing::new(words.split_whitespace().collect::<Vec<_>>().join(" "));
        let mnemonic = bip39::Mnemonic::parse(words.as_str())?;
        let bytes = Zeroizing::new(mnemonic.to_seed(passphrase));
        let root = XPrv::new(bytes.as_slice())?;
        let (backend, seed) = pollster::block_on(import(&words, passphrase))?;
        Ok(Self { backend, seed, root })
    }

    /// The public key at `path`, of the algorithm that `chain` uses there.
    pub(crate) fn public_key(
        &self,
        chain: &ChainId,
        path: &DerivationPath,
    ) -> Result<PublicKey, Failure> {
        let request = KeyRequest {
            custodian: self.seed.custodian,
            wallet: self.seed.wallet.clone(),
            key: KeyId::parse("derived")?,
            algorithm: algorithm(chain, path),
            exportability: Exportability::Never,
        };
        let derivation = self.backend.derive(&self.seed, path, &request);
        Ok(pollster::block_on(derivation)?.public_key)
    }

    /// The account above `path` as a key expression with its origin (BIP-380), which derives all
    /// addresses of the account and signs nothing; none on chains whose keys are not of BIP-32.
    pub(crate) fn descriptor(
        &self,
        chain: &ChainId,
        path: &DerivationPath,
    ) -> Result<Option<String>, Failure> {
        const PURPOSE_COIN_ACCOUNT: usize = 3;
        let Some(account) = path.indexes().get(..PURPOSE_COIN_ACCOUNT) else { return Ok(None) };
        let is_hardened = |index: &u32| index & DerivationPath::HARDENED != 0;
        if chain.namespace() == "solana" || !account.iter().all(is_hardened) {
            return Ok(None);
        }
        let mut key = self.root.clone();
        let mut steps = String::new();
        for index in account {
            let number = index & !DerivationPath::HARDENED;
            key = key.derive_child(bip32::ChildNumber::new(number, true)?)?;
            steps.push_str(&format!("/{number}'"));
        }
        let fingerprint = hex::encode(self.root.public_key().fingerprint());
        let text = key.public_key().to_string(Prefix::XPUB);
        Ok(Some(format!("[{fingerprint}{steps}]{text}/<0;1>/*")))
    }
}

async fn import(words: &str, passphrase: &str) -> Result<(SoftBackend, SeedRecord), Failure> {
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let lock = Secret::try_fill(32, |bytes| entropy.fill(bytes))?;
    let (kek, _document) =
        PassphraseKek::create(lock, KdfParameters::MINIMUM, Arc::clone(&entropy))?;
    let id = BackendId::parse("software")?;
    let backend = SoftBackend::new(id, Arc::new(kek), entropy, Arc::new(TokioClock::new()))?;
    let request = SeedRequest {
        custodian: CustodianId::new(Digest::of(b"derive")),
        wallet: WalletId::parse("derived")?,
        key: KeyId::parse("seed")?,
    };
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
    let made = backend.import_mnemonic(&request, secret(words), secret(passphrase)).await?;
    let SeedRequest { custodian, wallet, key } = request;
    Ok((backend, SeedRecord { custodian, wallet, key, handle: made.handle }))
}

/// Taproot has keys of its own (BIP-86).
fn algorithm(chain: &ChainId, path: &DerivationPath) -> Algorithm {
    const TAPROOT: u32 = 86 | DerivationPath::HARDENED;
    match (chain.namespace(), path.indexes().first()) {
        ("solana", _) => Algorithm::Ed25519,
        ("bip122", Some(&TAPROOT)) => Algorithm::Bip340,
        _ => Algorithm::EcdsaSecp256k1,
    }
}
