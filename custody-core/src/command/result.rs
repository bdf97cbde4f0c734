use serde::{Deserialize, Serialize};

use crate::caip::AccountId;
use crate::crypto::PublicKey;
use crate::digest::Digest;
use crate::id::KeyId;

/// What a command left behind that the log must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum CommandResult {
    /// Nothing besides the change itself.
    Done {},
    /// An extension's own result.
    Extension {
        /// SHA-256 of what the handler answered, a document of the order.
        sha256: Digest,
    },
    /// A new key.
    Key {
        /// Its public key.
        public_key: PublicKey,
        /// SHA-256 of its handle.
        handle: Digest,
        /// The account it controls by itself on its wallet's chain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<AccountId>,
    },
    /// Keys that were sealed anew.
    Resealed {
        /// Their new handles, in the order in which they were taken.
        handles: Vec<ResealedKey>,
        /// The last of them, if others follow: where to go on. None once the wallet is done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<KeyId>,
    },
    /// A new seed.
    Seed {
        /// SHA-256 of its handle.
        handle: Digest,
    },
}

/// A seed or key that was sealed anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "verifiers read it")]
pub struct ResealedKey {
    /// Which one.
    pub key: KeyId,
    /// SHA-256 of its new handle.
    pub handle: Digest,
}
