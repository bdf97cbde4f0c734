use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::digest::Digest;
use crate::document::{Hold, OrderDocument};
use crate::id::PrincipalId;
use crate::order::OrderState;
use crate::principal::SignedStatement;
use crate::seam::{Authentication, Position};
use crate::time::Timestamp;

/// An order that is not terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenOrder {
    pub(super) document: Arc<OrderDocument>,
    pub(super) digest: Digest,
    pub(super) submission: Digest,
    pub(super) authentication: Authentication,
    pub(super) command: Option<Arc<Command>>,
    pub(super) state: OrderState,
    pub(super) submitted: Position,
    pub(super) decided: Option<Position>,
    pub(super) reserved: Option<Timestamp>,
    pub(super) approvals: Vec<SignedStatement>,
    pub(super) counted: Vec<PrincipalId>,
    pub(super) lost: Option<Hold>,
    /// Whoever asked for it, or was counted in it, was removed after it was allowed, or it waited
    /// and its requester's name was enrolled again. Enrolling them again does not undo that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) removed: bool,
    /// It was to make a key active which was suspended since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) called_off: bool,
}

impl OpenOrder {
    /// An order that was never submitted, to ask what the rules would say about it.
    pub(crate) const fn simulated(
        document: Arc<OrderDocument>,
        digest: Digest,
        authentication: Authentication,
        command: Option<Arc<Command>>,
    ) -> Self {
        Self {
            document,
            digest,
            submission: digest,
            authentication,
            command,
            state: OrderState::Pending,
            submitted: Position::START,
            decided: None,
            reserved: None,
            approvals: Vec::new(),
            counted: Vec::new(),
            lost: None,
            removed: false,
            called_off: false,
        }
    }

    /// Whether it waits and its requester was removed after asking for it, and is enrolled again, or
    /// somebody else is under the same name.
    pub(super) fn is_of_former(&self) -> bool {
        self.removed && self.state == OrderState::Pending
    }

    /// Its document.
    #[must_use]
    pub const fn document(&self) -> &Arc<OrderDocument> {
        &self.document
    }

    /// SHA-256 of its document.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// SHA-256 of its submission.
    #[must_use]
    pub const fn submission(&self) -> &Digest {
        &self.submission
    }

    /// Its command, if it carries one.
    #[must_use]
    pub const fn command(&self) -> Option<&Arc<Command>> {
        self.command.as_ref()
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> OrderState {
        self.state
    }

    /// The index of the event that submitted it.
    #[must_use]
    pub const fn submitted(&self) -> Position {
        self.submitted
    }

    /// The index of the event that allowed it.
    #[must_use]
    pub const fn decided(&self) -> Option<Position> {
        self.decided
    }

    /// The people whose approvals counted when it was allowed.
    #[must_use]
    pub fn counted(&self) -> &[PrincipalId] {
        &self.counted
    }

    /// Whether an approval by somebody who was counted, valid when the order was allowed, has
    /// expired by `now`; of two by one person, whether either has.
    #[must_use]
    pub fn is_approval_over(&self, now: Timestamp) -> bool {
        let Some(allowed) = self.reserved else { return false };
        self.approvals.iter().map(|approval| &approval.statement).any(|statement| {
            (allowed..now).contains(&statement.valid_until)
                && self.counted.contains(&statement.principal)
        })
    }

    /// Whether no key may be used for it any more, and nothing released: it expired itself, or such an
    /// approval did.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.document.expires < now || self.is_approval_over(now)
    }

    /// Why its outcome is unknown.
    #[must_use]
    pub const fn lost(&self) -> Option<Hold> {
        self.lost
    }

    /// Its approvals, oldest first; some may have expired. Those by people or with credentials that
    /// were removed while it waited are gone.
    #[must_use]
    pub fn approvals(&self) -> &[SignedStatement] {
        &self.approvals
    }
}
