//! The associated token account program: it creates the token account of an owner.
//!
//! Invariant: an owner counts as proved only by an instruction of this program that stands before
//! the transfer. The program fails if the account belongs to somebody else.

use solana_address::Address;

use super::SolanaError;
use super::instruction::{Instruction, Told, unread};
use super::story::Story;
use super::token::{TOKEN, TOKEN_2022};

/// Adds what the instruction does.
pub(super) fn describe(
    instruction: &Instruction<'_>,
    story: &mut Story<'_>,
) -> Result<Told, SolanaError> {
    let ([] | [CREATE | CREATE_IDEMPOTENT]) = instruction.data else {
        return unread(matches!(instruction.data, [CREATE | CREATE_IDEMPOTENT, ..]), story);
    };
    let Some([payer, created, owner, mint, _, program]) = instruction.first() else {
        return Ok(Told::No);
    };
    let rent = match program {
        TOKEN => RENT,
        TOKEN_2022 => RENT_2022,
        _ => return Ok(Told::No),
    };
    if created != address(owner, program, mint) {
        return Ok(Told::No);
    }
    if program == TOKEN_2022 {
        story.fact("token_2022")?;
    }
    story.lamports(payer, owner, rent)?;
    story.proved(created, owner);
    Ok(Told::Yes)
}

/// The associated token account of an owner.
pub(super) fn address(owner: Address, program: Address, mint: Address) -> Address {
    let seeds = [owner.as_ref(), program.as_ref(), mint.as_ref()];
    Address::find_program_address(&seeds, &ID).0
}

pub(super) const ID: Address =
    Address::from_str_const("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
const CREATE: u8 = 0;
const CREATE_IDEMPOTENT: u8 = 1;
/// The rent of 165 bytes: 6,960 lamports for each, and for 128 more.
const RENT: u64 = 2_039_280;
/// The rent of 512 bytes, above what any extensions of a new account take.
const RENT_2022: u64 = 4_454_400;
