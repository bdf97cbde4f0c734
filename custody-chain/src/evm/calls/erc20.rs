//! The calls of ERC-20 that move money or allow it.
//!
//! Invariant: calldata is a token call only in its one strict form: exact length, clean address
//! padding. A token executes sloppier forms just the same, so these are neither dropped nor
//! trusted; they stay calls of unknown meaning.

use alloy_primitives::{Address, U256};

use super::Call;
use crate::evm::EvmError;
use crate::evm::story::{Story, amount};

/// Tells what a call of ERC-20 does, if it is one.
pub(super) fn describe(story: &mut Story<'_>, call: &Call<'_>) -> Result<bool, EvmError> {
    let Some(token_call) = TokenCall::parse(call.data) else { return Ok(false) };
    let token = story.token("erc20", call.to)?;
    match token_call {
        TokenCall::Approve { spender, amount: units } => {
            story.approve(spender, amount(token, units))?;
        }
        TokenCall::Transfer { to, amount: units } => {
            story.transfer(call.from, to, amount(token, units))?;
        }
        TokenCall::TransferFrom { from, to, amount: units } => {
            story.transfer(from, to, amount(token, units))?;
        }
    }
    Ok(true)
}

/// A call of ERC-20.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenCall {
    Approve { spender: Address, amount: U256 },
    Transfer { to: Address, amount: U256 },
    TransferFrom { from: Address, to: Address, amount: U256 },
}

impl TokenCall {
    /// Reads calldata; none if it is anything else.
    fn parse(data: &[u8]) -> Option<Self> {
        let (selector, arguments) = data.split_first_chunk::<4>()?;
        let (words, rest) = arguments.as_chunks::<32>();
        if !rest.is_empty() {
            return None;
        }
        match (*selector, words) {
            (APPROVE, [spender, amount]) => {
                Some(Self::Approve { spender: address(spender)?, amount: number(amount) })
            }
            (TRANSFER, [to, amount]) => {
                Some(Self::Transfer { to: address(to)?, amount: number(amount) })
            }
            (TRANSFER_FROM, [from, to, amount]) => Some(Self::TransferFrom {
                from: address(from)?,
                to: address(to)?,
                amount: number(amount),
            }),
            _ => None,
        }
    }
}

fn address(word: &[u8; 32]) -> Option<Address> {
    let (padding, address) = word.split_first_chunk::<12>()?;
    if *padding != [0; 12] {
        return None;
    }
    Address::try_from(address).ok()
}

const fn number(word: &[u8; 32]) -> U256 {
    U256::from_be_bytes(*word)
}

/// `approve(address,uint256)`
const APPROVE: [u8; 4] = [0x09, 0x5e, 0xa7, 0xb3];
/// `transfer(address,uint256)`
const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];
/// `transferFrom(address,address,uint256)`
const TRANSFER_FROM: [u8; 4] = [0x23, 0xb8, 0x72, 0xdd];
