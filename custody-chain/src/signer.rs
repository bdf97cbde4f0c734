//! Which account signs a payload that does not say so itself, and which signature is its.
//!
//! Invariant: one payload, one task, one signature; a context of another version, a missing
//! account and a superfluous signature are refused, never skipped.

use custody_core::crypto::{Algorithm, Signature};
use custody_core::seam::{ContextAccount, DecodeContext, TaskSignature};

/// The account that signs: the first of the context.
pub(crate) fn first(context: &DecodeContext) -> Result<&ContextAccount, SignerError> {
    if context.v != CONTEXT_VERSION {
        return Err(SignerError::ContextVersion { found: context.v });
    }
    context.accounts.first().ok_or(SignerError::NoAccount)
}

/// The one signature, made by the signing account.
pub(crate) fn only<'a>(
    signatures: &'a [TaskSignature],
    account: &ContextAccount,
) -> Result<&'a Signature, SignerError> {
    let [only] = signatures else {
        return Err(SignerError::Count { found: signatures.len() });
    };
    if only.key != account.key {
        return Err(SignerError::Key);
    }
    let expected = account.public_key.algorithm();
    let found = only.signature.algorithm();
    if found != expected {
        return Err(SignerError::Algorithm { expected, found });
    }
    Ok(&only.signature)
}

/// Why nobody can sign a payload, or a signature is not the payload's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// The key or the signature is of an algorithm that does not fit.
    #[error("the algorithm is {found}, needed is {expected}")]
    Algorithm {
        /// The algorithm that is needed.
        expected: Algorithm,
        /// The algorithm found.
        found: Algorithm,
    },
    /// The decode context has an unknown version.
    #[error("the decode context has version {found}, known is 1")]
    ContextVersion {
        /// The version found.
        found: u8,
    },
    /// There is not exactly one signature.
    #[error("one signature is needed, not {found}")]
    Count {
        /// How many there are.
        found: usize,
    },
    /// The signature was made by another key than the signing account's.
    #[error("the signature is of another key than the signing account's")]
    Key,
    /// The decode context has no account.
    #[error("the decode context has no account")]
    NoAccount,
}

/// The version of the decode context that is read.
const CONTEXT_VERSION: u8 = 1;
