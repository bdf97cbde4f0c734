//! The cold wallet: a key in a token of SoftHSM that may leave it wrapped, under a key that another token
//! has as well, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use custody_core::caip::ChainId;
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::id::{BackendId, KekId, KeyId, TierId, WalletId};
use custody_core::seam::{Exportability, KeyBackend};
use custody_core::secret::Secret;
use custody_hsm::{HsmBackend, Observer};
use custody_recovery::restore::{Keys, Unwrapping, wrap_keys};
use examples_hsm::tokens::{BACKEND, Tokens};

use crate::Failure;
use crate::house::{House, People};
use crate::keys;

/// The cold wallet, and its key.
pub const WALLET: &str = "cold";
/// The key of the cold wallet.
pub const ACCOUNT: &str = "cold.0";
/// What the key that wraps is called in an archive.
pub const WRAPPING: &str = "hsm/wrapping-key";
/// The folder of wrapped keys.
pub const WRAPPED: &str = "wrapped";

/// A token as a backend whose keys may leave it wrapped.
pub async fn open(tokens: &Tokens, label: &str, key: &Secret) -> Result<Arc<HsmBackend>, Failure> {
    let mut config = tokens.config(label)?;
    config.wrapping = true;
    let backend = Arc::new(HsmBackend::open(config, Observer::default()).await?);
    backend.import_wrapping_key(&under()?, keys::copy(key)).await?;
    Ok(backend)
}

/// Makes the wallet with one key. Answers its address.
pub async fn wallet(house: &House, people: &People) -> Result<String, Failure> {
    let wallet = WalletId::parse(WALLET)?;
    let create = Command::CreateWallet {
        wallet: wallet.clone(),
        chain: ChainId::parse("eip155:1")?,
        tier: TierId::parse("cold")?,
        backend: BackendId::parse(BACKEND)?,
        seed: None,
    };
    house.execute(people, &people.operator, create).await?;
    let key = Command::CreateKey {
        wallet,
        key: KeyId::parse(ACCOUNT)?,
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Wrapped,
        start: KeyStart::Active,
    };
    house.execute(people, &people.operator, key).await?;
    house.address(&KeyId::parse(ACCOUNT)?)
}

/// Writes what leaves the token, wrapped, into a folder that is archived.
pub async fn wrap(house: &House, backend: &HsmBackend, folder: &Path) -> Result<(), Failure> {
    let wallets = [WalletId::parse(WALLET)?];
    let keys = Keys::in_use(&house.custodian, house.file.as_ref(), &wallets).await?;
    let wrapped = wrap_keys(&keys, backend, &under()?).await?;
    if !wrapped.kept.is_empty() {
        return Err("a key ends with its token".into());
    }
    fs::create_dir_all(folder)?;
    for (key, bytes) in &wrapped.keys {
        fs::write(folder.join(key.as_str()), bytes)?;
    }
    Ok(())
}

/// The wrapped keys of a folder.
pub fn wrapped(folder: &Path) -> Result<BTreeMap<KeyId, Vec<u8>>, Failure> {
    let mut wrapped = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| "a key has no name")?;
        wrapped.insert(KeyId::parse(&name)?, fs::read(entry.path())?);
    }
    Ok(wrapped)
}

/// Another token, into which wrapped keys come back.
pub fn unwrapping(
    backend: Arc<HsmBackend>,
    wrapped: BTreeMap<KeyId, Vec<u8>>,
) -> Result<Arc<Unwrapping>, Failure> {
    Ok(Arc::new(Unwrapping::new(backend, wrapped, under()?)))
}

/// The log learns which token it is now, and where the keys are in it.
pub async fn settle(
    house: &House,
    people: &People,
    backend: &dyn KeyBackend,
) -> Result<(), Failure> {
    let register = Command::RegisterBackend {
        backend: backend.id().clone(),
        identity: backend.identity().clone(),
    };
    house.execute(people, &people.operator, register).await?;
    let wallet = WalletId::parse(WALLET)?;
    let reseal = Command::ResealKeys { wallet, after: None, limit: Command::RESEAL_MAX };
    house.execute(people, &people.operator, reseal).await?;
    Ok(())
}

fn under() -> Result<KekId, Failure> {
    Ok(KekId::parse("backup")?)
}
