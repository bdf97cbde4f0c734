//! How a key is found again: the token's serial number and `CKA_ID`, with what the token said about
//! the key when it was made.
//!
//! Invariant: a handle has one form, and names whom it was made for. It is no secret, and no proof:
//! identity is the recorded public key.

use custody_core::crypto::PublicKey;
use custody_core::digest::Digest;
use custody_core::id::{CustodianId, KeyId, WalletId};
use custody_core::seam::{Exportability, KeyHandle, KeyRecord, KeyRequest};
use serde::{Deserialize, Serialize};

use crate::token::Tag;

/// What the token said about a key when it was made: the values of its attributes, as it told them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "these are attributes of PKCS #11")]
#[non_exhaustive]
pub struct Provenance {
    /// `CKA_SENSITIVE`.
    pub sensitive: bool,
    /// `CKA_EXTRACTABLE`.
    pub extractable: bool,
    /// `CKA_ALWAYS_SENSITIVE`.
    pub always_sensitive: bool,
    /// `CKA_NEVER_EXTRACTABLE`.
    pub never_extractable: bool,
    /// `CKA_LOCAL`.
    pub local: bool,
    /// `CKA_DESTROYABLE`, if the token says it.
    pub destroyable: Option<bool>,
    /// `CK_TOKEN_INFO.manufacturerID`.
    pub manufacturer: String,
    /// `CK_TOKEN_INFO.model`.
    pub model: String,
    /// `CK_TOKEN_INFO.firmwareVersion`.
    pub firmware: String,
}

impl Provenance {
    /// What was recorded of a key; none if the record's handle is not one of this crate, or not that
    /// of the key.
    #[must_use]
    pub fn of(record: &KeyRecord) -> Option<Self> {
        Handle::read(record).map(|handle| handle.provenance)
    }
}

/// A handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Handle {
    v: u8,
    pub(crate) serial: String,
    id: String,
    exportability: Exportability,
    pub(crate) provenance: Provenance,
    sum: Digest,
}

/// Whom a handle is for.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) custodian: &'a CustodianId,
    pub(crate) wallet: &'a WalletId,
    pub(crate) key: &'a KeyId,
    pub(crate) public_key: &'a PublicKey,
}

impl Handle {
    pub(crate) fn new(
        serial: &str,
        owner: Owner<'_>,
        exportability: Exportability,
        provenance: Provenance,
    ) -> Option<Self> {
        let id = hex::encode(owner.tag().0);
        let serial = serial.to_owned();
        let unsummed =
            Self { v: VERSION, serial, id, exportability, provenance, sum: Digest::of(&[]) };
        let sum = unsummed.sum_for(owner)?;
        Some(Self { sum, ..unsummed })
    }

    /// The handle of a record; none if it is no handle, or one of another key.
    pub(crate) fn read(record: &KeyRecord) -> Option<Self> {
        let bytes = record.handle.as_bytes();
        let handle: Self = serde_json::from_slice(bytes).ok()?;
        let owner = Owner::of(record);
        let is_ours = handle.v == VERSION
            && handle.id == hex::encode(owner.tag().0)
            && handle.sum_for(owner)? == handle.sum
            && serde_json::to_vec(&handle).ok()? == bytes;
        is_ours.then_some(handle)
    }

    pub(crate) fn write(&self) -> Option<KeyHandle> {
        serde_json::to_vec(self).ok().map(KeyHandle::new)
    }

    pub(crate) const fn exportability(&self) -> Exportability {
        self.exportability
    }

    fn sum_for(&self, owner: Owner<'_>) -> Option<Digest> {
        let unsummed = serde_json::to_vec(&Self { sum: Digest::of(&[]), ..self.clone() }).ok()?;
        let Owner { custodian, wallet, key, public_key } = owner;
        Some(Digest::tagged(
            "custody/hsm/handle/v1",
            &[
                custodian.digest().as_bytes(),
                wallet.as_str().as_bytes(),
                key.as_str().as_bytes(),
                public_key.algorithm().as_str().as_bytes(),
                public_key.as_bytes(),
                &unsummed,
            ],
        ))
    }
}

impl<'a> Owner<'a> {
    pub(crate) const fn of(record: &'a KeyRecord) -> Self {
        let KeyRecord { custodian, wallet, key, public_key, .. } = record;
        Self { custodian, wallet, key, public_key }
    }

    pub(crate) fn tag(&self) -> Tag {
        tag(self.custodian, self.key)
    }
}

/// `CKA_ID`: known before a key is made, so that a key whose making was not answered is found.
pub(crate) fn tag(custodian: &CustodianId, key: &KeyId) -> Tag {
    let fields = [custodian.digest().as_bytes().as_slice(), key.as_str().as_bytes()];
    Tag(*Digest::tagged("custody/hsm/key/v1", &fields).as_bytes())
}

/// What people read in the token. It names nothing that the token must not know.
pub(crate) fn label(request: &KeyRequest) -> String {
    format!("custody {} {} {}", request.wallet, request.key, request.algorithm)
}

const VERSION: u8 = 1;
