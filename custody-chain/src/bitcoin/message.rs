//! Messages, signed as BIP-322 says: by spending, in a transaction that never is one, an output
//! that never was one.
//!
//! Invariant: what is signed spends the output of a transaction that no block can hold; no coin
//! moves with it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bitcoin::absolute::LockTime;
use bitcoin::hashes::{Hash, HashEngine, sha256};
use bitcoin::opcodes::OP_0;
use bitcoin::opcodes::all::OP_RETURN;
use bitcoin::script::{Builder, PushBytesBuf};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, EcdsaSighashType, OutPoint, ScriptBuf, Sequence, TapSighashType, Transaction, TxIn,
    TxOut, Witness, consensus,
};
use custody_core::caip::AccountId;
use custody_core::crypto::Signature;
use custody_core::effect::{Arguments, Effect, MessageKind};
use custody_core::seam::{
    ContextAccount, DecodeContext, DerivationPath, Intent, Payload, SigningTask, TaskInput,
    TaskSignature,
};

use super::keys::{self, Kind};
use super::{BitcoinError, network};
use crate::signer::{self, SignerError};
use crate::text::{digest_of, shown};

/// A message, and who signs it as which script.
pub(super) struct Message<'a> {
    bytes: &'a [u8],
    account: &'a ContextAccount,
    name: AccountId,
    kind: Kind,
    /// What the virtual transaction spends.
    spent: TxOut,
    /// The virtual transaction that is signed.
    to_sign: Transaction,
}

impl<'a> Message<'a> {
    pub(super) fn of(
        payload: &'a Payload,
        context: &'a DecodeContext,
    ) -> Result<Self, BitcoinError> {
        let network = network::of(&context.chain).ok_or(BitcoinError::ContextChain)?;
        let account = signer::first(context)?;
        let bytes = payload.bytes.as_slice();
        let length = bytes.len();
        if length > LIMIT {
            return Err(BitcoinError::TooLong { length, limit: LIMIT });
        }
        let kind = kind(account)?;
        let mut scripts = keys::scripts(&account.public_key).into_iter();
        let script = scripts.find(|(found, _)| *found == kind).map(|(_, script)| script);
        let script = script.ok_or(BitcoinError::MessageAccount)?;
        let name = network::account(&context.chain, network, &script)?;
        let name = name.ok_or(BitcoinError::MessageAccount)?;
        let spent = TxOut { value: Amount::ZERO, script_pubkey: script };
        let to_sign = to_sign(&to_spend(bytes, &spent));
        Ok(Self { bytes, account, name, kind, spent, to_sign })
    }

    pub(super) fn intent(&self, context: &DecodeContext) -> Result<Intent, BitcoinError> {
        let shown = std::str::from_utf8(self.bytes).map_or_else(|_| digest_of(self.bytes), shown);
        let mut arguments = Arguments::new();
        arguments.insert("message", &shown)?;
        arguments.insert("address", self.name.address())?;
        let kind = MessageKind::parse(KIND)?;
        let length = self.bytes.len();
        let line = format!("sign a message of {length} bytes as {}: {shown}", self.name.address());
        Ok(Intent {
            chain: context.chain.clone(),
            effects: vec![Effect::SignMessage { kind, arguments }],
            facts: std::collections::BTreeSet::new(),
            tasks: vec![SigningTask {
                key: self.account.key.clone(),
                algorithm: self.account.public_key.algorithm(),
                input: self.input().ok_or(BitcoinError::MessageAccount)?,
            }],
            summary: vec![line],
        })
    }

    fn input(&self) -> Option<TaskInput> {
        let mut cache = SighashCache::new(&self.to_sign);
        if self.kind == Kind::Taproot {
            let all = Prevouts::All(std::slice::from_ref(&self.spent));
            let kind = TapSighashType::Default;
            let hash = cache.taproot_key_spend_signature_hash(0, &all, kind).ok()?;
            return Some(TaskInput::Message(hash.to_byte_array().to_vec()));
        }
        let (witness, all) = (self.witness_script()?, EcdsaSighashType::All);
        let hash = cache.p2wpkh_signature_hash(0, &witness, Amount::ZERO, all).ok()?;
        Some(TaskInput::Prehash(hash.to_byte_array()))
    }

    /// P2WPKH of the key: also the redeem script of P2SH-P2WPKH.
    fn witness_script(&self) -> Option<ScriptBuf> {
        let mut scripts = keys::scripts(&self.account.public_key).into_iter();
        scripts.find(|(kind, _)| *kind == Kind::WitnessKeyHash).map(|(_, script)| script)
    }

    /// `smp` and the witness, or, where there is a redeem script too, `ful` and the transaction.
    pub(super) fn assemble(self, signatures: &[TaskSignature]) -> Result<Vec<u8>, BitcoinError> {
        let signature = signer::only(signatures, self.account)?;
        let witness = self.witness(signature).ok_or(SignerError::Key)?;
        if self.kind != Kind::NestedKeyHash {
            let encoded = STANDARD.encode(consensus::serialize(&witness));
            return Ok(format!("{SIMPLE}{encoded}").into_bytes());
        }
        let redeem = self.witness_script().ok_or(BitcoinError::MessageAccount)?;
        let push = PushBytesBuf::try_from(redeem.into_bytes());
        let push = push.map_err(|_| BitcoinError::MessageAccount)?;
        let mut transaction = self.to_sign;
        for input in &mut transaction.input {
            input.script_sig = Builder::new().push_slice(&push).into_script();
            input.witness = witness.clone();
        }
        let encoded = STANDARD.encode(consensus::serialize(&transaction));
        Ok(format!("{FULL}{encoded}").into_bytes())
    }

    fn witness(&self, signature: &Signature) -> Option<Witness> {
        use bitcoin::secp256k1;
        let bytes = signature.as_bytes();
        if self.kind == Kind::Taproot {
            return Some(Witness::from_slice(&[bytes.as_slice()]));
        }
        let signature = secp256k1::ecdsa::Signature::from_compact(bytes).ok()?;
        let signature = bitcoin::ecdsa::Signature::sighash_all(signature);
        let key = bitcoin::PublicKey::from_slice(self.account.public_key.as_bytes()).ok()?;
        Some(Witness::p2wpkh(&signature, &key.inner))
    }
}

/// The script that an account's messages are signed for: by its algorithm, and of ECDSA by the
/// purpose of its path (BIP-43).
fn kind(account: &ContextAccount) -> Result<Kind, BitcoinError> {
    use custody_core::crypto::Algorithm;
    let purpose = account.path.as_ref().and_then(|path| path.indexes().first().copied());
    match (account.public_key.algorithm(), purpose) {
        (Algorithm::Bip340, _) => Ok(Kind::Taproot),
        (Algorithm::EcdsaSecp256k1, Some(BIP44)) => Err(BitcoinError::MessageAccount),
        (Algorithm::EcdsaSecp256k1, Some(BIP49)) => Ok(Kind::NestedKeyHash),
        (Algorithm::EcdsaSecp256k1, _) => Ok(Kind::WitnessKeyHash),
        (Algorithm::EcdsaP256 | Algorithm::Ed25519 | _, _) => Err(BitcoinError::MessageAccount),
    }
}

/// BIP-322, "Full": the virtual transaction whose only output is spent.
fn to_spend(message: &[u8], output: &TxOut) -> Transaction {
    let tag = sha256::Hash::hash(TAG);
    let mut engine = sha256::Hash::engine();
    engine.input(tag.as_byte_array());
    engine.input(tag.as_byte_array());
    engine.input(message);
    let hash = sha256::Hash::from_engine(engine);
    let script_sig = Builder::new().push_opcode(OP_0).push_slice(hash.to_byte_array());
    let input = input(OutPoint::null(), script_sig.into_script());
    transaction(input, output.clone())
}

/// BIP-322, "Full": the virtual transaction that is signed.
fn to_sign(to_spend: &Transaction) -> Transaction {
    let point = OutPoint { txid: to_spend.compute_txid(), vout: 0 };
    let script_pubkey = Builder::new().push_opcode(OP_RETURN).into_script();
    transaction(input(point, ScriptBuf::new()), TxOut { value: Amount::ZERO, script_pubkey })
}

fn input(previous_output: OutPoint, script_sig: ScriptBuf) -> TxIn {
    TxIn { previous_output, script_sig, sequence: Sequence::ZERO, witness: Witness::new() }
}

fn transaction(input: TxIn, output: TxOut) -> Transaction {
    let (version, lock_time) = (Version::non_standard(0), LockTime::ZERO);
    Transaction { version, lock_time, input: vec![input], output: vec![output] }
}

const BIP44: u32 = 44 | DerivationPath::HARDENED;
const BIP49: u32 = 49 | DerivationPath::HARDENED;
const FULL: &str = "ful";
const KIND: &str = "bip322";
/// Longest message, in bytes.
const LIMIT: usize = 256 * 1024;
const SIMPLE: &str = "smp";
const TAG: &[u8] = b"BIP0322-signed-message";
