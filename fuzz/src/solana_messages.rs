//! Solana messages: one payload is one message, a reader of its own finds the same signers and every
//! payment, and the signed form is the signatures and the message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_chain::SolanaDecoder;
use custody_core::caip::ChainId;
use custody_core::crypto::Algorithm;
use custody_core::effect::{Action, Effect};
use custody_core::id::{KeyId, PayloadFormat, WalletId};
use custody_core::seam::{
    ContextAccount, DecodeContext, Decoder as _, Intent, Payload, TaskInput, TaskSignature,
};
use custody_testkit::key::TestKey;

use crate::Seed;
use crate::input::{flip, patched};

pub(crate) fn parts() -> Vec<&'static str> {
    vec!["legacy", "version 0", "resolved", "offchain"]
}

/// The first byte chooses the format; the others are the payload.
pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let (choice, bytes) = bytes.split_first()?;
    let format = FORMATS[usize::from(*choice) % FORMATS.len()];
    let intent = decode(format, bytes)?;
    assert_eq!(intent.summary.len(), intent.effects.len());
    assert!((1..=1_024).contains(&intent.effects.len()));
    assert!(decode(format, &[bytes, &[0]].concat()).is_none(), "a byte behind the end");
    assert!(decode(format, &bytes[..bytes.len() - 1]).is_none(), "without its last byte");
    assert_eq!(decode(format, bytes).as_ref(), Some(&intent), "twice the same");
    let wire = assemble(format, bytes, &intent);
    let TaskInput::Message(signed) = &intent.tasks[0].input else { panic!("a message") };
    assert!(intent.tasks.iter().all(|task| task.input == intent.tasks[0].input));
    if format == "solana/offchain" {
        assert_eq!(signed, bytes);
        assert_eq!(wire.len(), 64);
        assert!(signed.starts_with(b"\xffsolana offchain"));
        return Some("offchain");
    }
    assert!(wire.ends_with(signed));
    let message = Message::read(signed);
    message.compare(&intent, &wire);
    Some(match format {
        "solana/resolved" => "resolved",
        _ if message.version => "version 0",
        _ => "legacy",
    })
}

/// A message as this reader sees it.
struct Message {
    version: bool,
    signers: usize,
    keys: Vec<Vec<u8>>,
    instructions: Vec<(usize, Vec<u8>, Vec<u8>)>,
    loads: bool,
}

impl Message {
    /// Reads a message that the decoder took: what is not there is a fault.
    fn read(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let version = bytes[0] == 0x80;
        if version {
            take(&mut rest, 1);
        }
        let signers = usize::from(take(&mut rest, 3)[0]);
        let keys: Vec<_> = (0..length(&mut rest)).map(|_| take(&mut rest, 32).to_vec()).collect();
        take(&mut rest, 32);
        let mut instructions = Vec::new();
        for _ in 0..length(&mut rest) {
            let program = usize::from(take(&mut rest, 1)[0]);
            let accounts = list(&mut rest);
            instructions.push((program, accounts, list(&mut rest)));
        }
        let mut loads = false;
        if version {
            for _ in 0..length(&mut rest) {
                take(&mut rest, 32);
                loads = !(list(&mut rest).is_empty() & list(&mut rest).is_empty());
            }
        }
        assert!(rest.is_empty(), "every byte is read");
        Self { version, signers, keys, instructions, loads }
    }

    fn compare(&self, intent: &Intent, wire: &[u8]) {
        assert_eq!(usize::from(wire[0]), self.signers);
        let ours = [key(0), key(1)].map(|key| key.public_key().as_bytes().to_vec());
        let signers = &self.keys[..self.signers];
        let tasks = signers.iter().filter(|signer| ours.contains(signer)).count();
        assert_eq!(intent.tasks.len(), tasks, "each of ours that must sign does");
        let is_fee = |effect: &&Effect| effect.action() == Action::PayFee;
        let fees: Vec<_> = intent.effects.iter().filter(is_fee).collect();
        assert_eq!(fees.len(), usize::from(ours.contains(&signers[0])), "who pays the fee");
        let budget = bs58::decode(BUDGET).into_vec().unwrap();
        let others = self.instructions.iter().filter(|(program, ..)| self.keys[*program] != budget);
        assert!(intent.effects.len() >= others.count() + fees.len(), "each instruction is told");
        self.instructions.iter().for_each(|instruction| self.is_told(instruction, intent));
        let resolved = intent.facts.iter().any(|fact| fact.as_str() == "resolved_tables");
        let unresolved = intent.effects.iter().any(|it| it.action() == Action::SignOpaque);
        assert!(self.loads || (!resolved && !unresolved), "what is loaded is loaded from a table");
    }

    /// A plain payment between accounts of the message is an effect with its amount.
    fn is_told(&self, (program, accounts, data): &(usize, Vec<u8>, Vec<u8>), intent: &Intent) {
        let ([from, to, ..], true) = (accounts.as_slice(), self.keys[*program] == [0; 32]) else {
            return;
        };
        let (from, to) = (self.keys.get(usize::from(*from)), self.keys.get(usize::from(*to)));
        let ([2, 0, 0, 0, lamports @ ..], Some(from), Some(to)) = (data.as_slice(), from, to)
        else {
            return;
        };
        let Ok(lamports) = <[u8; 8]>::try_from(lamports) else { return };
        // With accounts that nobody knows, it is opaque as a whole.
        if accounts.iter().any(|account| usize::from(*account) >= self.keys.len()) {
            return;
        }
        let lamports = u64::from_le_bytes(lamports).to_string();
        let name = |key: &[u8]| format!("{CHAIN}:{}", bs58::encode(key).into_string());
        let found = intent.effects.iter().any(|effect| {
            let Effect::Transfer { amount, from: payer, to: payee } = effect else { return false };
            amount.units().to_string() == lamports
                && amount.asset().as_str() == format!("{CHAIN}/slip44:501")
                && (payer.as_str(), payee.as_str()) == (&name(from), &name(to))
        });
        assert!(found, "a payment is told");
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, others) = rest.split_at(length);
    *rest = others;
    taken
}

/// A length, in its shortest form.
fn length(rest: &mut &[u8]) -> usize {
    let mut length = 0;
    for place in 0..3 {
        let byte = usize::from(take(rest, 1)[0]);
        length |= (byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            assert!(place == 0 || byte > 0, "a longer form than needed");
            return length;
        }
    }
    panic!("a length of more than three bytes")
}

fn list(rest: &mut &[u8]) -> Vec<u8> {
    let length = length(rest);
    take(rest, length).to_vec()
}

fn decode(format: &str, bytes: &[u8]) -> Option<Intent> {
    SolanaDecoder::new().decode(&payload(format, bytes), &context()).ok()
}

/// The signed transaction.
fn assemble(format: &str, bytes: &[u8], intent: &Intent) -> Vec<u8> {
    let (decoder, payload) = (SolanaDecoder::new(), payload(format, bytes));
    let sign = |task: &custody_core::seam::SigningTask| {
        let signer = key(u64::from(task.key.as_str() == "key-1"));
        let input = task.input.as_input();
        let signature = signer.sign(input).unwrap().checked(signer.public_key(), input).unwrap();
        TaskSignature { key: task.key.clone(), signature }
    };
    let signatures: Vec<_> = intent.tasks.iter().map(sign).collect();
    let fewer = &signatures[1..];
    assert!(decoder.assemble(&payload, &context(), fewer).is_err(), "without a signature");
    decoder.assemble(&payload, &context(), &signatures).unwrap()
}

fn payload(format: &str, bytes: &[u8]) -> Payload {
    Payload { format: PayloadFormat::parse(format).unwrap(), bytes: bytes.to_vec() }
}

fn context() -> DecodeContext {
    let account = |number| ContextAccount {
        key: KeyId::parse(&format!("key-{number}")).unwrap(),
        public_key: key(number).public_key().clone(),
        path: None,
    };
    DecodeContext {
        v: 1,
        wallet: WalletId::parse("treasury").unwrap(),
        chain: ChainId::parse(CHAIN).unwrap(),
        accounts: (0..2).map(account).collect(),
        descriptors: Vec::new(),
    }
}

fn key(number: u64) -> TestKey {
    TestKey::seeded(Algorithm::Ed25519, 7 + number)
}

const CHAIN: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
const FORMATS: [&str; 3] = ["solana/message", "solana/resolved", "solana/offchain"];
const BUDGET: &str = "ComputeBudget111111111111111111111111111111";

/// Payloads that are read, each with a name; the first byte is the format.
fn samples() -> Vec<Seed> {
    let mut samples = Vec::new();
    let file = custody_testkit::vectors::json("solana/messages.json.gz");
    for (number, case) in file.as_array().unwrap().iter().enumerate().step_by(7) {
        let message = STANDARD.decode(case["message"].as_str().unwrap()).unwrap();
        let message = adopted(message, &case["ours"]);
        samples.push((format!("message-{number}"), [&[0][..], &message].concat()));
        let Some(tables) = case["tables"].as_array() else { continue };
        let tables: Vec<_> = tables
            .iter()
            .map(|it| format!(r#"{{"address":{},"accounts":{}}}"#, it["address"], it["accounts"]))
            .collect();
        let (text, tables) = (STANDARD.encode(message), tables.join(","));
        let document = format!(r#"{{"v":1,"message":"{text}","tables":[{tables}]}}"#);
        samples.push((format!("resolved-{number}"), [&[1], document.as_bytes()].concat()));
    }
    for (name, format, text) in [("letters", 0, "log in"), ("others", 1, "Prüfung ✓")] {
        let length = u16::try_from(text.len()).unwrap().to_le_bytes();
        let bytes =
            [&[2][..], b"\xffsolana offchain", &[0, format], &length, text.as_bytes()].concat();
        samples.push((format!("offchain-{name}"), bytes));
    }
    samples
}

/// A message of the vectors with the keys of this target in the place of its wallet's.
fn adopted(mut message: Vec<u8>, seeds: &serde_json::Value) -> Vec<u8> {
    for (number, seed) in (0..).zip(seeds.as_array().unwrap()) {
        let seed = hex::decode(seed.as_str().unwrap()).unwrap();
        let old = TestKey::from_bytes(Algorithm::Ed25519, &seed).unwrap();
        let new = key(number).public_key().as_bytes().to_vec();
        while let Some(at) = message.windows(32).position(|it| it == old.public_key().as_bytes()) {
            message[at..at + 32].copy_from_slice(&new);
        }
    }
    message
}

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (number, (name, bytes)) in samples().into_iter().enumerate() {
        if number % 5 == 0 {
            for at in [1, 2, 4, 5] {
                seeds.push((format!("{name}-flipped-{at}"), patched(&bytes, &flip(at, 0x80))));
            }
            seeds.push((format!("{name}-cut"), bytes[..bytes.len() - 1].to_vec()));
        }
        seeds.push((name, bytes));
    }
    seeds.push(("empty".to_owned(), Vec::new()));
    seeds
}
