//! Calls of tokens beside the three of ERC-20: ERC-721, ERC-1155, and money that a signature moves.
//!
//! Invariant: an allowance for everything is the largest there is.

use alloy_primitives::U256;
use alloy_sol_types::sol;

use super::Call;
use crate::evm::EvmError;
use crate::evm::story::{Story, amount};

sol! {
    function increaseAllowance(address spender, uint256 added);
    /// EIP-2612.
    function permit(
        address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s
    );
    /// ERC-721 and ERC-1155.
    function setApprovalForAll(address operator, bool approved);
    /// EIP-3009.
    function transferWithAuthorization(
        address from, address to, uint256 value, uint256 validAfter, uint256 validBefore,
        bytes32 nonce, uint8 v, bytes32 r, bytes32 s
    );
    /// EIP-3009.
    function receiveWithAuthorization(
        address from, address to, uint256 value, uint256 validAfter, uint256 validBefore,
        bytes32 nonce, uint8 v, bytes32 r, bytes32 s
    );

    interface Dai {
        function permit(
            address holder, address spender, uint256 nonce, uint256 expiry, bool allowed,
            uint8 v, bytes32 r, bytes32 s
        );
    }

    interface Erc721 {
        function safeTransferFrom(address from, address to, uint256 tokenId);
    }

    interface Erc721WithData {
        function safeTransferFrom(address from, address to, uint256 tokenId, bytes data);
    }

    interface Erc1155 {
        function safeTransferFrom(
            address from, address to, uint256 id, uint256 value, bytes data
        );
        function safeBatchTransferFrom(
            address from, address to, uint256[] ids, uint256[] values, bytes data
        );
    }
}

/// Tells what a call of a token does, if it is one.
pub(super) fn describe(story: &mut Story<'_>, call: &Call<'_>) -> Result<bool, EvmError> {
    Ok(allowance(story, call)? || authorized(story, call)? || collectible(story, call)?)
}

fn allowance(story: &mut Story<'_>, call: &Call<'_>) -> Result<bool, EvmError> {
    let (spender, units) = if let Some(call) = call.read::<increaseAllowanceCall>() {
        (call.spender, call.added)
    } else if let Some(call) = call.read::<permitCall>() {
        (call.spender, call.value)
    } else if let Some(call) = call.read::<Dai::permitCall>() {
        (call.spender, everything(call.allowed))
    } else {
        return Ok(false);
    };
    let token = story.token("erc20", call.to)?;
    story.approve(spender, amount(token, units))?;
    Ok(true)
}

fn authorized(story: &mut Story<'_>, call: &Call<'_>) -> Result<bool, EvmError> {
    let (from, to, units) = if let Some(call) = call.read::<transferWithAuthorizationCall>() {
        (call.from, call.to, call.value)
    } else if let Some(call) = call.read::<receiveWithAuthorizationCall>() {
        (call.from, call.to, call.value)
    } else {
        return Ok(false);
    };
    let token = story.token("erc20", call.to)?;
    story.transfer(from, to, amount(token, units))?;
    Ok(true)
}

/// A token of ERC-721 counts one; those of ERC-1155 count by contract, whatever their ids.
fn collectible(story: &mut Story<'_>, call: &Call<'_>) -> Result<bool, EvmError> {
    if let Some(set) = call.read::<setApprovalForAllCall>() {
        // Both kinds of contracts have this function; which one it is cannot be seen.
        let token = story.token("erc721", call.to)?;
        story.approve(set.operator, amount(token, everything(set.approved)))?;
        return Ok(true);
    }
    let (kind, from, to, units) = if let Some(call) = call.read::<Erc721::safeTransferFromCall>() {
        ("erc721", call.from, call.to, vec![U256::ONE])
    } else if let Some(call) = call.read::<Erc721WithData::safeTransferFromCall>() {
        ("erc721", call.from, call.to, vec![U256::ONE])
    } else if let Some(call) = call.read::<Erc1155::safeTransferFromCall>() {
        ("erc1155", call.from, call.to, vec![call.value])
    } else if let Some(call) = call.read::<Erc1155::safeBatchTransferFromCall>() {
        if call.ids.len() != call.values.len() || call.ids.is_empty() {
            return Ok(false);
        }
        ("erc1155", call.from, call.to, call.values)
    } else {
        return Ok(false);
    };
    let token = story.token(kind, call.to)?;
    for units in units {
        story.transfer(from, to, amount(token.clone(), units))?;
    }
    Ok(true)
}

const fn everything(allowed: bool) -> U256 {
    if allowed { U256::MAX } else { U256::ZERO }
}
