//! The stake program: stake moves between accounts, and authorities over it change.

use solana_address::Address;
use solana_stake_interface::instruction::StakeInstruction as Stake;
use solana_stake_interface::state::StakeAuthorize;

use super::SolanaError;
use super::instruction::{Instruction, Told, number, unread};
use super::story::{Story, selector};

/// Adds what the instruction does.
pub(super) fn describe(
    instruction: &Instruction<'_>,
    story: &mut Story<'_>,
) -> Result<Told, SolanaError> {
    let Some(parsed) = parse(instruction.data) else {
        return unread(number(instruction.data).is_some_and(|number| number <= LAST), story);
    };
    let (one, two) = (instruction.first::<1>(), instruction.first::<2>());
    match (&parsed, one, two) {
        (
            Stake::Split(lamports)
            | Stake::Withdraw(lamports)
            | Stake::MoveStake(lamports)
            | Stake::MoveLamports(lamports),
            _,
            Some([from, to]),
        ) => {
            story.lamports(from, to, *lamports)?;
            Ok(Told::Yes)
        }
        (Stake::DelegateStake, _, Some([stake, vote])) => {
            let named = [("stake", stake.to_string()), ("vote", vote.to_string())];
            call(instruction, &named, story)
        }
        (Stake::Merge, _, Some([to, from])) => {
            let named = [("from", from.to_string()), ("stake", to.to_string())];
            call(instruction, &named, story)
        }
        (Stake::Deactivate, Some([stake]), _) => {
            call(instruction, &[("stake", stake.to_string())], story)
        }
        (_, Some([stake]), _) => {
            let Some(named) = change(instruction, &parsed) else { return Ok(Told::No) };
            story.administer(stake, instruction.head(4), &named)?;
            Ok(Told::Yes)
        }
        (_, None, _) => Ok(Told::No),
    }
}

/// Which authorities and which lockup the first account gets; none for an instruction that changes
/// neither.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other instructions are calls")]
fn change(instruction: &Instruction<'_>, parsed: &Stake) -> Option<Vec<(&'static str, String)>> {
    let lockup = |custodian: Option<Address>, epoch: Option<u64>, time: Option<i64>| {
        let custodian = custodian.map(|new| ("lockup_custodian", new.to_string()));
        let epoch = epoch.map(|new| ("lockup_epoch", new.to_string()));
        let time = time.map(|new| ("lockup_time", new.to_string()));
        [custodian, epoch, time].into_iter().flatten().collect::<Vec<_>>()
    };
    let both = |staker: Address, withdrawer: Address| {
        vec![("staker", staker.to_string()), ("withdrawer", withdrawer.to_string())]
    };
    let fourth = || instruction.first().map(|[_, _, _, new]| new);
    Some(match parsed {
        Stake::Initialize(authorized, it) => {
            let mut named = lockup(Some(it.custodian), Some(it.epoch), Some(it.unix_timestamp));
            named.extend(both(authorized.staker, authorized.withdrawer));
            named
        }
        Stake::InitializeChecked => {
            let [_, _, staker, withdrawer] = instruction.first()?;
            both(staker, withdrawer)
        }
        Stake::Authorize(new, which) => authority(which, *new),
        Stake::AuthorizeWithSeed(it) => authority(&it.stake_authorize, it.new_authorized_pubkey),
        Stake::AuthorizeChecked(which) => authority(which, fourth()?),
        Stake::AuthorizeCheckedWithSeed(it) => authority(&it.stake_authorize, fourth()?),
        Stake::SetLockup(it) => lockup(it.custodian, it.epoch, it.unix_timestamp),
        Stake::SetLockupChecked(it) => {
            let custodian = instruction.first().map(|[_, _, new]| new);
            lockup(custodian, it.epoch, it.unix_timestamp)
        }
        _ => return None,
    })
}

/// The instruction, if these are all its bytes and its only encoding.
fn parse(data: &[u8]) -> Option<Stake> {
    let parsed: Stake = wincode::deserialize_exact(data).ok()?;
    (wincode::serialize(&parsed).ok()? == data).then_some(parsed)
}

fn authority(which: &StakeAuthorize, new: Address) -> Vec<(&'static str, String)> {
    match which {
        StakeAuthorize::Staker => vec![("staker", new.to_string())],
        StakeAuthorize::Withdrawer => vec![("withdrawer", new.to_string())],
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

/// The number of the last instruction that is read, `MoveLamports`.
const LAST: u32 = 17;
