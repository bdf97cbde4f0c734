//! A seed written down in words: the one way in which a secret leaves this crate.
//!
//! Invariant: nothing here asks whether it is allowed; whoever calls it has an order that says so.

use tracing::{instrument, warn};

use custody_core::seam::{BackendError, ErrorKind, SeedRecord};
use custody_core::secret::Secret;

use super::SoftBackend;
use crate::mnemonic::write_mnemonic;
use crate::sealed::Binding;
use crate::seed::Seed;

impl SoftBackend {
    /// The English words of a seed that this crate made, or that came in as English words without a
    /// passphrase (BIP-39): with them every wallet that reads such words has its keys.
    ///
    /// # Errors
    /// `Unsupported` for any other seed, from which no words come back; `Corrupt` for a seed made for
    /// another custodian, wallet or key id; else the kinds of [`ErrorKind`].
    ///
    /// # Security
    /// Whoever sees the words has the money, whatever rules say. Call it only under an order that
    /// names the seed, and show the words to nobody but its holder, on a machine that has no network.
    ///
    /// # Cancel safety
    /// Nothing changes if the future is dropped.
    #[instrument(
        level = "debug",
        skip_all,
        fields(wallet = %seed.wallet, seed = %seed.key),
        err(level = "debug")
    )]
    pub async fn mnemonic(&self, seed: &SeedRecord) -> Result<Secret, BackendError> {
        let failed = |kind| BackendError::new(kind, "write a seed in words");
        let sealer = &self.vault.sealer;
        let stored = sealer.open(&Binding::of_seed_record(seed), &seed.handle).await?;
        let corrupt = |error| failed(ErrorKind::Corrupt).with_source(error);
        let Seed::Entropy(entropy) = Seed::read(&stored).map_err(corrupt)? else {
            return Err(failed(ErrorKind::Unsupported));
        };
        let words = write_mnemonic(&entropy);
        let words = words.map_err(|error| failed(ErrorKind::Corrupt).with_source(error))?;
        warn!("wrote a seed in words");
        Ok(words)
    }
}
