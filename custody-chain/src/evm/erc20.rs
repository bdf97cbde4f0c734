//! The calls of ERC-20 that move money or allow it.
//!
//! Invariant: calldata is a token call only in its one strict form: exact length, clean address
//! padding. A token executes sloppier forms just the same, so these are neither dropped nor
//! trusted; they stay calls of unknown meaning.

use alloy_primitives::{Address, U256};

/// A call of ERC-20.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenCall {
    Approve { spender: Address, amount: U256 },
    Transfer { to: Address, amount: U256 },
    TransferFrom { from: Address, to: Address, amount: U256 },
}

impl TokenCall {
    /// Reads calldata; none if it is anything else.
    pub(super) fn parse(data: &[u8]) -> Option<Self> {
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
