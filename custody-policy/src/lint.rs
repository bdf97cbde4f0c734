//! Lints: rules that Cedar accepts and that a house must not run.
//!
//! Invariant: what is refused here is refused for every house; there is no switch.

mod conditions;
mod literals;
mod scope;
mod text;

use custody_core::seam::{Finding, PolicyDocument};

use crate::compiler::Written;
use crate::finding::Source;

/// What is wrong with the document before its rules are read.
pub(crate) fn document(document: &PolicyDocument) -> Vec<Finding> {
    text::findings(document)
}

/// What is wrong with a rule.
pub(crate) fn errors(
    rule: &Written,
    document: &PolicyDocument,
    source: &Source<'_>,
) -> Vec<Finding> {
    let mut messages = scope::errors(rule);
    messages.extend(conditions::errors(&rule.tree, &document.roles));
    messages.extend(literals::errors(&rule.tree));
    at(rule, source, messages)
}

/// What a careful reader would question in a rule.
pub(crate) fn warnings(rule: &Written, source: &Source<'_>) -> Vec<Finding> {
    at(rule, source, scope::warnings(rule))
}

fn at(rule: &Written, source: &Source<'_>, messages: Vec<String>) -> Vec<Finding> {
    let finding = |message| source.finding(Some(&rule.id), rule.at, message);
    messages.into_iter().map(finding).collect()
}
