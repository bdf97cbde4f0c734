use alloy_eips::eip2930::AccessList;
use alloy_primitives::{B256, U256};

use crate::evm::authorization::SignedAuthorization;

/// What the kinds of transactions do not have in common.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Without chain id, valid on every chain.
    Legacy { gas_price: U256 },
    /// With the chain id in the place of the signature (EIP-155).
    Eip155 { chain_id: u64, gas_price: U256 },
    /// With an access list (EIP-2930), which costs gas, within the gas limit, and does nothing else.
    Eip2930 { chain_id: u64, gas_price: U256, access_list: AccessList },
    /// With a fee market (EIP-1559).
    Eip1559 { chain_id: u64, market: Market, access_list: AccessList },
    /// With blobs, whose fee comes besides the gas (EIP-4844). Its blobs travel beside it.
    Eip4844 { chain_id: u64, market: Market, access_list: AccessList, blobs: Blobs },
    /// With accounts that hand themselves over to code (EIP-7702).
    Eip7702 {
        chain_id: u64,
        market: Market,
        access_list: AccessList,
        authorizations: Vec<SignedAuthorization>,
    },
}

/// What is paid for gas.
#[derive(Clone, Copy, Debug)]
pub(super) struct Market {
    pub(super) priority_fee: U256,
    pub(super) fee: U256,
}

/// What is paid for blobs.
#[derive(Clone, Debug)]
pub(super) struct Blobs {
    pub(super) fee: U256,
    pub(super) hashes: Vec<B256>,
}
