//! Which key of the custodian is which of KMS, and who may call.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use custody_core::digest::Digest;
use custody_core::id::{CustodianId, KeyId};
use serde::Deserialize;

use super::record::Caller;
use crate::arn::KeyArn;
use crate::config::RegionName;
use crate::house::HouseName;
use crate::iam::PrincipalArn;
use crate::toml_error::{line_of, name_on};

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
/// contexts = []                           # digests of other contexts; there are no others
/// house = "house-1"                       # as in the configuration of the host, if it is there
/// elsewhere = ["cold-1"]                  # the ids of keys that are not in KMS
///
/// [signing]                               # by the key's id
/// hot-1 = ["arn:aws:kms:eu-central-1:111122223333:key/1234abcd"]
/// ```
///
/// A multi-Region key is meant in all regions: a replica is the same key. A key that signs does so only
/// where its ARN says: what a replica of it signs is told as another use.
///
/// A call under any other context is told with its digest, which does not say what it is of: find out
/// before it is listed.
///
/// Every key of the log must be known: in `signing`, by the log itself as one of a wallet whose backend
/// is not KMS, or in `elsewhere`. Of any other key it cannot be said what KMS signed with it, and the
/// comparison is not clean. `elsewhere` is not believed of a key that the log has in KMS in an account
/// of this list. Keys that are destroyed stay in the list.
#[derive(Clone, Debug)]
pub struct TrailKeys {
    custodian: CustodianId,
    principals: BTreeSet<PrincipalArn>,
    administrators: BTreeSet<PrincipalArn>,
    scopes: BTreeSet<String>,
    contexts: BTreeSet<Digest>,
    house: Option<HouseName>,
    elsewhere: BTreeSet<KeyId>,
    places: HashMap<Place, Ours>,
}

/// Account, region and id of a key; no region if it may be in several. What else is in an ARN does not
/// tell keys apart.
type Place = (String, Option<String>, String);

/// A key of KMS that is the custodian's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ours {
    /// It encrypts data keys, in any region.
    Seals,
    /// It signs, in one region.
    Signs { key: KeyId, home: RegionName },
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
    /// holds, and a key that stands there twice.
    pub fn parse(text: &str) -> Result<Self, TrailKeysError> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let line = line_of(text, &error);
            TrailKeysError::Malformed { line, field: name_on(text, line) }
        })?;
        let custodian = document.custodian.ok_or(TrailKeysError::Missing { field: "custodian" })?;
        let custodian = Digest::parse(&custodian).map_err(|_| wrong("custodian"))?;
        let principals = document.principals.filter(|list| !list.is_empty());
        let principals = principals.ok_or(TrailKeysError::Missing { field: "principals" })?;
        let house = document.house.as_deref().map(HouseName::parse).transpose();
        let mut keys = Self {
            custodian: CustodianId::new(custodian),
            principals: parse_principals(&principals, "principals")?,
            administrators: parse_principals(&document.administrators, "administrators")?,
            scopes: document.scopes.into_iter().collect(),
            contexts: parse_contexts(&document.contexts)?,
            house: house.map_err(|_| wrong("house"))?,
            elsewhere: BTreeSet::new(),
            places: HashMap::new(),
        };
        if !keys.principals.is_disjoint(&keys.administrators) {
            return Err(wrong("administrators"));
        }
        for text in &document.sealing {
            keys.add("sealing", text, |_| Ours::Seals)?;
        }
        for (key, arns) in &document.signing {
            let key = KeyId::parse(key).map_err(|_| wrong("signing"))?;
            for text in arns {
                let home = |arn: &KeyArn| arn.region().clone();
                keys.add("signing", text, |arn| Ours::Signs { key: key.clone(), home: home(arn) })?;
            }
        }
        let signing: BTreeSet<KeyId> = keys.signing().cloned().collect();
        for text in &document.elsewhere {
            let key = KeyId::parse(text).map_err(|_| wrong("elsewhere"))?;
            if signing.contains(&key) || !keys.elsewhere.insert(key) {
                return Err(TrailKeysError::Twice { field: "elsewhere" });
            }
        }
        Ok(keys)
    }

    fn add(
        &mut self,
        field: &'static str,
        text: &str,
        ours: impl FnOnce(&KeyArn) -> Ours,
    ) -> Result<(), TrailKeysError> {
        let arn = KeyArn::parse(text).map_err(|_| wrong(field))?;
        let ours = ours(&arn);
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
        Digest::parse(digest).is_ok_and(|digest| self.contexts.contains(&digest))
    }

    /// Whether this is what a context names as its house.
    pub(super) fn is_house(&self, name: Option<&str>) -> bool {
        self.house.as_ref().map(HouseName::as_str) == name
    }

    pub(super) fn is_elsewhere(&self, key: &KeyId) -> bool {
        self.elsewhere.contains(key)
    }

    /// Whether a key of this account is listed.
    pub(super) fn has_account(&self, account: &str) -> bool {
        self.places.keys().any(|(known, _, _)| known == account)
    }

    pub(super) fn signing(&self) -> impl Iterator<Item = &KeyId> {
        self.places.values().filter_map(Ours::signs)
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

impl Ours {
    /// The key that signs; none if it encrypts data keys.
    pub(super) const fn signs(&self) -> Option<&KeyId> {
        match self {
            Self::Seals => None,
            Self::Signs { key, .. } => Some(key),
        }
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
    /// A key stands there twice.
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
    house: Option<String>,
    #[serde(default)]
    elsewhere: Vec<String>,
    #[serde(default)]
    signing: BTreeMap<String, Vec<String>>,
}
