use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use custody_core::digest::Digest;
use custody_core::id::{EngineId, PolicyId};
use custody_core::seam::{
    Facts, Judgement, Missing, PolicyCompiler, PolicyDocument, PolicyEngine, PolicyError,
    Requirement,
};

use super::TestRules;

/// How a [`LyingCompiler`]'s engines break the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EngineLie {
    /// A set that does not compile is taken for an empty one.
    AcceptsBrokenSets,
    /// An order without effects is allowed.
    AllowsNothing,
    /// A failing rule is passed over.
    AllowsOnError,
    /// An order whose asset has no decimals is allowed.
    AllowsWithoutDecimals,
    /// Every second judgement is the other way round.
    Alternates,
    /// One approval of any role is claimed to be enough.
    ClaimsTooLittle,
    /// Of two engines of one document the second judges the other way round.
    DiffersByCompilation,
    /// What can never be allowed is said to wait for nothing.
    NeverSaysNever,
    /// Only the first effect is judged.
    ReadsTheFirstEffect,
    /// The id is not the document's digest.
    WrongId,
}

/// [`TestRules`] whose engines break the contract in one way, to show that a check finds it.
#[derive(Clone, Debug)]
pub struct LyingCompiler {
    rules: TestRules,
    lie: EngineLie,
    compilations: Arc<AtomicU64>,
}

impl LyingCompiler {
    /// A compiler with this lie.
    #[must_use]
    pub fn new(lie: EngineLie) -> Self {
        Self { rules: TestRules::new(), lie, compilations: Arc::default() }
    }
}

impl PolicyCompiler for LyingCompiler {
    fn engine(&self) -> &EngineId {
        self.rules.engine()
    }

    fn compile(&self, rules: &PolicyDocument) -> Result<Arc<dyn PolicyEngine>, PolicyError> {
        let empty = PolicyDocument { rules: String::new(), ..rules.clone() };
        let inner = match self.rules.compile(rules) {
            Err(_) if self.lie == EngineLie::AcceptsBrokenSets => self.rules.compile(&empty)?,
            answer => answer?,
        };
        let number = self.compilations.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(LyingEngine { inner, lie: self.lie, number, calls: AtomicU64::new(0) }))
    }
}

#[derive(Debug)]
struct LyingEngine {
    inner: Arc<dyn PolicyEngine>,
    lie: EngineLie,
    number: u64,
    calls: AtomicU64,
}

impl PolicyEngine for LyingEngine {
    fn id(&self) -> PolicyId {
        let wrong = self.lie == EngineLie::WrongId;
        if wrong { PolicyId::new(Digest::of(b"wrong")) } else { self.inner.id() }
    }

    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        let mut facts = facts.clone();
        if self.lie == EngineLie::ReadsTheFirstEffect {
            facts.effects.truncate(1);
        }
        let money = facts.effects.iter_mut().filter_map(|effect| effect.money.as_mut());
        if self.lie == EngineLie::AllowsWithoutDecimals {
            money.for_each(|money| money.decimals = Some(18));
        }
        let mut judgement = self.inner.judge(&facts);
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let failed = !judgement.errors.is_empty();
        judgement.allowed = match self.lie {
            EngineLie::AllowsNothing => judgement.allowed || facts.effects.is_empty(),
            EngineLie::AllowsOnError => judgement.allowed || failed,
            EngineLie::Alternates => judgement.allowed ^ (call % 2 == 1),
            EngineLie::DiffersByCompilation => judgement.allowed ^ (self.number % 2 == 1),
            EngineLie::AcceptsBrokenSets
            | EngineLie::AllowsWithoutDecimals
            | EngineLie::ClaimsTooLittle
            | EngineLie::NeverSaysNever
            | EngineLie::ReadsTheFirstEffect
            | EngineLie::WrongId => judgement.allowed,
        };
        judgement
    }

    fn missing(&self, facts: &Facts<'_>) -> Missing {
        let role = facts.approvals.roles.keys().next();
        let one = role.map(|role| Requirement {
            approvals: std::iter::once((role.clone(), 1)).collect(),
            ..Requirement::default()
        });
        match (self.lie, self.inner.missing(facts)) {
            (EngineLie::ClaimsTooLittle, Missing::Await { complete, .. }) => {
                Missing::Await { options: one.into_iter().collect(), complete }
            }
            (EngineLie::NeverSaysNever, Missing::Never) => {
                Missing::Await { options: vec![Requirement::default()], complete: false }
            }
            (_, missing) => missing,
        }
    }
}
