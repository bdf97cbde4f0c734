use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::amount::{Amount, Units};
use crate::caip::ChainId;
use crate::digest::Digest;
use crate::effect::{DecodeFact, Effect};
use crate::id::{
    BookId, EngineId, OrganisationId, PolicyId, PrincipalId, RoleId, RuleId, TierId, WalletId,
};
use crate::time::Timestamp;

/// From the stored rule set to an engine; given to the custodian and to the verifier.
pub trait PolicyCompiler: Debug + Send + Sync {
    /// Name and version, recorded in each decision; must change when any judgement can change.
    fn engine(&self) -> &EngineId;

    /// Compiles a rule set. Must refuse a set that does not parse, does not validate strictly
    /// against the roles and tiers, or has an error-level lint.
    ///
    /// # Errors
    /// Lists every finding with rule, line and column.
    fn compile(&self, rules: &PolicyDocument) -> Result<Arc<dyn PolicyEngine>, PolicyError>;
}

/// Judges orders. Pure: no I/O, no clock, no randomness; the same facts always give the same
/// answer.
pub trait PolicyEngine: Debug + Send + Sync {
    /// SHA-256 of the whole rule set.
    fn id(&self) -> PolicyId;

    /// Judges the whole order effect by effect; the strictest verdict wins. Must deny an order
    /// without effects, an effect it does not know, an asset without decimals, and whenever a rule
    /// fails. This is the hot path.
    fn judge(&self, facts: &Facts<'_>) -> Judgement;

    /// What would allow an order that is not allowed now. Bounded advice: must never claim a
    /// requirement under which [`Self::judge`] would not allow.
    fn missing(&self, facts: &Facts<'_>) -> Missing;
}

/// A rule set as it is stored: the rules' text and what its schema is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct PolicyDocument {
    /// Version of this document: 1.
    pub v: u8,
    /// The roles of the house.
    pub roles: Vec<RoleId>,
    /// The tiers of wallets.
    pub tiers: Vec<TierId>,
    /// The rules, verbatim.
    pub rules: String,
}

impl PolicyDocument {
    /// Largest document, in bytes.
    pub const MAX: usize = 1024 * 1024;

    /// The bytes that are stored and hashed.
    ///
    /// # Errors
    /// Fails if the document cannot be written as JSON, which cannot happen with valid text.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// The id of the rule set with these document bytes.
    #[must_use]
    pub fn id_of(bytes: &[u8]) -> PolicyId {
        PolicyId::new(Digest::of(bytes))
    }
}

/// What is known about an order when it is judged.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the custodian and tests build it")]
pub struct Facts<'a> {
    /// Who asks.
    pub requester: &'a Requester,
    /// What the order is about.
    pub subject: Subject<'a>,
    /// Its effects, in order.
    pub effects: Vec<EffectFacts<'a>>,
    /// What a decoder found besides.
    pub facts: &'a std::collections::BTreeSet<DecodeFact>,
    /// Who approved, and who could.
    pub approvals: &'a ApprovalFacts,
    /// How the requester was authenticated, frozen at submission.
    pub authentication: &'a Authentication,
    /// When the order was submitted.
    pub submitted: Timestamp,
    /// When the last recovery drill was executed; if none was, when the log began.
    pub drilled: Timestamp,
    /// Ledger time.
    pub now: Timestamp,
    /// When the order expires.
    pub expires: Timestamp,
}

/// A principal as rules see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the custodian and tests build it")]
pub struct Requester {
    /// Its id.
    pub id: PrincipalId,
    /// Its roles, sorted.
    pub roles: Vec<RoleId>,
    /// Its organisation.
    pub organisation: OrganisationId,
    /// Whether it is a service rather than a person.
    pub service: bool,
}

/// What an order is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject<'a> {
    /// An address book.
    Book(&'a BookId),
    /// The house as a whole.
    House,
    /// A wallet.
    Wallet {
        /// Its id.
        id: &'a WalletId,
        /// Its one tier.
        tier: &'a TierId,
        /// Its chain.
        chain: &'a ChainId,
    },
}

/// One effect with what is known about it.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the custodian and tests build it")]
pub struct EffectFacts<'a> {
    /// The effect.
    pub effect: &'a Effect,
    /// About its money, if it has any.
    pub money: Option<MoneyFacts>,
    /// About its destination, if it has one.
    pub destination: Option<DestinationFacts>,
}

/// What is known about an effect's money.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the custodian and tests build it")]
pub struct MoneyFacts {
    /// The asset's registered decimals; none for an unknown asset, which must deny.
    pub decimals: Option<u8>,
    /// This effect's asset over the whole order, worst case, at most [`Units::MAX`].
    pub order_total: Units,
    /// The order's whole fee, if it is in the same asset; else zero.
    pub fee: Units,
    /// The windows, including this order.
    pub spent: Spent,
    /// The effect's value in the house's currency, if there is a fresh price.
    pub value: Option<Amount>,
}

/// The windows that an effect counts in, including this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the custodian and tests build it")]
pub struct Spent {
    /// By the wallet, in this asset.
    pub wallet: WindowSums,
    /// By the requester, in this asset, over all wallets.
    pub requester: WindowSums,
    /// To the destination, in this asset; zero for an effect without one.
    pub destination: WindowSums,
}

/// Sums over the last hour, day, week and thirty days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the custodian and tests build it")]
pub struct WindowSums {
    /// 60 minutes.
    pub h1: Units,
    /// 24 hours.
    pub h24: Units,
    /// 7 days.
    pub d7: Units,
    /// 30 days.
    pub d30: Units,
}

/// What is known about an effect's destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the custodian and tests build it")]
pub struct DestinationFacts {
    /// The books it stands in, sorted.
    pub books: Vec<BookId>,
    /// Since when it has stood in a book without a gap; none if it stands in none.
    pub known_since: Option<Timestamp>,
    /// Whether it is an account of the house, whose key is not out of use for good, not known to
    /// others and not to be destroyed.
    pub self_owned: bool,
    /// Whether it has the first and last characters of an address of a book or of the house, and is
    /// none of them: whoever reads only those takes it for that one.
    pub resembles: bool,
}

/// Who approved, and who could.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the custodian and tests build it")]
pub struct ApprovalFacts {
    /// By role; every role of the house is in it.
    pub roles: BTreeMap<RoleId, RoleFacts>,
}

/// One role's approvals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the custodian and tests build it")]
pub struct RoleFacts {
    /// People who approved in this role; the requester never counts.
    pub approvals: u32,
    /// Organisations of those people.
    pub organisations: u32,
    /// People who hold the role, without the requester.
    pub eligible: u32,
    /// Organisations of those people.
    pub eligible_organisations: u32,
}

/// How the host authenticated the requester.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct Authentication {
    /// Number of independent factors.
    pub factors: u8,
    /// Age of the login at submission, in milliseconds.
    pub age_ms: u64,
    /// Where from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<std::net::IpAddr>,
    /// Whether the requester's own credential signed the submission. The custodian sets it; an order
    /// that waits loses it when a credential of its requester is removed.
    #[serde(default)]
    pub signed: bool,
}

impl Authentication {
    /// Age of the login at submission.
    #[must_use]
    pub const fn age(&self) -> Duration {
        Duration::from_millis(self.age_ms)
    }
}

/// What the rules say about an order now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[expect(clippy::exhaustive_structs, reason = "engines build it")]
pub struct Judgement {
    /// Whether it is allowed: only if every effect is, and no rule failed.
    pub allowed: bool,
    /// The rules that made the verdict, sorted: the permits of an allowed order, the forbids of a
    /// denied one; `no-permit` if none spoke.
    pub rules: Vec<RuleId>,
    /// The rules that failed, sorted. Any failure denies.
    pub errors: Vec<RuleId>,
}

/// What would allow an order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// Approvals or time would.
    Await {
        /// Each of these alone would; all that were found.
        options: Vec<Requirement>,
        /// Whether the search saw everything.
        complete: bool,
    },
    /// Nothing would.
    Never,
}

/// What is missing: more approvals of these roles, not before a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "engines build it")]
pub struct Requirement {
    /// How many more people of a role.
    #[serde(deserialize_with = "crate::document::unique_keys")]
    pub approvals: BTreeMap<RoleId, u32>,
    /// How many more organisations among that role's approvals.
    #[serde(deserialize_with = "crate::document::unique_keys")]
    pub organisations: BTreeMap<RoleId, u32>,
    /// Not before this time.
    pub not_before: Option<Timestamp>,
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> =
            self.approvals.iter().map(|(role, count)| format!("{count} more of {role}")).collect();
        parts.extend(
            self.organisations
                .iter()
                .map(|(role, count)| format!("{count} more organisations of {role}")),
        );
        parts.extend(self.not_before.map(|time| format!("not before {time}")));
        f.write_str(&parts.join(", "))
    }
}

/// Why a rule set was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rule set is refused: {} findings, the first: {}", findings.len(), first(findings))]
#[non_exhaustive]
pub struct PolicyError {
    /// Everything that was found, in the order of the text.
    pub findings: Vec<Finding>,
}

impl PolicyError {
    /// A refusal with these findings.
    #[must_use]
    pub const fn new(findings: Vec<Finding>) -> Self {
        Self { findings }
    }
}

/// One finding in a rule set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "compilers build it")]
pub struct Finding {
    /// The rule, if it has an id.
    pub rule: Option<RuleId>,
    /// Line, from 1; 0 if unknown.
    pub line: u32,
    /// Column, from 1; 0 if unknown.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rule) = &self.rule {
            write!(f, "{rule}: ")?;
        }
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

fn first(findings: &[Finding]) -> String {
    findings.first().map_or_else(String::new, Finding::to_string)
}
