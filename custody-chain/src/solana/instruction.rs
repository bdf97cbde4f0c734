//! One instruction at a time: which program, and what it makes of the data.
//!
//! Invariant: what a program's own crate does not read, or does not write back as the same bytes,
//! is a `call`, whose arguments are the data and the accounts.

use custody_core::digest::Digest;
use custody_core::effect::Arguments;
use solana_address::Address;
use solana_message::compiled_instruction::CompiledInstruction;
use solana_sdk_ids::{compute_budget, stake, system_program};

use super::message::Message;
use super::story::{Story, hex, selector};
use super::{SolanaError, associated, stake as stakes, system, token};
use crate::text::shown;

/// An instruction whose accounts are all known.
pub(super) struct Instruction<'a> {
    pub(super) program: Address,
    pub(super) accounts: Vec<Address>,
    pub(super) data: &'a [u8],
}

impl<'a> Instruction<'a> {
    /// The instruction; none if one of its accounts is not known.
    fn of(message: &Message, compiled: &'a CompiledInstruction) -> Option<Self> {
        let accounts = compiled.accounts.iter().map(|index| message.account(*index));
        Some(Self {
            program: message.account(compiled.program_id_index)?,
            accounts: accounts.collect::<Option<_>>()?,
            data: &compiled.data,
        })
    }

    /// The first `N` accounts; none if there are fewer.
    pub(super) fn first<const N: usize>(&self) -> Option<[Address; N]> {
        self.accounts.first_chunk().copied()
    }

    /// The first bytes of the data, at most `length`.
    pub(super) fn head(&self, length: usize) -> &'a [u8] {
        self.data.get(..length).unwrap_or(self.data)
    }

    /// A call that names all its data and accounts.
    pub(super) fn call(&self, story: &mut Story<'_>, head: usize) -> Result<(), SolanaError> {
        let mut named = vec![("data", data(self.data))];
        let count = self.accounts.len();
        named.push(("accounts", count.to_string()));
        let names: Vec<_> = (0..count).map(|index| format!("account_{index}")).collect();
        if count <= ACCOUNTS_MAX {
            let listed = names.iter().zip(&self.accounts);
            named.extend(listed.map(|(name, account)| (name.as_str(), account.to_string())));
        } else {
            let all: Vec<u8> = self.accounts.iter().flat_map(|a| a.to_bytes()).collect();
            named.push(("accounts_digest", format!("sha256:{}", Digest::of(&all))));
        }
        story.call(self.program, selector(self.head(head))?, &named)
    }
}

/// Adds what an instruction does.
pub(super) fn describe(
    message: &Message,
    compiled: &CompiledInstruction,
    story: &mut Story<'_>,
) -> Result<(), SolanaError> {
    let Some(instruction) = Instruction::of(message, compiled) else {
        return story.unresolved();
    };
    match instruction.program {
        compute_budget::ID => Ok(()),
        system_program::ID => {
            understood(system::describe(&instruction, story)?, || instruction.call(story, WORD))
        }
        stake::ID => {
            understood(stakes::describe(&instruction, story)?, || instruction.call(story, WORD))
        }
        token::TOKEN | token::TOKEN_2022 => {
            understood(token::describe(&instruction, story)?, || instruction.call(story, 1))
        }
        associated::ID => {
            understood(associated::describe(&instruction, story)?, || instruction.call(story, 1))
        }
        MEMO | MEMO_1 => memo(&instruction, story),
        _ => instruction.call(story, ANCHOR),
    }
}

/// An instruction that is not read to its last byte is a call. Where its program has one of this
/// number, that is a fact: programs execute most instructions whatever bytes stand behind them.
pub(super) fn unread(is_known: bool, story: &mut Story<'_>) -> Result<Told, SolanaError> {
    if is_known {
        story.fact("malformed_instruction")?;
    }
    Ok(Told::No)
}

/// The number of an instruction of a program of the runtime, whatever stands behind it.
pub(super) fn number(data: &[u8]) -> Option<u32> {
    data.first_chunk::<WORD>().copied().map(u32::from_le_bytes)
}

/// Whether an instruction was understood and its effects are told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Yes,
    No,
}

fn understood(
    told: Told,
    call: impl FnOnce() -> Result<(), SolanaError>,
) -> Result<(), SolanaError> {
    if told == Told::Yes { Ok(()) } else { call() }
}

/// A memo is a call with the text as its argument.
fn memo(instruction: &Instruction<'_>, story: &mut Story<'_>) -> Result<(), SolanaError> {
    let Ok(text) = std::str::from_utf8(instruction.data) else {
        story.fact("malformed_memo")?;
        return instruction.call(story, 0);
    };
    story.call(instruction.program, selector(&[])?, &[("memo", shown(text))])
}

/// The data, or the digest of long ones.
fn data(bytes: &[u8]) -> String {
    if bytes.len().saturating_mul(2) <= Arguments::VALUE_MAX {
        return hex(bytes);
    }
    format!("sha256:{}", Digest::of(bytes))
}

const MEMO: Address = Address::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
const MEMO_1: Address = Address::from_str_const("Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo");
/// Most accounts that are listed one by one.
const ACCOUNTS_MAX: usize = 100;
/// Programs of the runtime number their instructions with four bytes.
const WORD: usize = 4;
/// Most other programs begin with eight bytes of a hash.
const ANCHOR: usize = 8;
