//! Keys, contexts, and an encoder of messages of its own.

use std::fmt::Write as _;

use custody_chain::{SolanaDecoder, SolanaError};
use custody_core::caip::ChainId;
use custody_core::crypto::Algorithm;
use custody_core::effect::{Arguments, Effect};
use custody_core::id::{KeyId, PayloadFormat, WalletId};
use custody_core::seam::{
    ContextAccount, DecodeContext, DecodeError, Decoder, Intent, Payload, TaskSignature,
};
use custody_testkit::key::TestKey;
use solana_address::Address;

pub(crate) const CHAIN: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
pub(crate) const MESSAGE: &str = "solana/message";
pub(crate) const RESOLVED: &str = "solana/resolved";
pub(crate) const OFFCHAIN: &str = "solana/offchain";
pub(crate) const SYSTEM: Address = Address::new_from_array([0; 32]);
pub(crate) const BUDGET: &str = "ComputeBudget111111111111111111111111111111";
pub(crate) const MEMO: &str = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr";
pub(crate) const STAKE: &str = "Stake11111111111111111111111111111111111111";
pub(crate) const TOKEN: &str = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
pub(crate) const TOKEN_2022: &str = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb";
pub(crate) const ASSOCIATED: &str = "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL";
/// The fact of an instruction whose bytes are not all understood.
pub(crate) const MALFORMED: &str = "malformed_instruction";

pub(crate) fn known(text: &str) -> Address {
    text.parse().unwrap()
}

/// The wallet's keys: the first account and the second.
pub(crate) fn keys() -> [TestKey; 2] {
    [1, 2].map(|seed| TestKey::seeded(Algorithm::Ed25519, seed))
}

pub(crate) fn address_of(key: &TestKey) -> Address {
    Address::try_from(key.public_key().as_bytes()).unwrap()
}

/// The wallet's first account.
pub(crate) fn me() -> Address {
    address_of(&keys()[0])
}

/// Somebody else's account, one for each number; it is on the curve.
pub(crate) fn other(number: u64) -> Address {
    address_of(&TestKey::seeded(Algorithm::Ed25519, 100 + number))
}

/// The associated token account of an owner.
pub(crate) fn associated(owner: Address, program: &str, mint: Address) -> Address {
    let seeds = [owner.as_ref(), known(program).as_ref(), mint.as_ref()].map(<[u8]>::to_vec);
    let seeds: Vec<_> = seeds.iter().map(Vec::as_slice).collect();
    Address::find_program_address(&seeds, &known(ASSOCIATED)).0
}

pub(crate) fn context_with(chain: &str, keys: &[TestKey]) -> DecodeContext {
    let account = |(number, key): (usize, &TestKey)| ContextAccount {
        key: KeyId::parse(&format!("key-{number}")).unwrap(),
        public_key: key.public_key().clone(),
        path: None,
    };
    DecodeContext {
        v: 1,
        wallet: WalletId::parse("treasury").unwrap(),
        chain: ChainId::parse(chain).unwrap(),
        accounts: keys.iter().enumerate().map(account).collect(),
        descriptors: Vec::new(),
    }
}

pub(crate) fn context() -> DecodeContext {
    context_with(CHAIN, &keys())
}

pub(crate) fn payload(format: &str, bytes: &[u8]) -> Payload {
    Payload { format: PayloadFormat::parse(format).unwrap(), bytes: bytes.to_vec() }
}

fn reason(error: &DecodeError) -> SolanaError {
    error.reason.downcast_ref::<SolanaError>().unwrap().clone()
}

pub(crate) fn decode_as(
    format: &str,
    bytes: &[u8],
    context: &DecodeContext,
) -> Result<Intent, SolanaError> {
    let answer = SolanaDecoder::new().decode(&payload(format, bytes), context);
    answer.map_err(|error| reason(&error))
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Intent, SolanaError> {
    decode_as(MESSAGE, bytes, &context())
}

pub(crate) fn assemble(
    format: &str,
    bytes: &[u8],
    signatures: &[TaskSignature],
) -> Result<Vec<u8>, SolanaError> {
    let answer = SolanaDecoder::new().assemble(&payload(format, bytes), &context(), signatures);
    answer.map_err(|error| reason(&error))
}

/// Signs each task with the wallet's keys.
pub(crate) fn sign(intent: &Intent) -> Vec<TaskSignature> {
    let signers = keys();
    let accounts = context().accounts;
    let sign = |task: &custody_core::seam::SigningTask| {
        let position = accounts.iter().position(|account| account.key == task.key).unwrap();
        let (signer, input) = (&signers[position], task.input.as_input());
        let signature = signer.sign(input).unwrap().checked(signer.public_key(), input).unwrap();
        TaskSignature { key: task.key.clone(), signature }
    };
    intent.tasks.iter().map(sign).collect()
}

/// One instruction of a message to be.
#[derive(Clone, Debug)]
pub(crate) struct Ix {
    pub(crate) program: Address,
    pub(crate) accounts: Vec<Address>,
    pub(crate) data: Vec<u8>,
}

pub(crate) fn ix(program: &str, accounts: &[Address], data: &[u8]) -> Ix {
    Ix { program: known(program), accounts: accounts.to_vec(), data: data.to_vec() }
}

/// An instruction of the system program: a number and its fields.
pub(crate) fn system(number: u32, accounts: &[Address], fields: &[&[u8]]) -> Ix {
    let data = [&number.to_le_bytes()[..], &fields.concat()].concat();
    Ix { program: SYSTEM, accounts: accounts.to_vec(), data }
}

pub(crate) fn pay(from: Address, to: Address, lamports: u64) -> Ix {
    system(2, &[from, to], &[&lamports.to_le_bytes()])
}

/// A length as a message has it ("Compact-array format").
pub(crate) fn compact(length: usize) -> Vec<u8> {
    let mut rest = length;
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(0x80 | u8::try_from(rest & 0x7f).unwrap());
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// The parts of a message, so that tests can damage each.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) version: Option<u8>,
    pub(crate) header: [u8; 3],
    pub(crate) keys: Vec<Address>,
    pub(crate) instructions: Vec<(u8, Vec<u8>, Vec<u8>)>,
    pub(crate) lookups: Vec<(Address, Vec<u8>, Vec<u8>)>,
}

/// Compiles instructions into a message that `signers` must sign. Accounts in `loaded` come from
/// tables and have indexes after all keys of the message.
pub(crate) fn parts(signers: &[Address], loaded: &[Address], list: &[Ix]) -> Parts {
    let mut keys = signers.to_vec();
    let mentioned = list.iter().flat_map(|it| it.accounts.iter().chain([&it.program]));
    for account in mentioned {
        if !keys.contains(account) && !loaded.contains(account) {
            keys.push(*account);
        }
    }
    let all = [keys.clone(), loaded.to_vec()].concat();
    let index =
        |account: &Address| u8::try_from(all.iter().position(|it| it == account).unwrap()).unwrap();
    let compiled =
        |it: &Ix| (index(&it.program), it.accounts.iter().map(index).collect(), it.data.clone());
    Parts {
        version: None,
        header: [u8::try_from(signers.len()).unwrap(), 0, 0],
        instructions: list.iter().map(compiled).collect(),
        keys,
        lookups: Vec::new(),
    }
}

impl Parts {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.version.map(|version| 0x80 | version));
        bytes.extend(self.header);
        bytes.extend(compact(self.keys.len()));
        self.keys.iter().for_each(|key| bytes.extend(key.to_bytes()));
        bytes.extend([7; 32]);
        bytes.extend(compact(self.instructions.len()));
        for (program, accounts, data) in &self.instructions {
            bytes.push(*program);
            bytes.extend(compact(accounts.len()));
            bytes.extend(accounts);
            bytes.extend(compact(data.len()));
            bytes.extend(data);
        }
        if self.version.is_some() {
            bytes.extend(compact(self.lookups.len()));
            for (table, writable, readonly) in &self.lookups {
                bytes.extend(table.to_bytes());
                bytes.extend(compact(writable.len()));
                bytes.extend(writable);
                bytes.extend(compact(readonly.len()));
                bytes.extend(readonly);
            }
        }
        bytes
    }
}

/// A legacy message that the wallet's first account signs and pays for.
pub(crate) fn message(list: &[Ix]) -> Vec<u8> {
    parts(&[me()], &[], list).bytes()
}

/// The effects of a message, one word list a line: what the tests compare.
pub(crate) fn told(intent: &Intent) -> Vec<String> {
    intent.effects.iter().map(line).collect()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "no message has other effects")]
fn line(effect: &Effect) -> String {
    let short = |text: &str| text.replace(&format!("{CHAIN}:"), "").replace(CHAIN, "");
    match effect {
        Effect::Administer { contract, selector, arguments } => {
            short(&format!("administer {contract} {}{}", selector.as_str(), named(arguments)))
        }
        Effect::Approve { amount, spender } => {
            short(&format!("approve {} {} {spender}", amount.units(), amount.asset()))
        }
        Effect::Call { contract, selector, arguments } => {
            short(&format!("call {contract} {}{}", selector.as_str(), named(arguments)))
        }
        Effect::PayFee { amount, .. } => format!("fee {}", amount.units()),
        Effect::SignMessage { kind, arguments } => {
            format!("message {}{}", kind.as_str(), named(arguments))
        }
        Effect::SignOpaque { kind } => format!("opaque {}", kind.as_str()),
        Effect::Transfer { amount, from, to } => {
            short(&format!("transfer {} {} {from} {to}", amount.units(), amount.asset()))
        }
        other => panic!("{other:?}"),
    }
}

fn named(arguments: &Arguments) -> String {
    let mut text = String::new();
    for (name, value) in arguments.iter() {
        write!(text, " {name}={value}").unwrap();
    }
    text
}

pub(crate) fn facts(intent: &Intent) -> Vec<&str> {
    intent.facts.iter().map(|fact| fact.as_str()).collect()
}

/// The names of a transfer of lamports.
pub(crate) fn sol(lamports: u64, from: Address, to: Address) -> String {
    format!("transfer {lamports} /slip44:501 {from} {to}")
}
