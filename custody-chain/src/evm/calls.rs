//! What a call does, as far as its selector, its arguments and its receiver tell.
//!
//! Invariant: calldata is understood only in its one canonical form; whatever else it may be stays
//! a call of unknown meaning, and is opaque if it would make calls. Calls inside of calls are
//! followed to a fixed depth, and beyond it the payload is refused.

mod administration;
mod batches;
pub(super) mod contracts;
mod erc20;
mod safe;
mod tokens;

use alloy_primitives::{Address, U256};
use alloy_sol_types::abi::AbiDecoderConfig;
use alloy_sol_types::{SolCall, SolInterface};

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

    /// Whether it is for a function of `I`, however it is encoded.
    pub(super) fn is_for<I: SolInterface>(&self) -> bool {
        self.data.first_chunk().is_some_and(|selector| I::valid_selector(*selector))
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

/// Tells a call for a function of `I`, all of which make calls, that could not be read.
fn unread<I: SolInterface>(story: &mut Story<'_>, call: &Call<'_>) -> Result<bool, EvmError> {
    let is_one = call.is_for::<I>();
    if is_one {
        tell(story, call)?;
        hide(story)?;
    }
    Ok(is_one)
}

/// Tells that calls are made which nobody can tell, because they are not encoded as they must be: a
/// contract makes them all the same. The call around them is told as that of a legitimate batch is,
/// so without this rules could not tell the two apart.
fn hide(story: &mut Story<'_>) -> Result<(), EvmError> {
    let line = "make calls of unknown meaning: they are not encoded in their one form";
    story.sign_opaque("evm/unread-calls", line.to_owned())
}

/// Calls inside of calls are followed so deep.
const DEPTH_MAX: usize = 8;
