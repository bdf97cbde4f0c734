//! The keys below a mnemonic. This file opens secrets.
//!
//! Invariant: what leaves here is public.

use std::sync::Arc;

use bip32::{Prefix, XPrv};
use custody_chain::AddressKind;
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
use examples_chains::entropy::OsEntropy;
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

    /// The account above `path`, which derives all addresses of the account and signs nothing: a
    /// descriptor on Bitcoin, a key expression with its origin elsewhere (BIP-380); none on chains
    /// whose keys are not of BIP-32.
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
        let fingerprint = self.root.public_key().fingerprint();
        let Some(kind) = address_kind(chain, path) else {
            let (text, fingerprint) =
                (key.public_key().to_string(Prefix::XPUB), hex::encode(fingerprint));
            return Ok(Some(format!("[{fingerprint}{steps}]{text}/<0;1>/*")));
        };
        let is_main = chain.reference() == MAIN_NETWORK;
        let text = key.public_key().to_string(if is_main { Prefix::XPUB } else { Prefix::TPUB });
        let number = account.last().map_or(0, |index| index & !DerivationPath::HARDENED);
        if kind.account_path(chain, number).as_ref().map(DerivationPath::indexes) != Some(account) {
            return Ok(None);
        }
        let descriptor = kind.descriptor(chain, fingerprint, number, &text)?;
        Ok(Some(descriptor.as_str().to_owned()))
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

/// The kind of addresses that a path is for (BIP-44, BIP-49, BIP-84, BIP-86).
pub(crate) fn address_kind(chain: &ChainId, path: &DerivationPath) -> Option<AddressKind> {
    let purpose = path.indexes().first().map(|index| index & !DerivationPath::HARDENED);
    match (chain.namespace(), purpose) {
        ("bip122", Some(44)) => Some(AddressKind::KeyHash),
        ("bip122", Some(49)) => Some(AddressKind::NestedKeyHash),
        ("bip122", Some(84)) => Some(AddressKind::WitnessKeyHash),
        ("bip122", Some(86)) => Some(AddressKind::Taproot),
        _ => None,
    }
}

/// The first 32 digits of the hash of the main network's first block.
const MAIN_NETWORK: &str = "000000000019d6689c085ae165831e93";

/// Taproot has keys of its own (BIP-86).
fn algorithm(chain: &ChainId, path: &DerivationPath) -> Algorithm {
    const TAPROOT: u32 = 86 | DerivationPath::HARDENED;
    match (chain.namespace(), path.indexes().first()) {
        ("solana", _) => Algorithm::Ed25519,
        ("bip122", Some(&TAPROOT)) => Algorithm::Bip340,
        _ => Algorithm::EcdsaSecp256k1,
    }
}
