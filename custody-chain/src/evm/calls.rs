//! What a call does, as far as its selector, its arguments and its receiver tell.
//!
//! Invariant: calldata is understood only in its one canonical form; whatever else it may be stays
//! a call of unknown meaning, and is opaque if it would make calls. Calls inside of calls are followed to a fixed depth, and beyond it the
//! payload is refused.

mod administration;
mod batches;
pub(super) mod contracts;
mod erc20;
mod safe;
mod tokens;

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use alloy_sol_types::abi::AbiDecoderConfig;

use super::EvmError;
use super::story::{Function, Story, amount};

pub(super) use safe::{Transaction as SafeTransaction, act as act_as_safe};

/// A call as it will be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    /// Who makes it, and so whose money moves.
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) value: U256,
    pub(super) data: &'a [u8],
    /// How many calls it is inside of.
    pub(super) depth: usize,
}

/// Tells what a call does.
pub(super) fn describe(story: &mut Story<'_>, call: Call<'_>) -> Result<(), EvmError> {
    if call.depth > DEPTH_MAX {
        return Err(EvmError::Depth { limit: DEPTH_MAX });
    }
    if !call.value.is_zero() || call.data.is_empty() {
        let native = story.native();
        story.transfer(call.from, call.to, amount(native, call.value))?;
    }
    if call.data.is_empty() {
        return Ok(());
    }
    let is_told = erc20::describe(story, &call)?
        || tokens::describe(story, &call)?
        || contracts::describe(story, &call)?
        || batches::describe(story, &call)?
        || safe::describe(story, &call)?
        || administration::describe(story, &call)?;
    if is_told {
        return Ok(());
    }
    let function = call.function();
    let arguments = story.abis.arguments(story.chain, function).unwrap_or_default();
    story.call(function, arguments)
}

impl<'a> Call<'a> {
    pub(super) const fn function(&self) -> Function<'a> {
        Function { contract: self.to, data: self.data }
    }

    /// A call that this one makes.
    pub(super) const fn inner(
        &self,
        from: Address,
        to: Address,
        value: U256,
        data: &'a [u8],
    ) -> Self {
        Self { from, to, value, data, depth: self.depth.saturating_add(1) }
    }

    /// Whether it is for one of these functions, however it is encoded.
    pub(super) fn selects(&self, selectors: &[[u8; 4]]) -> bool {
        selectors.iter().any(|selector| self.data.starts_with(selector))
    }

    /// The call as one of these, if it is exactly what that encodes to.
    pub(super) fn read<C: SolCall>(&self) -> Option<C> {
        if !self.data.starts_with(&C::SELECTOR) {
            return None;
        }
        // Strict: data that stands once and is told twice would be copied as often as it is told.
        let call =
            C::abi_decode_with_config(self.data, AbiDecoderConfig::new().strict(true)).ok()?;
        (call.abi_encode() == self.data).then_some(call)
    }
}

/// A call that is known by its contract but has no effect of another kind.
pub(super) fn tell(story: &mut Story<'_>, call: &Call<'_>) -> Result<(), EvmError> {
    let arguments = story.abis.arguments(story.chain, call.function());
    story.call(call.function(), arguments.unwrap_or_default())
}

/// A call that makes calls which nobody can tell, because it is not encoded as it must be: a contract
/// would make them all the same. What is told of the call itself is what a legitimate one is told
/// with, so it is opaque besides.
fn tell_unread(story: &mut Story<'_>) -> Result<(), EvmError> {
    let line = "make calls of unknown meaning: they are not encoded in their one form";
    story.sign_opaque("evm/unread-calls", line.to_owned())
}

/// Calls inside of calls are followed so deep.
const DEPTH_MAX: usize = 8;
