//! The life of an order.
//!
//! Invariant: the stored state alone says how to go on; a terminal state never changes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the state machine is complete")]
pub enum OrderState {
    /// Waits for approvals or time.
    Pending,
    /// Allowed, its limits reserved; a key may have been used.
    Reserved,
    /// Not allowed, for good.
    Denied,
    /// Waited too long.
    Expired,
    /// Taken back by its requester.
    Cancelled,
    /// Its signatures are durable: released.
    Signed,
    /// Its command is done: released.
    Executed,
    /// Nothing was signed and nothing can be.
    Failed,
    /// A signature may exist; stays spent until resolved.
    Unknown,
}

/// What happens to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the state machine is complete")]
pub enum OrderStep {
    /// The rules allow it.
    Allow,
    /// The rules, or somebody entitled to, refuse it.
    Deny,
    /// Its time is up.
    Expire,
    /// Its requester takes it back.
    Cancel,
    /// All its tasks are signed and verified.
    Sign,
    /// Its command is done.
    Execute,
    /// Nothing can have been signed.
    Fail,
    /// Something may have been signed.
    Lose,
    /// A resolution brings its signatures.
    ResolveSigned,
    /// A resolution states why no signature can exist.
    ResolveFailed,
}

impl OrderState {
    /// All states.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Reserved,
        Self::Denied,
        Self::Expired,
        Self::Cancelled,
        Self::Signed,
        Self::Executed,
        Self::Failed,
        Self::Unknown,
    ];

    /// The state after `step`.
    ///
    /// # Errors
    /// Fails if the step cannot happen in this state.
    pub const fn apply(self, step: OrderStep) -> Result<Self, Impossible> {
        Ok(match (self, step) {
            (Self::Pending, OrderStep::Allow) => Self::Reserved,
            (Self::Pending, OrderStep::Deny) => Self::Denied,
            (Self::Pending, OrderStep::Expire) => Self::Expired,
            (Self::Pending, OrderStep::Cancel) => Self::Cancelled,
            (Self::Reserved, OrderStep::Sign) | (Self::Unknown, OrderStep::ResolveSigned) => {
                Self::Signed
            }
            (Self::Reserved, OrderStep::Execute) => Self::Executed,
            (Self::Reserved, OrderStep::Fail) | (Self::Unknown, OrderStep::ResolveFailed) => {
                Self::Failed
            }
            (Self::Reserved, OrderStep::Lose) => Self::Unknown,
            (state, step) => return Err(Impossible { state, step }),
        })
    }

    /// Whether nothing can happen to the order any more.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Reserved | Self::Unknown)
    }
}

impl fmt::Display for OrderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Reserved => "reserved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Signed => "signed",
            Self::Executed => "executed",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        })
    }
}

/// A step that cannot happen in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step:?} cannot happen to an order that is {state}")]
#[non_exhaustive]
pub struct Impossible {
    /// The state.
    pub state: OrderState,
    /// The step.
    pub step: OrderStep,
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [OrderStep; 10] = [
        OrderStep::Allow,
        OrderStep::Deny,
        OrderStep::Expire,
        OrderStep::Cancel,
        OrderStep::Sign,
        OrderStep::Execute,
        OrderStep::Fail,
        OrderStep::Lose,
        OrderStep::ResolveSigned,
        OrderStep::ResolveFailed,
    ];

    #[test]
    fn exactly_ten_of_the_ninety_steps_can_happen() {
        let possible = OrderState::ALL
            .iter()
            .flat_map(|state| STEPS.iter().map(move |step| state.apply(*step)))
            .filter(Result::is_ok)
            .count();
        assert_eq!(possible, 10);
    }

    #[test]
    fn a_terminal_order_never_changes() {
        for state in OrderState::ALL.into_iter().filter(|state| state.is_terminal()) {
            for step in STEPS {
                assert!(state.apply(step).is_err(), "{step:?} of {state}");
            }
        }
    }

    #[test]
    fn an_unknown_order_moves_only_by_a_resolution() {
        let moves: Vec<_> =
            STEPS.into_iter().filter(|step| OrderState::Unknown.apply(*step).is_ok()).collect();
        assert_eq!(moves, [OrderStep::ResolveSigned, OrderStep::ResolveFailed]);
    }
}
