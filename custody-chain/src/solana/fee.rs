//! The worst-case fee of a message.
//!
//! Invariant: never below what the network takes; where versions of the network differ, it is the
//! larger value.

use solana_address::Address;
use solana_compute_budget_interface::ComputeBudgetInstruction as Budget;
use solana_sdk_ids::{compute_budget, ed25519_program, secp256k1_program, secp256r1_program};

use super::SolanaError;
use super::message::Message;

/// The most lamports that the fee can be.
pub(super) fn worst_case(message: &Message) -> Result<u128, SolanaError> {
    let mut price = None;
    let mut limit = None;
    let mut other = None;
    let mut heap = None;
    let mut units = 0_u64;
    let mut signatures = u128::try_from(message.signers().len()).unwrap_or(u128::MAX);
    for (position, instruction) in message.instructions().iter().enumerate() {
        let program = message.account(instruction.program_id_index);
        if program != Some(compute_budget::ID) {
            units = units.saturating_add(UNITS_PER_INSTRUCTION);
            signatures = signatures.saturating_add(verified(program, &instruction.data));
            continue;
        }
        units = units.saturating_add(UNITS_PER_BUILTIN);
        let refused = SolanaError::ComputeBudget { instruction: position };
        let again = match borsh::from_slice(&instruction.data) {
            Ok(Budget::SetComputeUnitPrice(value)) => price.replace(value).is_some(),
            Ok(Budget::SetComputeUnitLimit(value)) => limit.replace(value).is_some(),
            Ok(Budget::SetLoadedAccountsDataSizeLimit(value)) => other.replace(value).is_some(),
            Ok(Budget::RequestHeapFrame(value)) => heap.replace(value).is_some(),
            Ok(Budget::Unused) | Err(_) => true,
        };
        if again {
            return Err(refused);
        }
    }
    let units = limit.map_or(units, u64::from).min(UNITS_MAX);
    let micro = u128::from(price.unwrap_or(0)).saturating_mul(u128::from(units));
    let priority = micro.div_ceil(MICRO).min(u128::from(u64::MAX));
    Ok(signatures.saturating_mul(LAMPORTS_PER_SIGNATURE).saturating_add(priority))
}

/// How many signatures a precompiled program verifies, each of which costs as much as one of the
/// message.
fn verified(program: Option<Address>, data: &[u8]) -> u128 {
    let precompiles = [ed25519_program::ID, secp256k1_program::ID, secp256r1_program::ID];
    if program.is_some_and(|program| precompiles.contains(&program)) {
        return data.first().copied().map_or(0, u128::from);
    }
    0
}

const LAMPORTS_PER_SIGNATURE: u128 = 5_000;
const MICRO: u128 = 1_000_000;
/// What an instruction of a program on the chain may use by default; built-in programs have 3,000
/// since SIMD-0170 and had 200,000 before.
const UNITS_PER_INSTRUCTION: u64 = 200_000;
const UNITS_PER_BUILTIN: u64 = 3_000;
const UNITS_MAX: u64 = 1_400_000;
