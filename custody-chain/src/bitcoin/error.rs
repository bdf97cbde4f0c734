//! Why a Bitcoin payload is refused.
//!
//! Invariant: a refusal names fields, positions, lengths and limits, never bytes of the payload.

use custody_core::caip::CaipError;
use custody_core::effect::EffectTextError;

use super::descriptor::BitcoinDescriptorError;
use crate::signer::SignerError;

/// Why a Bitcoin payload is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BitcoinError {
    /// An input of ours carries a signature of ours, or final scripts, already.
    #[error("input {input} is signed already")]
    AlreadySigned {
        /// Position of the input.
        input: usize,
    },
    /// An amount, or a sum of amounts, is above 21 million bitcoin.
    #[error("an amount is above 21 million bitcoin")]
    AmountRange,
    /// The context's chain is none of the Bitcoin networks.
    #[error("the wallet is not on a bip122 chain that is known")]
    ContextChain,
    /// A descriptor of the wallet is not understood.
    #[error("a descriptor of the wallet is refused")]
    Descriptor(#[from] BitcoinDescriptorError),
    /// Two inputs spend the same output.
    #[error("input {input} spends what an input before it spends")]
    DuplicateInput {
        /// Position of the second one.
        input: usize,
    },
    /// The payload is not a PSBT of version 0 in its one encoding.
    #[error("the payload is not a psbt in its one encoding")]
    Encoding,
    /// An effect could not be named.
    #[error("an effect could not be named")]
    Effect(#[from] EffectTextError),
    /// A signed input could not be put together.
    #[error("input {input} could not be finalised")]
    Finalize {
        /// Position of the input.
        input: usize,
    },
    /// The payload has another format.
    #[error("the format is neither bitcoin/psbt nor bitcoin/message")]
    Format,
    /// The output that an input spends is told by itself, without the transaction it is in.
    #[error("input {input} lacks the whole transaction that it spends from")]
    FullTransaction {
        /// Position of the input.
        input: usize,
    },
    /// There are more of something than allowed.
    #[error("there are more than {limit} {what}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// The account's script signs no messages that are put together here.
    #[error("the signing account has no form of bip-322 that is known")]
    MessageAccount,
    /// An account or asset could not be named.
    #[error("a name is malformed")]
    Name(#[from] CaipError),
    /// The outputs are worth more than the inputs.
    #[error("the outputs are worth more than the inputs")]
    NegativeFee,
    /// The transaction has no inputs or spends a coinbase's nothing.
    #[error("the transaction has no inputs")]
    NoInputs,
    /// The transaction has no outputs.
    #[error("the transaction has no outputs")]
    NoOutputs,
    /// No input is the wallet's.
    #[error("no input is of an account of the wallet")]
    NothingOfOurs,
    /// An output has no address and is no empty `OP_RETURN`.
    #[error("output {output} has no address")]
    Output {
        /// Position of the output.
        output: usize,
    },
    /// The output that an input spends is missing or contradicts itself.
    #[error("the output that input {input} spends is missing or contradicts itself")]
    PreviousOutput {
        /// Position of the input.
        input: usize,
    },
    /// A redeem script is missing or is not that of the output spent.
    #[error("the redeem script of input {input} is missing or another output's")]
    RedeemScript {
        /// Position of the input.
        input: usize,
    },
    /// The signature hash type is unknown, or was not allowed.
    #[error("the signature hash type of input {input} is not allowed")]
    Sighash {
        /// Position of the input.
        input: usize,
    },
    /// Nobody can sign, or a signature is not the payload's.
    #[error("the signer is refused")]
    Signer(#[from] SignerError),
    /// The transaction is larger than nodes relay.
    #[error("the transaction has a weight of {weight}, relayed are {limit}")]
    TooHeavy {
        /// The weight, in weight units.
        weight: u64,
        /// The largest that is relayed, in weight units.
        limit: u64,
    },
    /// The payload is above its limit.
    #[error("the payload has {length} bytes, allowed are {limit}")]
    TooLong {
        /// Length found, in bytes.
        length: usize,
        /// Largest length allowed, in bytes.
        limit: usize,
    },
    /// Taproot fields of an input contradict the output that it spends.
    #[error("the taproot fields of input {input} contradict the output that it spends")]
    Taproot {
        /// Position of the input.
        input: usize,
    },
    /// The PSBT has a key that is not known.
    #[error("the psbt has an unknown key")]
    UnknownKey,
    /// An output spent is told by itself, and no signature of ours would fail if it were a lie.
    #[error("nothing that is signed proves the output that input {input} spends")]
    Unproved {
        /// Position of the input.
        input: usize,
    },
    /// The PSBT is of another version than 0.
    #[error("the psbt is of another version than 0")]
    Version,
}
