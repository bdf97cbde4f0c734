//! Who holds shares: ten people of two organisations at five sites, and the post between them.
//! What a holder has lies on a device of the holder's own, never in the house.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use custody_core::id::{OrganisationId, PrincipalId};
use custody_core::principal::Principal;
use custody_core::seam::BackendError;
use custody_recovery::ceremony::{
    CeremonyRecord, Confirmations, Packet, PacketPost, Purpose, Split,
};
use custody_recovery::slip39::Share;
use custody_recovery::{
    Distribution, Group, Holder, SetId, SharePosition, SiteId, X25519SecretKey,
};
use examples_start::entropy::OsEntropy;
use examples_start::people::Person;

use crate::Failure;

/// The organisations, one group each. Three of five of both recover.
const GROUPS: [(&str, [&str; 5]); 2] = [
    ("example-treasury", ["ada", "ben", "cleo", "dina", "egon"]),
    ("example-trustees", ["fay", "gil", "hana", "ivan", "june"]),
];
const SITES: [&str; 5] = ["berlin", "lisbon", "oslo", "prague", "zurich"];
const THRESHOLD: u8 = 3;

/// The holders with their keys.
pub struct Holders {
    people: Vec<(Person, OrganisationId)>,
    keys: BTreeMap<PrincipalId, X25519SecretKey>,
}

impl Holders {
    /// Ten people with keys of their own, kept in a folder of theirs.
    pub fn meet(folder: &Path) -> Result<Self, Failure> {
        let (mut people, mut keys) = (Vec::new(), BTreeMap::new());
        for (organisation, names) in GROUPS {
            for name in names {
                let person = Person::load(folder, name, &["holder"], &OsEntropy)?;
                keys.insert(person.id().clone(), X25519SecretKey::generate(&OsEntropy)?);
                people.push((person, OrganisationId::parse(organisation)?));
            }
        }
        Ok(Self { people, keys })
    }

    /// The holders as they are enrolled.
    pub fn enrolments(&self) -> Result<Vec<Principal>, Failure> {
        let enrol = |(person, organisation): &(Person, OrganisationId)| {
            Ok(Principal { organisation: organisation.clone(), ..person.enrolment()? })
        };
        self.people.iter().map(enrol).collect()
    }

    /// A holder.
    pub fn person(&self, principal: &PrincipalId) -> Result<&Person, Failure> {
        let found = self.people.iter().find(|(person, _)| person.id() == principal);
        found.map(|(person, _)| person).ok_or_else(|| "there is no such holder".into())
    }

    /// The command that makes a set for them.
    pub fn split(&self) -> Result<Split, Failure> {
        let mut groups = Vec::new();
        for (organisation, names) in GROUPS {
            let mut holders = Vec::new();
            for (name, site) in names.iter().zip(SITES) {
                let principal = PrincipalId::parse(name)?;
                let key = self.keys.get(&principal).ok_or("there is no such holder")?;
                holders.push(Holder {
                    recipient: Some(key.public_key()),
                    principal,
                    organisation: OrganisationId::parse(organisation)?,
                    site: SiteId::parse(site)?,
                });
            }
            groups.push(Group { threshold: THRESHOLD, holders });
        }
        let distribution = Distribution::new(2, groups)?;
        Ok(Split {
            v: custody_core::document::V1,
            distribution,
            confirmations: Confirmations::Every,
        })
    }

    /// What a holder finds in the own packet, checked against the record of the ceremony.
    pub fn open(
        &self,
        record: &CeremonyRecord,
        place: SharePosition,
        post: &Post,
    ) -> Result<Share, Failure> {
        let holder = record.distribution.holder(place).ok_or("there is no such share")?;
        let key = self.keys.get(&holder.principal).ok_or("there is no such holder")?;
        let share = post.packet(&record.set, place).ok_or("the packet is lost")?.open(key)?;
        record.commitments.check(place, &share)?;
        Ok(share)
    }
}

impl fmt::Debug for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holders").field("people", &self.people).finish_non_exhaustive()
    }
}

/// The post: packets are sealed, so that it may be anybody's.
#[derive(Clone, Debug, Default)]
pub struct Post(Arc<Mutex<Vec<Packet>>>);

impl Post {
    /// The packet of a share.
    #[must_use]
    pub fn packet(&self, set: &SetId, place: SharePosition) -> Option<Packet> {
        let packets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |packet: &&Packet| {
            let address = packet.address();
            address.set == *set && address.share == place && address.purpose.is_none()
        };
        packets.iter().find(is_it).cloned()
    }
}

#[async_trait]
impl PacketPost for Post {
    async fn send(&self, _holder: &Holder, packet: &Packet) -> Result<(), BackendError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(packet.clone());
        Ok(())
    }

    async fn received(&self, set: &SetId, purpose: &Purpose) -> Result<Vec<Packet>, BackendError> {
        let packets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_meant = |packet: &&Packet| {
            packet.address().set == *set && packet.address().purpose.as_ref() == Some(purpose)
        };
        Ok(packets.iter().filter(is_meant).cloned().collect())
    }
}
