//! Keys, contexts and what the decoder answers.

use bitcoin::hashes::{Hash, hash160};
use bitcoin::key::TweakedPublicKey;
use bitcoin::{Psbt, PubkeyHash, ScriptBuf, TxOut, WPubkeyHash, XOnlyPublicKey, consensus};
use bitcoinconsensus::{Utxo, VERIFY_ALL_PRE_TAPROOT, VERIFY_TAPROOT};
use custody_chain::{BitcoinDecoder, BitcoinError};
use custody_core::caip::ChainId;
use custody_core::crypto::Algorithm;
use custody_core::id::{KeyId, PayloadFormat, WalletId};
use custody_core::seam::{
    ContextAccount, DecodeContext, DecodeError, Decoder, DerivationPath, Intent, Payload,
    TaskSignature,
};
use custody_testkit::key::TestKey;

pub(crate) const MAINNET: &str = "bip122:000000000019d6689c085ae165831e93";

/// A key of the wallet, or of somebody else.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) id: KeyId,
    pub(crate) key: TestKey,
    pub(crate) path: Option<DerivationPath>,
}

pub(crate) fn named(name: &str, key: TestKey) -> Named {
    Named { id: KeyId::parse(name).unwrap(), key, path: None }
}

/// The ECDSA key of a number.
pub(crate) fn ecdsa(number: u64) -> Named {
    let key = TestKey::seeded(Algorithm::EcdsaSecp256k1, number);
    named(&format!("ecdsa-{number}"), key)
}

/// The BIP-340 key of a number.
pub(crate) fn bip340(number: u64) -> Named {
    named(&format!("bip340-{number}"), TestKey::seeded(Algorithm::Bip340, number))
}

impl Named {
    fn hash(&self) -> hash160::Hash {
        hash160::Hash::hash(self.key.public_key().as_bytes())
    }

    pub(crate) fn public(&self) -> bitcoin::PublicKey {
        bitcoin::PublicKey::from_slice(self.key.public_key().as_bytes()).unwrap()
    }

    pub(crate) fn x_only(&self) -> XOnlyPublicKey {
        XOnlyPublicKey::from_slice(self.key.public_key().as_bytes()).unwrap()
    }

    pub(crate) fn p2pkh(&self) -> ScriptBuf {
        ScriptBuf::new_p2pkh(&PubkeyHash::from_raw_hash(self.hash()))
    }

    pub(crate) fn p2wpkh(&self) -> ScriptBuf {
        ScriptBuf::new_p2wpkh(&WPubkeyHash::from_raw_hash(self.hash()))
    }

    pub(crate) fn nested(&self) -> ScriptBuf {
        ScriptBuf::new_p2sh(&self.p2wpkh().script_hash())
    }

    /// The output whose key is this one.
    pub(crate) fn p2tr(&self) -> ScriptBuf {
        ScriptBuf::new_p2tr_tweaked(TweakedPublicKey::dangerous_assume_tweaked(self.x_only()))
    }
}

pub(crate) fn context(keys: &[Named]) -> DecodeContext {
    let account = |named: &Named| ContextAccount {
        key: named.id.clone(),
        public_key: named.key.public_key().clone(),
        path: named.path.clone(),
    };
    DecodeContext {
        v: 1,
        wallet: WalletId::parse("treasury").unwrap(),
        chain: ChainId::parse(MAINNET).unwrap(),
        accounts: keys.iter().map(account).collect(),
        descriptors: Vec::new(),
    }
}

pub(crate) fn payload(bytes: Vec<u8>) -> Payload {
    Payload { format: PayloadFormat::parse("bitcoin/psbt").unwrap(), bytes }
}

pub(crate) fn reason(error: &DecodeError) -> BitcoinError {
    error.reason.downcast_ref::<BitcoinError>().unwrap().clone()
}

pub(crate) fn decode(psbt: &Psbt, context: &DecodeContext) -> Result<Intent, BitcoinError> {
    decode_by(&BitcoinDecoder::new(), psbt, context)
}

pub(crate) fn decode_by(
    decoder: &BitcoinDecoder,
    psbt: &Psbt,
    context: &DecodeContext,
) -> Result<Intent, BitcoinError> {
    decoder.decode(&payload(psbt.serialize()), context).map_err(|error| reason(&error))
}

/// Signs each task as the custodian does.
pub(crate) fn sign(intent: &Intent, keys: &[Named]) -> Vec<TaskSignature> {
    let sign = |task: &custody_core::seam::SigningTask| {
        let named = keys.iter().find(|named| named.id == task.key).unwrap();
        let input = task.input.as_input();
        let signature = named.key.sign(input).unwrap().checked(named.key.public_key(), input);
        TaskSignature { key: task.key.clone(), signature: signature.unwrap() }
    };
    intent.tasks.iter().map(sign).collect()
}

/// Decodes, signs and assembles.
pub(crate) fn signed_by(decoder: &BitcoinDecoder, psbt: &Psbt, keys: &[Named]) -> Psbt {
    let context = context(keys);
    let intent = decode_by(decoder, psbt, &context).unwrap();
    let signatures = sign(&intent, keys);
    let bytes = decoder.assemble(&payload(psbt.serialize()), &context, &signatures).unwrap();
    Psbt::deserialize(&bytes).unwrap()
}

pub(crate) fn signed(psbt: &Psbt, keys: &[Named]) -> Psbt {
    signed_by(&BitcoinDecoder::new(), psbt, keys)
}

/// Whether Bitcoin Core finds every input of the transaction of a finished PSBT satisfied.
pub(crate) fn is_valid(finished: &Psbt) -> bool {
    let spent: Vec<TxOut> =
        finished.iter_funding_utxos().map(|spent| spent.unwrap().clone()).collect();
    let transaction = finished.clone().extract_tx_unchecked_fee_rate();
    verifies(&consensus::serialize(&transaction), &spent)
}

pub(crate) fn verifies(transaction: &[u8], spent: &[TxOut]) -> bool {
    let utxo = |output: &TxOut| Utxo {
        script_pubkey: output.script_pubkey.as_bytes().as_ptr(),
        script_pubkey_len: u32::try_from(output.script_pubkey.len()).unwrap(),
        value: i64::try_from(output.value.to_sat()).unwrap(),
    };
    let utxos: Vec<_> = spent.iter().map(utxo).collect();
    spent.iter().enumerate().all(|(index, output)| {
        let (script, amount) = (output.script_pubkey.as_bytes(), output.value.to_sat());
        let flags = VERIFY_ALL_PRE_TAPROOT | VERIFY_TAPROOT;
        let verified = bitcoinconsensus::verify_with_flags(
            script,
            amount,
            transaction,
            Some(&utxos),
            index,
            flags,
        );
        verified.is_ok()
    })
}
