//! People of a test house, with credentials that sign.
//!
//! Invariant: one name is one credential, whatever else a house has.

use std::collections::{BTreeMap, BTreeSet};

use custody_core::crypto::{Algorithm, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::id::{CredentialId, CustodianId, OrganisationId, PrincipalId, RoleId};
use custody_core::principal::{
    Credential, Principal, SignedStatement, Statement, SubmissionSignature,
    submission_signing_digest,
};

use crate::key::TestKey;

/// A person or service with one credential.
#[derive(Clone, Debug)]
pub struct TestPerson {
    id: PrincipalId,
    credential: CredentialId,
    organisation: OrganisationId,
    roles: BTreeSet<RoleId>,
    service: bool,
    key: TestKey,
}

impl TestPerson {
    /// A person of the organisation `acme` with an Ed25519 credential, whose name is the person's
    /// with `-key` behind it.
    #[must_use]
    pub fn new(name: &str, roles: &[&str]) -> Self {
        let seed = Digest::of(name.as_bytes());
        let seed = u64::from_be_bytes(*seed.as_bytes().first_chunk().unwrap());
        Self {
            id: PrincipalId::parse(name).unwrap(),
            credential: CredentialId::parse(&format!("{name}-key")).unwrap(),
            organisation: OrganisationId::parse("acme").unwrap(),
            roles: roles.iter().map(|role| RoleId::parse(role).unwrap()).collect(),
            service: false,
            key: TestKey::seeded(Algorithm::Ed25519, seed),
        }
    }

    /// The same person with an ECDSA P-256 credential, as passkeys have it.
    #[must_use]
    pub fn with_p256(mut self) -> Self {
        let seed = Digest::of(self.id.as_str().as_bytes());
        let seed = u64::from_be_bytes(*seed.as_bytes().first_chunk().unwrap());
        self.key = TestKey::seeded(Algorithm::EcdsaP256, seed);
        self
    }

    /// The same person with another credential.
    #[must_use]
    pub fn with_credential(mut self, credential: &str, key: TestKey) -> Self {
        self.credential = CredentialId::parse(credential).unwrap();
        self.key = key;
        self
    }

    /// The same person in another organisation.
    #[must_use]
    pub fn of(mut self, organisation: &str) -> Self {
        self.organisation = OrganisationId::parse(organisation).unwrap();
        self
    }

    /// A service in the person's place.
    #[must_use]
    pub const fn as_service(mut self) -> Self {
        self.service = true;
        self
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> &PrincipalId {
        &self.id
    }

    /// The credential's id.
    #[must_use]
    pub const fn credential_id(&self) -> &CredentialId {
        &self.credential
    }

    /// The credential, as it is enrolled.
    #[must_use]
    pub fn credential(&self) -> Credential {
        Credential::new(self.key.public_key().clone()).expect("Ed25519 or P-256")
    }

    /// The credential's key.
    #[must_use]
    pub const fn key(&self) -> &TestKey {
        &self.key
    }

    /// The person as it is enrolled.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal {
            id: self.id.clone(),
            organisation: self.organisation.clone(),
            service: self.service,
            roles: self.roles.clone(),
            credentials: BTreeMap::from([(self.credential.clone(), self.credential())]),
        }
    }

    /// The credential's signature over a digest, as [`Credential::verify`] reads it.
    #[must_use]
    pub fn sign(&self, digest: &Digest) -> Signature {
        let input = match self.key.algorithm().signs_prehash() {
            true => SignInput::Prehash(digest.as_bytes()),
            false => SignInput::Message(digest.as_bytes()),
        };
        self.key.sign(input).expect("a digest is an input of the key's kind")
    }

    /// The statement with this person's signature, whoever the statement says it is from.
    #[must_use]
    pub fn say(&self, custodian: &CustodianId, statement: Statement) -> SignedStatement {
        let signature = self.sign(&statement.signing_digest(custodian));
        statement.signed(signature)
    }

    /// This person's signature over a submission document with this digest.
    #[must_use]
    pub fn submit(&self, custodian: &CustodianId, submission: &Digest) -> SubmissionSignature {
        SubmissionSignature {
            credential: self.credential.clone(),
            signature: self.sign(&submission_signing_digest(custodian, submission)),
        }
    }
}

/// Some people of a house, by name.
#[derive(Clone, Debug, Default)]
pub struct People {
    people: BTreeMap<String, TestPerson>,
}

impl People {
    /// A house with these people: name and roles.
    #[must_use]
    pub fn new(people: &[(&str, &[&str])]) -> Self {
        let person =
            |(name, roles): &(&str, &[&str])| ((*name).to_owned(), TestPerson::new(name, roles));
        Self { people: people.iter().map(person).collect() }
    }

    /// The house with one person more, or another in its place.
    #[must_use]
    pub fn with(mut self, person: TestPerson) -> Self {
        self.people.insert(person.id().as_str().to_owned(), person);
        self
    }

    /// The person of this name.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &TestPerson {
        self.people.get(name).unwrap_or_else(|| panic!("there is no {name} in the house"))
    }

    /// All, as they are enrolled, by name.
    #[must_use]
    pub fn principals(&self) -> Vec<Principal> {
        self.people.values().map(TestPerson::principal).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persons_signature_verifies_under_its_own_credential_only() {
        let people = People::new(&[("ann", &["treasurer"]), ("bob", &["treasurer", "officer"])])
            .with(TestPerson::new("cyd", &[]).with_p256().of("other").as_service());
        let digest = Digest::of(b"what is said");
        for name in ["ann", "bob", "cyd"] {
            let person = people.get(name);
            let signature = person.sign(&digest);
            for other in ["ann", "bob", "cyd"] {
                let credential = people.get(other).credential();
                assert_eq!(credential.verify(&digest, &signature).is_ok(), other == name);
                assert!(credential.verify(&Digest::of(b"else"), &signature).is_err());
            }
        }
        assert_eq!(people.principals().len(), 3);
    }
}
