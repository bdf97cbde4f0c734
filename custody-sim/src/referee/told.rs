//! What the events have told so far.

use custody_core::crypto::PublicKey;
use custody_core::digest::Digest;
use custody_core::id::{CustodianId, KeyId, OrderId};
use custody_core::key::KeyState;
use custody_core::seam::Head;

use super::{Referee, Tale};

impl Referee {
    /// The custodian, once its genesis event is durable.
    pub(crate) fn custodian(&self) -> Option<CustodianId> {
        self.state().custodian
    }

    /// How many events are durable.
    pub(crate) fn events(&self) -> u64 {
        self.state().heads.events()
    }

    /// The archive that the custodian was recovered from last.
    pub(crate) fn recovered(&self) -> Option<Digest> {
        self.state().story.recovered()
    }

    /// The largest head that was signed.
    pub(crate) fn newest_head(&self) -> Option<Head> {
        self.state().heads.newest()
    }

    /// The key that signs heads, as far as the events say.
    pub(crate) fn log_key(&self) -> Option<PublicKey> {
        self.state().story.log_key().cloned()
    }

    /// What is durable about an order.
    pub(crate) fn tale(&self, order: &OrderId) -> Option<Tale> {
        self.state().story.tale(order).cloned()
    }

    /// All orders that are durable, oldest first.
    pub(crate) fn orders(&self) -> Vec<OrderId> {
        self.state().story.orders()
    }

    /// The keys of a wallet, and how they stand.
    pub(crate) fn keys(&self) -> Vec<(KeyId, KeyState)> {
        self.state().story.keys()
    }

    /// Whether a key is to be destroyed.
    pub(crate) fn is_scheduled(&self, key: &KeyId) -> bool {
        self.state().story.is_scheduled(key)
    }
}
