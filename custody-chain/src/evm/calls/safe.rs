//! Safe 1.3.0 to 1.4.1: transactions of the account itself, batches, and who owns it.
//!
//! Invariant: an operation of 1 is always a `delegate_call`, whatever else it was understood to be.
//! What a Safe would run and cannot be read is opaque: contracts take bytes behind the arguments,
//! padding that is not zero and offsets of any order.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::sol;

use super::contracts::MULTI_SEND;
use super::{Call, describe as describe_call, hide, tell, unread};
use crate::evm::EvmError;
use crate::evm::story::{Story, amount};

sol! {
    interface Safe {
        function execTransaction(
            address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas,
            uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver,
            bytes signatures
        );
        function execTransactionFromModule(
            address to, uint256 value, bytes data, uint8 operation
        );
        function execTransactionFromModuleReturnData(
            address to, uint256 value, bytes data, uint8 operation
        );
    }

    interface Owner {
        function approveHash(bytes32 hashToApprove);
    }

    interface MultiSend {
        function multiSend(bytes transactions);
    }
}

/// What a Safe does once its owners have signed, or a module asks for it.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) to: Address,
    pub(crate) value: U256,
    pub(crate) data: Bytes,
    pub(crate) operation: u8,
    /// Whoever executes it is paid back at this price, for gas that nobody bounds.
    pub(crate) gas_price: U256,
    pub(crate) gas_token: Address,
    pub(crate) refund_receiver: Address,
}

/// Tells what a call of a Safe does, if it is one.
pub(super) fn describe(story: &mut Story<'_>, call: &Call<'_>) -> Result<bool, EvmError> {
    if let Some(transaction) = executed(call) {
        tell(story, call)?;
        act(story, call, &transaction)?;
        return Ok(true);
    }
    if call.is_for::<Owner::OwnerCalls>() {
        story.sign_opaque("safe/approve-hash", "approve a hash of unknown meaning".to_owned())?;
        return Ok(true);
    }
    unread::<Safe::SafeCalls>(story, call)
}

fn executed(call: &Call<'_>) -> Option<Transaction> {
    let plain = |to, value, data, operation| Transaction {
        to,
        value,
        data,
        operation,
        gas_price: U256::ZERO,
        gas_token: Address::ZERO,
        refund_receiver: Address::ZERO,
    };
    if let Some(call) = call.read::<Safe::execTransactionCall>() {
        return Some(Transaction {
            gas_price: call.gasPrice,
            gas_token: call.gasToken,
            refund_receiver: call.refundReceiver,
            ..plain(call.to, call.value, call.data, call.operation)
        });
    }
    if let Some(call) = call.read::<Safe::execTransactionFromModuleCall>() {
        return Some(plain(call.to, call.value, call.data, call.operation));
    }
    let call = call.read::<Safe::execTransactionFromModuleReturnDataCall>()?;
    Some(plain(call.to, call.value, call.data, call.operation))
}

/// Tells what the Safe that `call` is for does.
pub(crate) fn act(
    story: &mut Story<'_>,
    call: &Call<'_>,
    transaction: &Transaction,
) -> Result<(), EvmError> {
    let (safe, data) = (call.to, transaction.data.as_ref());
    let inner = call.inner(safe, transaction.to, transaction.value, data);
    match transaction.operation {
        0 => describe_call(story, inner)?,
        1 => run(story, safe, inner)?,
        found => return Err(EvmError::Operation { found }),
    }
    if transaction.gas_price.is_zero() {
        return Ok(());
    }
    let asset = if transaction.gas_token == Address::ZERO {
        story.native()
    } else {
        story.token("erc20", transaction.gas_token)?
    };
    // Without a receiver it goes to whoever sends the transaction.
    story.transfer(safe, transaction.refund_receiver, amount(asset, U256::MAX))
}

/// Code that runs as the Safe. The value is not sent anywhere.
fn run(story: &mut Story<'_>, safe: Address, inner: Call<'_>) -> Result<(), EvmError> {
    story.delegate_call(inner.function())?;
    if !MULTI_SEND.contains(&inner.to) || !inner.is_for::<MultiSend::MultiSendCalls>() {
        return Ok(());
    }
    let Some(MultiSend::multiSendCall { transactions }) = inner.read() else { return hide(story) };
    let mut rest = transactions.as_ref();
    while !rest.is_empty() {
        let (item, after) = Item::read(rest)
            .ok_or(EvmError::Batch { position: transactions.len().saturating_sub(rest.len()) })?;
        rest = after;
        let one = Call { from: safe, to: item.to, value: item.value, data: item.data, ..inner };
        let one = Call { depth: inner.depth.saturating_add(1), ..one };
        match item.operation {
            0 => describe_call(story, one)?,
            1 if one.depth <= super::DEPTH_MAX => run(story, safe, one)?,
            1 => return Err(EvmError::Depth { limit: super::DEPTH_MAX }),
            found => return Err(EvmError::Operation { found }),
        }
    }
    Ok(())
}

/// One transaction of a batch, packed.
struct Item<'a> {
    operation: u8,
    to: Address,
    value: U256,
    data: &'a [u8],
}

impl<'a> Item<'a> {
    /// Operation, receiver, value and length without padding, then the data.
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (operation, rest) = bytes.split_first()?;
        let (to, rest) = rest.split_first_chunk::<20>()?;
        let (value, rest) = rest.split_first_chunk::<32>()?;
        let (length, rest) = rest.split_first_chunk::<32>()?;
        let length = usize::try_from(U256::from_be_bytes(*length)).ok()?;
        let (data, rest) = rest.split_at_checked(length)?;
        let (to, value) = (Address::from(*to), U256::from_be_bytes(*value));
        Some((Self { operation: *operation, to, value, data }, rest))
    }
}
