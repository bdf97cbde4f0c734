use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Ledger;
use crate::command::Command;
use crate::id::KeyId;
use crate::seam::{ContextAccount, Decoder, DescriptorError};

/// Why a descriptor is not recorded.
#[derive(Debug)]
pub(crate) enum DescriptorRefusal {
    /// No decoder reads descriptors.
    NoReader,
    /// A decoder panicked.
    Panicked,
    /// It does not describe the wallet.
    Refused(DescriptorError),
    /// There is no such wallet.
    Wallet,
}

impl Ledger {
    /// Passes every command but one that records a descriptor which the decoder of the wallet's chain
    /// does not read, or which does not fit the keys that the wallet has now.
    pub(crate) fn check_described(
        &self,
        command: &Command,
        decoders: &[Arc<dyn Decoder>],
    ) -> Result<(), DescriptorRefusal> {
        let Command::RegisterDescriptor { wallet, descriptor } = command else { return Ok(()) };
        let wallet = self.wallet(wallet).ok_or(DescriptorRefusal::Wallet)?;
        let accounts = wallet.keys().iter().filter_map(|id| self.context_account(id));
        let (chain, accounts) = (wallet.chain(), accounts.collect::<Vec<_>>());
        let mut refusal = DescriptorRefusal::NoReader;
        for reader in decoders.iter().filter_map(|decoder| decoder.descriptors()) {
            let check = || reader.check(chain, descriptor, &accounts);
            match catch_unwind(AssertUnwindSafe(check)) {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => refusal = DescriptorRefusal::Refused(error),
                Err(_) => return Err(DescriptorRefusal::Panicked),
            }
        }
        Err(refusal)
    }

    /// A key as decoders know it.
    pub(crate) fn context_account(&self, id: &KeyId) -> Option<ContextAccount> {
        let key = self.key(id)?;
        let (public_key, path) = (key.public_key().clone(), key.path().cloned());
        Some(ContextAccount { key: id.clone(), public_key, path })
    }
}
