//! Which outputs come back to the wallet.
//!
//! Invariant: an output is change because its script follows from a recorded descriptor; what a
//! payload says about it is only where to look.

use bitcoin::psbt::Output;
use bitcoin::secp256k1::{Secp256k1, VerifyOnly};
use bitcoin::{Network, Script};
use custody_core::seam::DecodeContext;

use super::BitcoinError;
use super::descriptor::{Branch, Branches};
use super::keys::Kind;

/// The change branches of the wallet whose scripts are of a kind that is spent.
pub(super) struct Change {
    secp: Secp256k1<VerifyOnly>,
    branches: Vec<(Branch, u32)>,
}

impl Change {
    /// The branches of the context's descriptors. `kinds` are those of the wallet's inputs.
    pub(super) fn of(
        context: &DecodeContext,
        network: Network,
        kinds: &[Kind],
    ) -> Result<Self, BitcoinError> {
        let mut branches = Vec::new();
        for text in &context.descriptors {
            let descriptor = Branches::read(text, network)?;
            let Some(branch) = descriptor.change() else { continue };
            if kinds.contains(&descriptor.kind()) {
                let highest = branch.highest(&context.accounts);
                let last = highest.map_or(GAP.saturating_sub(1), |index| index.saturating_add(GAP));
                branches.push((branch.clone(), last));
            }
        }
        Ok(Self { secp: Secp256k1::verification_only(), branches })
    }

    /// Whether an output is change.
    pub(super) fn is(&self, output: &Output, script: &Script) -> bool {
        let Some(index) = hint(output) else { return false };
        self.branches.iter().any(|(branch, last)| {
            index <= *last && branch.script(&self.secp, index).is_some_and(|own| *own == *script)
        })
    }
}

/// The index that all labels of an output name; none if they do not agree.
fn hint(output: &Output) -> Option<u32> {
    let plain = output.bip32_derivation.values().map(|(_, path)| path);
    let taproot = output.tap_key_origins.values().map(|(_, (_, path))| path);
    let mut indexes = plain.chain(taproot).map(|path| path.into_iter().last().copied());
    let first = indexes.next().flatten()?;
    let agree = indexes.all(|index| index == Some(first));
    (agree && first.is_normal()).then(|| u32::from(first))
}

/// How far above the highest used index change may be.
const GAP: u32 = 1_000;
