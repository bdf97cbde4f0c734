//! Principals, their roles and credentials, and what a credential signs.
//!
//! Invariant: one verb never verifies as another, nor for another custodian, order or document.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::crypto::{Algorithm, PublicKey, SignInput, Signature};
use crate::digest::Digest;
use crate::id::{CredentialId, CustodianId, OrderId, OrganisationId, PrincipalId, RoleId};
use crate::time::Timestamp;

/// A person or service as it is enrolled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct Principal {
    /// Its id.
    pub id: PrincipalId,
    /// Where it belongs to.
    pub organisation: OrganisationId,
    /// Whether it is a service rather than a person.
    pub service: bool,
    /// Its roles.
    pub roles: BTreeSet<RoleId>,
    /// Its credentials that count.
    #[serde(deserialize_with = "crate::document::unique_keys")]
    pub credentials: BTreeMap<CredentialId, Credential>,
}

/// A key that a principal signs with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    public_key: PublicKey,
}

impl Credential {
    /// A credential with this public key: Ed25519 or ECDSA P-256.
    ///
    /// # Errors
    /// Fails for a key of another algorithm.
    pub fn new(public_key: PublicKey) -> Result<Self, CredentialError> {
        match public_key.algorithm() {
            Algorithm::Ed25519 | Algorithm::EcdsaP256 => Ok(Self { public_key }),
            Algorithm::Bip340 | Algorithm::EcdsaSecp256k1 => Err(CredentialError::Algorithm),
        }
    }

    /// The public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Verifies a signature over a digest: ECDSA signs it as its digest, Ed25519 as a message of
    /// 32 bytes.
    ///
    /// # Errors
    /// Fails with one opaque variant.
    pub fn verify(&self, digest: &Digest, signature: &Signature) -> Result<(), CredentialError> {
        let input = if self.public_key.algorithm().signs_prehash() {
            SignInput::Prehash(digest.as_bytes())
        } else {
            SignInput::Message(digest.as_bytes())
        };
        signature.verify(&self.public_key, input).map_err(|_| CredentialError::Signature)
    }
}

/// What a principal says about an order. Each verb has its own domain-separation tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "each verb is a signing form")]
pub enum Verb {
    /// It may be signed, as far as the principal's role goes.
    Approve,
    /// It is taken back.
    Cancel,
    /// It must not be signed.
    Reject,
}

impl Verb {
    const fn tag(self) -> &'static str {
        match self {
            Self::Approve => "custody/approve/v1",
            Self::Cancel => "custody/cancel/v1",
            Self::Reject => "custody/reject/v1",
        }
    }
}

/// A principal's word about an order: what gets signed. The signature is over
/// SHA-256(tag ‖ 0 ‖ custodian id ‖ order digest ‖ principal ‖ credential ‖ role ‖ valid-until),
/// every field length-prefixed, valid-until as eight big-endian bytes of milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "approvers build it")]
pub struct Statement {
    /// What is said.
    pub verb: Verb,
    /// The order it is about.
    pub order: OrderId,
    /// SHA-256 of the order document.
    pub digest: Digest,
    /// Who says it.
    pub principal: PrincipalId,
    /// With which credential.
    pub credential: CredentialId,
    /// In which role; a principal speaks in one role only.
    pub role: RoleId,
    /// Until when it counts.
    pub valid_until: Timestamp,
}

impl Statement {
    /// The digest that the credential signs.
    #[must_use]
    pub fn signing_digest(&self, custodian: &CustodianId) -> Digest {
        Digest::tagged(
            self.verb.tag(),
            &[
                custodian.digest().as_bytes(),
                self.digest.as_bytes(),
                self.principal.as_str().as_bytes(),
                self.credential.as_str().as_bytes(),
                self.role.as_str().as_bytes(),
                &self.valid_until.as_millis().to_be_bytes(),
            ],
        )
    }

    /// The statement with its signature.
    #[must_use]
    pub const fn signed(self, signature: Signature) -> SignedStatement {
        SignedStatement { statement: self, signature }
    }
}

/// A statement with the signature of its credential, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "approvers build it")]
pub struct SignedStatement {
    /// What is said.
    pub statement: Statement,
    /// The credential's signature over it.
    pub signature: Signature,
}

/// The signature of a requester's credential over a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "requesters build it")]
pub struct SubmissionSignature {
    /// With which credential.
    pub credential: CredentialId,
    /// Its signature over the submission's signing digest.
    pub signature: Signature,
}

/// The digest that a requester's credential signs for a submission document.
#[must_use]
pub fn submission_signing_digest(custodian: &CustodianId, submission: &Digest) -> Digest {
    Digest::tagged("custody/submit/v1", &[custodian.digest().as_bytes(), submission.as_bytes()])
}

/// The digest that the old and the new log key sign when the log key is rotated.
#[must_use]
pub fn rotation_signing_digest(
    custodian: &CustodianId,
    old: &PublicKey,
    new: &PublicKey,
) -> Digest {
    Digest::tagged(
        "custody/rotate-log-key/v1",
        &[custodian.digest().as_bytes(), old.as_bytes(), new.as_bytes()],
    )
}

/// Why a credential is refused or does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// A credential is an Ed25519 or ECDSA P-256 key.
    #[error("a credential is an Ed25519 or ECDSA P-256 key")]
    Algorithm,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
}
