use std::time::Duration;

use custody_core::document::parse;
use serde::de::DeserializeOwned;

use super::{Refusal, RefusedStep, SetState, Sets, Standing, Step};
use crate::ceremony::document::to_bytes;
use crate::ceremony::handler::{confirmed_by, permitted_by};
use crate::ceremony::plan::Plan;
use crate::ceremony::{
    CeremonyRecord, Confirm, Purpose, Recover, Replace, Rotate, SetReference, Split,
};
use crate::commitment::SetId;

/// How long a challenge may live after the submission that answers it.
const CHALLENGE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// How long a permit may count after the submission that asks for it.
const PERMIT_MAX: Duration = Duration::from_secs(31 * 86_400);

impl Sets {
    /// Folds the next step. Commands of others change nothing.
    ///
    /// # Errors
    /// Names the rule that the step breaks; it then changes nothing but [`Self::refused`].
    pub fn apply(&mut self, step: &Step) -> Result<(), Refusal> {
        let applied = match step.command.as_str() {
            Confirm::NAME => self.confirm(step),
            Recover::NAME => self.recover(step),
            Replace::NAME => self.make::<Replace>(step),
            Rotate::NAME => self.make::<Rotate>(step),
            Split::NAME => self.make::<Split>(step),
            _ => return Ok(()),
        };
        if let Err(refusal) = &applied {
            let (order, refusal) = (step.order.clone(), refusal.clone());
            self.refused.push(RefusedStep { order, refusal });
        }
        applied
    }

    fn make<T: DeserializeOwned + Into<Plan>>(&mut self, step: &Step) -> Result<(), Refusal> {
        let plan: Plan = parse::<T>(&step.document)?.into();
        let record = self.record(step, &plan)?;
        if let Some(from) = plan.from() {
            self.follows(&plan, from, &record)?;
        } else if self.sets.iter().any(|state| state.record.public_key == record.public_key) {
            return Err(Refusal::Reused);
        }
        self.add(step, record)
    }

    /// The record of a set, if it is what the order asks for.
    fn record(&self, step: &Step, plan: &Plan) -> Result<CeremonyRecord, Refusal> {
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
        if record.from != plan.from().map(|from| from.set) {
            return wrong("the set that it follows");
        }
        if record.distribution != plan.distribution {
            return wrong("distribution");
        }
        if record.confirmations != plan.confirmations {
            return wrong("confirmations");
        }
        let counts = record.distribution.groups().iter().map(|group| group.holders.len());
        if !counts.eq(record.commitments.counts()) {
            return wrong("number of commitments");
        }
        Ok(record)
    }

    /// Whether the record is one of new shares of the secret in force.
    fn follows(
        &self,
        plan: &Plan,
        from: &SetReference,
        record: &CeremonyRecord,
    ) -> Result<(), Refusal> {
        let set = from.set;
        let old = self.get(&set).ok_or(Refusal::UnknownSet { set })?;
        if old.standing != Standing::InForce {
            return Err(Refusal::NotInForce { set });
        }
        plan.check(&old.record)?;
        if record.public_key == from.public_key { Ok(()) } else { Err(Refusal::OtherSecret) }
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
        let last = state.confirmed.entry(share).or_insert(step.submitted);
        *last = step.submitted.max(*last);
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

    /// The newest set that is confirmed is in force. Other shares of its secret are void, and so is
    /// what waits and was made before, or follows a set that is in force no more: it would undo
    /// what this one is for. Permits for void shares count no more.
    fn come_into_force(&mut self, index: usize) {
        let Some(public_key) = self.sets.get(index).map(|state| state.record.public_key) else {
            return;
        };
        for (other, state) in self.sets.iter_mut().enumerate() {
            let is_same_secret = state.record.public_key == public_key;
            let is_left_behind = other < index || state.record.from.is_some();
            state.standing = match state.standing {
                _ if other == index => Standing::InForce,
                Standing::Former | Standing::InForce if is_same_secret => Standing::Void,
                Standing::Former | Standing::InForce => Standing::Former,
                Standing::Waiting if !is_left_behind => Standing::Waiting,
                Standing::Void | Standing::Waiting => Standing::Void,
            };
        }
        let void = |set: &SetId| {
            self.sets
                .iter()
                .any(|state| state.record.set == *set && state.standing == Standing::Void)
        };
        self.permits.retain(|permit| !void(&permit.set));
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
        if recover.until > step.submitted.after(PERMIT_MAX) {
            return Err(Refusal::LongPermit);
        }
        if matches!(recover.purpose, Purpose::Reshare { .. }) {
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
