//! The checks of [`PolicyCompiler`] and [`PolicyEngine`].

mod compile;
mod judge;
mod missing;

use std::fmt;
use std::sync::Arc;

use custody_core::id::RoleId;
use custody_core::seam::{Judgement, PolicyCompiler, PolicyDocument, PolicyEngine};

use crate::policy::OrderFacts;

pub use compile::*;
pub use judge::*;
pub use missing::*;

/// Makes every check of a policy engine a test of its own.
///
/// `$make` is evaluated for each test, may `.await`, and yields a [`PolicyEngineFixture`]. Put
/// each use in a module of its own.
#[macro_export]
macro_rules! policy_engine_suite {
    ($make:expr) => {
        $crate::policy_engine_suite! { @tests $make;
            a_broken_set_is_refused_with_its_findings
            a_denied_order_names_why
            a_failing_rule_denies
            a_large_order_is_judged
            a_set_that_permits_everything_allows_a_transfer
            an_asset_without_decimals_is_denied
            an_effect_that_no_rule_names_is_denied
            an_empty_set_denies_everything
            an_order_without_effects_is_denied
            approvals_that_are_missing_are_named
            judgements_are_pinned_under_the_engines_name
            nothing_is_missing_where_nothing_helps
            the_id_is_the_digest_of_the_document
            the_same_facts_give_the_same_judgement
            the_strictest_effect_wins
            two_compilations_judge_alike
            what_is_said_to_be_missing_is_enough
        }
    };
    (@tests $make:expr; $($check:ident)*) => {$(
        #[test]
        fn $check() {
            $crate::suite::run(stringify!($check), async {
                $crate::suite::policy_engine::$check($make)
            });
        }
    )*};
}

/// What the policy suite needs: a compiler and rule sets in its language, all of one house (the
/// same roles and tiers).
#[derive(Clone)]
pub struct PolicyEngineFixture {
    compiler: Arc<dyn PolicyCompiler>,
    permissive: PolicyDocument,
    transfers: PolicyDocument,
    needing: (PolicyDocument, RoleId, u32),
    failing: PolicyDocument,
    broken: Vec<PolicyDocument>,
    pin: Option<&'static str>,
}

/// The rule sets of a [`PolicyEngineFixture`].
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "tests of engines build it")]
pub struct SampleSets {
    /// Permits every action, for everybody, without conditions.
    pub permissive: PolicyDocument,
    /// Permits transfers only, without conditions.
    pub transfers: PolicyDocument,
    /// Permits transfers with so many approvals of a role; at least one, at most three.
    pub needing: (PolicyDocument, RoleId, u32),
    /// Permits everything, and has one more rule that fails for a transfer. A compiler that
    /// refuses every such set gives one that it refuses.
    pub failing: PolicyDocument,
    /// Sets that must not compile: text that does not parse, an unknown role.
    pub broken: Vec<PolicyDocument>,
}

impl PolicyEngineFixture {
    /// A compiler and its sample sets.
    #[must_use]
    pub fn new(compiler: Arc<dyn PolicyCompiler>, sets: SampleSets) -> Self {
        let SampleSets { permissive, transfers, needing, failing, broken } = sets;
        Self { compiler, permissive, transfers, needing, failing, broken, pin: None }
    }

    /// What [`judgements_are_pinned_under_the_engines_name`] must find: the engine's name, a space
    /// and a digest. The check says what it found.
    #[must_use]
    pub const fn with_pin(mut self, pin: &'static str) -> Self {
        self.pin = Some(pin);
        self
    }

    fn compile(&self, document: &PolicyDocument) -> Arc<dyn PolicyEngine> {
        let answer = self.compiler.compile(document);
        answer.unwrap_or_else(|error| panic!("a sample set does not compile: {error}"))
    }

    fn permissive(&self) -> Arc<dyn PolicyEngine> {
        self.compile(&self.permissive)
    }

    fn order(&self) -> OrderFacts {
        OrderFacts::new(&self.permissive)
    }

    /// The permissive set without its rules.
    fn empty(&self) -> PolicyDocument {
        PolicyDocument { rules: String::new(), ..self.permissive.clone() }
    }
}

impl fmt::Debug for PolicyEngineFixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyEngineFixture")
            .field("compiler", &self.compiler)
            .finish_non_exhaustive()
    }
}

/// Judges, and checks what holds for every judgement.
fn judge(engine: &dyn PolicyEngine, order: &OrderFacts) -> Judgement {
    let judgement = engine.judge(&order.facts());
    for (list, rules) in [("rules", &judgement.rules), ("errors", &judgement.errors)] {
        assert!(rules.is_sorted(), "the {list} of a judgement are not sorted");
    }
    assert!(!judgement.rules.is_empty(), "a judgement names no rule");
    assert!(!judgement.allowed || judgement.errors.is_empty(), "allowed in spite of an error");
    assert!(!judgement.allowed || !order.effects.is_empty(), "allowed without effects");
    judgement
}

fn assert_denied(engine: &dyn PolicyEngine, order: &OrderFacts, case: &str) {
    assert!(!judge(engine, order).allowed, "allowed: {case}");
}

fn assert_allowed(engine: &dyn PolicyEngine, order: &OrderFacts, case: &str) {
    let judgement = judge(engine, order);
    assert!(judgement.allowed, "denied: {case}: {judgement:?}");
}
