//! The stake program: stake moves between accounts, and authorities over it change.

use solana_stake_interface::instruction::StakeInstruction as Stake;
use solana_stake_interface::state::StakeAuthorize;

use super::SolanaError;
use super::instruction::{Instruction, Told};
use super::story::{Story, selector};

/// Adds what the instruction does.
pub(super) fn describe(
    instruction: &Instruction<'_>,
    story: &mut Story<'_>,
) -> Result<Told, SolanaError> {
    let Some(parsed) = parse(instruction.data) else { return Ok(Told::No) };
    let Some([stake]) = instruction.first() else { return Ok(Told::No) };
    let mut named = Vec::new();
    match parsed {
        Stake::Split(lamports)
        | Stake::Withdraw(lamports)
        | Stake::MoveStake(lamports)
        | Stake::MoveLamports(lamports) => {
            let Some([from, to]) = instruction.first() else { return Ok(Told::No) };
            story.lamports(from, to, lamports)?;
            return Ok(Told::Yes);
        }
        Stake::DelegateStake => {
            let Some([stake, vote]) = instruction.first() else { return Ok(Told::No) };
            let named = [("stake", stake.to_string()), ("vote", vote.to_string())];
            return call(instruction, &named, story);
        }
        Stake::Merge => {
            let Some([to, from]) = instruction.first() else { return Ok(Told::No) };
            let named = [("from", from.to_string()), ("stake", to.to_string())];
            return call(instruction, &named, story);
        }
        Stake::Deactivate => return call(instruction, &[("stake", stake.to_string())], story),
        Stake::Initialize(authorized, lockup) => {
            named.push(("lockup_custodian", lockup.custodian.to_string()));
            named.push(("lockup_epoch", lockup.epoch.to_string()));
            named.push(("lockup_time", lockup.unix_timestamp.to_string()));
            named.push(("staker", authorized.staker.to_string()));
            named.push(("withdrawer", authorized.withdrawer.to_string()));
        }
        Stake::InitializeChecked => {
            let Some([_, _, staker, withdrawer]) = instruction.first() else {
                return Ok(Told::No);
            };
            named.push(("staker", staker.to_string()));
            named.push(("withdrawer", withdrawer.to_string()));
        }
        Stake::Authorize(new, which) => named = authority(&which, new.to_string()),
        Stake::AuthorizeWithSeed(ref it) => {
            named = authority(&it.stake_authorize, it.new_authorized_pubkey.to_string());
        }
        Stake::AuthorizeChecked(ref which) => {
            let Some([_, _, _, new]) = instruction.first() else { return Ok(Told::No) };
            named = authority(which, new.to_string());
        }
        Stake::AuthorizeCheckedWithSeed(ref it) => {
            let Some([_, _, _, new]) = instruction.first() else { return Ok(Told::No) };
            named = authority(&it.stake_authorize, new.to_string());
        }
        Stake::SetLockup(ref lockup) => {
            named.extend(lockup.custodian.map(|new| ("lockup_custodian", new.to_string())));
            named.extend(lockup.epoch.map(|new| ("lockup_epoch", new.to_string())));
            named.extend(lockup.unix_timestamp.map(|new| ("lockup_time", new.to_string())));
        }
        Stake::SetLockupChecked(ref lockup) => {
            let custodian = instruction.first().map(|[_, _, new]| new);
            named.extend(custodian.map(|new| ("lockup_custodian", new.to_string())));
            named.extend(lockup.epoch.map(|new| ("lockup_epoch", new.to_string())));
            named.extend(lockup.unix_timestamp.map(|new| ("lockup_time", new.to_string())));
        }
        #[expect(deprecated, reason = "it has a number still")]
        Stake::Redelegate => return Ok(Told::No),
        Stake::GetMinimumDelegation | Stake::DeactivateDelinquent => return Ok(Told::No),
    }
    story.administer(stake, instruction.head(4), &named)?;
    Ok(Told::Yes)
}

/// The instruction, if these are all its bytes and its only encoding.
fn parse(data: &[u8]) -> Option<Stake> {
    let parsed: Stake = wincode::deserialize_exact(data).ok()?;
    (wincode::serialize(&parsed).ok()? == data).then_some(parsed)
}

fn authority(which: &StakeAuthorize, new: String) -> Vec<(&'static str, String)> {
    match which {
        StakeAuthorize::Staker => vec![("staker", new)],
        StakeAuthorize::Withdrawer => vec![("withdrawer", new)],
    }
}

fn call(
    instruction: &Instruction<'_>,
    named: &[(&str, String)],
    story: &mut Story<'_>,
) -> Result<Told, SolanaError> {
    story.call(instruction.program, selector(instruction.head(4))?, named)?;
    Ok(Told::Yes)
}
