//! Contracts that stand at known addresses: Permit2, Multicall3, MultiSend of Safe, wrapped coins.
//!
//! Invariant: what only these contracts do is believed of no other.

use alloy_primitives::{Address, address};
use alloy_sol_types::sol;

use super::Call;
use crate::evm::EvmError;
use crate::evm::story::{Story, amount};

sol! {
    interface Wrapped {
        function deposit();
        function withdraw(uint256 amount);
    }

    interface Permit2 {
        struct PermitDetails { address token; uint160 amount; uint48 expiration; uint48 nonce; }
        struct PermitSingle { PermitDetails details; address spender; uint256 sigDeadline; }
        struct PermitBatch { PermitDetails[] details; address spender; uint256 sigDeadline; }
        struct TransferDetails { address from; address to; uint160 amount; address token; }

        function approve(address token, address spender, uint160 amount, uint48 expiration);
        function transferFrom(address from, address to, uint160 amount, address token);
    }

    interface Permit2Single {
        function permit(address owner, Permit2.PermitSingle permitSingle, bytes signature);
    }

    interface Permit2Batch {
        function permit(address owner, Permit2.PermitBatch permitBatch, bytes signature);
        function transferFrom(Permit2.TransferDetails[] transferDetails);
    }
}

/// Whether a wrapped native coin stands there.
fn is_wrapped(story: &Story<'_>, contract: Address) -> bool {
    let chain = story.chain.reference().parse::<u64>();
    chain.is_ok_and(|chain| WRAPPED.contains(&(chain, contract)))
        || story.abis.is_wrapped_native(story.chain, contract)
}

/// Tells what a call of a known contract does, if it is one.
pub(super) fn describe(story: &mut Story<'_>, call: &Call<'_>) -> Result<bool, EvmError> {
    if call.to == PERMIT2 {
        return permit2(story, call);
    }
    if !is_wrapped(story, call.to) {
        return Ok(false);
    }
    if call.read::<Wrapped::depositCall>().is_some() {
        // The value that goes there, which was told already, is all that happens.
        if call.value.is_zero() {
            let native = story.native();
            story.transfer(call.from, call.to, amount(native, call.value))?;
        }
        return Ok(true);
    }
    if let Some(withdraw) = call.read::<Wrapped::withdrawCall>() {
        let token = story.token("erc20", call.to)?;
        story.transfer(call.from, call.to, amount(token, withdraw.amount))?;
        return Ok(true);
    }
    Ok(false)
}

fn permit2(story: &mut Story<'_>, call: &Call<'_>) -> Result<bool, EvmError> {
    let (spender, details) = if let Some(call) = call.read::<Permit2::approveCall>() {
        (call.spender, vec![(call.token, call.amount.to())])
    } else if let Some(call) = call.read::<Permit2Single::permitCall>() {
        let details = call.permitSingle.details;
        (call.permitSingle.spender, vec![(details.token, details.amount.to())])
    } else if let Some(call) = call.read::<Permit2Batch::permitCall>() {
        let details = call.permitBatch.details.into_iter();
        let details = details.map(|details| (details.token, details.amount.to())).collect();
        (call.permitBatch.spender, details)
    } else {
        return permit2_transfer(story, call);
    };
    if details.is_empty() {
        return Ok(false);
    }
    for (token, units) in details {
        let token = story.token("erc20", token)?;
        story.approve(spender, amount(token, units))?;
    }
    Ok(true)
}

fn permit2_transfer(story: &mut Story<'_>, call: &Call<'_>) -> Result<bool, EvmError> {
    let transfers = if let Some(call) = call.read::<Permit2::transferFromCall>() {
        vec![(call.from, call.to, call.token, call.amount)]
    } else if let Some(call) = call.read::<Permit2Batch::transferFromCall>() {
        let details = call.transferDetails.into_iter();
        details.map(|details| (details.from, details.to, details.token, details.amount)).collect()
    } else {
        return Ok(false);
    };
    if transfers.is_empty() {
        return Ok(false);
    }
    for (from, to, token, units) in transfers {
        let token = story.token("erc20", token)?;
        story.transfer(from, to, amount(token, units.to()))?;
    }
    Ok(true)
}

/// Permit2, at one address on all chains.
pub(crate) const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");
/// Multicall3, at one address on all chains.
pub(super) const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");
/// `MultiSend` and `MultiSendCallOnly` of Safe 1.3.0, 1.3.0 for chains with EIP-155 only, and 1.4.1.
pub(super) const MULTI_SEND: [Address; 6] = [
    address!("A238CBeb142c10Ef7Ad8442C6D1f9E89e07e7761"),
    address!("40A2aCCbd92BCA938b02010E17A5b8929b49130D"),
    address!("998739BFdAAdde7C933B942a68053933098f9EDa"),
    address!("A1dabEF33b3B82c7814B6D82A79e50F4AC44102B"),
    address!("38869bf66a61cF6bDB996A6aE40D5853Fd43B526"),
    address!("9641d764fc13c8B624c04430C7356C1C7C8102e2"),
];

const WRAPPED: [(u64, Address); 9] = [
    (1, address!("C02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")),
    (10, address!("4200000000000000000000000000000000000006")),
    (56, address!("bb4CdB9CBd36B01bD1cBaEBF2De08d9173bc095c")),
    (100, address!("e91D153E0b41518A2Ce8Dd3D7944Fa863463a97d")),
    (137, address!("0d500B1d8E8eF31E21C99d1Db9A6444d3ADf1270")),
    (8_453, address!("4200000000000000000000000000000000000006")),
    (42_161, address!("82aF49447D8a07e3bd95BD0d56f35241523fBab1")),
    (43_114, address!("B31f66AA3C1e785363F0875A1B74E27b85FD66c7")),
    (11_155_111, address!("fFf9976782d46CC05630D1f6eBAb18b2324d6B14")),
];
