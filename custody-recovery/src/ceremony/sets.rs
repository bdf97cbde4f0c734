//! Which sets exist and which is in force: a fold over the orders of ceremonies.
//!
//! Invariant: the state follows from the steps alone, in the order of the log. A step that breaks a
//! rule changes nothing: whoever may submit a ceremony's order cannot spoil the state with one.

mod fold;
mod refusal;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use custody_core::id::{
    CredentialId, CustodianId, ExtensionName, OrderId, OrganisationId, PrincipalId, RoleId,
};
use custody_core::seam::{BackendError, ErrorKind};
use custody_core::time::Timestamp;

pub use self::refusal::Refusal;
use super::document::to_bytes;
use super::{CeremonyRecord, Journal, Permit};
use crate::commitment::{ChallengeNonce, SetId, SharePosition};

/// An order of a ceremony that was executed, as the log tells it.
///
/// [`Transcript`](super::Transcript) reads steps from a log and checks what it says here about
/// signatures. Whoever makes steps otherwise vouches for that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct Step {
    /// The order.
    pub order: OrderId,
    /// Who asked.
    pub requester: PrincipalId,
    /// Where the requester belonged to when asking.
    pub organisation: OrganisationId,
    /// The requester's credential that verifiably signed the submission; none if it was not signed.
    pub signed: Option<CredentialId>,
    /// Whose approvals the order has, each verifiably signed.
    pub approvals: Vec<StepApproval>,
    /// When it was submitted.
    pub submitted: Timestamp,
    /// The command's name.
    pub command: ExtensionName,
    /// The command's document.
    pub document: Vec<u8>,
    /// What the handler answered.
    pub answer: Vec<u8>,
}

/// An approval that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct StepApproval {
    /// Who approved.
    pub principal: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
    /// In which role.
    pub role: RoleId,
}

/// The sets of a custodian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sets {
    custodian: CustodianId,
    /// In the order in which they were made.
    sets: Vec<SetState>,
    nonces: BTreeSet<ChallengeNonce>,
    permits: Vec<Permit>,
    refused: Vec<RefusedStep>,
}

/// How a set stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetState {
    record: CeremonyRecord,
    made: Timestamp,
    standing: Standing,
    confirmed: BTreeMap<SharePosition, Timestamp>,
}

/// Whether a set counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It was in force; another secret is now. Archives of its time need it still.
    Former,
    /// It is in force: archives are sealed to its public key.
    InForce,
    /// Other shares of its secret are in force, or it was never confirmed and a later set was.
    /// Its holders destroy what they have.
    Void,
    /// It waits for confirmations.
    Waiting,
}

/// A step that did not count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedStep {
    /// The order.
    pub order: OrderId,
    /// Which rule it breaks.
    pub refusal: Refusal,
}

/// What rules may want to know about a custodian's shares.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetFacts {
    /// The set in force.
    pub in_force: Option<SetId>,
    /// Since when nobody of the set in force has failed to confirm: the oldest of its holders' last
    /// confirmations. None if one never confirmed.
    pub last_confirmed: Option<Timestamp>,
    /// Shares of the set in force, and of sets that wait, whose confirmation is overdue.
    pub overdue: Vec<Overdue>,
}

/// A share whose confirmation is overdue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overdue {
    /// The set.
    pub set: SetId,
    /// The share.
    pub share: SharePosition,
    /// Who holds it.
    pub holder: PrincipalId,
    /// The last confirmation.
    pub last: Option<Timestamp>,
}

impl Sets {
    /// A custodian without sets.
    #[must_use]
    pub const fn new(custodian: CustodianId) -> Self {
        Self {
            custodian,
            sets: Vec::new(),
            nonces: BTreeSet::new(),
            permits: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// The state after these steps, in the order of the log. Commands of others are passed over;
    /// steps that break a rule are kept in [`Self::refused`].
    #[must_use]
    pub fn fold<'a>(custodian: CustodianId, steps: impl IntoIterator<Item = &'a Step>) -> Self {
        let mut sets = Self::new(custodian);
        for step in steps {
            // The refusal is kept in the state.
            let _ = sets.apply(step);
        }
        sets
    }

    /// The set of this id.
    #[must_use]
    pub fn get(&self, set: &SetId) -> Option<&SetState> {
        self.sets.iter().find(|state| state.record.set == *set)
    }

    /// The set in force.
    #[must_use]
    pub fn in_force(&self) -> Option<&SetState> {
        self.sets.iter().find(|state| state.standing == Standing::InForce)
    }

    /// All sets, in the order in which they were made.
    #[must_use]
    pub fn all(&self) -> &[SetState] {
        &self.sets
    }

    /// What was permitted, in the order of the log. Permits for shares that are void are left out.
    #[must_use]
    pub fn permits(&self) -> &[Permit] {
        &self.permits
    }

    /// What did not count, in the order of the log.
    #[must_use]
    pub fn refused(&self) -> &[RefusedStep] {
        &self.refused
    }

    /// Notes the record of each set in a journal that has lost them, or never had them: after a
    /// recovery new shares can be made again.
    ///
    /// # Errors
    /// Those of the journal. Call it again: what is noted stays as it is.
    pub async fn note_in(&self, journal: &dyn Journal) -> Result<(), BackendError> {
        for SetState { record, .. } in &self.sets {
            if journal.record(&record.set).await?.is_none() {
                let bytes = to_bytes(record).map_err(|error| {
                    BackendError::new(ErrorKind::Refused, "write a record").with_source(error)
                })?;
                journal.finish(&record.set, &bytes).await?;
            }
        }
        Ok(())
    }

    /// How the sets stand at a time, if every share is to be confirmed at least once `every` so
    /// often.
    #[must_use]
    pub fn facts(&self, now: Timestamp, every: Duration) -> SetFacts {
        let counts =
            |state: &&SetState| matches!(state.standing, Standing::InForce | Standing::Waiting);
        let overdue = self.sets.iter().filter(counts).flat_map(|state| state.overdue(now, every));
        SetFacts {
            in_force: self.in_force().map(|state| state.record.set),
            last_confirmed: self.in_force().and_then(SetState::last_confirmed),
            overdue: overdue.collect(),
        }
    }
}

impl SetState {
    /// The record of the ceremony that made it.
    #[must_use]
    pub const fn record(&self) -> &CeremonyRecord {
        &self.record
    }

    /// When the order that made it was submitted.
    #[must_use]
    pub const fn made(&self) -> Timestamp {
        self.made
    }

    /// Whether it counts.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// The shares that were confirmed, and when last.
    #[must_use]
    pub const fn confirmed(&self) -> &BTreeMap<SharePosition, Timestamp> {
        &self.confirmed
    }

    fn last_confirmed(&self) -> Option<Timestamp> {
        let shares = self.record.distribution.holders().map(|(share, _)| share);
        let last: Option<Vec<_>> = shares.map(|share| self.confirmed.get(&share)).collect();
        last?.into_iter().min().copied()
    }

    fn overdue(&self, now: Timestamp, every: Duration) -> impl Iterator<Item = Overdue> {
        self.record.distribution.holders().filter_map(move |(share, holder)| {
            let last = self.confirmed.get(&share).copied();
            let is_overdue = now.since(last.unwrap_or(self.made)) > every;
            let (set, holder) = (self.record.set, holder.principal.clone());
            is_overdue.then_some(Overdue { set, share, holder, last })
        })
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Former => "former",
            Self::InForce => "in force",
            Self::Void => "void",
            Self::Waiting => "waiting",
        })
    }
}
