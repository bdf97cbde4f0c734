//! Calls that make several calls: Multicall3, and contracts that call themselves.
//!
//! Invariant: every call inside is told. A contract whose code is not known is told as called
//! besides, because it may do something else with the bytes. A batch that cannot be read is opaque.

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::sol;

use super::contracts::MULTICALL3;
use super::{Call, describe as describe_call, tell, unread};
use crate::evm::EvmError;
use crate::evm::story::Story;

sol! {
    interface Multicall3 {
        struct Call { address target; bytes callData; }
        struct Call3 { address target; bool allowFailure; bytes callData; }
        struct Call3Value { address target; bool allowFailure; uint256 value; bytes callData; }

        function aggregate(Call[] calls);
        function blockAndAggregate(Call[] calls);
        function tryAggregate(bool requireSuccess, Call[] calls);
        function tryBlockAndAggregate(bool requireSuccess, Call[] calls);
        function aggregate3(Call3[] calls);
        function aggregate3Value(Call3Value[] calls);
    }

    interface Own {
        function multicall(bytes[] data);
    }

    interface OwnUntil {
        function multicall(uint256 deadline, bytes[] data);
    }

    interface OwnAfter {
        function multicall(bytes32 previousBlockhash, bytes[] data);
    }
}

/// Tells what a batch does, if it is one.
pub(super) fn describe(story: &mut Story<'_>, call: &Call<'_>) -> Result<bool, EvmError> {
    if call.to == MULTICALL3 {
        let Some(calls) = multicall3(call) else {
            return unread::<Multicall3::Multicall3Calls>(story, call);
        };
        if calls.is_empty() {
            tell(story, call)?;
        }
        for (target, value, data) in &calls {
            describe_call(story, call.inner(MULTICALL3, *target, *value, data))?;
        }
        return Ok(true);
    }
    let Some(calls) = own(call) else {
        return Ok(unread::<Own::OwnCalls>(story, call)?
            || unread::<OwnUntil::OwnUntilCalls>(story, call)?
            || unread::<OwnAfter::OwnAfterCalls>(story, call)?);
    };
    tell(story, call)?;
    for data in &calls {
        // It runs its own code for the caller; a value that came with the call is there for all.
        describe_call(story, call.inner(call.from, call.to, U256::ZERO, data))?;
    }
    Ok(true)
}

type Inner = (alloy_primitives::Address, U256, Bytes);

fn multicall3(call: &Call<'_>) -> Option<Vec<Inner>> {
    let plain = |calls: Vec<Multicall3::Call>| {
        calls.into_iter().map(|call| (call.target, U256::ZERO, call.callData)).collect()
    };
    if let Some(call) = call.read::<Multicall3::aggregateCall>() {
        return Some(plain(call.calls));
    }
    if let Some(call) = call.read::<Multicall3::blockAndAggregateCall>() {
        return Some(plain(call.calls));
    }
    if let Some(call) = call.read::<Multicall3::tryAggregateCall>() {
        return Some(plain(call.calls));
    }
    if let Some(call) = call.read::<Multicall3::tryBlockAndAggregateCall>() {
        return Some(plain(call.calls));
    }
    if let Some(call) = call.read::<Multicall3::aggregate3Call>() {
        let calls = call.calls.into_iter();
        return Some(calls.map(|call| (call.target, U256::ZERO, call.callData)).collect());
    }
    let call = call.read::<Multicall3::aggregate3ValueCall>()?;
    Some(call.calls.into_iter().map(|call| (call.target, call.value, call.callData)).collect())
}

fn own(call: &Call<'_>) -> Option<Vec<Bytes>> {
    let plain = call.read::<Own::multicallCall>().map(|call| call.data);
    let until = || call.read::<OwnUntil::multicallCall>().map(|call| call.data);
    plain.or_else(until).or_else(|| call.read::<OwnAfter::multicallCall>().map(|call| call.data))
}
