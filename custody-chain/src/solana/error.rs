//! Why a Solana payload is refused.
//!
//! Invariant: a refusal names fields, positions and lengths, never bytes of the payload.

use custody_core::caip::CaipError;
use custody_core::effect::EffectTextError;

use crate::signer::SignerError;

/// Why a Solana payload is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SolanaError {
    /// The compute budget is malformed, or one of its settings stands there twice.
    #[error("instruction {instruction} sets the compute budget wrongly or again")]
    ComputeBudget {
        /// Position of the instruction.
        instruction: usize,
    },
    /// The context's chain is not `solana:` and 32 characters of a genesis hash.
    #[error("the wallet is not on a solana chain")]
    ContextChain,
    /// The document is not the one canonical form of what it holds.
    #[error("the document is not of version 1 in its canonical form")]
    Document,
    /// One account stands in the message twice.
    #[error("account {position} stands in the message twice")]
    DuplicateAccount {
        /// Position of the second one.
        position: usize,
    },
    /// The bytes are not the one encoding of a message.
    #[error("the bytes are not the one encoding of a message")]
    Encoding,
    /// The payload has another format.
    #[error("the format is not one of solana")]
    Format,
    /// An account or asset could not be named.
    #[error("a name of an account or asset is malformed")]
    Name(#[from] CaipError),
    /// The message does nothing that the wallet could be asked about.
    #[error("the message has no effect")]
    NoEffect,
    /// The message has no instructions.
    #[error("the message has no instructions")]
    NoInstruction,
    /// None of the wallet's accounts must sign.
    #[error("none of the wallet's accounts must sign")]
    NotSigner,
    /// The off-chain message is not one of version 0.
    #[error("the bytes are not an off-chain message of version 0")]
    Offchain,
    /// An index is out of range, or the fee payer does not sign or cannot pay.
    #[error("the message refers to accounts that it has not, or its fee payer cannot pay")]
    Sanitize,
    /// There are fewer or more signatures than the wallet's accounts must give.
    #[error("{expected} signatures are needed, not {found}")]
    SignatureCount {
        /// How many are needed.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Nobody can sign, or a signature is not the payload's.
    #[error("the signer is refused")]
    Signer(#[from] SignerError),
    /// The tables are not those that the message looks addresses up in.
    #[error("the tables are not those of the message")]
    Tables,
    /// A name of an effect is malformed.
    #[error("a name is malformed")]
    Text(#[from] EffectTextError),
    /// The payload is above its limit.
    #[error("the payload has {length} bytes, allowed are {limit}")]
    TooLong {
        /// Length found, in bytes.
        length: usize,
        /// Largest length allowed, in bytes.
        limit: usize,
    },
    /// The message has an unknown version.
    #[error("the message has an unknown version")]
    Version,
}
