//! One small log with everything in it.

use custody_core::command::Command;
use custody_core::custodian::{Answer, Outcome};
use custody_core::principal::Verb;

use super::house::{House, released};
use super::insider::Insider;
use super::transaction::ETHER;

/// A house and the orders that its log is about.
pub(crate) struct Story {
    pub(crate) house: House,
    /// Released at once.
    pub(crate) small: Answer,
    /// Released at once, later.
    pub(crate) second: Answer,
    /// Released at once; its submission is signed.
    pub(crate) signed: Answer,
    /// Released after two approvals.
    pub(crate) large: Answer,
    /// Denied.
    pub(crate) denied: Answer,
    /// Waits with one approval.
    pub(crate) pending: Answer,
    /// Taken back.
    pub(crate) cancelled: Answer,
    /// Rejected.
    pub(crate) rejected: Answer,
    /// Waits without an approval, after tess's credential was removed.
    pub(crate) late: Answer,
    /// Released at once, at the end.
    pub(crate) late_small: Answer,
    /// A checkpoint from the middle.
    pub(crate) older: String,
}

impl Story {
    pub(crate) fn new() -> Self {
        let house = House::new(25);
        let people = house.people.clone();
        house.wallet("hot-1");
        house.wallet("hot-2");
        house.know_payee();
        let small = house.transfer("hot-1", ETHER / 2);
        released(&small);
        let second = house.transfer("hot-1", ETHER / 4);
        released(&second);
        let older = house.checkpoint();
        let signed = house.signed_transfer("hot-1", ETHER / 8);
        released(&signed);
        let large = house.transfer("hot-1", 5 * ETHER);
        let large = house.says(&people.tom, Verb::Approve, &large);
        let large = house.says(&people.tess, Verb::Approve, &large);
        released(&large);
        let denied = house.transfer("hot-1", 200 * ETHER);
        assert!(matches!(denied.outcome, Outcome::Denied { .. }), "{denied:?}");
        let pending = house.transfer("hot-1", 3 * ETHER);
        let pending = house.says(&people.tom, Verb::Approve, &pending);
        let cancelled = house.transfer("hot-2", 2 * ETHER);
        let cancelled = house.says(&people.ann, Verb::Cancel, &cancelled);
        let rejected = house.transfer("hot-2", 2 * ETHER);
        let rejected = house.says(&people.tess, Verb::Reject, &rejected);
        let remove = Command::RemoveCredential {
            principal: people.tess.id(),
            credential: people.tess.credential(),
        };
        let removal = house.command(&people.ada, remove);
        released(&house.says(&people.tom, Verb::Approve, &removal));
        let late = house.transfer("hot-1", 4 * ETHER);
        let late_small = house.transfer("hot-1", ETHER / 16);
        released(&late_small);
        Self {
            house,
            small,
            second,
            signed,
            large,
            denied,
            pending,
            cancelled,
            rejected,
            late,
            late_small,
            older,
        }
    }

    /// Somebody who has all files and the log key.
    pub(crate) fn insider(&self) -> Insider {
        Insider::new(&self.house)
    }
}
