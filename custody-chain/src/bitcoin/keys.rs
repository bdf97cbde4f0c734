//! Which scripts the wallet's keys control.
//!
//! Invariant: a script is ours because it follows from a recorded public key, never because a
//! payload says so.

use std::collections::{BTreeMap, HashMap};

use bitcoin::hashes::{Hash, hash160};
use bitcoin::key::TweakedPublicKey;
use bitcoin::{PubkeyHash, Script, ScriptBuf, TxOut, WPubkeyHash, XOnlyPublicKey};
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::seam::ContextAccount;

/// The kinds of scripts that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// P2SH-P2WPKH.
    NestedKeyHash,
    /// P2PKH.
    KeyHash,
    /// P2TR.
    Taproot,
    /// P2WPKH.
    WitnessKeyHash,
    /// P2WSH.
    WitnessScript,
}

/// The scripts of one key, each with its kind.
pub(super) fn scripts(key: &PublicKey) -> Vec<(Kind, ScriptBuf)> {
    let mut scripts = plain_scripts(key);
    let nested = scripts.first().filter(|(kind, _)| *kind == Kind::WitnessKeyHash);
    let nested = nested.map(|(_, witness)| ScriptBuf::new_p2sh(&witness.script_hash()));
    scripts.extend(nested.map(|script| (Kind::NestedKeyHash, script)));
    scripts
}

/// The scripts of one key that need no hash of a script.
fn plain_scripts(key: &PublicKey) -> Vec<(Kind, ScriptBuf)> {
    match key.algorithm() {
        Algorithm::EcdsaSecp256k1 => {
            let hash = hash160::Hash::hash(key.as_bytes());
            let witness = ScriptBuf::new_p2wpkh(&WPubkeyHash::from_raw_hash(hash));
            let legacy = ScriptBuf::new_p2pkh(&PubkeyHash::from_raw_hash(hash));
            vec![(Kind::WitnessKeyHash, witness), (Kind::KeyHash, legacy)]
        }
        Algorithm::Bip340 => {
            let output = XOnlyPublicKey::from_slice(key.as_bytes()).ok();
            let output = output.map(TweakedPublicKey::dangerous_assume_tweaked);
            let script = output.map(|key| (Kind::Taproot, ScriptBuf::new_p2tr_tweaked(key)));
            script.into_iter().collect()
        }
        Algorithm::EcdsaP256 | Algorithm::Ed25519 | _ => Vec::new(),
    }
}

/// The wallet's keys, by what they control.
#[derive(Debug, Default)]
pub(super) struct Keys<'a> {
    scripts: HashMap<ScriptBuf, (Kind, &'a ContextAccount)>,
    ecdsa: BTreeMap<&'a [u8], &'a ContextAccount>,
    bip340: BTreeMap<&'a [u8], &'a ContextAccount>,
}

impl<'a> Keys<'a> {
    /// The keys of these accounts, for what is spent. Of accounts with the same key the first
    /// counts.
    pub(super) fn of(accounts: &'a [ContextAccount], spent: &[TxOut]) -> Self {
        let is_nested = spent.iter().any(|output| output.script_pubkey.is_p2sh());
        let scripts = if is_nested { scripts } else { plain_scripts };
        let mut keys = Self::default();
        for account in accounts {
            for (kind, script) in scripts(&account.public_key) {
                keys.scripts.entry(script).or_insert((kind, account));
            }
            let by_key = match account.public_key.algorithm() {
                Algorithm::EcdsaSecp256k1 => &mut keys.ecdsa,
                Algorithm::Bip340 => &mut keys.bip340,
                Algorithm::EcdsaP256 | Algorithm::Ed25519 | _ => continue,
            };
            by_key.entry(account.public_key.as_bytes()).or_insert(account);
        }
        keys
    }

    /// The account that controls a script by itself.
    pub(super) fn of_script(&self, script: &Script) -> Option<(Kind, &'a ContextAccount)> {
        self.scripts.get(script).copied()
    }

    /// The account of a compressed public key.
    pub(super) fn of_public_key(&self, key: bitcoin::PublicKey) -> Option<&'a ContextAccount> {
        if !key.compressed {
            return None;
        }
        self.ecdsa.get(key.inner.serialize().as_slice()).copied()
    }

    /// The account of a BIP-340 key.
    pub(super) fn of_x_only(&self, key: XOnlyPublicKey) -> Option<&'a ContextAccount> {
        self.bip340.get(key.serialize().as_slice()).copied()
    }
}
