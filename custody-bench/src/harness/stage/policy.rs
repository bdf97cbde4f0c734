//! The rules, timed.

use std::sync::Arc;

use custody_core::id::{EngineId, PolicyId};
use custody_core::seam::{
    Facts, Judgement, Missing, PolicyCompiler, PolicyDocument, PolicyEngine, PolicyError,
};

use super::{Stage, Stages};

/// A compiler whose engines are timed while they judge.
#[derive(Debug)]
pub struct TimedCompiler {
    compiler: Arc<dyn PolicyCompiler>,
    stages: Arc<Stages>,
}

impl TimedCompiler {
    /// Times the judgements of what `compiler` makes.
    #[must_use]
    pub fn new(compiler: Arc<dyn PolicyCompiler>, stages: Arc<Stages>) -> Self {
        Self { compiler, stages }
    }
}

impl PolicyCompiler for TimedCompiler {
    fn engine(&self) -> &EngineId {
        self.compiler.engine()
    }

    fn compile(&self, rules: &PolicyDocument) -> Result<Arc<dyn PolicyEngine>, PolicyError> {
        let engine = self.compiler.compile(rules)?;
        Ok(Arc::new(TimedEngine { engine, stages: Arc::clone(&self.stages) }))
    }
}

#[derive(Debug)]
struct TimedEngine {
    engine: Arc<dyn PolicyEngine>,
    stages: Arc<Stages>,
}

impl PolicyEngine for TimedEngine {
    fn id(&self) -> PolicyId {
        self.engine.id()
    }

    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        self.stages.time(Stage::Judge, || self.engine.judge(facts))
    }

    fn missing(&self, facts: &Facts<'_>) -> Missing {
        self.engine.missing(facts)
    }
}
