//! Sealing anew.
//!
//! Invariant: what is sealed anew is opened within the call, and kept by nobody.

use async_trait::async_trait;
use tracing::{debug, instrument};

use custody_core::seam::{BackendError, ErrorKind, KeyHandle, KeyRecord, KeyResealing, SeedRecord};
use custody_core::secret::Secret;

use super::SoftBackend;
use crate::sealed::Binding;
use crate::seed::Seed;
use crate::signer::recorded_key;

#[async_trait]
impl KeyResealing for SoftBackend {
    #[instrument(
        level = "debug",
        skip_all,
        fields(wallet = %key.wallet, key = %key.key),
        err(level = "debug")
    )]
    async fn reseal_key(&self, key: &KeyRecord) -> Result<KeyHandle, BackendError> {
        let check = |secret: &Secret| recorded_key(key, secret).map(drop);
        let sealer = &self.vault.sealer;
        let handle = sealer.reseal(&Binding::of_record(key), &key.handle, check).await?;
        debug!("sealed a key anew");
        Ok(handle)
    }

    #[instrument(
        level = "debug",
        skip_all,
        fields(wallet = %seed.wallet, seed = %seed.key),
        err(level = "debug")
    )]
    async fn reseal_seed(&self, seed: &SeedRecord) -> Result<KeyHandle, BackendError> {
        let corrupt =
            |error| BackendError::new(ErrorKind::Corrupt, "open a seed").with_source(error);
        let check = |secret: &Secret| Seed::read(secret).map(drop).map_err(corrupt);
        let sealer = &self.vault.sealer;
        let handle = sealer.reseal(&Binding::of_seed_record(seed), &seed.handle, check).await?;
        debug!("sealed a seed anew");
        Ok(handle)
    }
}
