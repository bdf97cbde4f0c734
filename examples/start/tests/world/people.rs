use std::collections::{BTreeMap, BTreeSet};

use custody_core::crypto::{Algorithm, SignInput, Signature};
use custody_core::custodian::Answer;
use custody_core::digest::Digest;
use custody_core::id::{CredentialId, CustodianId, OrganisationId, PrincipalId, RoleId};
use custody_core::principal::{
    Credential, Principal, SignedStatement, Statement, SubmissionSignature, Verb,
};
use custody_core::time::Timestamp;
use custody_testkit::key::TestKey;

/// The people of the house.
pub(crate) struct People {
    /// Operator and administrator.
    pub(crate) olivia: Person,
    /// Operator.
    pub(crate) otto: Person,
    /// Treasurer.
    pub(crate) theo: Person,
    /// Treasurer, with a P-256 credential.
    pub(crate) tara: Person,
    /// Treasurer.
    pub(crate) tom: Person,
}

/// A person with one credential.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: PrincipalId,
    pub(crate) credential: CredentialId,
    pub(crate) roles: BTreeSet<RoleId>,
    pub(crate) key: TestKey,
}

impl People {
    pub(crate) fn new() -> Self {
        let treasurer: &[&str] = &["treasurer"];
        Self {
            olivia: Person::new("olivia", &["operator", "administrator"], Algorithm::Ed25519),
            otto: Person::new("otto", &["operator"], Algorithm::Ed25519),
            theo: Person::new("theo", treasurer, Algorithm::Ed25519),
            tara: Person::new("tara", treasurer, Algorithm::EcdsaP256),
            tom: Person::new("tom", treasurer, Algorithm::Ed25519),
        }
    }

    pub(crate) fn all(&self) -> [&Person; 5] {
        [&self.olivia, &self.otto, &self.theo, &self.tara, &self.tom]
    }
}

impl Person {
    /// The person of this name, whose key comes from the name alone.
    pub(crate) fn new(name: &str, roles: &[&str], algorithm: Algorithm) -> Self {
        let seed = Digest::of(name.as_bytes());
        Self {
            id: PrincipalId::parse(name).unwrap(),
            credential: CredentialId::parse(&format!("{name}-key")).unwrap(),
            roles: roles.iter().map(|role| RoleId::parse(role).unwrap()).collect(),
            key: TestKey::from_bytes(algorithm, seed.as_bytes()).unwrap(),
        }
    }

    /// The person as they are enrolled.
    pub(crate) fn enrolment(&self) -> Principal {
        let credential = Credential::new(self.key.public_key().clone()).unwrap();
        Principal {
            id: self.id.clone(),
            organisation: OrganisationId::parse("example-treasury").unwrap(),
            service: false,
            roles: self.roles.clone(),
            credentials: BTreeMap::from([(self.credential.clone(), credential)]),
        }
    }

    /// What the person says about an order, unsigned, in their first role.
    pub(crate) fn statement(&self, verb: Verb, answer: &Answer, until: Timestamp) -> Statement {
        Statement {
            verb,
            order: answer.order.clone(),
            digest: answer.digest,
            principal: self.id.clone(),
            credential: self.credential.clone(),
            role: self.roles.last().unwrap().clone(),
            valid_until: until,
        }
    }

    /// The statement under the person's signature.
    pub(crate) fn sign(&self, custodian: &CustodianId, statement: Statement) -> SignedStatement {
        let signature = self.sign_digest(&statement.signing_digest(custodian));
        statement.signed(signature)
    }

    /// The person's signature over a submission's digest.
    pub(crate) fn sign_submission(&self, digest: &Digest) -> SubmissionSignature {
        let signature = self.sign_digest(digest);
        SubmissionSignature { credential: self.credential.clone(), signature }
    }

    /// The person's signature over a digest.
    pub(crate) fn sign_digest(&self, digest: &Digest) -> Signature {
        let input = match self.key.algorithm().signs_prehash() {
            true => SignInput::Prehash(digest.as_bytes()),
            false => SignInput::Message(digest.as_bytes()),
        };
        self.key.sign(input).unwrap()
    }
}
