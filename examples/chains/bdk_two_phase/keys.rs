//! A new mnemonic and its account. This file opens secrets.
//!
//! Invariant: what leaves here is sealed in a `Secret`, or public.

use bip32::{Prefix, XPrv};
use custody_chain::AddressKind;
use custody_core::caip::ChainId;
use custody_core::seam::{DerivationPath, Entropy as _, WalletDescriptor};
use custody_core::secret::Secret;
use examples_chains::Failure;
use examples_chains::entropy::OsEntropy;
use zeroize::Zeroizing;

/// New words, and the descriptor of the first account of this kind below them.
pub(crate) fn draw(
    chain: &ChainId,
    kind: AddressKind,
) -> Result<(Secret, WalletDescriptor), Failure> {
    let entropy = Secret::try_fill(32, |bytes| OsEntropy.fill(bytes))?;
    let mnemonic = bip39::Mnemonic::from_entropy(entropy.expose())?;
    let seed = Zeroizing::new(mnemonic.to_seed(""));
    let root = XPrv::new(seed.as_slice())?;
    let path = kind.account_path(chain, 0).ok_or("there is no path")?;
    let mut key = root.clone();
    for index in path.indexes() {
        let number = index & !DerivationPath::HARDENED;
        key = key.derive_child(bip32::ChildNumber::new(number, true)?)?;
    }
    let text = key.public_key().to_string(Prefix::TPUB);
    let descriptor = kind.descriptor(chain, root.public_key().fingerprint(), 0, &text)?;
    Ok((Secret::new(mnemonic.to_string().into_bytes()), descriptor))
}
