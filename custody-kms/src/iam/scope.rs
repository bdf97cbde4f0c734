//! Which account, regions and keys, and who does what with them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU8;

use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::CustodianId;
use serde::Deserialize;

use super::{PrincipalArn, Use};
use crate::arn::{KeyArn, is_account};
use crate::config::RegionName;
use crate::create::ALIASES;
use crate::house::HouseName;
use crate::toml_error::{line_of, name_on};

/// What policies are written about.
///
/// As TOML, of which all but `account`, `regions` and `custodian` may be left out:
///
/// ```toml
/// account = "111122223333"
/// regions = ["eu-central-1", "eu-west-1"]        # the first is where keys are made and sign
/// custodian = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
/// algorithms = ["ecdsa-secp256k1", "ecdsa-p256"] # of keys that sign
/// multi_region = false                           # whether new keys may have replicas
/// deletion_days = 30                             # least time to take a deletion back: 7 to 30
/// rotation_days = 365                            # longest time between rotations: 90 to 2560
/// signing_keys = []                              # their ARNs; if none, all with the custodian's tag
/// sealing_keys = ["arn:aws:kms:eu-central-1:111122223333:key/mrk-12"]
/// sealing_aliases = ["alias/custody-wallets"]    # that the administration may give to these
/// house = "house-1"                              # as in the configuration of the host, if it is there
///
/// [principals]                                   # for key policies
/// sign = ["arn:aws:iam::111122223333:role/custody"]
/// admin = ["arn:aws:iam::111122223333:role/custody-admin"]
/// ```
///
/// A multi-Region key that seals is meant in all regions. One that signs does so where its ARN says, or
/// in the first region if it is told by its tag; elsewhere its replicas are administered and audited.
#[derive(Clone, Debug)]
pub struct IamScope {
    partition: &'static str,
    account: String,
    regions: Vec<RegionName>,
    custodian: CustodianId,
    algorithms: BTreeSet<Algorithm>,
    reach: Reach,
    deletion_days: NonZeroU8,
    rotation_days: u16,
    signing_keys: BTreeSet<KeyArn>,
    signing_keys_and_replicas: BTreeSet<KeyArn>,
    sealing_keys: BTreeSet<KeyArn>,
    sealing_aliases: BTreeSet<String>,
    house: Option<HouseName>,
    principals: BTreeMap<Use, BTreeSet<PrincipalArn>>,
}

/// In how many regions new keys may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    MultiRegion,
    SingleRegion,
}

impl IamScope {
    /// Reads TOML.
    ///
    /// # Errors
    /// Fails on text that is no TOML, an unknown or missing field, a value out of its range, regions of
    /// two partitions, and keys of another account, region or partition.
    pub fn parse(text: &str) -> Result<Self, IamScopeError> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let line = line_of(text, &error);
            IamScopeError::Malformed { line, field: name_on(text, line) }
        })?;
        let account = document.account.ok_or(missing("account"))?;
        let account = Some(account).filter(|text| is_account(text)).ok_or(wrong("account"))?;
        let regions = parse_regions(&document.regions.ok_or(missing("regions"))?)?;
        let partition = one_partition(&regions)?;
        let custodian = document.custodian.ok_or(missing("custodian"))?;
        let custodian = Digest::parse(&custodian).map_err(|_| wrong("custodian"))?;
        let algorithms = document.algorithms.unwrap_or_else(|| ALGORITHMS.to_vec());
        let algorithms = parse_algorithms(&algorithms)?;
        let days = document.deletion_days.unwrap_or(DELETION_DAYS_MAX);
        let days = Some(days).filter(|days| (DELETION_DAYS_MIN..=DELETION_DAYS_MAX).contains(days));
        let deletion_days = days.and_then(NonZeroU8::new).ok_or(wrong("deletion_days"))?;
        let rotation_days = document.rotation_days.unwrap_or(365);
        if !(90..=2_560).contains(&rotation_days) {
            return Err(wrong("rotation_days"));
        }
        let house = document.house.as_deref().map(HouseName::parse).transpose();
        let mut scope = Self {
            partition,
            account,
            regions,
            custodian: CustodianId::new(custodian),
            algorithms,
            reach: if document.multi_region { Reach::MultiRegion } else { Reach::SingleRegion },
            deletion_days,
            rotation_days,
            signing_keys: BTreeSet::new(),
            signing_keys_and_replicas: BTreeSet::new(),
            sealing_keys: BTreeSet::new(),
            sealing_aliases: parse_sealing_aliases(document.sealing_aliases)?,
            house: house.map_err(|_| wrong("house"))?,
            principals: BTreeMap::new(),
        };
        scope.signing_keys = scope.keys(&document.signing_keys, "signing_keys")?;
        scope.signing_keys_and_replicas = scope.with_replicas(&scope.signing_keys);
        scope.sealing_keys = scope.keys(&document.sealing_keys, "sealing_keys")?;
        scope.sealing_keys = scope.with_replicas(&scope.sealing_keys);
        if !scope.signing_keys_and_replicas.is_disjoint(&scope.sealing_keys) {
            return Err(wrong("sealing_keys"));
        }
        if scope.sealing_keys.is_empty() && !scope.sealing_aliases.is_empty() {
            return Err(wrong("sealing_aliases"));
        }
        scope.principals = parse_principals(document.principals, partition)?;
        Ok(scope)
    }

    /// The keys of a list.
    fn keys(
        &self,
        list: &[String],
        field: &'static str,
    ) -> Result<BTreeSet<KeyArn>, IamScopeError> {
        let mut keys = BTreeSet::new();
        let prefix = format!("arn:{}:kms:", self.partition);
        for text in list {
            let arn = KeyArn::parse(text).map_err(|_| wrong(field))?;
            let is_inside = text.starts_with(&prefix)
                && arn.account() == self.account
                && self.regions.contains(arn.region());
            if !is_inside {
                return Err(wrong(field));
            }
            keys.insert(arn);
        }
        Ok(keys)
    }

    /// The keys, each in all regions where it can be.
    fn with_replicas(&self, keys: &BTreeSet<KeyArn>) -> BTreeSet<KeyArn> {
        let in_regions =
            |arn: &KeyArn| self.regions.iter().filter_map(|region| arn.in_region(region)).collect();
        keys.iter().flat_map(|arn| -> Vec<_> { in_regions(arn) }).collect()
    }

    pub(super) fn regions(&self) -> &[RegionName] {
        &self.regions
    }

    pub(super) const fn custodian(&self) -> CustodianId {
        self.custodian
    }

    pub(super) const fn algorithms(&self) -> &BTreeSet<Algorithm> {
        &self.algorithms
    }

    pub(super) const fn reach(&self) -> Reach {
        self.reach
    }

    pub(super) const fn deletion_days(&self) -> NonZeroU8 {
        self.deletion_days
    }

    pub(super) const fn rotation_days(&self) -> u16 {
        self.rotation_days
    }

    /// Where they sign.
    pub(super) const fn signing_keys(&self) -> &BTreeSet<KeyArn> {
        &self.signing_keys
    }

    pub(super) const fn signing_keys_and_replicas(&self) -> &BTreeSet<KeyArn> {
        &self.signing_keys_and_replicas
    }

    /// With their replicas.
    pub(super) const fn sealing_keys(&self) -> &BTreeSet<KeyArn> {
        &self.sealing_keys
    }

    pub(super) const fn sealing_aliases(&self) -> &BTreeSet<String> {
        &self.sealing_aliases
    }

    /// What the contexts of things besides wallets must name, if anything.
    pub(super) const fn house(&self) -> Option<&HouseName> {
        self.house.as_ref()
    }

    /// Who does something; empty if nobody is named.
    pub(super) fn principals(&self, one: Use) -> &BTreeSet<PrincipalArn> {
        const NOBODY: &BTreeSet<PrincipalArn> = &BTreeSet::new();
        self.principals.get(&one).unwrap_or(NOBODY)
    }

    /// Something of KMS in each region, such as `key/*`.
    pub(super) fn in_regions(&self, resource: &str) -> Vec<String> {
        let arn = |region: &RegionName| self.arn(region.as_str(), resource);
        self.regions.iter().map(arn).collect()
    }

    /// Something of KMS where keys are made and sign.
    pub(super) fn at_home(&self, resource: &str) -> Vec<String> {
        let home = self.regions.iter().take(1);
        home.map(|region| self.arn(region.as_str(), resource)).collect()
    }

    /// All keys of the account, wherever they are.
    pub(super) fn all_keys(&self) -> String {
        self.arn("*", "key/*")
    }

    fn arn(&self, region: &str, resource: &str) -> String {
        format!("arn:{}:kms:{region}:{}:{resource}", self.partition, self.account)
    }
}

fn parse_regions(list: &[String]) -> Result<Vec<RegionName>, IamScopeError> {
    let regions: Result<Vec<_>, _> = list.iter().map(|text| RegionName::parse(text)).collect();
    let regions = regions.map_err(|_| wrong("regions"))?;
    let distinct: BTreeSet<_> = regions.iter().collect();
    let is_fit = !regions.is_empty() && distinct.len() == regions.len();
    if is_fit { Ok(regions) } else { Err(wrong("regions")) }
}

/// The partition that all regions are of. AWS names them alike.
fn one_partition(regions: &[RegionName]) -> Result<&'static str, IamScopeError> {
    let of = |region: &RegionName| {
        let known = PARTITIONS.iter().find(|(prefix, _)| region.as_str().starts_with(prefix));
        known.map_or("aws", |(_, partition)| partition)
    };
    let partitions: BTreeSet<_> = regions.iter().map(of).collect();
    let mut partitions = partitions.into_iter();
    match (partitions.next(), partitions.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(wrong("regions")),
    }
}

fn parse_algorithms(list: &[Algorithm]) -> Result<BTreeSet<Algorithm>, IamScopeError> {
    let algorithms: BTreeSet<_> = list.iter().copied().collect();
    let is_fit = !algorithms.is_empty() && !algorithms.contains(&Algorithm::Bip340);
    if is_fit { Ok(algorithms) } else { Err(wrong("algorithms")) }
}

/// Names of aliases (API reference, `CreateAlias`), but for those of AWS and of keys that sign.
fn parse_sealing_aliases(list: Vec<String>) -> Result<BTreeSet<String>, IamScopeError> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte);
    let is_fit = |alias: &String| {
        let name = alias.strip_prefix("alias/").unwrap_or_default();
        let is_taken = name.starts_with("aws/") || alias.starts_with(ALIASES);
        let is_name = !name.is_empty() && alias.len() <= 256 && name.bytes().all(is_part);
        is_name && !is_taken
    };
    if !list.iter().all(is_fit) {
        return Err(wrong("sealing_aliases"));
    }
    Ok(list.into_iter().collect())
}

fn parse_principals(
    document: BTreeMap<String, Vec<String>>,
    partition: &str,
) -> Result<BTreeMap<Use, BTreeSet<PrincipalArn>>, IamScopeError> {
    let mut principals = BTreeMap::new();
    for (name, list) in document {
        let one = Use::parse(&name).ok_or(wrong("principals"))?;
        let arns: Result<BTreeSet<_>, _> =
            list.iter().map(|text| PrincipalArn::parse(text)).collect();
        let arns = arns.map_err(|_| wrong("principals"))?;
        if arns.iter().any(|arn| arn.partition() != partition) {
            return Err(wrong("principals"));
        }
        principals.insert(one, arns);
    }
    Ok(principals)
}

const fn wrong(field: &'static str) -> IamScopeError {
    IamScopeError::Field { field }
}

const fn missing(field: &'static str) -> IamScopeError {
    IamScopeError::Missing { field }
}

/// Why a scope was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IamScopeError {
    /// A field has a value that it cannot have.
    #[error("the field `{field}` has a value that it cannot have")]
    Field {
        /// The field.
        field: &'static str,
    },
    /// The text is no TOML, or has a field that is not known or of another type.
    #[error("the scope is malformed at line {line}: `{field}`")]
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    account: Option<String>,
    regions: Option<Vec<String>>,
    custodian: Option<String>,
    algorithms: Option<Vec<Algorithm>>,
    #[serde(default)]
    multi_region: bool,
    deletion_days: Option<u8>,
    rotation_days: Option<u16>,
    #[serde(default)]
    signing_keys: Vec<String>,
    #[serde(default)]
    sealing_keys: Vec<String>,
    #[serde(default)]
    sealing_aliases: Vec<String>,
    house: Option<String>,
    #[serde(default)]
    principals: BTreeMap<String, Vec<String>>,
}

const ALGORITHMS: [Algorithm; 2] = [Algorithm::EcdsaSecp256k1, Algorithm::EcdsaP256];
const DELETION_DAYS_MIN: u8 = 7;
const DELETION_DAYS_MAX: u8 = 30;
/// By the beginning of the names of their regions.
const PARTITIONS: [(&str, &str); 3] =
    [("cn-", "aws-cn"), ("eusc-", "aws-eusc"), ("us-gov-", "aws-us-gov")];
