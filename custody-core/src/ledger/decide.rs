use std::cell::LazyCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Ledger, OpenOrder, charges};
use crate::caip::AccountId;
use crate::document::{Hold, OrderDocument, WindowUse, Work};
use crate::effect::Effect;
use crate::id::RuleId;
use crate::key::{KeyOperation, KeyState};
use crate::seam::{Facts, Judgement, Missing, PolicyEngine};
use crate::time::Timestamp;

/// What the rules, and the standing of wallet, keys and requester, say about an order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[expect(clippy::exhaustive_structs, reason = "the verifier compares it")]
pub struct Decision {
    /// Whether the order is allowed now.
    pub allowed: bool,
    /// Whether approvals and time cannot change that.
    pub is_final: bool,
    /// The rules that made the verdict.
    pub rules: Vec<RuleId>,
    /// The rules that failed.
    pub errors: Vec<RuleId>,
    /// The window sums as used, this order included.
    pub windows: Vec<WindowUse>,
}

impl Ledger {
    /// Judges an order at `now`: pure, and the same for sequencer, explanation and verifier.
    ///
    /// What no rule can change comes first and is named like a rule: `frozen`, `key-state`,
    /// `expired`, `requester-removed`, `amount-overflow`; and so is an engine that panics,
    /// `engine-panic`.
    pub fn decide(&self, engine: &dyn PolicyEngine, order: &OpenOrder, now: Timestamp) -> Decision {
        let Ok(charges) = charges(&order.document) else {
            return Decision::held("amount-overflow", true, Vec::new());
        };
        let uses = self.uses(&charges, now);
        let windows: Vec<_> = uses
            .iter()
            .map(|(window, sums)| WindowUse { window: window.clone(), sums: *sums })
            .collect();
        if windows.iter().any(|used| used.sums.is_none()) {
            return Decision::held("amount-overflow", true, windows);
        }
        if let Some(hold) = self.hold(&order.document, now) {
            return Decision::held(hold, hold != "frozen", windows);
        }
        let judge = || self.with_facts(order, &uses, now, |facts| engine.judge(facts));
        let Ok(judged) = catch_unwind(AssertUnwindSafe(judge)) else {
            return Decision::held("engine-panic", true, windows);
        };
        let Some(Judgement { allowed, rules, errors }) = judged else {
            return Decision::held("requester-removed", true, windows);
        };
        Decision { allowed: allowed && errors.is_empty(), is_final: false, rules, errors, windows }
    }

    /// What would allow an order that is not allowed at `now`. An engine that panics says nothing.
    #[must_use]
    pub fn missing(&self, engine: &dyn PolicyEngine, order: &OpenOrder, now: Timestamp) -> Missing {
        let ask = || self.facts_at(order, now, |facts| engine.missing(facts));
        catch_unwind(AssertUnwindSafe(ask)).ok().flatten().unwrap_or(Missing::Never)
    }

    /// Calls `with` with the facts about an order at `now`.
    pub fn facts_at<R>(
        &self,
        order: &OpenOrder,
        now: Timestamp,
        with: impl FnOnce(&Facts<'_>) -> R,
    ) -> Option<R> {
        let charges = charges(&order.document).ok()?;
        self.with_facts(order, &self.uses(&charges, now), now, with)
    }

    /// What stops an order whatever the rules say.
    #[must_use]
    pub fn hold(&self, order: &OrderDocument, now: Timestamp) -> Option<&'static str> {
        if order.expires < now {
            return Some("expired");
        }
        let kept = self.orders.get(&order.order);
        let is_of_former = kept.is_some_and(OpenOrder::is_of_former);
        if !self.members.contains_key(&order.requester) || is_of_former {
            return Some("requester-removed");
        }
        if matches!(order.work, Work::Command(_)) {
            return None;
        }
        let wallet = order.wallet.as_ref().and_then(|id| self.wallets.get(id));
        if self.frozen || wallet.is_none_or(|wallet| wallet.frozen) {
            return Some("frozen");
        }
        if self.keys_allow(order) { None } else { Some("key-state") }
    }

    /// What stops an order that was allowed: what stops any, and the removal of somebody who was
    /// counted in it.
    #[must_use]
    pub fn stop(&self, order: &OpenOrder) -> Option<Hold> {
        let removed = |id| !self.members.contains_key(id);
        // A job has the order as it was when the job began.
        let kept = self.orders.get(&order.document.order).unwrap_or(order);
        let is_anyone = removed(&order.document.requester) || order.counted.iter().any(removed);
        if kept.removed || is_anyone {
            return Some(Hold::ApproverRemoved);
        }
        match self.hold(&order.document, order.document.submitted) {
            None => None,
            Some("key-state") => Some(Hold::KeyState),
            Some(_) => Some(Hold::Frozen),
        }
    }

    /// Whether the state of every task's key allows the order.
    fn keys_allow(&self, order: &OrderDocument) -> bool {
        // Looks accounts up: once, and only if a key does not sign.
        let is_sweep = LazyCell::new(|| self.is_sweep(order));
        let is_allowed = |state: KeyState| {
            state.allows(KeyOperation::Sign) || (state.allows(KeyOperation::Sweep) && *is_sweep)
        };
        order.tasks.iter().all(|task| {
            self.keys.get(&task.key).is_some_and(|key| {
                Some(&key.wallet) == order.wallet.as_ref() && is_allowed(key.state)
            })
        })
    }

    /// Whether an order only moves assets to active accounts of the same wallet.
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else it does, it is no sweep")]
    fn is_sweep(&self, order: &OrderDocument) -> bool {
        let is_successor = |account: &AccountId| {
            self.key_of(account).and_then(|id| self.keys.get(id)).is_some_and(|key| {
                key.state.allows(KeyOperation::Sign) && Some(&key.wallet) == order.wallet.as_ref()
            })
        };
        order.effects.iter().all(|effect| match effect {
            Effect::Transfer { to, .. } => is_successor(to),
            Effect::PayFee { .. } => true,
            _ => false,
        })
    }
}

impl Decision {
    /// A denial that no rule made.
    fn held(rule: &str, is_final: bool, windows: Vec<WindowUse>) -> Self {
        let rules = RuleId::parse(rule).into_iter().collect();
        Self { allowed: false, is_final, rules, errors: Vec::new(), windows }
    }
}
