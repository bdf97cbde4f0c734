//! The people of the house, and what they sign.

use std::collections::BTreeMap;

use custody_core::crypto::{Algorithm, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::id::{CredentialId, CustodianId, OrganisationId, PrincipalId, RoleId};
use custody_core::principal::{Credential, Principal, SignedStatement, Statement};
use custody_testkit::key::TestKey;

/// A person with one credential.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) name: &'static str,
    pub(crate) role: &'static str,
    key: TestKey,
}

impl Person {
    pub(crate) fn new(name: &'static str, role: &'static str) -> Self {
        let seed = name.bytes().fold(7, |sum, byte| sum * 31 + u64::from(byte));
        // Both kinds of credentials.
        let p256 = role == "administrator" || name == "tom";
        let algorithm = if p256 { Algorithm::EcdsaP256 } else { Algorithm::Ed25519 };
        Self { name, role, key: TestKey::seeded(algorithm, seed) }
    }

    pub(crate) fn id(&self) -> PrincipalId {
        PrincipalId::parse(self.name).unwrap()
    }

    pub(crate) fn credential(&self) -> CredentialId {
        CredentialId::parse(&format!("{}-1", self.name)).unwrap()
    }

    pub(crate) fn sign(&self, digest: &Digest) -> Signature {
        let bytes = digest.as_bytes();
        let input = match self.key.algorithm().signs_prehash() {
            true => SignInput::Prehash(bytes),
            false => SignInput::Message(bytes),
        };
        self.key.sign(input).unwrap()
    }

    /// This person's word about an order.
    pub(crate) fn says(&self, statement: Statement, custodian: &CustodianId) -> SignedStatement {
        let digest = statement.signing_digest(custodian);
        let signature = self.sign(&digest);
        statement.signed(signature)
    }

    pub(crate) fn enrolment(&self) -> Principal {
        let credential = Credential::new(self.key.public_key().clone()).unwrap();
        Principal {
            id: self.id(),
            organisation: OrganisationId::parse("acme").unwrap(),
            service: false,
            roles: [RoleId::parse(self.role).unwrap()].into(),
            credentials: BTreeMap::from([(self.credential(), credential)]),
        }
    }
}

/// The people of the house.
#[derive(Clone, Debug)]
pub(crate) struct People {
    pub(crate) ada: Person,
    pub(crate) ann: Person,
    pub(crate) tom: Person,
    pub(crate) tess: Person,
}

impl People {
    pub(crate) fn new() -> Self {
        Self {
            ada: Person::new("ada", "administrator"),
            ann: Person::new("ann", "operator"),
            tom: Person::new("tom", "treasurer"),
            tess: Person::new("tess", "treasurer"),
        }
    }
}
