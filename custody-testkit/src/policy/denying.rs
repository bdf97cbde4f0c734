use std::sync::Arc;

use custody_core::id::{EngineId, PolicyId, RuleId};
use custody_core::seam::{
    Facts, Finding, Judgement, Missing, PolicyCompiler, PolicyDocument, PolicyEngine, PolicyError,
};

/// The rule that every judgement of a [`DenyingCompiler`]'s engines names.
const RULE: &str = "deny-all";

/// A compiler whose engines deny every order, for good, by the rule `deny-all`; or one that
/// refuses every rule set.
#[derive(Clone, Debug)]
pub struct DenyingCompiler {
    engine: EngineId,
    refuses: bool,
}

impl DenyingCompiler {
    /// Compiles any rule set to an engine that denies every order.
    #[must_use]
    pub fn new() -> Self {
        Self { engine: EngineId::parse("denying/1").unwrap(), refuses: false }
    }

    /// Refuses every rule set.
    #[must_use]
    pub fn refusing() -> Self {
        Self { refuses: true, ..Self::new() }
    }

    /// The rule that denies.
    #[must_use]
    pub fn rule() -> RuleId {
        RuleId::parse(RULE).unwrap()
    }
}

impl Default for DenyingCompiler {
    fn default() -> Self {
        Self::new()
    }
}

impl PolicyCompiler for DenyingCompiler {
    fn engine(&self) -> &EngineId {
        &self.engine
    }

    fn compile(&self, rules: &PolicyDocument) -> Result<Arc<dyn PolicyEngine>, PolicyError> {
        let finding = |message: &str| {
            let message = message.to_owned();
            PolicyError::new(vec![Finding { rule: None, line: 0, column: 0, message }])
        };
        if self.refuses {
            return Err(finding("every rule set is refused"));
        }
        let bytes = rules.to_bytes().map_err(|_| finding("no JSON"))?;
        Ok(Arc::new(DenyingEngine { id: PolicyDocument::id_of(&bytes) }))
    }
}

#[derive(Debug)]
struct DenyingEngine {
    id: PolicyId,
}

impl PolicyEngine for DenyingEngine {
    fn id(&self) -> PolicyId {
        self.id
    }

    fn judge(&self, _: &Facts<'_>) -> Judgement {
        Judgement { allowed: false, rules: vec![DenyingCompiler::rule()], errors: Vec::new() }
    }

    fn missing(&self, _: &Facts<'_>) -> Missing {
        Missing::Never
    }
}
