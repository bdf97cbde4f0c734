//! What may be known of a seed outside of its backend: the public keys of its accounts.
//!
//! Invariant: nothing above an account is told, and nothing but what was asked for.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;

use super::error::Error;
use super::job::{load_handle, registered_backend};
use super::shared::Shared;
use crate::crypto::Algorithm;
use crate::id::WalletId;
use crate::seam::{BackendError, DerivationPath, ErrorKind, ExtendedPublicKey, SeedRecord};

/// The extended public key at a path of hardened steps below a wallet's seed.
pub(super) async fn account_key(
    shared: &Shared,
    wallet: &WalletId,
    path: &DerivationPath,
) -> Result<ExtendedPublicKey, Error> {
    const WITHOUT_SEED: Error = Error::NotFound { what: "seed of the wallet" };
    let is_account = path.indexes().iter().all(|index| index & DerivationPath::HARDENED != 0);
    if path.indexes().is_empty() || !is_account {
        return Err(Error::Request { what: "the path of an account has hardened steps only" });
    }
    let failed = |kind| BackendError::new(kind, "extended public key");
    let (custodian, backend, key) = {
        let published = shared.read();
        let wallet = published.ledger.wallet(wallet).ok_or(Error::NotFound { what: "wallet" })?;
        let seed = wallet.seed().ok_or(WITHOUT_SEED)?;
        (*published.ledger.custodian(), wallet.backend().clone(), seed.clone())
    };
    let backend = registered_backend(shared, &backend);
    let backend = backend.ok_or_else(|| failed(ErrorKind::Unavailable))?;
    let derivation = backend.backend.derivation().ok_or_else(|| failed(ErrorKind::Unsupported))?;
    let place = shared.calls.of(backend.permits.acquire()).await;
    let _place = place.ok_or(Error::Busy { what: "calls in the backend" })?;
    let handle = load_handle(shared, wallet, &key).await;
    let (_, handle) = handle.map_err(|_| failed(ErrorKind::Unavailable))?;
    let seed = SeedRecord { custodian, wallet: wallet.clone(), key, handle };
    let call = AssertUnwindSafe(derivation.extended_public_key(&seed, path)).catch_unwind();
    let answer = shared.calls.of(call).await.and_then(Result::ok);
    let found = answer.ok_or_else(|| failed(ErrorKind::Unavailable))??;
    let is_asked = found.path == *path && found.public_key.algorithm() == Algorithm::EcdsaSecp256k1;
    if is_asked { Ok(found) } else { Err(failed(ErrorKind::Corrupt).into()) }
}
