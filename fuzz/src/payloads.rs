//! Every decoder with any payload in any context: the contract of the seam `Decoder`.

use std::sync::Arc;

use custody_chain::{EvmDecoder, OpaqueDecoder};
use custody_core::caip::ChainId;
use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::{KeyId, PayloadFormat, WalletId};
use custody_core::seam::{
    ContextAccount, DecodeContext, Decoder, Intent, Payload, TaskInput, TaskSignature,
};
use custody_testkit::key::TestKey;

use crate::Seed;
use crate::input::Input;
use crate::transactions;

const CHAINS: [&str; 5] =
    ["eip155:1", "eip155:137", "bip122:000000000019d6689c085ae165831e93", "solana:1", "eip155:01"];
const FORMATS: [&str; 4] = ["evm/transaction", "opaque", "evm/message", "opaque/prehash"];
const ALGORITHMS: [Algorithm; 4] = Algorithm::ALL;

pub(crate) fn parts() -> Vec<&'static str> {
    vec!["evm/5", "opaque/2"]
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    let decoders = decoders();
    let decoder = input.pick(&decoders).as_ref();
    let format = PayloadFormat::parse(FORMATS[usize::from(input.byte()) % FORMATS.len()]).unwrap();
    let chain = ChainId::parse(CHAINS[usize::from(input.byte()) % CHAINS.len()]).unwrap();
    let algorithms: Vec<_> = (0..input.byte() % 4).map(|_| *input.pick(&ALGORITHMS)).collect();
    let context = context(&chain, &algorithms);
    let far_too_long = input.byte() == 0xff;
    let payload = Payload { format, bytes: lengthened(input.rest(), far_too_long) };
    let decoded = decoder.decode(&payload, &context);
    let reads = decoder.reads(&payload.format, &chain);
    let Ok(intent) = decoded else {
        assert!(decoder.assemble(&payload, &context, &[]).is_err());
        return None;
    };
    assert!(reads, "what it does not read it does not decode");
    assert!(!far_too_long, "a payload above the limit is refused");
    check(decoder, &payload, &context, &intent);
    parts().into_iter().find(|part| *part == decoder.id().as_str())
}

/// A payload, or one that is longer than any decoder takes.
fn lengthened(bytes: &[u8], far_too_long: bool) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if far_too_long {
        bytes.resize(LIMIT + 1, 0);
    }
    bytes
}

fn check(decoder: &dyn Decoder, payload: &Payload, context: &DecodeContext, intent: &Intent) {
    assert_eq!(decoder.decode(payload, context).unwrap(), *intent, "twice the same");
    assert_eq!(intent.chain, context.chain);
    assert!((1..=1_024).contains(&intent.effects.len()));
    assert!((1..=1_024).contains(&intent.tasks.len()));
    assert_eq!(intent.summary.len(), intent.effects.len());
    let of_this_chain = |effect: &custody_core::effect::Effect| {
        let account = effect.destination().is_none_or(|account| account.is_on(&context.chain));
        account && effect.amount().is_none_or(|amount| amount.asset().is_on(&context.chain))
    };
    assert!(intent.effects.iter().all(of_this_chain));
    let mut signatures = Vec::new();
    for task in &intent.tasks {
        let place = context.accounts.iter().position(|account| account.key == task.key).unwrap();
        let key = key(place, context.accounts[place].public_key.algorithm());
        assert_eq!(task.algorithm, key.algorithm());
        assert_eq!(matches!(task.input, TaskInput::Prehash(_)), task.algorithm.signs_prehash());
        let input = task.input.as_input();
        assert_eq!(task.input.digest(), Digest::of(input.as_bytes()));
        let signature = key.sign(input).unwrap().checked(key.public_key(), input).unwrap();
        signatures.push(TaskSignature { key: task.key.clone(), signature });
    }
    let assembled = decoder.assemble(payload, context, &signatures).unwrap();
    assert_eq!(decoder.assemble(payload, context, &signatures).unwrap(), assembled);
    assert!(decoder.assemble(payload, context, &[]).is_err(), "no signature");
    let twice = [&signatures[..], &signatures].concat();
    assert!(decoder.assemble(payload, context, &twice).is_err(), "too many signatures");
    let mut of_another = signatures;
    of_another[0].key = KeyId::parse("of-nobody").unwrap();
    assert!(decoder.assemble(payload, context, &of_another).is_err(), "another key's");
}

pub(crate) fn decoders() -> Vec<Arc<dyn Decoder>> {
    vec![Arc::new(EvmDecoder::new()), Arc::new(OpaqueDecoder::new())]
}

fn context(chain: &ChainId, algorithms: &[Algorithm]) -> DecodeContext {
    let account = |(place, algorithm): (usize, &Algorithm)| ContextAccount {
        key: KeyId::parse(&format!("key-{place}")).unwrap(),
        public_key: key(place, *algorithm).public_key().clone(),
        path: None,
    };
    DecodeContext {
        v: 1,
        wallet: WalletId::parse("treasury").unwrap(),
        chain: chain.clone(),
        accounts: algorithms.iter().enumerate().map(account).collect(),
        descriptors: Vec::new(),
    }
}

fn key(place: usize, algorithm: Algorithm) -> TestKey {
    TestKey::seeded(algorithm, place as u64)
}

const LIMIT: usize = 256 * 1024;

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let secp256k1 = ALGORITHMS.iter().position(|one| *one == Algorithm::EcdsaSecp256k1).unwrap();
    let secp256k1 = secp256k1 as u8;
    for (name, bytes) in transactions::samples() {
        seeds.push((format!("evm-{name}"), [&[0, 0, 0, 1, secp256k1, 0], &bytes[..]].concat()));
        if name.starts_with("legacy") {
            let elsewhere = [&[0, 0, 1, 1, secp256k1, 0], &bytes[..]].concat();
            seeds.push((format!("evm-{name}-elsewhere"), elsewhere));
        }
    }
    for algorithm in 0..4 {
        for chain in 0..4 {
            let name = format!("opaque-{algorithm}-{chain}");
            seeds.push((name, [&[1, 1, chain, 1, algorithm, 0], &b"anything"[..]].concat()));
        }
    }
    let two = [&[1, 1, 3, 2, 0, 3, 0], &b"two accounts"[..]].concat();
    seeds.push(("opaque-two-accounts".to_owned(), two));
    seeds.push(("opaque-nobody".to_owned(), vec![1, 1, 0, 0, 0, 1]));
    seeds.push(("opaque-too-long".to_owned(), vec![1, 1, 0, 1, 0, 0xff, 1]));
    seeds.push(("evm-of-another-format".to_owned(), vec![0, 1, 0, 1, secp256k1, 0, 1]));
    seeds
}
