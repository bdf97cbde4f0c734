//! Why a payload is refused.
//!
//! Invariant: a refusal names fields, positions, lengths and chains, never bytes of the payload.

use custody_core::caip::CaipError;
use custody_core::effect::EffectTextError;

use crate::signer::SignerError;

/// Why a payload is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvmError {
    /// A batch ends in the middle of a transaction.
    #[error("the batch is cut off after byte {position}")]
    Batch {
        /// Where in the batch the transaction begins that does not end.
        position: usize,
    },
    /// A transaction with blobs has none, or one of an unknown version (EIP-4844).
    #[error("the {count} blob hashes are none, or of another version than 1")]
    Blobs {
        /// How many there are.
        count: usize,
    },
    /// The payload is for another chain than the wallet.
    #[error("the payload is for chain {found}, the wallet is on chain {expected}")]
    Chain {
        /// The wallet's chain.
        expected: u64,
        /// The payload's chain.
        found: u64,
    },
    /// The chain id is zero or above the bound of EIP-2294.
    #[error("a chain id is 1 to 9223372036854775771")]
    ChainId,
    /// The context's chain is not `eip155:` and the number of a chain.
    #[error("the wallet is not on an eip155 chain")]
    ContextChain,
    /// Calls stand inside of calls too deep to follow.
    #[error("calls are inside of calls more than {limit} times")]
    Depth {
        /// How deep they are followed.
        limit: usize,
    },
    /// There are too many effects.
    #[error("the payload has more than {limit} effects")]
    Effects {
        /// Most effects allowed.
        limit: usize,
    },
    /// The payload is empty.
    #[error("the payload is empty")]
    Empty,
    /// The payload is not the canonical encoding of what was read from it.
    #[error("the transaction is not canonically encoded")]
    Encoding,
    /// Gas limit times fee per gas is above 2^256 - 1.
    #[error("the worst-case fee is above 2^256 - 1")]
    FeeOverflow,
    /// The transaction has another number of fields.
    #[error("the transaction has {found} fields")]
    Fields {
        /// How many there are.
        found: usize,
    },
    /// The payload has another format.
    #[error("the format is not one of the evm formats")]
    Format,
    /// A number begins with a zero byte.
    #[error("{field} begins with a zero byte")]
    LeadingZero {
        /// Which field.
        field: &'static str,
    },
    /// A field has a length that it cannot have.
    #[error("{field} has {length} bytes")]
    Length {
        /// Which field.
        field: &'static str,
        /// Length found, in bytes.
        length: usize,
    },
    /// The header of an item is cut off, not the shortest one, or of the wrong kind.
    #[error("{field} is malformed at byte {position}")]
    Malformed {
        /// Which field.
        field: &'static str,
        /// Where in the payload it begins.
        position: usize,
    },
    /// A standard name of an account or asset could not be made.
    #[error("an account or asset has no standard name")]
    Name(#[from] CaipError),
    /// The nonce is 2^64 - 1, which no transaction may have (EIP-2681).
    #[error("the nonce is at most 2^64 - 2")]
    Nonce,
    /// The operation of a Safe is neither a call nor a delegate call.
    #[error("an operation is 0 or 1, not {found}")]
    Operation {
        /// The operation found.
        found: u8,
    },
    /// The priority fee is above the whole fee.
    #[error("the priority fee per gas is above the fee per gas")]
    PriorityFee,
    /// The signature has no recovery id, or one that a transaction cannot carry.
    #[error("the signature needs a recovery id of 0 or 1")]
    RecoveryId,
    /// A function could not be named.
    #[error("the selector is malformed")]
    Selector(#[from] EffectTextError),
    /// The transaction is already signed.
    #[error("the transaction is already signed")]
    Signed,
    /// Nobody can sign, or a signature is not the payload's.
    #[error("the signer is refused")]
    Signer(#[from] SignerError),
    /// The payload is above its limit.
    #[error("the payload has {length} bytes, allowed are {limit}")]
    TooLong {
        /// Length found, in bytes.
        length: usize,
        /// Largest length allowed, in bytes.
        limit: usize,
    },
    /// Value and worst-case fee together are above 2^256 - 1.
    #[error("the value and the worst-case fee are together above 2^256 - 1")]
    TotalOverflow,
    /// Bytes follow the end of something.
    #[error("{count} bytes follow the end of {what}")]
    Trailing {
        /// After what.
        what: &'static str,
        /// How many.
        count: usize,
    },
    /// The transaction is of a type that is not read (EIP-2718).
    #[error("transactions of type {found} are not read")]
    Type {
        /// The type.
        found: u8,
    },
    /// The typed data is not what EIP-712 describes, or not all of it is declared.
    #[error("the typed data is refused: {what}")]
    TypedData {
        /// What is wrong.
        what: &'static str,
    },
    /// Typed data that spends does not say by which contract.
    #[error("the domain names no verifying contract")]
    VerifyingContract,
}
