use std::collections::BTreeSet;

use custody_core::amount::Units;
use custody_core::command::Command;
use custody_core::digest::Digest;
use custody_core::id::{CredentialId, PrincipalId, WalletId};
use custody_core::principal::{Statement, Verb};
use custody_core::time::Timestamp;

use super::End;
use super::standing::Signing;
use crate::oracle::charged::Charged;

/// What is known about one order.
#[derive(Debug)]
pub(in crate::oracle) struct Known {
    pub(in crate::oracle) digest: Digest,
    pub(in crate::oracle) command: Option<Command>,
    pub(in crate::oracle) end: Option<End>,
    pub(super) requester: PrincipalId,
    pub(super) wallet: Option<WalletId>,
    /// What it takes from its wallet, in the asset that is promised something about.
    pub(super) charged: Charged,
    /// None for a command.
    pub(super) signing: Option<Signing>,
    pub(super) approvals: Vec<Approval>,
    pub(super) allowed: bool,
    /// The event that ended it, or that settled it if its outcome was unknown.
    pub(super) ended: Option<u64>,
}

/// What somebody has said about an order.
#[derive(Debug)]
pub(super) struct Approval {
    person: PrincipalId,
    credential: CredentialId,
    until: Timestamp,
}

impl Known {
    /// Takes an approval, if it is one of this very order, by somebody else, while the order waits.
    pub(super) fn approve(&mut self, said: &Statement) -> Result<(), &'static str> {
        if said.verb != Verb::Approve {
            return Err("it says something else");
        }
        if said.digest != self.digest {
            return Err("it is about another document");
        }
        if said.principal == self.requester {
            return Err("it is the requester's own");
        }
        if self.allowed {
            return Err("the order does not wait any more");
        }
        self.approvals.push(Approval {
            person: said.principal.clone(),
            credential: said.credential.clone(),
            until: said.valid_until,
        });
        Ok(())
    }

    /// Forgets what a person who is removed has said.
    pub(super) fn forget(&mut self, person: &PrincipalId) {
        self.approvals.retain(|approval| approval.person != *person);
    }

    /// Forgets what was said with a credential that is removed; what was allowed by then stays.
    pub(super) fn forget_credential(&mut self, person: &PrincipalId, credential: &CredentialId) {
        if !self.allowed {
            let is_theirs = |approval: &Approval| {
                approval.person == *person && approval.credential == *credential
            };
            self.approvals.retain(|approval| !is_theirs(approval));
        }
    }

    /// Whether it was allowed and has no end yet.
    pub(super) const fn is_reserved(&self) -> bool {
        self.allowed && self.end.is_none()
    }

    /// How many approvals it has at this time, if it takes more.
    pub(super) fn lacks(&self, alone: Option<(Units, usize)>, at: Timestamp) -> Option<usize> {
        let (Charged::Units(units), Some((most, people))) = (self.charged, alone) else {
            return None;
        };
        let approvals = self.approvers(at);
        (units > most && approvals < people).then_some(approvals)
    }

    /// How many people have approved it and still do.
    fn approvers(&self, at: Timestamp) -> usize {
        let counting = self.approvals.iter().filter(|approval| approval.until >= at);
        counting.map(|approval| &approval.person).collect::<BTreeSet<_>>().len()
    }
}
