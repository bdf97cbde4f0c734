use std::collections::BTreeMap;

use custody_core::command::Command;
use custody_core::id::{CustodianId, PrincipalId};
use custody_core::principal::{Principal, SignedStatement};
use custody_core::time::Timestamp;

/// Who is enrolled, in which roles and with which credentials: those of the genesis event, and what
/// commands that were done have changed since. Nothing else changes it, a recovery neither.
#[derive(Debug, Default)]
pub(super) struct Enrolled {
    people: BTreeMap<PrincipalId, Principal>,
}

impl Enrolled {
    pub(super) fn enroll(&mut self, person: &Principal) {
        self.people.insert(person.id.clone(), person.clone());
    }

    /// Takes that a command was done.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are not about people")]
    pub(super) fn execute(&mut self, command: &Command) {
        match command {
            Command::EnrollPrincipal { principal } => self.enroll(principal),
            Command::RemovePrincipal { principal } => {
                self.people.remove(principal);
            }
            Command::EnrollCredential { principal, credential, key } => {
                if let Some(person) = self.people.get_mut(principal) {
                    person.credentials.insert(credential.clone(), key.clone());
                }
            }
            Command::RemoveCredential { principal, credential } => {
                if let Some(person) = self.people.get_mut(principal) {
                    person.credentials.remove(credential);
                }
            }
            _ => {}
        }
    }

    /// Whether somebody who is enrolled says this now, in a role that is theirs and with a
    /// credential that is theirs. The arithmetic of signatures is the one thing taken over.
    pub(super) fn check(
        &self,
        signed: &SignedStatement,
        custodian: &CustodianId,
        at: Timestamp,
    ) -> Result<(), &'static str> {
        let said = &signed.statement;
        let person = self.people.get(&said.principal).ok_or("nobody of that name is enrolled")?;
        let credential = person.credentials.get(&said.credential);
        let credential = credential.ok_or("the person has no such credential")?;
        let digest = said.signing_digest(custodian);
        if credential.verify(&digest, &signed.signature).is_err() {
            return Err("the person's credential has not signed it");
        }
        if !person.roles.contains(&said.role) {
            return Err("the person does not hold the role");
        }
        if said.valid_until < at {
            return Err("it had expired");
        }
        Ok(())
    }
}
