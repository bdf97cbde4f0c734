//! From a stored rule set to an engine.
//!
//! Invariant: a rule set compiles only if every rule has a unique id, validates strictly without
//! warnings, and has no lint. An engine never runs a rule that was not checked.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId as CedarId, PolicySet, Schema, ValidationMode, Validator};
use custody_core::id::{EngineId, IdError, RuleId};
use custody_core::seam::{Finding, PolicyCompiler, PolicyDocument, PolicyEngine, PolicyError};

use crate::engine::{CedarEngine, NO_PERMIT, Parts};
use crate::finding::{self, Source};
use crate::lint;
use crate::names::Names;
use crate::rule::Rule;
use crate::schema;

/// Compiles rule sets in Cedar.
#[derive(Clone, Debug)]
pub struct CedarCompiler {
    engine: EngineId,
}

impl CedarCompiler {
    /// The compiler of this version.
    ///
    /// # Errors
    /// Fails if the versions of Cedar do not make an id, which no release of Cedar does.
    pub fn new() -> Result<Self, IdError> {
        let (sdk, language) = (cedar_policy::get_sdk_version(), cedar_policy::get_lang_version());
        let own = env!("CARGO_PKG_VERSION");
        let text = format!("cedar/{sdk}+language/{language}+custody-policy/{own}+rules/{RULES}");
        Ok(Self { engine: EngineId::parse(&text)? })
    }

    /// The Cedar schema against which this rule set is validated; editors want it.
    #[must_use]
    pub fn schema(&self, document: &PolicyDocument) -> String {
        schema::text(document)
    }

    /// What a careful reader would question in a rule set that loads.
    ///
    /// # Errors
    /// Fails for a rule set that does not compile.
    pub fn warnings(&self, document: &PolicyDocument) -> Result<Vec<Finding>, PolicyError> {
        let checked = Checked::new(document)?;
        let source = Source::new(&document.rules);
        let warnings = checked.rules.iter().flat_map(|rule| lint::warnings(rule, &source));
        Ok(finding::grouped(warnings.collect()))
    }
}

impl PolicyCompiler for CedarCompiler {
    fn engine(&self) -> &EngineId {
        &self.engine
    }

    fn compile(&self, rules: &PolicyDocument) -> Result<Arc<dyn PolicyEngine>, PolicyError> {
        Ok(Arc::new(CedarEngine::new(rules)?))
    }
}

/// A written rule with its id and where it begins.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) id: RuleId,
    pub(crate) at: usize,
    pub(crate) policy: Policy,
    pub(crate) tree: cedar_policy::pst::Template,
}

/// The parts of an engine for this document.
pub(crate) fn parts(document: &PolicyDocument) -> Result<Parts, PolicyError> {
    let Checked { schema, rules } = Checked::new(document)?;
    let source = Source::new(&document.rules);
    let mut loaded = Vec::with_capacity(rules.len());
    for rule in rules {
        let read = Rule::new(&rule.policy, &rule.tree, &document.roles);
        loaded.push(read.map_err(|_| {
            let message = "the rule has an expression that this engine does not know".to_owned();
            PolicyError::new(vec![source.finding(Some(&rule.id), rule.at, message)])
        })?);
    }
    let bytes = document.to_bytes().map_err(|_| unreadable("the document is not JSON"))?;
    let names = Names::new().map_err(|_| unreadable("the names of entities are not Cedar"))?;
    Ok(Parts { id: PolicyDocument::id_of(&bytes), names, schema, rules: loaded })
}

/// A rule set that passed every check.
struct Checked {
    schema: Schema,
    rules: Vec<Written>,
}

impl Checked {
    fn new(document: &PolicyDocument) -> Result<Self, PolicyError> {
        refuse(lint::document(document))?;
        let schema = parse_schema(document)?;
        let source = Source::new(&document.rules);
        let set = PolicySet::from_str(&document.rules).map_err(|errors| {
            let findings = errors.iter().map(|error| source.diagnostic(None, error));
            PolicyError::new(finding::grouped(findings.collect()))
        })?;
        let rules = written(&set, &source)?;
        let mut findings = validate(&schema, &rules, &source);
        for rule in &rules {
            findings.extend(lint::errors(rule, document, &source));
        }
        refuse(finding::grouped(findings))?;
        Ok(Self { schema, rules })
    }
}

fn refuse(findings: Vec<Finding>) -> Result<(), PolicyError> {
    if findings.is_empty() { Ok(()) } else { Err(PolicyError::new(findings)) }
}

fn parse_schema(document: &PolicyDocument) -> Result<Schema, PolicyError> {
    Schema::from_cedarschema_str(&schema::text(document))
        .map(|(schema, _)| schema)
        .map_err(|error| unreadable(&format!("the roles and tiers make no schema: {error}")))
}

fn unreadable(message: &str) -> PolicyError {
    let message = message.to_owned();
    PolicyError::new(vec![Finding { rule: None, line: 0, column: 0, message }])
}

/// The rules with their ids, in the order of the text.
fn written(set: &PolicySet, source: &Source<'_>) -> Result<Vec<Written>, PolicyError> {
    let mut findings = Vec::new();
    for template in set.templates() {
        let at = source.find(&template.to_string(), 0);
        let message = "a template has no links in a stored rule set: write the rule out".to_owned();
        findings.push(source.finding(None, at, message));
    }
    let mut policies: Vec<&Policy> = set.policies().collect();
    policies.sort_by_key(|policy| number(policy.id()));
    let (mut rules, mut seen, mut from) = (Vec::new(), BTreeSet::new(), 0);
    for policy in policies {
        let text = policy.to_string();
        let at = source.find(&text, from);
        from = at.saturating_add(text.len());
        match identified(policy, at, &mut seen) {
            Ok(rule) => rules.push(rule),
            Err(message) => findings.push(source.finding(None, at, message)),
        }
    }
    refuse(finding::grouped(findings))?;
    Ok(rules)
}

fn identified(policy: &Policy, at: usize, seen: &mut BTreeSet<RuleId>) -> Result<Written, String> {
    let text = policy.annotation("id").ok_or("the rule has no @id")?;
    let id =
        RuleId::parse(text).map_err(|error| format!("the rule's @id is malformed: {error}"))?;
    if id.as_str() == NO_PERMIT {
        return Err(format!("`{NO_PERMIT}` stands for a denial in which no rule spoke"));
    }
    if !seen.insert(id.clone()) {
        return Err(format!("`{id}` is the @id of an earlier rule"));
    }
    let policy = policy.new_id(CedarId::new(id.as_str()));
    let tree = policy.to_pst().map_err(|error| error.to_string())?.body().clone();
    Ok(Written { id, at, policy, tree })
}

/// Cedar numbers the rules of a text as it reads them.
fn number(id: &CedarId) -> usize {
    let text: &str = id.as_ref();
    text.strip_prefix("policy").and_then(|number| number.parse().ok()).unwrap_or(usize::MAX)
}

/// Strict validation, where a warning is an error.
fn validate(schema: &Schema, rules: &[Written], source: &Source<'_>) -> Vec<Finding> {
    let policies = rules.iter().map(|rule| rule.policy.clone());
    let set = match PolicySet::from_policies(policies) {
        Ok(set) => set,
        Err(error) => return vec![source.finding(None, 0, error.to_string())],
    };
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    let errors = result.validation_errors().map(|error| {
        source.diagnostic(RuleId::parse(error.policy_id().as_ref()).ok().as_ref(), error)
    });
    let warnings = result.validation_warnings().map(|warning| {
        source.diagnostic(RuleId::parse(warning.policy_id().as_ref()).ok().as_ref(), warning)
    });
    errors.chain(warnings).collect()
}

/// Changes when rounding, lints or the schema change.
const RULES: u8 = 4;
