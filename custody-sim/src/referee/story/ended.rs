use std::collections::BTreeMap;
use std::time::Duration;

use custody_core::command::{Command, FreezeScope, Resolution};
use custody_core::crypto::{SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::document::{Conclusion, EventBody, EventDocument, OrderConcluded, SignatureSet};
use custody_core::id::{KeyId, OrderId, PrincipalId};
use custody_core::key::KeyState;
use custody_core::order::OrderState;
use custody_core::seam::{PolicyDocument, TaskSignature};

use super::super::{Check, broken};
use super::{Story, Tale, read};
use crate::house::short;

impl Story {
    /// What failed was not signed, and what is signed was signed by the vault.
    pub(in crate::referee) fn check_keys(
        &self,
        event: &EventDocument,
        in_process: bool,
        made: impl Fn(&KeyId, Digest) -> Option<Signature>,
    ) -> Check {
        let EventBody::OrderConcluded(concluded) = &event.event else { return Ok(()) };
        let Some(tale) = self.tales.get(&concluded.order) else { return Ok(()) };
        let resolved = match &tale.command {
            Some(Command::ResolveOrder { order, .. }) => self.tales.get(order),
            _ => Some(tale),
        };
        let Some(tale) = resolved else { return Ok(()) };
        let mut tasks = tale.document.tasks.iter();
        let name = short(&tale.document.order);
        match tale.state {
            OrderState::Failed
                if !in_process
                    && tasks.any(|task| made(&task.key, task.input_sha256).is_some()) =>
            {
                broken("what failed was not signed", name)
            }
            OrderState::Signed => {
                let kept = tale.signatures.iter();
                let made = tasks.map(|task| made(&task.key, task.input_sha256));
                let same = made.eq(kept.map(|kept| Some(kept.signature.clone())));
                let rule = "what is signed was signed by its keys";
                if same { Ok(()) } else { broken(rule, name) }
            }
            _ => Ok(()),
        }
    }

    pub(super) fn concluded(
        &mut self,
        index: u64,
        concluded: &OrderConcluded,
        documents: &BTreeMap<Digest, Vec<u8>>,
    ) -> Check {
        let id = &concluded.order;
        match &concluded.outcome {
            Conclusion::Executed { .. } => {
                self.go(id, OrderState::Reserved, OrderState::Executed, index)?;
                let Some(tale) = self.tales.get(id) else { return Ok(()) };
                let (command, decided) = (tale.command.clone(), tale.decided);
                let Some(command) = command else { return Ok(()) };
                self.check_resumption(&command, decided)?;
                self.execute(index, &command)
            }
            Conclusion::Failed { .. } => {
                self.spent.remove(id);
                self.go(id, OrderState::Reserved, OrderState::Failed, index)
            }
            Conclusion::Signed { signatures } => {
                let set: SignatureSet = read(documents, &signatures.sha256)?;
                self.go(id, OrderState::Reserved, OrderState::Signed, index)?;
                let tale = self.tales.get(id);
                let stopped = tale.and_then(|tale| {
                    let inactive = tale
                        .document
                        .tasks
                        .iter()
                        .find(|task| self.keys.get(&task.key) != Some(&KeyState::Active));
                    let stop = inactive.map(|task| format!("{} is not active", task.key));
                    self.is_held(tale).or(stop)
                });
                if let Some(stop) = stopped {
                    let detail = format_args!("{}: {stop}", short(id));
                    return broken("what is stopped is not released", detail);
                }
                self.sign(id, set.signatures)
            }
            Conclusion::Unknown { suspends, .. } => {
                self.go(id, OrderState::Reserved, OrderState::Unknown, index)?;
                let Some(key) = suspends else { return Ok(()) };
                self.suspensions.insert(key.clone(), index);
                if self.keys.get(key) == Some(&KeyState::Active) {
                    self.suspected.insert(key.clone());
                    return self.move_key(key, KeyState::Suspended);
                }
                Ok(())
            }
        }
    }

    /// Every signature verifies, under its recorded key, over bytes made again from the payload.
    fn sign(&mut self, id: &OrderId, signatures: Vec<TaskSignature>) -> Check {
        const RULE: &str = "every signature verifies over the logged bytes";
        let Some(tale) = self.tales.get_mut(id) else { return Ok(()) };
        let payload = tale.payload.as_deref().unwrap_or_default();
        if signatures.is_empty() || signatures.len() != tale.document.tasks.len() {
            return broken(RULE, short(id));
        }
        for ((at, task), signed) in (0_u64..).zip(&tale.document.tasks).zip(&signatures) {
            let input = Digest::tagged("test/transfer", &[&at.to_be_bytes(), payload]);
            let verifies = signed.key == task.key
                && Digest::of(input.as_bytes()) == task.input_sha256
                && signed
                    .signature
                    .verify(&task.public_key, SignInput::Message(input.as_bytes()))
                    .is_ok();
            if !verifies {
                return broken(RULE, format_args!("{} by {}", short(id), task.key));
            }
        }
        tale.signatures = signatures;
        Ok(())
    }

    /// Whoever suspends a key stops what was allowed before.
    fn check_resumption(&self, command: &Command, decided: Option<u64>) -> Check {
        const RULE: &str = "a suspension outlasts what was allowed before it";
        let Command::ResumeKey { key } = command else { return Ok(()) };
        match self.suspensions.get(key) {
            Some(suspended) if decided.is_none_or(|decided| decided < *suspended) => broken(
                RULE,
                format_args!("{key}, suspended at {suspended}, allowed at {decided:?}"),
            ),
            _ => Ok(()),
        }
    }

    /// Whether an allowed order is to make a key active.
    fn is_resumed(&self, key: &KeyId) -> bool {
        self.tales.values().any(|tale| {
            let command = tale.command.as_ref();
            tale.state == OrderState::Reserved
                && matches!(command, Some(Command::ResumeKey { key: its }) if its == key)
        })
    }

    fn execute(&mut self, index: u64, command: &Command) -> Check {
        match command {
            Command::CreateKey { key, .. } => drop(self.keys.insert(key.clone(), KeyState::Active)),
            Command::SuspendKey { key } => {
                self.suspected.remove(key);
                self.suspensions.insert(key.clone(), index);
                let is_suspended = self.keys.get(key) == Some(&KeyState::Suspended);
                if is_suspended && self.is_resumed(key) {
                    return Ok(());
                }
                return self.move_key(key, KeyState::Suspended);
            }
            Command::ResumeKey { key } => {
                self.suspected.remove(key);
                return self.move_key(key, KeyState::Active);
            }
            Command::DestroyKey { key, wait_ms } => {
                let due = self.last.after(Duration::from_millis(*wait_ms));
                self.scheduled.insert(key.clone(), due);
            }
            Command::CancelDestroy { key } => drop(self.scheduled.remove(key)),
            Command::CompromiseKey { key } => return self.move_key(key, KeyState::Compromised),
            Command::DeactivateKey { key } => return self.move_key(key, KeyState::Deactivated),
            Command::EnrollPrincipal { principal } => {
                self.people.insert(principal.id.clone(), principal.clone());
            }
            Command::RemovePrincipal { principal } => self.remove(principal),
            Command::Freeze { scope: FreezeScope::House } => self.house_is_frozen = true,
            Command::Thaw { scope: FreezeScope::House } => self.house_is_frozen = false,
            Command::Freeze { scope: FreezeScope::Wallet(id) } => {
                self.frozen.insert(id.clone());
            }
            Command::Thaw { scope: FreezeScope::Wallet(id) } => drop(self.frozen.remove(id)),
            Command::RotateLogKey { next, .. } => self.log_key = Some(next.clone()),
            Command::UpdatePolicy { policy } => {
                self.in_force = PolicyDocument::id_of(policy.as_bytes());
            }
            Command::ResolveOrder { order, resolution } => match resolution {
                Resolution::Failed { .. } => {
                    self.spent.remove(order);
                    return self.go(order, OrderState::Unknown, OrderState::Failed, index);
                }
                Resolution::Signed { signatures } => {
                    self.go(order, OrderState::Unknown, OrderState::Signed, index)?;
                    return self.sign(order, signatures.clone());
                }
            },
            _ => {}
        }
        Ok(())
    }

    /// What they have said of orders that wait is gone with them, and what was allowed with them
    /// stays stopped; so does what they asked for.
    fn remove(&mut self, person: &PrincipalId) {
        self.people.remove(person);
        for tale in self.tales.values_mut() {
            tale.is_left |= tale.document.requester == *person;
            if tale.state == OrderState::Pending {
                tale.approvals.retain(|signed| signed.statement.principal != *person);
            } else {
                tale.is_left |= tale.counted.contains(person);
            }
        }
    }

    /// A key is gone when its time has come, and not before, nor while an order is under way that
    /// needs it or may keep it.
    pub(super) fn destroyed(&mut self, key: &KeyId) -> Check {
        const RULE: &str = "a key is destroyed when its waiting time is over, and not before";
        let keeps = |tale: &&Tale| {
            matches!(&tale.command, Some(Command::CancelDestroy { key: kept }) if kept == key)
                || tale.document.tasks.iter().any(|task| task.key == *key)
        };
        let mut under_way = self
            .tales
            .values()
            .filter(|tale| matches!(tale.state, OrderState::Reserved | OrderState::Unknown));
        if let Some(tale) = under_way.find(keeps) {
            let detail = format_args!("{key}, which {} needs", short(&tale.document.order));
            return broken("no key is destroyed under an order", detail);
        }
        match self.scheduled.remove(key) {
            Some(due) if due <= self.last => self.move_key(key, KeyState::Destroyed),
            due => broken(RULE, format_args!("{key} at {}, due {due:?}", self.last)),
        }
    }

    fn move_key(&mut self, key: &KeyId, next: KeyState) -> Check {
        const RULE: &str = "keys move only between states that may follow each other";
        let Some(state) = self.keys.get_mut(key) else { return broken(RULE, key) };
        let legal = match *state {
            KeyState::PreActivation => &[KeyState::Active, KeyState::Compromised][..],
            KeyState::Active => {
                &[KeyState::Suspended, KeyState::Deactivated, KeyState::Compromised]
            }
            KeyState::Suspended => {
                &[KeyState::Active, KeyState::Deactivated, KeyState::Compromised]
            }
            KeyState::Deactivated => &[KeyState::Compromised, KeyState::Destroyed],
            KeyState::Compromised => &[KeyState::Destroyed],
            KeyState::Destroyed => &[],
        };
        if !legal.contains(&next) {
            return broken(RULE, format_args!("{key} from {state} to {next}"));
        }
        *state = next;
        Ok(())
    }
}
