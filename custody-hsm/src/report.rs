//! What a token says about itself, and what changed since it was asked last.

use std::fs;
use std::io;
use std::path::Path;

use custody_core::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::token::TokenFacts;

/// What a token says about itself. The numbers are none where the token does not tell them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TokenReport {
    /// `CK_TOKEN_INFO.label`.
    pub label: String,
    /// `CK_TOKEN_INFO.serialNumber`.
    pub serial: String,
    /// `CK_TOKEN_INFO.manufacturerID`.
    pub manufacturer: String,
    /// `CK_TOKEN_INFO.model`.
    pub model: String,
    /// `CK_TOKEN_INFO.firmwareVersion`.
    pub firmware: String,
    /// `CK_TOKEN_INFO.hardwareVersion`.
    pub hardware: String,
    /// The mechanisms that cryptoki knows by name.
    pub mechanisms: Vec<String>,
    /// Free memory for private objects, in bytes.
    pub free_private_bytes: Option<u64>,
    /// Sessions that are open, of all processes or of this one.
    pub sessions: Option<u64>,
    /// Whether the user is logged in.
    pub is_logged_in: bool,
    /// How the sessions of this backend are used.
    pub usage: Usage,
}

/// How the sessions of a backend are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// Threads, each with a session of its own once it was needed.
    pub sessions: u64,
    /// Calls in the module.
    pub running: u64,
    /// Calls that wait for a session.
    pub waiting: u64,
}

/// What is kept of a token from one start to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptFacts {
    v: u8,
    serial: String,
    manufacturer: String,
    model: String,
    firmware: String,
    hardware: String,
    mechanisms: Digest,
}

impl KeptFacts {
    fn of(facts: &TokenFacts) -> Self {
        let mut names: Vec<_> = facts.mechanisms.iter().map(ToString::to_string).collect();
        names.sort_unstable();
        Self {
            v: VERSION,
            serial: facts.serial.clone(),
            manufacturer: facts.manufacturer.clone(),
            model: facts.model.clone(),
            firmware: facts.firmware.clone(),
            hardware: facts.hardware.clone(),
            mechanisms: Digest::of(names.join("\n").as_bytes()),
        }
    }

    fn read(bytes: &[u8]) -> serde_json::Result<Self> {
        let facts: Self = serde_json::from_slice(bytes)?;
        if facts.v == VERSION {
            Ok(facts)
        } else {
            let what = format_args!("version {} is not known", facts.v);
            Err(<serde_json::Error as serde::de::Error>::custom(what))
        }
    }

    fn changes(&self, earlier: &Self) -> Vec<&'static str> {
        [
            ("firmware", self.firmware != earlier.firmware),
            ("hardware", self.hardware != earlier.hardware),
            ("manufacturer", self.manufacturer != earlier.manufacturer),
            ("mechanisms", self.mechanisms != earlier.mechanisms),
            ("model", self.model != earlier.model),
            ("serial", self.serial != earlier.serial),
        ]
        .into_iter()
        .filter_map(|(what, is_changed)| is_changed.then_some(what))
        .collect()
    }
}

/// What changed since the last start, which is then this one. Nothing is known at the first.
pub(crate) fn changes(path: &Path, facts: &TokenFacts) -> io::Result<Vec<&'static str>> {
    let now = KeptFacts::of(facts);
    let earlier = match fs::read(path) {
        Ok(bytes) => Some(KeptFacts::read(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if earlier.as_ref() != Some(&now) {
        let fresh = path.with_extension("new");
        fs::write(&fresh, serde_json::to_vec(&now)?)?;
        fs::rename(fresh, path)?;
    }
    Ok(earlier.map_or_else(Vec::new, |earlier| now.changes(&earlier)))
}

/// What is kept in these bytes, written again.
pub(crate) fn kept_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let facts = KeptFacts::read(bytes).ok()?;
    serde_json::to_vec(&facts).ok()
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use cryptoki::mechanism::MechanismType;

    use super::*;

    fn facts() -> TokenFacts {
        TokenFacts {
            label: "a".into(),
            serial: "1".into(),
            manufacturer: "maker".into(),
            model: "model".into(),
            firmware: "1.0".into(),
            hardware: "2.0".into(),
            mechanisms: vec![MechanismType::ECDSA, MechanismType::AES_GCM],
        }
    }

    #[test]
    fn what_changed_since_the_last_start_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.json");
        let mut told = facts();
        assert!(changes(&path, &told).unwrap().is_empty(), "nothing is known at first");
        told.mechanisms.reverse();
        told.label = "another label".into();
        assert!(changes(&path, &told).unwrap().is_empty(), "nothing that matters");
        told.firmware = "1.1".into();
        told.mechanisms.pop();
        assert_eq!(changes(&path, &told).unwrap(), ["firmware", "mechanisms"]);
        assert!(changes(&path, &told).unwrap().is_empty(), "it was told");
    }

    #[test]
    fn a_file_that_is_not_understood_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.json");
        fs::write(&path, b"{}").unwrap();
        assert!(changes(&path, &facts()).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"{}");
    }
}
