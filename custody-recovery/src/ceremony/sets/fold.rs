use std::time::Duration;

use custody_core::document::parse;
use custody_core::id::PrincipalId;

use super::{Refusal, RefusedStep, SetState, Sets, Standing, Step};
use crate::ceremony::document::to_bytes;
use crate::ceremony::handler::{confirmed_by, permitted_by};
use crate::ceremony::{
    CeremonyRecord, Confirm, Confirmations, Purpose, Recover, Replace, Rotate, SetReference, Split,
};
use crate::commitment::SetId;
use crate::geography::{Distribution, Group};

/// How long a challenge may live after the submission that answers it.
const CHALLENGE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// A set as an order asks for it.
struct Asked {
    from: Option<SetReference>,
    distribution: Distribution,
    confirmations: Confirmations,
}

impl Sets {
    /// Folds the next step. Commands of others change nothing.
    ///
    /// # Errors
    /// Names the rule that the step breaks; it then changes nothing but [`Self::refused`].
    pub fn apply(&mut self, step: &Step) -> Result<(), Refusal> {
        let applied = match step.command.as_str() {
            Confirm::NAME => self.confirm(step),
            Recover::NAME => self.recover(step),
            Replace::NAME => self.replace(step),
            Rotate::NAME => self.rotate(step),
            Split::NAME => self.split(step),
            _ => return Ok(()),
        };
        if let Err(refusal) = &applied {
            let (order, refusal) = (step.order.clone(), refusal.clone());
            self.refused.push(RefusedStep { order, refusal });
        }
        applied
    }

    fn split(&mut self, step: &Step) -> Result<(), Refusal> {
        let Split { distribution, confirmations, .. } = parse(&step.document)?;
        let record = self.record(step, &Asked { from: None, distribution, confirmations })?;
        if self.sets.iter().any(|state| state.record.public_key == record.public_key) {
            return Err(Refusal::Reused);
        }
        self.add(step, record)
    }

    fn rotate(&mut self, step: &Step) -> Result<(), Refusal> {
        let Rotate { from, distribution, confirmations, .. } = parse(&step.document)?;
        let asked = Asked { from: Some(from), distribution, confirmations };
        let record = self.record(step, &asked)?;
        self.follows(asked.from.as_ref(), &record)?;
        self.add(step, record)
    }

    fn replace(&mut self, step: &Step) -> Result<(), Refusal> {
        let Replace { from, leaving, distribution, confirmations, .. } = parse(&step.document)?;
        let asked = Asked { from: Some(from), distribution, confirmations };
        let record = self.record(step, &asked)?;
        let old = self.follows(asked.from.as_ref(), &record)?;
        let is_same = old.record.confirmations == record.confirmations
            && only_leaves(&leaving, &old.record.distribution, &record.distribution);
        if !is_same {
            return Err(Refusal::MoreThanOneHolder);
        }
        self.add(step, record)
    }

    /// The record of a set, if it is what the order asks for.
    fn record(&self, step: &Step, asked: &Asked) -> Result<CeremonyRecord, Refusal> {
        if step.signed.is_none() {
            return Err(Refusal::Unsigned);
        }
        let record = CeremonyRecord::read(&step.answer)?;
        let wrong = |what| Err(Refusal::Record { what });
        if record.custodian != self.custodian || record.order != step.order {
            return wrong("custodian or order");
        }
        if record.set != SetId::of(&self.custodian, &step.order) {
            return wrong("set");
        }
        if record.from != asked.from.as_ref().map(|from| from.set) {
            return wrong("the set that it follows");
        }
        if record.distribution != asked.distribution {
            return wrong("distribution");
        }
        if record.confirmations != asked.confirmations {
            return wrong("confirmations");
        }
        let counts = record.distribution.groups().iter().map(|group| group.holders.len());
        if !counts.eq(record.commitments.counts()) {
            return wrong("number of commitments");
        }
        Ok(record)
    }

    /// The set in force, if the record is one of new shares of its secret.
    fn follows(
        &self,
        from: Option<&SetReference>,
        record: &CeremonyRecord,
    ) -> Result<&SetState, Refusal> {
        let from = from.ok_or(Refusal::Record { what: "the set that it follows" })?;
        let set = from.set;
        let old = self.get(&set).ok_or(Refusal::UnknownSet { set })?;
        if old.standing != Standing::InForce {
            return Err(Refusal::NotInForce { set });
        }
        if old.record.reference() != *from {
            return Err(Refusal::OtherReference { set });
        }
        if record.public_key == from.public_key { Ok(old) } else { Err(Refusal::OtherSecret) }
    }

    fn add(&mut self, step: &Step, record: CeremonyRecord) -> Result<(), Refusal> {
        let is_known = |state: &SetState| {
            let mut shares = record.distribution.holders();
            let known = |commitment| state.record.commitments.position(commitment).is_some();
            state.record.set == record.set
                || shares.any(|(share, _)| record.commitments.get(share).is_some_and(known))
        };
        if self.sets.iter().any(is_known) {
            return Err(Refusal::Reused);
        }
        self.sets.push(SetState {
            record,
            made: step.submitted,
            standing: Standing::Waiting,
            confirmed: std::collections::BTreeMap::new(),
        });
        Ok(())
    }

    fn confirm(&mut self, step: &Step) -> Result<(), Refusal> {
        let confirm: Confirm = parse(&step.document)?;
        self.check_confirm(step, &confirm)?;
        let (set, share) = (confirm.set, confirm.share);
        let index = self.sets.iter().position(|state| state.record.set == set);
        let index = index.ok_or(Refusal::UnknownSet { set })?;
        let state = self.sets.get_mut(index).ok_or(Refusal::UnknownSet { set })?;
        state.confirmed.insert(share, step.submitted);
        let comes_into_force = state.standing == Standing::Waiting
            && state.record.is_confirmed(|share| state.confirmed.contains_key(&share));
        self.nonces.insert(confirm.nonce);
        if comes_into_force {
            self.come_into_force(index);
        }
        Ok(())
    }

    fn check_confirm(&self, step: &Step, confirm: &Confirm) -> Result<(), Refusal> {
        let Confirm { set, share, .. } = *confirm;
        let state = self.get(&set).ok_or(Refusal::UnknownSet { set })?;
        if state.standing == Standing::Void {
            return Err(Refusal::Void { set });
        }
        let record = &state.record;
        let holder = record.distribution.holder(share).ok_or(Refusal::NoSuchShare { share })?;
        if step.requester != holder.principal {
            let holder = holder.principal.clone();
            return Err(Refusal::NotTheHolder { share, holder });
        }
        if step.signed.is_none() {
            return Err(Refusal::Unsigned);
        }
        if step.organisation != holder.organisation {
            return Err(Refusal::OtherOrganisation { holder: holder.principal.clone() });
        }
        if record.commitments.get(share) != Some(&confirm.commitment) {
            let found = record.commitments.position(&confirm.commitment);
            return Err(Refusal::Commitment { share, found });
        }
        if confirm.expires < step.submitted {
            return Err(Refusal::Expired);
        }
        if confirm.expires > step.submitted.after(CHALLENGE_MAX) {
            return Err(Refusal::TooLong);
        }
        if self.nonces.contains(&confirm.nonce) {
            return Err(Refusal::Replayed);
        }
        let challenge = confirm.challenge(self.custodian);
        confirm.commitment.verify(&challenge, &confirm.possession)?;
        let answer = confirmed_by(self.custodian, step.order.clone(), confirm);
        if to_bytes(&answer)? == step.answer { Ok(()) } else { Err(Refusal::Answer) }
    }

    /// The newest set that is confirmed is in force. Other shares of its secret are void, and what
    /// was made before and never confirmed is void too.
    fn come_into_force(&mut self, index: usize) {
        let Some(public_key) = self.sets.get(index).map(|state| state.record.public_key) else {
            return;
        };
        for (other, state) in self.sets.iter_mut().enumerate() {
            let is_same_secret = state.record.public_key == public_key;
            state.standing = match state.standing {
                _ if other == index => Standing::InForce,
                Standing::Former | Standing::InForce if is_same_secret => Standing::Void,
                Standing::Former | Standing::InForce => Standing::Former,
                Standing::Waiting if other > index => Standing::Waiting,
                Standing::Void | Standing::Waiting => Standing::Void,
            };
        }
    }

    fn recover(&mut self, step: &Step) -> Result<(), Refusal> {
        let recover: Recover = parse(&step.document)?;
        if step.signed.is_none() {
            return Err(Refusal::Unsigned);
        }
        let set = recover.set;
        let state = self.get(&set).ok_or(Refusal::UnknownSet { set })?;
        match state.standing {
            Standing::Former | Standing::InForce => {}
            Standing::Void => return Err(Refusal::Void { set }),
            Standing::Waiting => return Err(Refusal::NotInForce { set }),
        }
        if recover.until < step.submitted {
            return Err(Refusal::Expired);
        }
        if recover.purpose == (Purpose::Reshare {}) {
            return Err(Refusal::Answer);
        }
        let permit = permitted_by(self.custodian, step.order.clone(), recover);
        if to_bytes(&permit)? != step.answer {
            return Err(Refusal::Answer);
        }
        self.permits.push(permit);
        Ok(())
    }
}

/// Whether all that changes is that one other person has each share of the one who leaves.
fn only_leaves(leaving: &PrincipalId, old: &Distribution, new: &Distribution) -> bool {
    let shape = |distribution: &Distribution| -> Vec<(u8, usize)> {
        let group = |group: &Group| (group.threshold, group.holders.len());
        distribution.groups().iter().map(group).collect()
    };
    if old.group_threshold() != new.group_threshold() || shape(old) != shape(new) {
        return false;
    }
    let pairs = || old.holders().zip(new.holders()).map(|((_, old), (_, new))| (old, new));
    let mut comers = pairs().filter(|(old, _)| old.principal == *leaving);
    let Some((_, comer)) = comers.next() else { return false };
    let is_other = comer.principal != *leaving;
    let has_all = comers.all(|(_, new)| new.principal == comer.principal);
    let mut stayers = pairs().filter(|(old, _)| old.principal != *leaving);
    is_other && has_all && stayers.all(|(old, new)| old == new)
}
