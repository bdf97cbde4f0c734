//! The names that Cedar knows entities by.
//!
//! Invariant: an entity's id is the text of a parsed id, never free text.

use std::str::FromStr;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, ParseErrors};

/// The entity types of the schema, parsed once.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) action: EntityTypeName,
    pub(crate) address: EntityTypeName,
    pub(crate) asset: EntityTypeName,
    pub(crate) book: EntityTypeName,
    pub(crate) house: EntityTypeName,
    pub(crate) organisation: EntityTypeName,
    pub(crate) role: EntityTypeName,
    pub(crate) tier: EntityTypeName,
    pub(crate) user: EntityTypeName,
    pub(crate) wallet: EntityTypeName,
}

impl Names {
    pub(crate) fn new() -> Result<Self, Box<ParseErrors>> {
        let name = |text| EntityTypeName::from_str(text).map_err(Box::new);
        Ok(Self {
            action: name("Action")?,
            address: name("Address")?,
            asset: name("Asset")?,
            book: name("AddressBook")?,
            house: name("House")?,
            organisation: name("Org")?,
            role: name("Role")?,
            tier: name("Tier")?,
            user: name("User")?,
            wallet: name("Wallet")?,
        })
    }
}

/// The entity of this type with this id.
pub(crate) fn entity(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}
