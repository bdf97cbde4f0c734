//! Rebuilding the house from a copy of its archive and the shares that holders bring.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::Failure;
use crate::cold::WRAPPED;
use crate::entropy::OsEntropy;
use crate::holders::{Holders, Post};
use crate::keys::{PASSPHRASE, SoftKeys, copy};
use custody_core::seam::KeyBackend;
use custody_core::secret::Secret;
use custody_recovery::archive::{LocalFile, LockedArchive, SecretName};
use custody_recovery::ceremony::CeremonyRecord;
use custody_recovery::restore::{FolderTarget, Restored, prove as prove_keys, restore as unpack};
use custody_recovery::slip39::{Share, combine};
use custody_recovery::{Opener, SharePosition};
use custody_store::SqliteStore;

use crate::vault::{Made, Vault};

/// Three holders of each group open their packets.
pub fn bring(
    holders: &Holders,
    record: &CeremonyRecord,
    post: &Post,
) -> Result<Vec<Share>, Failure> {
    let mut shares = Vec::new();
    for (group, member) in [(0, 0), (0, 2), (0, 4), (1, 1), (1, 2), (1, 3)] {
        shares.push(holders.open(record, SharePosition { group, member }, post)?);
    }
    Ok(shares)
}

/// Fills an empty machine from the copy in Oslo.
pub async fn restore(
    directory: &Path,
    vault: &Vault,
    made: &Made,
    shares: Vec<Share>,
) -> Result<(Restored, SoftKeys), Failure> {
    let secret = combine(&shares, &Secret::new(Vec::new()))?;
    drop(shares);
    let copy_in_oslo = LocalFile::open(&vault.copy_in("oslo", &made.summary)?)?;
    let locked = LockedArchive::peek(copy_in_oslo).await?;
    let key = locked.open_route(Opener::Set(&secret)).await?;
    drop(secret);
    let reader = locked.unlock(&key)?;
    std::fs::create_dir_all(directory)?;
    let mut files = FolderTarget::new()
        .folder("log", &directory.join("log"))?
        .folder("keys", &directory.join("keys"))?
        .folder(WRAPPED, &directory.join(WRAPPED))?;
    let store = SqliteStore::open(directory.join("custody.sqlite"))?;
    let restored = unpack(reader, &store, &mut files).await?;
    store.verify().await?;
    store.close();
    let name = SecretName::parse(PASSPHRASE)?;
    let passphrase = restored.secrets().get(&name).ok_or("the archive has no passphrase")?;
    let keys = SoftKeys::open(&directory.join("keys"), copy(passphrase)).await?;
    Ok((restored, keys))
}

/// Has every key sign before anything is opened.
pub async fn prove(
    restored: &Restored,
    keys: &SoftKeys,
    token: Option<Arc<dyn KeyBackend>>,
) -> Result<String, Failure> {
    let backend = Arc::clone(&keys.backend) as Arc<dyn KeyBackend>;
    let all = token.into_iter().chain([backend]);
    let backends: BTreeMap<_, _> = all.map(|backend| (backend.id().clone(), backend)).collect();
    let proved = prove_keys(restored.keys(), &backends, &OsEntropy).await?;
    if let Some(failed) = proved.failed.first() {
        return Err(format!("{} is not proved: {}", failed.key, failed.reason).into());
    }
    let (events, orders) = (restored.folded().head.size, restored.folded().orders);
    Ok(format!(
        "restored {events} events of {orders} orders; {} keys and {} seeds are the recorded ones",
        proved.keys, proved.seeds
    ))
}
