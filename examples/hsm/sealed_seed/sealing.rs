//! Software keys under a key of a token, and a house whose wallet they are.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use custody_core::id::{BackendId, CustodianId};
use custody_core::seam::{Entropy, KeyBackend, KeyEncryption};
use custody_core::tokio::TokioClock;
use custody_hsm::HsmBackend;
use custody_soft::{CacheLimits, SoftBackend};
use examples_hsm::Failure;
use examples_hsm::house::{House, Parts};

/// Software keys that are sealed under the token's key of this name. Nothing stays open: each
/// signature asks the token. A host that signs more often keeps keys open for a while (`CacheLimits`).
pub(crate) async fn backend(
    token: &HsmBackend,
    entropy: Arc<dyn Entropy>,
) -> Result<Arc<SoftBackend>, Failure> {
    let kek: Arc<dyn KeyEncryption> = Arc::new(token.key_encryption(KEK).await?);
    let limits = CacheLimits::new(NonZeroU32::MIN, Duration::ZERO, NonZeroU64::MIN);
    let (id, clock) = (BackendId::parse(SEALED)?, Arc::new(TokioClock::new()));
    Ok(Arc::new(SoftBackend::with_cache(id, kek, entropy, clock, limits)?))
}

/// The house in a directory, made if it has no id yet. The key of its log is a native one.
pub(crate) async fn house(
    directory: &Path,
    keys: Arc<dyn KeyBackend>,
    log: Arc<HsmBackend>,
    id: Option<CustodianId>,
) -> Result<House, Failure> {
    let parts = Parts { keys, log, sealed_by: None, rules: include_str!("sealed.cedar") };
    match id {
        Some(id) => House::open(directory, parts, id).await,
        None => House::create(directory, parts).await,
    }
}

/// The name of the token's key.
pub(crate) const KEK: &str = "seeds";
/// The host's name for the backend.
pub(crate) const SEALED: &str = "sealed";
