//! Bitcoin: PSBTs whose every byte and every satoshi is accounted for, messages, and descriptors of
//! wallets.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::LazyLock;

use bitcoin::absolute::LockTime;
use bitcoin::bip32::{ChildNumber, DerivationPath, Xpriv, Xpub};
use bitcoin::hashes::{Hash, hash160};
use bitcoin::key::TweakedPublicKey;
use bitcoin::psbt::Output;
use bitcoin::secp256k1::Secp256k1;
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, Network, OutPoint, Psbt, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid,
    WPubkeyHash, Witness, XOnlyPublicKey,
};
use custody_chain::{AddressKind, BitcoinDecoder};
use custody_core::caip::ChainId;
use custody_core::crypto::Algorithm;
use custody_core::effect::Action;
use custody_core::id::{KeyId, PayloadFormat, WalletId};
use custody_core::seam::{
    ContextAccount, DecodeContext, Decoder, DescriptorReader as _, Intent, Payload, SigningTask,
    TaskSignature, WalletDescriptor,
};
use custody_testkit::key::TestKey;
use miniscript::{Descriptor, DescriptorPublicKey};

use crate::Seed;
use crate::input::{choose, chosen, flip, one_changed, patched};

const PARTS: [&str; 4] = ["psbt", "descriptor", "message", "extended key"];
const KINDS: [(AddressKind, u32, &str, &str); 4] = [
    (AddressKind::KeyHash, 44, "pkh(", ")"),
    (AddressKind::NestedKeyHash, 49, "sh(wpkh(", "))"),
    (AddressKind::Taproot, 86, "tr(", ")"),
    (AddressKind::WitnessKeyHash, 84, "wpkh(", ")"),
];

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let (part, rest) = choose(&PARTS, bytes)?;
    let is_taken = match *part {
        "psbt" => psbt(rest),
        "descriptor" => descriptor(rest),
        "extended key" => extended_key(rest),
        _ => message(rest),
    };
    is_taken.then_some(part)
}

fn psbt(bytes: &[u8]) -> bool {
    let payload = payload("bitcoin/psbt", bytes);
    let Ok(intent) = decode(&payload) else {
        let refused = BitcoinDecoder::new().assemble(&payload, &context(), &[]);
        assert!(refused.is_err(), "what is refused is not put together");
        return false;
    };
    let psbt = Psbt::deserialize(bytes).unwrap();
    assert_eq!(psbt.serialize(), bytes, "every byte is accounted for");
    let spent: u64 = psbt.iter_funding_utxos().map(|spent| spent.unwrap().value.to_sat()).sum();
    let told = intent.effects.iter().filter_map(|effect| effect.amount());
    let told: u64 = told.map(|amount| amount.units().to_string().parse::<u64>().unwrap()).sum();
    assert_eq!(told + change(&psbt), spent, "every satoshi is told or comes back");
    let last = intent.effects.last().map(custody_core::effect::Effect::action);
    assert_eq!(last, Some(Action::PayFee));
    let outputs = psbt.unsigned_tx.output.len();
    assert!(intent.effects.len() <= outputs + 1, "an effect for each output, and the fee");
    let longer = [bytes, &[0]].concat();
    assert!(decode(&self::payload("bitcoin/psbt", &longer)).is_err(), "a byte behind the end");
    let whole = Psbt::deserialize(&check(&payload, &intent)).unwrap();
    assert_eq!(whole.unsigned_tx, psbt.unsigned_tx, "what is signed is what was decoded");
    true
}

/// The satoshi that come back: outputs of the account's change branch whose labels agree on their
/// index, if the wallet spends an output of their kind.
fn change(psbt: &Psbt) -> u64 {
    let own = ScriptBuf::new_p2wpkh(&key_hash());
    if !psbt.iter_funding_utxos().any(|spent| spent.unwrap().script_pubkey == own) {
        return 0;
    }
    let comes_back = |(labels, output): &(&Output, &TxOut)| {
        let plain = labels.bip32_derivation.values().map(|(_, path)| path);
        let taproot = labels.tap_key_origins.values().map(|(_, (_, path))| path);
        let last: BTreeSet<_> = plain.chain(taproot).map(|path| path.into_iter().last()).collect();
        let Some(Some(ChildNumber::Normal { index })) = last.first() else { return false };
        last.len() == 1 && CHANGE.get(*index as usize) == Some(&output.script_pubkey)
    };
    let outputs = psbt.outputs.iter().zip(&psbt.unsigned_tx.output);
    outputs.filter(comes_back).map(|(_, output)| output.value.to_sat()).sum()
}

fn message(bytes: &[u8]) -> bool {
    let payload = payload("bitcoin/message", bytes);
    let Ok(intent) = decode(&payload) else { panic!("any bytes are a message") };
    let [effect] = intent.effects.as_slice() else { panic!("one effect") };
    assert_eq!(effect.action(), Action::SignMessage);
    let text = String::from_utf8(check(&payload, &intent)).unwrap();
    assert!(text.starts_with("smp"), "a simple signature");
    !bytes.is_empty()
}

fn descriptor(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(descriptor) = WalletDescriptor::parse(text) else { return false };
    let (decoder, context) = (BitcoinDecoder::new(), context());
    let reads = |descriptor: &WalletDescriptor| {
        decoder.check(&context.chain, descriptor, &context.accounts).is_ok()
    };
    if !reads(&descriptor) {
        return false;
    }
    let parsed = Descriptor::<DescriptorPublicKey>::from_str(text).unwrap();
    assert!(parsed.has_wildcard());
    for (at, changed) in one_changed(text).take(64) {
        if let Ok(changed) = WalletDescriptor::parse(&changed) {
            assert!(!reads(&changed), "character {at} changed");
        }
    }
    true
}

/// An extended key is the one in the descriptor of its account, of no other account and network,
/// and none in which one character is another.
fn extended_key(bytes: &[u8]) -> bool {
    let Some((first, text)) = bytes.split_first() else { return false };
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let (kind, purpose, before, behind) = KINDS[usize::from(*first) % KINDS.len()];
    let number = u32::from(*first) / 4;
    let test = ChainId::parse("bip122:000000000933ea01ad0ee984209779ba").unwrap();
    let descriptor = |chain: &ChainId, number: u32, text: &str| {
        kind.descriptor(chain, [0xde, 0xad, 0xbe, 0xef], number, text)
    };
    let chain = context().chain;
    let Ok(read) = descriptor(&chain, number, text) else { return false };
    let (written, _) = read.as_str().split_once('#').unwrap();
    let path = format!("deadbeef/{purpose}'/0'/{number}'");
    assert_eq!(written, format!("{before}[{path}]{text}/<0;1>/*{behind}"));
    assert!(descriptor(&chain, number + 1, text).is_err(), "another account");
    assert!(descriptor(&test, number, text).is_err(), "another network");
    let payload = bs58::decode(text).with_check(None).into_vec().unwrap();
    assert_eq!(payload[..5], [0x04, 0x88, 0xb2, 0x1e, 3], "an account of the main network");
    assert_eq!(payload[9..13], (number | 0x8000_0000).to_be_bytes());
    assert_eq!(bs58::encode(payload).with_check().into_string(), text);
    for (at, changed) in one_changed(text) {
        assert!(descriptor(&chain, number, &changed).is_err(), "character {at} changed");
    }
    true
}

/// The contract of the seam, and the signed form.
fn check(payload: &Payload, intent: &Intent) -> Vec<u8> {
    let (decoder, context) = (BitcoinDecoder::new(), context());
    assert_eq!(decode(payload).unwrap(), *intent, "twice the same");
    assert_eq!(intent.summary.len(), intent.effects.len());
    let signatures: Vec<_> = intent.tasks.iter().map(sign).collect();
    let twice = [&signatures[..], &signatures].concat();
    for others in [&[][..], &twice, &signatures[1..]] {
        assert!(decoder.assemble(payload, &context, others).is_err());
    }
    decoder.assemble(payload, &context, &signatures).unwrap()
}

fn sign(task: &SigningTask) -> TaskSignature {
    let signer = keys().into_iter().find(|key| key.algorithm() == task.algorithm).unwrap();
    let input = task.input.as_input();
    let signature = signer.sign(input).unwrap().checked(signer.public_key(), input).unwrap();
    TaskSignature { key: task.key.clone(), signature }
}

fn decode(payload: &Payload) -> Result<Intent, custody_core::seam::DecodeError> {
    BitcoinDecoder::new().decode(payload, &context())
}

fn payload(format: &str, bytes: &[u8]) -> Payload {
    Payload { format: PayloadFormat::parse(format).unwrap(), bytes: bytes.to_vec() }
}

fn context() -> DecodeContext {
    let account = |key: TestKey| ContextAccount {
        key: KeyId::parse(key.algorithm().as_str()).unwrap(),
        public_key: key.public_key().clone(),
        path: None,
    };
    DecodeContext {
        v: 1,
        wallet: WalletId::parse("treasury").unwrap(),
        chain: ChainId::parse("bip122:000000000019d6689c085ae165831e93").unwrap(),
        accounts: keys().into_iter().map(account).collect(),
        descriptors: vec![WalletDescriptor::parse(&descriptors()[0]).unwrap()],
    }
}

fn keys() -> [TestKey; 2] {
    [Algorithm::EcdsaSecp256k1, Algorithm::Bip340].map(|algorithm| TestKey::seeded(algorithm, 1))
}

/// The account of the wallet at `m/84'/0'/0'`.
fn account() -> (Xpub, String) {
    let secp = Secp256k1::new();
    let root = Xpriv::new_master(Network::Bitcoin, &[7; 32]).unwrap();
    let path = DerivationPath::from_str("m/84'/0'/0'").unwrap();
    let account = Xpub::from_priv(&secp, &root.derive_priv(&secp, &path).unwrap());
    (account, format!("[{}/84'/0'/0']{account}", root.fingerprint(&secp)))
}

/// The change branch of the account, as far as it is looked at while no account has a path.
static CHANGE: LazyLock<Vec<ScriptBuf>> = LazyLock::new(|| {
    let secp = Secp256k1::verification_only();
    let branch = account().0.derive_pub(&secp, &[ChildNumber::from(1_u32)]).unwrap();
    let script = |index: u32| {
        let child = branch.derive_pub(&secp, &[ChildNumber::from(index)]).unwrap();
        ScriptBuf::new_p2wpkh(&child.to_pub().wpubkey_hash())
    };
    (0..1_000).map(script).collect()
});

/// Descriptors that are read.
fn descriptors() -> Vec<String> {
    let (_, key) = account();
    let texts = [
        format!("wpkh({key}/<0;1>/*)"),
        format!("sh(wpkh({key}/0/*))"),
        format!("pkh({key}/1/*)"),
        format!("tr({key}/<0;1>/*)"),
        format!("wsh(sortedmulti(1,{key}/<0;1>/*))"),
    ];
    let sum =
        |text: &String| Descriptor::<DescriptorPublicKey>::from_str(text).unwrap().to_string();
    texts.iter().map(sum).collect()
}

/// The hash of the wallet's ECDSA key.
fn key_hash() -> WPubkeyHash {
    let [ecdsa, _] = keys();
    WPubkeyHash::from_raw_hash(hash160::Hash::hash(ecdsa.public_key().as_bytes()))
}

/// PSBTs that are read, each with a name.
fn samples() -> Vec<Seed> {
    let [_, bip340] = keys();
    let hash = key_hash();
    let witness = ScriptBuf::new_p2wpkh(&hash);
    let legacy = ScriptBuf::new_p2pkh(&bitcoin::PubkeyHash::from_raw_hash(hash.to_raw_hash()));
    let output = XOnlyPublicKey::from_slice(bip340.public_key().as_bytes()).unwrap();
    let taproot = ScriptBuf::new_p2tr_tweaked(TweakedPublicKey::dangerous_assume_tweaked(output));
    let data = ScriptBuf::new_op_return([1, 2, 3]);
    let mut samples = Vec::new();
    for (name, spends, pays) in [
        ("witness", vec![&witness], vec![&legacy]),
        ("legacy", vec![&legacy], vec![&witness, &data]),
        ("taproot", vec![&taproot], vec![&taproot]),
        ("mixed", vec![&witness, &legacy, &taproot], vec![&witness, &taproot]),
    ] {
        samples.push((name.to_owned(), sample(&spends, &pays).serialize()));
    }
    let mut change = sample(&[&witness], &[&legacy, &witness]);
    label(&mut change);
    samples.push(("change".to_owned(), change.serialize()));
    samples
}

/// Makes the last output change.
fn label(psbt: &mut Psbt) {
    let secp = Secp256k1::new();
    let (account, _) = account();
    let steps = DerivationPath::from_str("m/1/5").unwrap();
    let child = account.derive_pub(&secp, &steps).unwrap();
    let script = ScriptBuf::new_p2wpkh(&child.to_pub().wpubkey_hash());
    psbt.unsigned_tx.output.last_mut().unwrap().script_pubkey = script;
    let path = DerivationPath::from_str("m/84'/0'/0'/1/5").unwrap();
    let map = psbt.outputs.last_mut().unwrap();
    map.bip32_derivation.insert(child.public_key, (account.fingerprint(), path));
}

fn sample(spends: &[&ScriptBuf], pays: &[&ScriptBuf]) -> Psbt {
    let mut previous = Vec::new();
    for (number, script) in spends.iter().enumerate() {
        let point = OutPoint { txid: Txid::from_byte_array([9; 32]), vout: number as u32 };
        previous.push(transaction(vec![point], &[script], 50_000));
    }
    let points = previous.iter().map(|one| OutPoint { txid: one.compute_txid(), vout: 0 });
    let mut psbt = Psbt::from_unsigned_tx(transaction(points.collect(), pays, 20_000)).unwrap();
    for (input, previous) in psbt.inputs.iter_mut().zip(previous) {
        input.non_witness_utxo = Some(previous);
    }
    psbt
}

fn transaction(points: Vec<OutPoint>, scripts: &[&ScriptBuf], value: u64) -> Transaction {
    let input = |previous_output| TxIn {
        previous_output,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::new(),
    };
    let output = |script: &&ScriptBuf| {
        let value = if script.is_op_return() { 0 } else { value };
        TxOut { value: Amount::from_sat(value), script_pubkey: (*script).clone() }
    };
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: points.into_iter().map(input).collect(),
        output: scripts.iter().map(output).collect(),
    }
}

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, bytes) in samples() {
        for at in [5, 10, 40] {
            let flipped = patched(&bytes, &flip(at, 0x40));
            seeds.push((format!("psbt-{name}-flipped-{at}"), chosen(0, &flipped)));
        }
        seeds.push((format!("psbt-{name}-cut"), chosen(0, &bytes[..bytes.len() - 1])));
        seeds.push((format!("psbt-{name}"), chosen(0, &bytes)));
    }
    for (number, text) in descriptors().iter().enumerate() {
        seeds.push((format!("descriptor-{number}"), chosen(1, text.as_bytes())));
        let flipped = patched(text.as_bytes(), &flip(20, 1));
        seeds.push((format!("descriptor-{number}-flipped"), chosen(1, &flipped)));
    }
    let (key, _) = account();
    for kind in 0..4 {
        let text = [&[kind], key.to_string().as_bytes()].concat();
        seeds.push((format!("extended-key-{kind}"), chosen(3, &text)));
        seeds.push((format!("extended-key-{kind}-cut"), chosen(3, &text[..text.len() - 1])));
        let flipped = patched(&text, &flip(60, 1));
        seeds.push((format!("extended-key-{kind}-flipped"), chosen(3, &flipped)));
    }
    let other_account = [&[4], key.to_string().as_bytes()].concat();
    seeds.push(("extended-key-other-account".to_owned(), chosen(3, &other_account)));
    for (name, text) in [("text", &b"Hello World"[..]), ("bytes", b"\xff\0"), ("empty", b"")] {
        seeds.push((format!("message-{name}"), chosen(2, text)));
    }
    let file = custody_testkit::vectors::json("psbt/bip174.json");
    for (number, case) in file.as_array().unwrap().iter().enumerate().step_by(4) {
        use base64::Engine as _;
        let text = case["base64"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        seeds.push((format!("vector-{number}"), chosen(0, &bytes)));
    }
    seeds
}
