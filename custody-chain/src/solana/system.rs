//! The system program: lamports move, accounts are created and change owners.

use solana_address::Address;
use solana_system_interface::instruction::SystemInstruction as System;

use super::SolanaError;
use super::instruction::{Instruction, Told, number, unread};
use super::story::{Story, selector};
use crate::text::shown;

/// Adds what the instruction does.
pub(super) fn describe(
    instruction: &Instruction<'_>,
    story: &mut Story<'_>,
) -> Result<Told, SolanaError> {
    let Some(parsed) = parse(instruction.data) else {
        return unread(number(instruction.data).is_some_and(|number| number <= LAST), story);
    };
    let (first, second) = (instruction.first::<1>(), instruction.first::<2>());
    match (parsed, first, second) {
        (
            System::CreateAccount { lamports, space, owner }
            | System::CreateAccountWithSeed { lamports, space, owner, .. },
            _,
            Some([from, created]),
        )
        | (
            System::CreateAccountAllowPrefund { lamports, space, owner },
            _,
            Some([created, from]),
        ) => {
            story.lamports(from, created, lamports)?;
            let named = [("owner", owner.to_string()), ("space", space.to_string())];
            administer(instruction, created, &named, story)
        }
        (
            System::Transfer { lamports } | System::WithdrawNonceAccount(lamports),
            _,
            Some([from, to]),
        ) => {
            story.lamports(from, to, lamports)?;
            Ok(Told::Yes)
        }
        (System::TransferWithSeed { lamports, .. }, _, _) => {
            let Some([from, _, to]) = instruction.first() else { return Ok(Told::No) };
            story.lamports(from, to, lamports)?;
            Ok(Told::Yes)
        }
        (System::AdvanceNonceAccount, _, _) => advance(instruction, story),
        (
            System::InitializeNonceAccount(new) | System::AuthorizeNonceAccount(new),
            Some([it]),
            _,
        ) => administer(instruction, it, &[("authority", new.to_string())], story),
        (System::Allocate { space }, Some([it]), _) => {
            administer(instruction, it, &[("space", space.to_string())], story)
        }
        (System::AllocateWithSeed { space, owner, seed, .. }, Some([it]), _) => {
            let named = [
                ("owner", owner.to_string()),
                ("seed", shown(&seed)),
                ("space", space.to_string()),
            ];
            administer(instruction, it, &named, story)
        }
        (System::Assign { owner } | System::AssignWithSeed { owner, .. }, Some([it]), _) => {
            administer(instruction, it, &[("owner", owner.to_string())], story)
        }
        // Too few accounts, or an upgrade of a nonce account, which anybody may ask for.
        (_, _, _) => Ok(Told::No),
    }
}

/// The instruction, if these are all its bytes and its only encoding.
fn parse(data: &[u8]) -> Option<System> {
    let parsed: System = wincode::deserialize_exact(data).ok()?;
    (wincode::serialize(&parsed).ok()? == data).then_some(parsed)
}

/// Whether the instruction uses up a durable nonce: the runtime looks at its number alone.
pub(super) fn is_advance(data: &[u8]) -> bool {
    number(data) == Some(ADVANCE_NONCE_ACCOUNT)
}

fn administer(
    instruction: &Instruction<'_>,
    account: Address,
    named: &[(&str, String)],
    story: &mut Story<'_>,
) -> Result<Told, SolanaError> {
    story.administer(account, instruction.head(4), named)?;
    Ok(Told::Yes)
}

fn advance(instruction: &Instruction<'_>, story: &mut Story<'_>) -> Result<Told, SolanaError> {
    let Some([nonce, _, authority]) = instruction.first() else { return Ok(Told::No) };
    let named = [("authority", authority.to_string()), ("nonce", nonce.to_string())];
    story.call(instruction.program, selector(instruction.head(4))?, &named)?;
    Ok(Told::Yes)
}

const ADVANCE_NONCE_ACCOUNT: u32 = 4;
/// The number of the last instruction that is read, `CreateAccountAllowPrefund`.
const LAST: u32 = 13;
