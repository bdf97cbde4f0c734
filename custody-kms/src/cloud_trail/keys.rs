//! Which key of the custodian is which of KMS, and who may call.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use custody_core::digest::Digest;
use custody_core::id::{CustodianId, KeyId};
use serde::Deserialize;

use super::record::Caller;
use crate::arn::KeyArn;
use crate::iam::{PrincipalArn, line_of, name_on};

/// The custodian's keys in KMS and the principals that may use or administer them.
///
/// As TOML, of which all but `custodian` and `principals` may be left out:
///
/// ```toml
/// custodian = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
/// principals = ["arn:aws:iam::111122223333:role/custody"]         # use the keys
/// administrators = ["arn:aws:iam::111122223333:role/custody-admin"] # never use them
/// sealing = ["arn:aws:kms:eu-central-1:111122223333:key/mrk-12"]  # encrypt data keys
/// scopes = ["store"]                      # what data keys are for, besides wallets
/// contexts = []                           # digests of other contexts; if any, there are no others
///
/// [signing]                               # by the key's id
/// hot-1 = ["arn:aws:kms:eu-central-1:111122223333:key/1234abcd"]
/// ```
///
/// A multi-Region key is meant in all regions: a replica is the same key.
#[derive(Clone, Debug)]
pub struct TrailKeys {
    custodian: CustodianId,
    principals: BTreeSet<PrincipalArn>,
    administrators: BTreeSet<PrincipalArn>,
    scopes: BTreeSet<String>,
    contexts: BTreeSet<Digest>,
    places: HashMap<Place, Ours>,
}

/// Account, region and id of a key; no region if it may be in several. What else is in an ARN does not
/// tell keys apart.
type Place = (String, Option<String>, String);

/// A key of KMS that is the custodian's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ours {
    /// The key that signs; none if it encrypts data keys.
    pub(super) signs: Option<KeyId>,
}

/// As what a caller is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Administrator,
    Principal,
    Stranger,
}

impl TrailKeys {
    /// Reads TOML.
    ///
    /// # Errors
    /// Fails on text that is no TOML, an unknown or missing field, a value that is not what the field
    /// holds, and a key of KMS that stands there twice.
    pub fn parse(text: &str) -> Result<Self, TrailKeysError> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let line = line_of(text, &error);
            TrailKeysError::Malformed { line, field: name_on(text, line) }
        })?;
        let custodian = document.custodian.ok_or(TrailKeysError::Missing { field: "custodian" })?;
        let custodian = Digest::parse(&custodian).map_err(|_| wrong("custodian"))?;
        let principals = document.principals.filter(|list| !list.is_empty());
        let principals = principals.ok_or(TrailKeysError::Missing { field: "principals" })?;
        let mut keys = Self {
            custodian: CustodianId::new(custodian),
            principals: parse_principals(&principals, "principals")?,
            administrators: parse_principals(&document.administrators, "administrators")?,
            scopes: document.scopes.into_iter().collect(),
            contexts: parse_contexts(&document.contexts)?,
            places: HashMap::new(),
        };
        if !keys.principals.is_disjoint(&keys.administrators) {
            return Err(wrong("administrators"));
        }
        for arn in &document.sealing {
            keys.add("sealing", arn, None)?;
        }
        for (key, arns) in &document.signing {
            let key = KeyId::parse(key).map_err(|_| wrong("signing"))?;
            for arn in arns {
                keys.add("signing", arn, Some(key.clone()))?;
            }
        }
        Ok(keys)
    }

    fn add(
        &mut self,
        field: &'static str,
        arn: &str,
        signs: Option<KeyId>,
    ) -> Result<(), TrailKeysError> {
        let arn = KeyArn::parse(arn).map_err(|_| wrong(field))?;
        let ours = Ours { signs };
        let is_new = match self.places.insert(place(&arn), ours.clone()) {
            None => true,
            Some(known) => arn.is_multi_region() && known == ours,
        };
        if is_new { Ok(()) } else { Err(TrailKeysError::Twice { field }) }
    }

    pub(super) fn find(&self, arn: &KeyArn) -> Option<&Ours> {
        self.places.get(&place(arn))
    }

    pub(super) fn has_scope(&self, scope: &str) -> bool {
        self.scopes.contains(scope)
    }

    pub(super) fn has_context(&self, digest: &str) -> bool {
        let digest = Digest::parse(digest);
        digest.is_ok_and(|digest| self.contexts.is_empty() || self.contexts.contains(&digest))
    }

    pub(super) fn signing(&self) -> impl Iterator<Item = &KeyId> {
        self.places.values().filter_map(|ours| ours.signs.as_ref())
    }

    pub(super) fn standing(&self, caller: &Caller) -> Standing {
        let is_in = |known: &BTreeSet<PrincipalArn>| {
            let mut names = [Some(&caller.name), caller.role.as_ref()].into_iter().flatten();
            names.any(|name| known.contains(name.as_str()))
        };
        if is_in(&self.principals) {
            Standing::Principal
        } else if is_in(&self.administrators) {
            Standing::Administrator
        } else {
            Standing::Stranger
        }
    }

    /// Whose keys they are.
    #[must_use]
    pub const fn custodian(&self) -> CustodianId {
        self.custodian
    }
}

fn place(arn: &KeyArn) -> Place {
    let region = (!arn.is_multi_region()).then(|| arn.region().as_str().to_owned());
    (arn.account().to_owned(), region, arn.id().to_owned())
}

fn parse_contexts(list: &[String]) -> Result<BTreeSet<Digest>, TrailKeysError> {
    list.iter().map(|text| Digest::parse(text).map_err(|_| wrong("contexts"))).collect()
}

fn parse_principals(
    list: &[String],
    field: &'static str,
) -> Result<BTreeSet<PrincipalArn>, TrailKeysError> {
    list.iter().map(|text| PrincipalArn::parse(text).map_err(|_| wrong(field))).collect()
}

const fn wrong(field: &'static str) -> TrailKeysError {
    TrailKeysError::Field { field }
}

/// Why the keys were not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrailKeysError {
    /// A field has a value that it cannot have.
    #[error("the field `{field}` has a value that it cannot have")]
    Field {
        /// The field.
        field: &'static str,
    },
    /// The text is no TOML, or has a field that is not known or of another type.
    #[error("the keys are malformed at line {line}: `{field}`")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// The name on it, if one stands there.
        field: String,
    },
    /// A field is not there.
    #[error("the field `{field}` is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A key of KMS stands there twice.
    #[error("a key of the field `{field}` stands there twice")]
    Twice {
        /// The field in which it stands the second time.
        field: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    custodian: Option<String>,
    principals: Option<Vec<String>>,
    #[serde(default)]
    administrators: Vec<String>,
    #[serde(default)]
    sealing: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    contexts: Vec<String>,
    #[serde(default)]
    signing: BTreeMap<String, Vec<String>>,
}
