use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::{CommandRefusal, Ledger, LedgerError, OpenOrder};
use crate::command::Command;
use crate::digest::Digest;
use crate::document::{CommandReference, OrderDocument, V1, Work};
use crate::effect::Action;
use crate::id::{OrderId, PrincipalId, RequestId};
use crate::seam::{
    Authentication, Finding, Missing, PolicyCompiler, PolicyDocument, PolicyEngine, PolicyError,
};
use crate::time::Timestamp;

/// Compiles a rule set; a compiler that panics refuses it.
pub(crate) fn compile(
    compiler: &dyn PolicyCompiler,
    rules: &PolicyDocument,
) -> Result<Arc<dyn PolicyEngine>, PolicyError> {
    catch_unwind(AssertUnwindSafe(|| compiler.compile(rules))).unwrap_or_else(|_| {
        let message = "the compiler panicked".to_owned();
        Err(PolicyError::new(vec![Finding { rule: None, line: 0, column: 0, message }]))
    })
}

impl Ledger {
    /// Whether `engine`, compiled from `policy`, could ever allow the next `update_policy` to
    /// somebody who is enrolled. A set that could not would be the last one.
    ///
    /// It must be possible however long ago the last recovery drill was: a house whose backups
    /// turn out to be lost can drill no more.
    ///
    /// # Errors
    /// Refuses such a set.
    pub fn check_succession(
        &self,
        policy: &str,
        engine: &dyn PolicyEngine,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let mut ledger = self.clone();
        ledger.set_policy(policy)?;
        let refused = |reason: &str| {
            let reason = reason.to_owned();
            Err(CommandRefusal::Policy { reason }.into())
        };
        if !ledger.is_hopeful(engine, now) {
            return refused("update_policy could never be allowed under it");
        }
        ledger.drilled = Some(Timestamp::default());
        if !ledger.is_hopeful(engine, now) {
            return refused("update_policy could not be allowed under it long after a drill");
        }
        Ok(())
    }

    /// Whether somebody's `update_policy` would be allowed, or may be later.
    fn is_hopeful(&self, engine: &dyn PolicyEngine, now: Timestamp) -> bool {
        self.members.keys().any(|requester| {
            let Ok(order) = self.hypothetical(requester, now) else { return false };
            let decision = self.decide(engine, &order, now);
            decision.allowed
                || (!decision.is_final && self.missing(engine, &order, now) != Missing::Never)
        })
    }

    /// An order of `requester` to replace the rules, with the strongest login.
    fn hypothetical(
        &self,
        requester: &PrincipalId,
        now: Timestamp,
    ) -> Result<OpenOrder, crate::id::IdError> {
        let command = Arc::new(Command::UpdatePolicy { policy: String::new() });
        let document = OrderDocument {
            v: V1,
            custodian: self.custodian,
            order: OrderId::parse("hypothetical")?,
            requester: requester.clone(),
            request: RequestId::parse("hypothetical")?,
            wallet: None,
            chain: None,
            submitted: now,
            expires: now.after(Duration::from_secs(30 * 86_400)),
            work: Work::Command(CommandReference {
                action: Action::UpdatePolicy,
                size: 0,
                sha256: Digest::of(&[]),
            }),
            effects: vec![command.effect(None)],
            facts: BTreeSet::new(),
            tasks: Vec::new(),
        };
        let authentication = Authentication { factors: u8::MAX, age_ms: 0, ip: None, signed: true };
        let digest = Digest::of(&[]);
        Ok(OpenOrder::simulated(Arc::new(document), digest, authentication, Some(command)))
    }
}
