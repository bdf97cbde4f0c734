//! Which inputs are the wallet's, and who signs them.
//!
//! Invariant: an input is ours only if a recorded public key proves it; labels in a PSBT prove
//! nothing and are not looked at.

use std::collections::BTreeSet;

use bitcoin::key::TapTweak;
use bitcoin::psbt::Input;
use bitcoin::secp256k1::{Secp256k1, VerifyOnly};
use bitcoin::taproot::{ControlBlock, LeafVersion, TapLeafHash};
use bitcoin::{Psbt, ScriptBuf, TxOut, WScriptHash, XOnlyPublicKey};
use custody_core::seam::ContextAccount;
use miniscript::{Miniscript, Segwitv0, Tap};

use super::BitcoinError;
use super::keys::{Keys, Kind};
use super::sighash::{Sighash, SighashAllowance};

/// An input of the wallet.
#[derive(Debug)]
pub(super) struct Own<'a> {
    /// Its position.
    pub(super) index: usize,
    /// The kind of the output that it spends.
    pub(super) kind: Kind,
    /// What its signatures cover.
    pub(super) sighash: Sighash,
    /// Who signs it, at least one.
    pub(super) signers: Vec<InputSigner<'a>>,
}

/// Who signs an input, and as what.
#[derive(Debug)]
pub(super) struct InputSigner<'a> {
    pub(super) account: &'a ContextAccount,
    /// The leaf whose script is satisfied, of a spend by script of taproot.
    pub(super) leaf: Option<TapLeafHash>,
}

impl Kind {
    pub(super) const fn is_taproot(self) -> bool {
        matches!(self, Self::Taproot)
    }
}

/// The wallet's inputs, in order.
pub(super) fn own<'a>(
    psbt: &Psbt,
    spent: &[TxOut],
    keys: &Keys<'a>,
    allowed: &BTreeSet<SighashAllowance>,
) -> Result<Vec<Own<'a>>, BitcoinError> {
    let secp = Secp256k1::verification_only();
    let outputs = psbt.unsigned_tx.output.len();
    let mut own = Vec::new();
    for (index, (input, spent)) in psbt.inputs.iter().zip(spent).enumerate() {
        let place = Place { index, input, spent };
        let Some((kind, signers)) = place.signers(keys, &secp)? else { continue };
        place.check_unsigned(&signers)?;
        let sighash = Sighash::of(input, kind.is_taproot(), allowed);
        let sighash = sighash.filter(|sighash| !sighash.is_single() || index < outputs);
        let sighash = sighash.ok_or(BitcoinError::Sighash { input: index })?;
        own.push(Own { index, kind, sighash, signers });
    }
    if own.is_empty() { Err(BitcoinError::NothingOfOurs) } else { Ok(own) }
}

type Signers<'a> = Option<(Kind, Vec<InputSigner<'a>>)>;

/// An input where it stands.
struct Place<'p> {
    index: usize,
    input: &'p Input,
    spent: &'p TxOut,
}

impl Place<'_> {
    fn signers<'a>(
        &self,
        keys: &Keys<'a>,
        secp: &Secp256k1<VerifyOnly>,
    ) -> Result<Signers<'a>, BitcoinError> {
        let script = &self.spent.script_pubkey;
        if let Some((kind, account)) = keys.of_script(script) {
            match kind {
                Kind::NestedKeyHash => self.check_redeem_script()?,
                Kind::Taproot => self.check_internal_key(secp)?,
                Kind::KeyHash | Kind::WitnessKeyHash | Kind::WitnessScript => {}
            }
            return Ok(Some((kind, vec![InputSigner { account, leaf: None }])));
        }
        if script.is_p2wsh() {
            return Ok(self.witness_script_signers(keys));
        }
        if script.is_p2tr() {
            return Ok(self.leaf_signers(keys, secp));
        }
        Ok(None)
    }

    /// P2SH-P2WPKH is finished with its redeem script, which must be that of the output.
    fn check_redeem_script(&self) -> Result<(), BitcoinError> {
        let script = self.input.redeem_script.as_ref();
        let is_own = script.is_some_and(|script| {
            script.is_p2wpkh()
                && ScriptBuf::new_p2sh(&script.script_hash()) == self.spent.script_pubkey
        });
        if is_own { Ok(()) } else { Err(BitcoinError::RedeemScript { input: self.index }) }
    }

    /// An internal key, where one is told, is tweaked to the output key (BIP-341).
    fn check_internal_key(&self, secp: &Secp256k1<VerifyOnly>) -> Result<(), BitcoinError> {
        let Some(internal) = self.input.tap_internal_key else { return Ok(()) };
        let (output, _) = internal.tap_tweak(secp, self.input.tap_merkle_root);
        let script = ScriptBuf::new_p2tr_tweaked(output);
        if script == self.spent.script_pubkey {
            Ok(())
        } else {
            Err(BitcoinError::Taproot { input: self.index })
        }
    }

    fn witness_script_signers<'a>(&self, keys: &Keys<'a>) -> Signers<'a> {
        let script = self.input.witness_script.as_ref()?;
        let hash = WScriptHash::from(script.clone());
        if ScriptBuf::new_p2wsh(&hash) != self.spent.script_pubkey {
            return None;
        }
        let miniscript = Miniscript::<bitcoin::PublicKey, Segwitv0>::decode(script).ok()?;
        let accounts = distinct(miniscript.iter_pk().filter_map(|key| keys.of_public_key(key)));
        let signers = accounts.into_iter().map(|account| InputSigner { account, leaf: None });
        some(Kind::WitnessScript, signers.collect())
    }

    fn leaf_signers<'a>(&self, keys: &Keys<'a>, secp: &Secp256k1<VerifyOnly>) -> Signers<'a> {
        let program = self.spent.script_pubkey.as_bytes().get(2..)?;
        let output = XOnlyPublicKey::from_slice(program).ok()?;
        let mut signers: Vec<InputSigner<'a>> = Vec::new();
        for (control, (script, version)) in &self.input.tap_scripts {
            let Some(found) = leaf_accounts(secp, output, control, (script, *version), keys) else {
                continue;
            };
            let leaf = Some(script.tapscript_leaf_hash());
            signers.extend(found.into_iter().map(|account| InputSigner { account, leaf }));
        }
        let mut seen = BTreeSet::new();
        signers.retain(|signer| seen.insert((signer.account.key.clone(), signer.leaf)));
        some(Kind::Taproot, signers)
    }

    /// What is to be signed is not signed yet.
    fn check_unsigned(&self, signers: &[InputSigner<'_>]) -> Result<(), BitcoinError> {
        let input = self.input;
        let is_signed = |signer: &InputSigner<'_>| {
            let key = signer.account.public_key.as_bytes();
            let by_leaf = |(own, leaf): &(XOnlyPublicKey, TapLeafHash)| {
                own.serialize() == key && Some(*leaf) == signer.leaf
            };
            input.partial_sigs.keys().any(|own| own.to_bytes() == key)
                || input.tap_script_sigs.keys().any(by_leaf)
        };
        let is_final = input.final_script_sig.is_some() || input.final_script_witness.is_some();
        if is_final || input.tap_key_sig.is_some() || signers.iter().any(is_signed) {
            return Err(BitcoinError::AlreadySigned { input: self.index });
        }
        Ok(())
    }
}

/// The accounts whose keys are in a leaf that the output key commits to (BIP-341, "Script
/// validation rules").
fn leaf_accounts<'a>(
    secp: &Secp256k1<VerifyOnly>,
    output: XOnlyPublicKey,
    control: &ControlBlock,
    (script, version): (&ScriptBuf, LeafVersion),
    keys: &Keys<'a>,
) -> Option<Vec<&'a ContextAccount>> {
    let is_script = version == LeafVersion::TapScript && control.leaf_version == version;
    if !is_script || !control.verify_taproot_commitment(secp, output, script) {
        return None;
    }
    let miniscript = Miniscript::<XOnlyPublicKey, Tap>::decode(script).ok()?;
    Some(distinct(miniscript.iter_pk().filter_map(|key| keys.of_x_only(key))))
}

/// Accounts without repetitions, in their order.
fn distinct<'a>(accounts: impl Iterator<Item = &'a ContextAccount>) -> Vec<&'a ContextAccount> {
    let mut seen = BTreeSet::new();
    accounts.filter(|account| seen.insert(account.key.clone())).collect()
}

fn some(kind: Kind, signers: Vec<InputSigner<'_>>) -> Signers<'_> {
    (!signers.is_empty()).then_some((kind, signers))
}
