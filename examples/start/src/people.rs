//! Demo people with their own credentials. A real house keeps a person's key on that person's own
//! device; here it lies in a file, marked as demo. This file opens secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use custody_core::crypto::{Algorithm, PublicKey, Signature};
use custody_core::custodian::Answer;
use custody_core::digest::Digest;
use custody_core::id::{CredentialId, CustodianId, OrganisationId, PrincipalId, RoleId};
use custody_core::principal::{
    Credential, Principal, SignedStatement, Statement, SubmissionSignature, Verb,
};
use custody_core::seam::Entropy;
use custody_core::secret::Secret;
use custody_core::time::Timestamp;
use ed25519_dalek::Signer;

use crate::Failure;

/// A person who signs with an Ed25519 key of their own.
pub struct Person {
    principal: PrincipalId,
    credential: CredentialId,
    roles: BTreeSet<RoleId>,
    key: ed25519_dalek::SigningKey,
}

impl Person {
    /// Finds the person's key under `directory`, or makes one.
    pub fn load(
        directory: &Path,
        name: &str,
        roles: &[&str],
        entropy: &dyn Entropy,
    ) -> Result<Self, Failure> {
        let path = directory.join(format!("{name}.demo-key"));
        let seed = if path.exists() {
            Secret::new(hex::decode(fs::read_to_string(&path)?.lines().last().unwrap_or(""))?)
        } else {
            let seed = Secret::try_fill(32, |bytes| entropy.fill(bytes))?;
            let text =
                format!("demo key of {name}: never use it\n{}\n", hex::encode(seed.expose()));
            fs::create_dir_all(directory)?;
            write_private(&path, text.as_bytes())?;
            seed
        };
        let key = ed25519_dalek::SigningKey::try_from(seed.expose())?;
        Ok(Self {
            principal: PrincipalId::parse(name)?,
            credential: CredentialId::parse(&format!("{name}-key"))?,
            roles: roles.iter().map(|role| RoleId::parse(role)).collect::<Result<_, _>>()?,
            key,
        })
    }

    /// The person's id.
    #[must_use]
    pub const fn id(&self) -> &PrincipalId {
        &self.principal
    }

    /// The person as they are enrolled.
    pub fn enrolment(&self) -> Result<Principal, Failure> {
        let key = PublicKey::from_bytes(Algorithm::Ed25519, self.key.verifying_key().as_bytes())?;
        Ok(Principal {
            id: self.principal.clone(),
            organisation: OrganisationId::parse("example-treasury")?,
            service: false,
            roles: self.roles.clone(),
            credentials: BTreeMap::from([(self.credential.clone(), Credential::new(key)?)]),
        })
    }

    /// Approves the order of `answer` in `role`, until `valid_until`.
    pub fn approve(
        &self,
        custodian: &CustodianId,
        answer: &Answer,
        role: &str,
        valid_until: Timestamp,
    ) -> Result<SignedStatement, Failure> {
        self.signed(custodian, self.statement(Verb::Approve, answer, role, valid_until)?)
    }

    /// Takes the order of `answer` back, in `role`, until `valid_until`.
    pub fn cancel(
        &self,
        custodian: &CustodianId,
        answer: &Answer,
        role: &str,
        valid_until: Timestamp,
    ) -> Result<SignedStatement, Failure> {
        self.signed(custodian, self.statement(Verb::Cancel, answer, role, valid_until)?)
    }

    /// Signs a submission by the digest that the custodian tells.
    pub fn submit(&self, digest: &Digest) -> Result<SubmissionSignature, Failure> {
        let bytes = self.key.sign(digest.as_bytes()).to_bytes();
        let signature = Signature::from_bytes(Algorithm::Ed25519, &bytes)?;
        Ok(SubmissionSignature { credential: self.credential.clone(), signature })
    }

    fn statement(
        &self,
        verb: Verb,
        answer: &Answer,
        role: &str,
        valid_until: Timestamp,
    ) -> Result<Statement, Failure> {
        Ok(Statement {
            verb,
            order: answer.order.clone(),
            digest: answer.digest,
            principal: self.principal.clone(),
            credential: self.credential.clone(),
            role: RoleId::parse(role)?,
            valid_until,
        })
    }

    fn signed(
        &self,
        custodian: &CustodianId,
        statement: Statement,
    ) -> Result<SignedStatement, Failure> {
        let digest = statement.signing_digest(custodian);
        let signature = self.key.sign(digest.as_bytes()).to_bytes();
        Ok(statement.signed(Signature::from_bytes(Algorithm::Ed25519, &signature)?))
    }
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").field("principal", &self.principal).finish_non_exhaustive()
    }
}

/// Writes a file that only its owner reads.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    Ok(file.sync_all()?)
}
