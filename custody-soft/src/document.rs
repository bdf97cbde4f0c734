//! The stored parameters of a passphrase: what is needed, besides the passphrase, to get its key.
//!
//! Invariant: parameters outside their bounds do not exist as a value, so that no foreign document
//! makes this process spend more memory or less work than the bounds allow. Nothing here is secret.

use custody_core::bytes::HexBytes;
use custody_core::digest::Digest;
use serde::Deserialize;

/// The cost of Argon2id (RFC 9106), within the bounds of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfParameters {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl KdfParameters {
    /// Least memory, in KiB: 19 MiB.
    pub const MEMORY_KIB_MIN: u32 = 19 * 1024;
    /// Most memory, in KiB: 1 GiB.
    pub const MEMORY_KIB_MAX: u32 = 1024 * 1024;
    /// Least number of passes.
    pub const PASSES_MIN: u32 = 2;
    /// Largest number of passes.
    pub const PASSES_MAX: u32 = 16;
    /// Least number of lanes.
    pub const LANES_MIN: u32 = 1;
    /// Largest number of lanes.
    pub const LANES_MAX: u32 = 4;
    /// The cheapest parameters that are accepted: 19 MiB, 2 passes, 1 lane.
    pub const MINIMUM: Self =
        Self { memory_kib: Self::MEMORY_KIB_MIN, passes: Self::PASSES_MIN, lanes: Self::LANES_MIN };

    /// Accepts 19 MiB to 1 GiB of memory, 2 to 16 passes and 1 to 4 lanes.
    ///
    /// # Errors
    /// Fails on any number outside these bounds.
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, KdfParametersError> {
        if memory_kib < Self::MEMORY_KIB_MIN || memory_kib > Self::MEMORY_KIB_MAX {
            return Err(KdfParametersError::Memory { memory_kib });
        }
        if passes < Self::PASSES_MIN || passes > Self::PASSES_MAX {
            return Err(KdfParametersError::Passes { passes });
        }
        if lanes < Self::LANES_MIN || lanes > Self::LANES_MAX {
            return Err(KdfParametersError::Lanes { lanes });
        }
        Ok(Self { memory_kib, passes, lanes })
    }

    /// Memory, in KiB.
    #[must_use]
    pub const fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    /// Number of passes over the memory.
    #[must_use]
    pub const fn passes(&self) -> u32 {
        self.passes
    }

    /// Number of lanes.
    #[must_use]
    pub const fn lanes(&self) -> u32 {
        self.lanes
    }
}

impl Default for KdfParameters {
    /// 64 MiB, 3 passes, 1 lane.
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 }
    }
}

/// What is stored beside the sealed keys: the cost, the salt and a value that tells a wrong
/// passphrase. Not secret, but without it no passphrase opens anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KekDocument {
    parameters: KdfParameters,
    salt: Box<[u8]>,
    check: [u8; Self::CHECK],
}

impl KekDocument {
    /// Largest document, in bytes.
    pub const MAX: usize = 1024;
    /// Shortest salt, in bytes.
    pub const SALT_MIN: usize = 16;
    /// Longest salt, in bytes.
    pub const SALT_MAX: usize = 64;
    /// Length of the key-check value, in bytes.
    pub(crate) const CHECK: usize = 32;

    pub(crate) fn new(parameters: KdfParameters, salt: &[u8], check: [u8; Self::CHECK]) -> Self {
        Self { parameters, salt: salt.into(), check }
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// Fails on anything that [`Self::to_json`] does not write, before any of it is used.
    pub fn parse(json: &[u8]) -> Result<Self, KekDocumentError> {
        if json.len() > Self::MAX {
            return Err(KekDocumentError::Length { length: json.len() });
        }
        let stored: Stored =
            serde_json::from_slice(json).map_err(|_| KekDocumentError::Malformed)?;
        if stored.v != VERSION {
            return Err(KekDocumentError::Version { version: stored.v });
        }
        if stored.kdf != KDF {
            return Err(KekDocumentError::Kdf);
        }
        let parameters = KdfParameters::new(stored.memory_kib, stored.passes, stored.lanes)?;
        let salt = stored.salt.as_bytes();
        if salt.len() < Self::SALT_MIN || salt.len() > Self::SALT_MAX {
            return Err(KekDocumentError::Salt { length: salt.len() });
        }
        let check = stored.check.as_bytes();
        let check =
            check.try_into().map_err(|_| KekDocumentError::Check { length: check.len() })?;
        Ok(Self::new(parameters, salt, check))
    }

    /// The JSON form, to be stored.
    #[must_use]
    pub fn to_json(&self) -> String {
        format!(
            r#"{{"v":{VERSION},"kdf":"{KDF}","memory_kib":{},"passes":{},"lanes":{},"salt":"{}","check":"{}"}}"#,
            self.parameters.memory_kib,
            self.parameters.passes,
            self.parameters.lanes,
            hex::encode(&self.salt),
            hex::encode(self.check),
        )
    }

    /// The cost of the derivation.
    #[must_use]
    pub const fn parameters(&self) -> &KdfParameters {
        &self.parameters
    }

    pub(crate) fn salt(&self) -> &[u8] {
        &self.salt
    }

    pub(crate) fn check(&self) -> &[u8; Self::CHECK] {
        &self.check
    }

    /// A digest over every field: it changes with the passphrase, the salt and each parameter.
    pub(crate) fn fingerprint(&self) -> Digest {
        Digest::tagged(
            "custody/soft/passphrase/v1",
            &[
                &self.parameters.memory_kib.to_be_bytes(),
                &self.parameters.passes.to_be_bytes(),
                &self.parameters.lanes.to_be_bytes(),
                &self.salt,
                &self.check,
            ],
        )
    }
}

/// Why numbers are not accepted as the cost of a passphrase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KdfParametersError {
    /// The number of lanes is out of bounds.
    #[error("argon2id runs here with 1 to 4 lanes, not {lanes}")]
    Lanes {
        /// Lanes asked for.
        lanes: u32,
    },
    /// The memory is out of bounds.
    #[error("argon2id runs here with 19,456 to 1,048,576 KiB, not {memory_kib}")]
    Memory {
        /// Memory asked for, in KiB.
        memory_kib: u32,
    },
    /// The number of passes is out of bounds.
    #[error("argon2id runs here with 2 to 16 passes, not {passes}")]
    Passes {
        /// Passes asked for.
        passes: u32,
    },
}

/// Why bytes are not the stored parameters of a passphrase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KekDocumentError {
    /// The key-check value has another length.
    #[error("a key-check value has 32 bytes, not {length}")]
    Check {
        /// Length found, in bytes.
        length: usize,
    },
    /// The key derivation is unknown.
    #[error("the key derivation is unknown")]
    Kdf,
    /// The document is too long.
    #[error("the parameters of a passphrase have at most 1,024 bytes, not {length}")]
    Length {
        /// Length found, in bytes.
        length: usize,
    },
    /// The bytes are not this document.
    #[error("the bytes are not the parameters of a passphrase")]
    Malformed,
    /// A number is out of bounds.
    #[error("the cost is out of bounds")]
    Parameters(#[from] KdfParametersError),
    /// The salt is too short or too long.
    #[error("a salt has 16 to 64 bytes, not {length}")]
    Salt {
        /// Length found, in bytes.
        length: usize,
    },
    /// The version is unknown.
    #[error("the parameters of a passphrase have the unknown version {version}")]
    Version {
        /// Version found.
        version: u32,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    v: u32,
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: HexBytes,
    check: HexBytes,
}

const VERSION: u32 = 1;
/// Argon2id in its version 19 (RFC 9106).
const KDF: &str = "argon2id-v19";
